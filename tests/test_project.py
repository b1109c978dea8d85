"""The project as it is installed: environment, lock, import time, and a README that tells the truth."""

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version
from typer.main import get_command
from typer.testing import CliRunner

from workbench.cli import app

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README = (ROOT / "README.md").read_text()
INDEX_TIMEOUT_S = 40
# As it is outside of tests, which see no proxy.
ENVIRONMENT = dict(os.environ)

EXTRAS = {"core": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
TESTED = ("core", "dev", "train")  # vllm needs CUDA and is installed apart


def _pins() -> dict[str, str]:
    lines = [line.partition("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    return dict(line.split("==") for line in lines if line)


def _pip_part() -> list[str]:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip_part,) = (part["pip"] for part in environment["dependencies"] if isinstance(part, dict))
    return list(pip_part)


def test_the_lock_holds_plain_pins_for_every_platform():
    for name, pinned in _pins().items():
        assert re.fullmatch(r"[A-Za-z0-9._-]+", name), name
        assert Version(pinned).local is None, f"{name}=={pinned}: a local label fits one kind of build only"
    text = (ROOT / "constraints.txt").read_text()
    assert "--hash" not in text
    assert " @ " not in text


@pytest.mark.parametrize("extra", TESTED)
def test_every_dependency_is_pinned_to_a_version_it_allows(extra):
    pins = {name.lower().replace("_", "-"): pinned for name, pinned in _pins().items()}
    for requirement in map(Requirement, EXTRAS[extra]):
        assert requirement.name.lower() in pins, f"{requirement.name} is not in constraints.txt"
        assert requirement.specifier.contains(pins[requirement.name.lower()]), requirement


def test_what_is_installed_here_is_what_the_lock_says():
    pins = _pins()
    for requirement in map(Requirement, [line for extra in TESTED for line in EXTRAS[extra]]):
        assert Version(version(requirement.name)).public == pins[requirement.name], "run `make setup`"


def test_the_conda_environment_takes_the_lock_and_extras_that_exist():
    assert "--constraint constraints.txt" in _pip_part()
    (editable,) = (line for line in _pip_part() if line.startswith("--editable"))
    extras = re.fullmatch(r"--editable \.\[(.+)\]", editable)
    assert extras
    assert set(extras[1].split(",")) <= EXTRAS.keys()
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (python,) = (part for part in environment["dependencies"] if str(part).startswith("python="))
    assert Version(python.removeprefix("python=")) in Requirement(f"python{PROJECT['requires-python']}").specifier


def test_the_conda_environments_pip_part_resolves(tmp_path):
    """As conda does it: the part becomes a requirements file, and pip reads it in the project's folder."""
    requirements = tmp_path / "requirements.txt"
    # Paths in a requirements file are relative to the working directory, but for constraints, which are to the file.
    requirements.write_text("\n".join(_pip_part()).replace("constraints.txt", str(ROOT / "constraints.txt")) + "\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries", "0", "--timeout", "5"]
    command = [*pip, "install", "--dry-run", "--quiet", "--report", str(tmp_path / "report.json")]
    try:
        result = subprocess.run(
            [*command, "--requirement", str(requirements)], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True,
            timeout=INDEX_TIMEOUT_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        pytest.skip(f"the package index did not answer within {INDEX_TIMEOUT_S} s")
    if re.search(r"Connection|Network is unreachable|name resolution|ProxyError|timed out", result.stderr):
        pytest.skip("the package index cannot be reached")
    assert result.returncode == 0, result.stderr
    planned = json.loads((tmp_path / "report.json").read_text())["install"]
    pins = {name.lower().replace("_", "-"): pinned for name, pinned in _pins().items()}
    for package in (each["metadata"] for each in planned):
        name = package["name"].lower().replace("_", "-")
        if name != PROJECT["name"]:
            assert Version(package["version"]).public == pins[name], f"{name} is not held by constraints.txt"


def test_importing_the_package_is_quick_and_brings_nothing_heavy():
    code = (
        "import sys, time; started = time.perf_counter(); import workbench, workbench.cli; "
        "print(time.perf_counter() - started); print(*sys.modules)"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(3)]
    seconds, modules = runs[0].stdout.split("\n", 1)
    assert min(float(run.stdout.split("\n", 1)[0]) for run in runs) < 1.0, seconds
    heavy = {"torch", "pandas", "pyarrow", "scipy", "openai", "plotly", "tornado", "papermill"}
    assert heavy & set(modules.split()) == set()


COMMANDS = (
    "doctor", "plan", "induce", "lint", "weigh", "evaluate", "audit", "run", "serve shapes", "shapes make",
    "rpo estimate", "rpo prepare", "rpo train", "runs list", "runs compare", "data check", "cache merge",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage: " in result.output


def _command(words: list[str]) -> Any:
    """The command that the first words of a line name."""
    command: Any = get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    return command


def _shown_commands() -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    inline = re.findall(r"`(workbench [^`]+)`", README)
    return [line for line in lines + inline if line.startswith("workbench ")]


def test_commands_shown_in_the_readme_exist_with_their_options():
    assert len(_shown_commands()) >= 5
    for line in _shown_commands():
        words = line.split()[1:]
        command = _command(words)
        known = {option for parameter in command.params for option in parameter.opts} | {"-p"}
        unknown = [word for word in words if word.startswith("-") and word not in known]
        assert unknown == [], line


def test_make_targets_shown_in_the_readme_exist():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    shown = set(re.findall(r"(?:^|`)make (\w+)", README, flags=re.MULTILINE))
    assert {"demo", "lab", "test"} <= shown
    assert shown <= targets


def test_what_the_readme_says_lies_where_is_there():
    (tree,) = re.findall(r"```text\n(notebooks/.*?)```", README, flags=re.DOTALL)
    missing = []
    for line in tree.splitlines():
        inside = ROOT / "workbench" if line.startswith("  ") else ROOT
        # Names end where two spaces start the description; a line may name several files.
        names = line.strip().split("  ")[0].split() if "  " in line.strip() else line.split()
        missing += [name for name in names if not (inside / name).exists()]
    assert missing == []
    (notebooks,) = re.findall(r"^notebooks/ +(.*)$", tree, flags=re.MULTILINE)
    assert sorted(notebooks.split(", ")) == sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


def test_links_and_images_of_the_readme_point_to_files():
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert [target for target in targets if "://" not in target and not (ROOT / target).exists()] == []
