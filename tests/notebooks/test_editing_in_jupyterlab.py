"""One sitting in a real JupyterLab: look, label, edit, see flips, undo, save, share, and open the shared file offline.

With WORKBENCH_SCREENSHOTS=FOLDER each step is photographed there, in light and in dark.
"""

import io
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from PIL import Image

from workbench.annotations.log import read_annotations
from workbench.rubrics.files import load_rubric

ROOT = Path(__file__).parents[2]
CELLS = {"viewer": ".wb-viewer", "editor": ".wb-editor", "panel": ".wb-rejudge"}
NEW_TEXT = "The edges are blurred."
PANEL = 24


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with notebook 02 on few pairs, and rubrics of its own to save versions beside."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("data", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "rubrics").mkdir()
    shutil.copy(ROOT / "rubrics" / "shapes_t2i_arr.yaml", folder / "rubrics")
    (folder / "notebooks").mkdir()
    notebook = nbformat.read(ROOT / "notebooks" / "02_edit_rubrics.ipynb", as_version=4)
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    for given, ours in (("test_pairs: int = 200", "test_pairs: int = 40"), ('author: str = ""', 'author: str = "ada"')):
        assert given in parameters.source
        parameters.source = parameters.source.replace(given, ours)
    nbformat.write(notebook, folder / "notebooks" / "02_edit_rubrics.ipynb")
    return folder


@pytest.fixture
def photograph() -> Callable[[Any, str], None]:
    """Photographs the window, once in each theme, where somebody asked for pictures."""
    folder = os.environ.get("WORKBENCH_SCREENSHOTS")

    def take(page: Any, name: str) -> None:
        if not folder:
            return
        lab = page.evaluate("Boolean(window.jupyterapp)")
        if lab and page.locator("#jp-left-stack").is_visible():
            page.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            if lab:
                theme = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}[scheme]
                page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
                page.wait_for_function(
                    "light => document.body.dataset.jpThemeLight === light", arg=str(scheme == "light").lower()
                )
            page.wait_for_timeout(700)
            picture = Image.open(io.BytesIO(page.screenshot()))
            picture.resize((1000, round(1000 * picture.height / picture.width)), Image.Resampling.LANCZOS).save(
                f"{folder}/{name}-{scheme}.webp", quality=70
            )
        page.emulate_media(color_scheme="light")
        if lab:
            page.evaluate("window.jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Light' })")

    return take


def test_one_sitting_from_looking_to_sharing(lab_page, project, photograph):
    from playwright.sync_api import expect

    page = lab_page.open("02_edit_rubrics.ipynb")
    viewer, editor, panel = (page.locator(CELLS[name]).first for name in ("viewer", "editor", "panel"))
    (run,) = (project / "outputs").glob("evaluate-*-arr-*")

    # Look, and label with one key: it is on disk at once, and JupyterLab hears no key of ours.
    viewer.scroll_into_view_if_needed(timeout=30_000)
    expect(viewer.get_by_text("1 of 40")).to_be_visible()
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    viewer.focus()
    page.keyboard.press("b")
    expect(viewer.get_by_role("button", name="b", pressed=True, exact=True)).to_be_visible()
    expect(viewer.locator(".wb-said")).to_contain_text("ada")
    (labelled,) = read_annotations(run / "annotations.jsonl")
    assert (labelled.author, labelled.label) == ("ada", "b")
    assert labelled.rubric == load_rubric(ROOT / "rubrics" / "shapes_t2i_arr.yaml").hash
    photograph(page, "1-look")
    page.keyboard.press("Escape")
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells

    # Edit a criterion with the keyboard.
    editor.scroll_into_view_if_needed()
    criterion = editor.locator(".wb-criterion", has_text="Items have legible rims")
    criterion.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Control+a")
    page.keyboard.type(NEW_TEXT)
    photograph(page, "2-edit")
    page.keyboard.press("Enter")
    expect(editor.get_by_text(NEW_TEXT)).to_be_visible()

    # See what flips, and how long that took: every request is another, so all of the panel's are sent.
    panel.scroll_into_view_if_needed()
    expect(panel.locator(".wb-status")).to_contain_text(f"{2 * PANEL} calls")
    panel.focus()
    started = time.monotonic()
    page.keyboard.press("g")
    expect(panel.locator(".wb-status")).to_contain_text("nothing to send", timeout=20_000)
    expect(panel).not_to_contain_text("judged last")
    expect(panel.locator(".wb-flip").first).to_be_visible()
    print(f"edit to flips of {PANEL} pairs, browser included: {time.monotonic() - started:.2f} s")
    expect(panel.locator(".wb-sentence")).to_contain_text(f"With {PANEL} pairs of")
    panel.locator(".wb-flip").first.scroll_into_view_if_needed()
    photograph(page, "3-flips")

    # A flip opens in the viewer.
    flipped = panel.locator(".wb-flip").first.get_attribute("data-pair")
    panel.locator(".wb-flip").first.get_by_role("button", name="open").click()
    expect(viewer.get_by_text(flipped)).to_be_in_viewport()

    # Undo asks nothing again.
    editor.focus()
    page.keyboard.press("Control+z")
    expect(editor.get_by_text("Items have legible rims, even when one zooms in.")).to_be_visible()
    expect(panel.locator(".wb-status")).to_contain_text("nothing to send")
    expect(panel).not_to_contain_text("judged last")
    page.keyboard.press("Control+Shift+Z")
    expect(editor.get_by_text(NEW_TEXT)).to_be_visible()

    # Save: beside the file, nothing overwritten.
    before = (ROOT / "rubrics" / "shapes_t2i_arr.yaml").read_bytes()
    page.keyboard.press("s")
    expect(editor.get_by_text("shapes_t2i_arr_v2.yaml").first).to_be_visible()
    saved = load_rubric(project / "rubrics" / "shapes_t2i_arr_v2.yaml")
    assert NEW_TEXT in saved.render()
    assert [edit["author"] for edit in saved.provenance["edits"]][-1] == "ada"
    assert "evidence" not in saved.provenance
    assert (project / "rubrics" / "shapes_t2i_arr.yaml").read_bytes() == before

    # What is different from the version before, word by word.
    page.keyboard.press("d")
    compared = editor.locator(".wb-versions")
    expect(compared.get_by_text("legible rims").first).to_be_visible()
    expect(compared.get_by_text("blurred").first).to_be_visible()
    editor.evaluate("node => node.scrollIntoView()")
    photograph(page, "4-version")

    # Share, and read it without network or kernel.
    (free,) = (project / "outputs").glob("evaluate-*-rubric-free-*")
    shared = subprocess.run(
        [sys.executable, "-m", "workbench.cli", "share", str(run), "--against", str(free), "--out", "page.html"],
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert shared.returncode == 0, shared.stderr
    _read_offline(page.context.browser, project / "page.html", flipped, photograph)


def _read_offline(browser: Any, file: Path, pair: str, photograph: Callable[[Any, str], None]) -> None:
    from playwright.sync_api import expect

    context = browser.new_context(viewport={"width": 1280, "height": 1000}, accept_downloads=True)
    context.set_offline(True)
    page = context.new_page()
    asked, wrong = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(f"{file.as_uri()}#pair={pair}")
    viewer = page.locator(".wb-viewer")
    expect(viewer.get_by_text(pair)).to_be_visible()
    viewer.scroll_into_view_if_needed()
    photograph(page, "5-shared-pair")
    page.goto("about:blank")
    page.goto(file.as_uri())
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    photograph(page, "6-shared-head")
    outside = [url for url in asked if not url.startswith(("file:", "blob:", "data:", "about:"))]
    assert (outside, wrong) == ([], [])
    context.close()
