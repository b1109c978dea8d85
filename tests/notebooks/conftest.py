"""Notebook tests run real kernels: what they started is found by a mark in its environment."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Traces:
    """Processes started while the mark was in the environment."""

    def __init__(self, mark: str) -> None:
        self._mark = mark.encode()

    def running(self) -> list[str]:
        """The command lines of those that are alive."""
        alive = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if self._mark in (process / "environ").read_bytes():
                    alive.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:  # ended meanwhile, or somebody else's
                continue
        return alive

    def gone(self, seconds: float = 5) -> bool:
        """Whether all have ended, within `seconds`."""
        deadline = time.monotonic() + seconds
        while self.running() and time.monotonic() < deadline:
            time.sleep(0.1)
        return not self.running()


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traces]:
    """Runs the module's notebooks at the project's root with a cache of their own; a process they leave is an error."""
    mark = f"notebook-test-{uuid.uuid4().hex}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_TEST_MARK", mark)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        patch.delenv("OPENAI_BASE_URL", raising=False)
        patch.delenv("OPENAI_API_KEY", raising=False)
        patch.chdir(ROOT)
        yield Traces(mark)
