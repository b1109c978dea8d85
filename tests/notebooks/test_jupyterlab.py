"""The quickstart in a real JupyterLab, driven through a real browser as a person would."""

import shutil
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
WIDTHS = "images => images.map((image) => image.naturalWidth)"


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


def test_the_quickstart_runs_in_jupyterlab_and_shows_pairs_and_figures(lab_page, project):
    from playwright.sync_api import expect

    page = lab_page.open("00_quickstart.ipynb")

    figure = page.locator(".jp-OutputArea .js-plotly-plot")
    figure.scroll_into_view_if_needed(timeout=30_000)
    expect(figure).to_be_visible()
    expect(figure.locator(".gtitle")).to_have_text("Agreement with people on held-out pairs (synthetic)")
    assert figure.locator(".point").count() == 8, "two judges, four numbers each"

    for viewer in page.locator(".wb-viewer").all():
        viewer.scroll_into_view_if_needed()
        expect(viewer).to_have_attribute("aria-busy", "false")
        pictures = viewer.locator(".wb-frame img")
        expect(pictures).to_have_count(2)
        assert pictures.evaluate_all(WIDTHS) == [128, 128]
    expect(page.get_by_text("evidence: calibration, synthetic").first).to_be_attached()
    assert len(list((project / "outputs").glob("evaluate-*/results.json"))) == 2
