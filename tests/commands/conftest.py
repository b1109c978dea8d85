"""A small world whose judge is being served, and the command line in this process."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from workbench.cli import app
from workbench.shapes.judge.server import running_server
from workbench.shapes.judge.settings import perfect
from workbench.shapes.world import make_world

Command = Callable[..., Result]


@pytest.fixture(scope="package")
def made_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("worlds") / "t2i"
    make_world(5, "t2i", 24, folder, size=64)
    return folder


@pytest.fixture
def world(made_world: Path, tmp_path: Path) -> Path:
    """A t2i world of 24 pairs that a test may change."""
    return Path(shutil.copytree(made_world, tmp_path / "world"))


@pytest.fixture(scope="package")
def url() -> Iterator[str]:
    """Where a judge without flaws answers."""
    with running_server(perfect("t2i")) as base_url:
        yield base_url


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `workbench` with these arguments in the test's folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run
