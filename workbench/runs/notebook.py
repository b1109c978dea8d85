"""Executing a notebook into a run folder with papermill: parameters checked first, the kernel on a private socket."""

import difflib
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from workbench.atomic import replacing
from workbench.notebook import project_root
from workbench.runs.folder import NOTEBOOK_RUN, RunFolder
from workbench.runs.parameters import run_id
from workbench.runs.readable import size_warning, without_kernel

if TYPE_CHECKING:
    from traitlets.config import Config

EXECUTED = "notebook.ipynb"


class CellFailed(RuntimeError):
    """A cell of an executed notebook raised."""


def run_notebook(
    notebook: Path,
    given: Iterable[tuple[str, str]],
    file: Path | None = None,
    *,
    out: Path | None = None,
    outputs: str | Path = "outputs",
) -> Path:
    """Execute `notebook` in the working directory and return its run folder.

    - `given`: parameters as (name, value), values written as in YAML; they win over those in `file`.
    - `out`: the run folder; without it one under `outputs` named after its inputs.

    The executed notebook needs no kernel to be read (`without_kernel`). Its kernel finds the run folder in the
    environment (`WORKBENCH_NOTEBOOK_RUN`), which is this process's: execute one notebook at a time in a process.

    Raises `ValueError` for a parameter the notebook does not have or of another type than its default, and
    `CellFailed` when a cell does; the notebook as far as it came is in the folder.
    """
    import papermill

    if (root := project_root()) != Path.cwd():
        raise ValueError(
            f"run it from the project's folder, {root}: paths in a notebook's parameters are relative to it"
        )
    if not notebook.is_file():
        raise ValueError(f"{notebook} does not exist; notebooks are in notebooks/")
    parameters = _read_file(file) | {name: _read_value(name, value) for name, value in given}
    _check(notebook, parameters)
    inputs = {
        "notebook": {"name": notebook.stem, "hash": hashlib.sha256(notebook.read_bytes()).hexdigest()},
        "parameters": parameters,
    }
    path = out or Path(outputs) / run_id("run", (notebook.stem,), inputs)
    with RunFolder.open(path, inputs, kind="notebook") as run, _private_kernel() as kernel, _told(run.path):
        try:
            papermill.execute_notebook(
                notebook,
                run.path / EXECUTED,
                parameters=parameters,
                cwd=str(Path.cwd()),
                # Widget state would make exporters ask a CDN for its viewer, and bloats the file.
                store_widget_state=False,
                progress_bar=False,
                # A kernel manager of ours would make papermill leave the kernel and its sockets open.
                config=kernel,
            )
        except papermill.PapermillExecutionError as error:
            raise CellFailed(
                f"{notebook}, cell {error.exec_count}: {error.ename}: {error.evalue}\n"
                f"The notebook as far as it came is {run.path / EXECUTED}; the same command goes on from its answers."
            ) from error
        finally:
            _make_readable(run.path / EXECUTED)
    return path


@contextmanager
def _told(run: Path) -> Iterator[None]:
    """Tells the kernel, which inherits the environment, whose notebook it executes."""
    before = os.environ.get(NOTEBOOK_RUN)
    os.environ[NOTEBOOK_RUN] = str(run.resolve())
    try:
        yield
    finally:
        if before is None:
            del os.environ[NOTEBOOK_RUN]
        else:
            os.environ[NOTEBOOK_RUN] = before


def _make_readable(file: Path) -> None:
    import nbformat

    if not file.exists():  # stopped before the kernel started
        return
    notebook = without_kernel(nbformat.read(file, as_version=4))
    with replacing(file) as temporary:
        nbformat.write(notebook, temporary)
    if warning := size_warning(notebook):
        print(f"{file}: {warning}.")


@contextmanager
def _private_kernel() -> Iterator["Config"]:
    """Settings of a kernel that talks over Unix sockets: no port to race for, and nobody else on the node listens."""
    from traitlets.config import Config

    with tempfile.TemporaryDirectory() as folder:  # short, as a socket's path may have about 100 characters
        yield Config({"KernelManager": {"transport": "ipc", "connection_file": f"{folder}/k.json"}})


def _read_file(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        parameters = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"{file}: cannot be read as YAML ({error})") from error
    if not isinstance(parameters, dict):
        raise ValueError(
            f"{file}: holds {type(parameters).__name__}; it must be a mapping of parameter names to values"
        )
    return parameters


def _read_value(name: str, value: str) -> Any:
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ValueError(
            f"parameter {name!r} is {value!r}, which is not YAML; put quotes around text: '\"...\"'"
        ) from error


def _check(notebook: Path, parameters: dict[str, Any]) -> None:
    """Refuse what papermill would only warn about: it runs with misspelt parameters."""
    import papermill

    known = papermill.inspect_notebook(str(notebook))
    problems = []
    for name, value in list(parameters.items()):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
            problems.append(f"{notebook.name} has no parameter {name!r}; {hint}")
            continue
        declared = known[name]["inferred_type_name"]
        if value is None and declared in ("str", "dict"):
            value = parameters[name] = "" if declared == "str" else {}  # what `-p NAME ""` means
        allowed = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,), "dict": (dict,)}.get(declared)
        if allowed and (not isinstance(value, allowed) or (declared != "bool" and isinstance(value, bool))):
            problems.append(f"parameter {name!r} is {value!r}; {notebook.name} wants {declared}")
    if problems:
        raise ValueError("; ".join(problems))
