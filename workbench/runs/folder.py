"""A run folder: one process at a time, resumed by the same inputs, refused to others."""

import json
import os
from asyncio import CancelledError
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from pydantic import TypeAdapter

from workbench.runs.environment import describe_environment
from workbench.runs.lines import LineLog, read_lines
from workbench.runs.lock import is_locked, take_lock
from workbench.runs.manifest import FILE_NAME, Manifest, Status, now, read_manifest
from workbench.runs.parameters import differing, storable
from workbench.runs.storage import StorageError, storage, write_json
from workbench.vlm.errors import StopRun

LOCK_NAME = ".lock"

NOTEBOOK_RUN = "WORKBENCH_NOTEBOOK_RUN"
"""The environment variable by which the kernel of an executed notebook knows the notebook's run folder."""

MADE_RUNS = "runs.jsonl"
"""The file of a notebook's run folder that lists the runs it made."""

_MADE = TypeAdapter(dict[Literal["run"], str])


class RunFolder:
    """An open run folder; leaving the `with` block records how the run ended and lets others in.

    >>> with RunFolder.open(Path("outputs/evaluate-x"), {"seed": 0}, kind="evaluate") as run:  # doctest: +SKIP
    ...     run.record(facts={"model": "shapes-1"})
    ...     run.write("results.json", results.to_json())
    """

    def __init__(self, path: Path, manifest: Manifest, resumed: bool, lock: int) -> None:
        self.path = path
        self.manifest = manifest
        self.resumed = resumed
        self._lock = lock

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        inputs: Mapping[str, Any],
        *,
        kind: str,
        parameters: Mapping[str, Any] | None = None,
    ) -> Self:
        """Creates the folder, or resumes it when `inputs` equal those it was made with.

        Raises `ValueError` for other inputs, secrets or a broken `run.json`, `RunInUseError` while another process has
        the folder open, `StorageError` when it cannot be written.
        """
        path = Path(path)
        asked, extra = storable(inputs), storable(parameters or {})
        with storage(path):
            path.mkdir(parents=True, exist_ok=True)
        lock = _lock(path)
        try:
            manifest, resumed = _begin(path, kind, asked, extra)
            manifest.write(path)
            _tell_notebook(path)
        except BaseException:
            os.close(lock)
            raise
        return cls(path, manifest, resumed, lock)

    @property
    def verdicts_path(self) -> Path:
        return self.path / "verdicts.jsonl"

    def record(self, *, facts: Mapping[str, Any] | None = None, counts: Mapping[str, int] | None = None) -> None:
        """Adds what was found out or done to `run.json`."""
        self._update(
            facts={**self.manifest.facts, **storable(facts or {})}, counts={**self.manifest.counts, **(counts or {})}
        )

    def write(self, name: str, payload: Mapping[str, Any]) -> None:
        """Replaces the JSON file `name` of the folder atomically."""
        write_json(self.path / name, payload)

    def finish(self, status: Status = "finished", problem: str = "") -> None:
        """Records the end and lets other processes open the folder; a second call does nothing."""
        if self._lock < 0:
            return
        try:
            self._update(status=status, end=now(), problem=problem)
        finally:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is None:
            self.finish()
            return
        stopped = isinstance(error, KeyboardInterrupt | SystemExit | CancelledError | GeneratorExit)
        try:  # only the kind of error is kept: its message may quote paths, prompts or a server's reply
            self.finish("interrupted" if stopped else "failed", type(error).__name__)
        except StorageError as second:  # on a full disk the first error is the one to see
            error.add_note(f"and {FILE_NAME} could not record it: {second}")

    def _update(self, **changes: Any) -> None:
        self.manifest = replace(self.manifest, **changes)
        self.manifest.write(self.path)


class RunInUseError(StopRun):
    """Another process has the run folder open."""


def runs_made(notebook_run: Path) -> list[Path]:
    """The run folders a notebook's run made or resumed, in the order it did; those that are gone are left out."""
    log = notebook_run / MADE_RUNS
    if not log.exists():
        return []
    told = [notebook_run / line["run"] for line in read_lines(log, _MADE.validate_json, "a run's folder")]
    return [Path(os.path.normpath(path)) for path in dict.fromkeys(told) if (path / FILE_NAME).exists()]


def is_in_use(path: Path) -> bool:
    """Whether a living process has the run folder open; a killed one does not."""
    return is_locked(path / LOCK_NAME)


def _tell_notebook(path: Path) -> None:
    """Adds a run to the list its notebook keeps, so that the notebook can be shared with the pairs it judged."""
    if not (told := os.environ.get(NOTEBOOK_RUN)):
        return
    notebook_run = Path(told).resolve()
    if not notebook_run.is_dir():  # the variable outlived its notebook's run
        return
    relative = os.path.relpath(path.resolve(), notebook_run)
    if relative != "." and path.resolve() not in [made.resolve() for made in runs_made(notebook_run)]:
        with LineLog(notebook_run / MADE_RUNS) as log:
            log.append(json.dumps({"run": relative}).encode() + b"\n")


def _lock(path: Path) -> int:
    """Holds the folder until the descriptor is closed or the process dies."""
    with storage(path / LOCK_NAME):
        file = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if not take_lock(file):
                raise RunInUseError(_in_use(path, holder=os.pread(file, 32, 0).decode("ascii", "replace").strip()))
            os.ftruncate(file, 0)
            os.pwrite(file, str(os.getpid()).encode(), 0)
        except BaseException:
            os.close(file)
            raise
    return file


def _in_use(path: Path, holder: str) -> str:
    if holder == str(os.getpid()):
        return f"{path} is open in this process: finish that run (`run.finish()`) first, or choose another folder"
    return f"{path} is open in process {holder or 'unknown'}: wait for it or stop it, or choose another folder"


def _begin(path: Path, kind: str, inputs: dict[str, Any], parameters: dict[str, Any]) -> tuple[Manifest, bool]:
    environment, moment = describe_environment(), now()
    if not (path / FILE_NAME).exists():
        if any(entry.name != LOCK_NAME and not entry.name.endswith(".tmp") for entry in path.iterdir()):
            raise ValueError(f"{path} holds files but no {FILE_NAME}: choose an empty or a new folder for the run")
        return Manifest(path.name, kind, inputs, moment, moment, "running", parameters, environment=environment), False
    old = read_manifest(path)
    changes = list(differing({"kind": old.kind, **old.inputs}, {"kind": kind, **inputs}))
    if changes:
        listed = "; ".join(f"{key}: {before!r} there, {after!r} now" for key, before, after in changes)
        raise ValueError(
            f"{path} was made with other inputs ({listed}): repeat them to resume it, or choose another folder"
        )
    # A session that ended by a kill never recorded it.
    last = replace(old, status="interrupted") if old.status == "running" else old
    resumed = replace(
        old,
        parameters=parameters,
        environment=environment,
        session_start=moment,
        status="running",
        end=None,
        problem="",
        earlier_sessions=(*old.earlier_sessions, dict(last.session)),
    )
    return resumed, True
