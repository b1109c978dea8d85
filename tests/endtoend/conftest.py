"""Worlds of a few pairs, made once."""

import shutil
from pathlib import Path

import pytest

from workbench.shapes.world import make_world


@pytest.fixture(scope="session")
def made_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("worlds") / "t2i"
    make_world(5, "t2i", 40, folder, size=64)
    return folder


@pytest.fixture
def world(made_world: Path, tmp_path: Path) -> Path:
    """A t2i world of 40 pairs that a test may change."""
    return Path(shutil.copytree(made_world, tmp_path / "world"))
