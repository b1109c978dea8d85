"""A running training watched in a real JupyterLab: what its curves show is the latest update, not the first."""

from pathlib import Path

import nbformat
import pytest

TRAINING = """
import json, threading, time
from pathlib import Path
from workbench.rpo.config import RpoConfig
from workbench.rpo.launch import Training
from workbench.runs.folder import RunFolder
from workbench.widgets.training_view import LiveView

training = Training(Path("rpo-1"))
run = RpoConfig.of(prompts="prompts.txt", updates=6, policy={"path": "tiny"}, rewards=[{"kind": "oracle"}])

def train():
    with RunFolder.open(training.out, {}, kind="rpo"):
        run.save(training.config_path)
        for update in range(1, 7):
            with (training.out / "metrics.jsonl").open("a") as metrics:
                metrics.write(json.dumps({"update": update, "kl": update / 100}) + "\\n")
            state = {"state": "running" if update < 6 else "finished", "update": update, "updates": 6}
            (training.out / "status.json").write_text(json.dumps(state))
            time.sleep(0.5)

thread = threading.Thread(target=train)
thread.start()
time.sleep(0.3)
status = LiveView(training).watch(every=0.2)
thread.join()
"""
UPDATES_DRAWN = "figure => Math.max(...figure.data.map((trace) => trace.x.length))"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "notebooks").mkdir()
    kernel = {"name": "python3", "display_name": "Python 3"}  # without one, JupyterLab asks which
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(TRAINING)],
        metadata={"kernelspec": kernel, "language_info": {"name": "python"}},
    )
    nbformat.write(notebook, folder / "notebooks" / "watch.ipynb")
    return folder


def test_curves_are_drawn_anew_while_training_runs(lab_page, project):
    from playwright.sync_api import expect

    page = lab_page.open("watch.ipynb")
    expect(page.get_by_role("status").filter(has_text="finished · update 6 of 6")).to_be_visible(timeout=30_000)
    figure = page.locator(".jp-OutputArea .js-plotly-plot")
    figure.scroll_into_view_if_needed(timeout=30_000)
    expect(figure).to_have_count(1)
    assert figure.evaluate(UPDATES_DRAWN) == 6
