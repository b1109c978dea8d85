"""Notebook tests run real kernels, and some a real JupyterLab in a real browser: what they started is found by a mark
in its environment."""

import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TOKEN = "for-this-test"
# The Run menu may hang when used at once; the command waits until the kernel answers.
RUN_ALL = """async () => {
  const app = window.jupyterapp;
  await app.restored;
  const panel = app.shell.currentWidget;
  await panel.context.ready;
  await panel.sessionContext.ready;
  await panel.sessionContext.session.kernel.info;
  await app.commands.execute('notebook:run-all-cells');
}"""

# From the notebook's model: JupyterLab renders no cell that is scrolled away.
RAISED = """() => [...window.jupyterapp.shell.currentWidget.content.model.cells].flatMap(
  (cell) => (cell.toJSON().outputs ?? []).filter((output) => output.output_type === 'error' || output.name === 'stderr')
)"""


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


@pytest.fixture(scope="module")
def lab(traces, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a JupyterLab with settings of its own."""
    own = tmp_path_factory.mktemp("jupyter")
    places = {f"JUPYTER_{name}_DIR": str(own / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    command = [
        sys.executable, "-m", "jupyterlab", "--allow-root", "--no-browser", "--ip=127.0.0.1", f"--port={_free_port()}",
        f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={project}",
        "--LabApp.expose_app_in_browser=True",
    ]  # fmt: skip
    quiet = own / "settings" / "@jupyterlab" / "apputils-extension"
    quiet.mkdir(parents=True)
    (quiet / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    places["JUPYTERLAB_SETTINGS_DIR"] = str(own / "settings")
    log = own / "log"
    with log.open("wb") as file:
        server = subprocess.Popen(command, cwd=project, env={**os.environ, **places}, stdout=file, stderr=file)
        try:
            yield _address(server, own / "runtime", log)
        finally:
            server.terminate()
            server.wait(timeout=30)
    assert traces.gone(), traces.running()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _address(server: "subprocess.Popen[bytes]", runtime: Path, log: Path) -> str:
    """What the server says of itself once it listens; it takes the next port when another process was faster."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            if text := file.read_text():
                return str(json.loads(text)["url"])
        time.sleep(0.1)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


class LabPage:
    """One notebook open in JupyterLab; `errors` are exceptions of the page, ours or not."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.url = url
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, notebook: str, *, run: bool = True) -> Any:
        """Open a notebook of the project, run all its cells without an error, and return Playwright's page."""
        self.page.goto(f"{self.url}lab/tree/notebooks/{notebook}?token={TOKEN}&reset")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        if run:
            self.page.evaluate(RUN_ALL)
            assert self.page.evaluate(RAISED) == []
        return self.page


@pytest.fixture
def lab_page(lab: str, chromium: Any) -> Iterator[LabPage]:
    """A browser tab of its own on the module's JupyterLab; a test fails when its page raised."""
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    opened = LabPage(context.new_page(), lab)
    yield opened
    context.close()
    assert opened.errors == []
