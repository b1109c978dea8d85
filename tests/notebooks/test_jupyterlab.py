"""The quickstart in a real JupyterLab, driven through a real browser as a person would."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
BROWSER = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
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
# The images of a cell that is scrolled away may not be decoded yet.
DECODED_WIDTHS = "images => Promise.all(images.map(image => image.decode().then(() => image.naturalWidth)))"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian: apt install chromium)")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with a quickstart of its own that judges few pairs; nothing is written into the checkout."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("data", "rubrics", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "notebooks", folder / "notebooks", ignore=shutil.ignore_patterns(".*"))
    path = folder / "notebooks" / "00_quickstart.ipynb"
    notebook = nbformat.read(path, as_version=4)
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    assert "test_pairs: int = 200" in parameters.source
    parameters.source = parameters.source.replace("test_pairs: int = 200", "test_pairs: int = 20")
    nbformat.write(notebook, path)
    return folder


@pytest.fixture(scope="module")
def lab(traces, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a JupyterLab with settings of its own."""
    own = tmp_path_factory.mktemp("jupyter")
    places = {f"JUPYTER_{name}_DIR": str(own / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    command = [
        sys.executable, "-m", "jupyterlab", "--allow-root", "--no-browser", "--ip=127.0.0.1", f"--port={_free_port()}",
        f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={project}",
        "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
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


def test_the_quickstart_runs_in_jupyterlab_and_shows_pairs_and_figures(lab, project):
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"{lab}lab/tree/notebooks/00_quickstart.ipynb?token={TOKEN}&reset")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        page.evaluate(RUN_ALL)

        for mime_type in ("error", "stderr"):
            expect(page.locator(f'[data-mime-type="application/vnd.jupyter.{mime_type}"]')).to_have_count(0)

        figure = page.locator(".jp-OutputArea .js-plotly-plot")
        figure.scroll_into_view_if_needed(timeout=30_000)
        expect(figure).to_be_visible()
        expect(figure.locator(".gtitle")).to_have_text("Agreement with people on held-out pairs (synthetic)")
        assert figure.locator(".point").count() == 8, "two judges, four numbers each"

        pictures = page.locator(".jp-OutputArea img[alt]")
        pictures.first.scroll_into_view_if_needed()
        expect(pictures.first).to_be_visible()
        widths = pictures.evaluate_all(DECODED_WIDTHS)
        assert len(widths) >= 6
        assert 0 not in widths
        expect(page.get_by_text("evidence: calibration, synthetic").first).to_be_attached()
        browser.close()
    assert wrong == []
    assert len(list((project / "outputs").glob("evaluate-*/results.json"))) == 2
