"""An executed notebook where no kernel runs: everything is there to be read, in the file and in nbconvert's HTML."""

import os
import re
from pathlib import Path

import nbformat
import pytest

from workbench.runs.notebook import run_notebook

PLOTLY = "application/vnd.plotly.v1+json"
CELLS = (
    """
from workbench.widgets.kernel_widget import KernelWidget

class Greeting(KernelWidget):
    _esm = "export default { render({ el }) { el.textContent = 'live' } }"
    _css = ""
    def to_html(self):
        return "<p>static pairs</p>"

Greeting()
""",
    "import ipywidgets\nipywidgets.VBox([ipywidgets.Label('a plain widget')])",
    """
from workbench.evaluation.statistics import Estimate
from workbench.plots import difference_figure, use_template

use_template()
gains = {"with <b>rubric</b>": Estimate(0.125, (0.05, 0.2), 40)}
difference_figure(gains, "Gain", "paired difference", synthetic=True)
""",
    "from workbench.notebook import table\ntable([{'criterion': 'hands have five fingers', 'worth': 0.25}])",
    "import os\nprint('run folder', os.environ['WORKBENCH_NOTEBOOK_RUN'])",
)


@pytest.fixture(scope="module")
def run(traces, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("readable")
    first = nbformat.v4.new_code_cell("a: int = 1  # one", metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[first, *map(nbformat.v4.new_code_cell, CELLS)])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "small.ipynb")
    made = run_notebook(folder / "small.ipynb", [], out=folder / "run")
    assert "WORKBENCH_NOTEBOOK_RUN" not in os.environ, "it is the kernel's, not this process's"
    return made


@pytest.fixture(scope="module")
def executed(run):
    return nbformat.read(run / "notebook.ipynb", as_version=4)


def test_the_file_is_valid_and_holds_nothing_that_waits_for_a_kernel(executed):
    nbformat.validate(executed)
    assert "widgets" not in executed.metadata
    kinds = [set(output.get("data", {})) for cell in executed.cells for output in cell.get("outputs", [])]
    assert not [kind for each in kinds for kind in each if "widget" in kind]
    assert {PLOTLY, "text/html", "text/plain"} in kinds
    assert all(each & {"text/html", "text/plain"} for each in kinds if each)


def test_the_kernel_knows_the_notebooks_run_folder(run, executed):
    (output,) = executed.cells[-1].outputs
    assert output.text == f"run folder {run.resolve()}\n"


def test_nbconvert_shows_widgets_figures_and_tables_without_script(executed):
    from nbconvert import HTMLExporter

    page, _ = HTMLExporter().from_notebook_node(executed)
    shown = "".join(
        re.findall(r'<div class="jp-OutputArea-child.*?(?=<div class="jp-Cell)', page + "<div class=jp-Cell", re.S)
    )
    for text in (
        "<p>static pairs</p>",
        "an interactive widget, shown only while its kernel runs",
        "Gain (synthetic)",
        "with &lt;b&gt;rubric&lt;/b&gt;",
        "+12.5%",
        "+5.0% to +20.0%",
        ">40<",
        "hands have five fingers",
    ):
        assert text in shown, text
    assert "<script" not in shown
    # What nbconvert's own page asks for draws formulas; nothing fetches a viewer of widgets or of figures.
    scripts = re.findall(r'<script[^>]+src="([^"]+)"', page)
    assert not [source for source in scripts if "require" not in source and "mathjax" not in source.lower()]
    assert "html-manager" not in page
    assert "plotly" not in page.lower().replace("workbench.plots", "")
