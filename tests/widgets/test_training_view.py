"""The live view: said to be synthetic, readable without a kernel, rewritten in place while training runs."""

import json
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from PIL import Image

from workbench.rpo.config import RpoConfig
from workbench.rpo.launch import Training, TrainingError
from workbench.rpo.running.status import Status
from workbench.runs.folder import RunFolder
from workbench.widgets.training_curves import PANELS, curve, curves_figure, curves_table
from workbench.widgets.training_view import LiveView, grids_shown, status_shown


def config(**reward) -> RpoConfig:
    return RpoConfig.of(prompts="prompts.txt", updates=40, policy={"path": "tiny"}, rewards=[reward])


def metrics(n: int) -> list[dict]:
    lines = []
    for update in range(1, n + 1):
        line = {
            "update": update,
            "reward": 0.5,
            "kl": 0.001 * update,
            "ratio_dev": 0.0,
            "clip_fraction": 0.0,
            "grad_norm": 0.2,
            "decided": 6,
            "tied": 1,
            "failed": 1,
            "judge_calls": 16,
            "cost_usd": 0.01,
            "images": 16,
            "alarms": [],
        }
        if update % 10 == 0:
            line["win_rate_base"] = {"value": 0.55, "ci95": [0.4, 0.7], "n": 64}
            line["alarms"] = [f"update {update}: saturation rose <b>by</b> {update}%"]
        lines.append(line)
    return lines


def spaced(text: str) -> str:
    """With spaces that may break."""
    return text.replace("\u00a0", " ").replace("&#160;", " ")


@pytest.fixture
def training(tmp_path) -> Training:
    """A run as training leaves it: half done, and stopped."""
    training = Training(tmp_path / "rpo-1")
    with RunFolder.open(training.out, {}, kind="rpo"):
        write(training, 20, "stopped")
        (training.out / "grids").mkdir()
        for update in (0, 10, 20):
            Image.new("RGB", (2_000, 500), "red").save(training.out / "grids" / f"update-{update:06d}.webp")
    config(kind="oracle").save(training.config_path)
    return training


def write(training: Training, n: int, state: str, **more) -> None:
    (training.out / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in metrics(n)))
    status = {"state": state, "update": n, "updates": 40, "problem": "", **more}
    (training.out / "status.json").write_text(json.dumps(status))


def test_the_status_line_counts_what_was_spent_and_says_what_alarms(training):
    shown = status_shown(training.status(), training.metrics(), synthetic=True)
    assert shown.text.startswith(
        "stopped · update 20 of 40 · 320 images · 320 judge calls · $0.2000 · "
        "120 decided, 20 tied, 20 failed groups (synthetic)"
    )
    assert "update 20: saturation rose <b>by</b> 20%" in shown.text
    assert "saturation rose &lt;b&gt;by&lt;/b&gt; 20%" in shown.html


def test_a_problem_is_shown_as_it_is_and_never_as_html(training):
    write(training, 20, "paused", problem="the judge said <script>alert(1)</script>")
    html = LiveView(training).to_html()
    assert "the judge said &lt;script&gt;" in html
    assert "<script" not in html


def test_nothing_goes_on_after_a_pause_as_if_training_were_done(training):
    write(training, 20, "paused", problem="the judge is down")
    with pytest.raises(TrainingError, match=r"rpo-1 is paused: the judge is down; run this again to go on"):
        LiveView(training).watch()


@pytest.mark.parametrize(
    ("reward", "synthetic"),
    [
        ({"kind": "oracle"}, True),
        ({"kind": "shuffled"}, True),
        ({"world": "data/shapes/t2i"}, True),
        ({"base_url": "http://127.0.0.1:8000/v1", "model": "shapes-1-abc"}, True),
        ({"base_url": "http://127.0.0.1:8000/v1", "model": "Qwen3-VL-8B"}, False),
        ({"base_url": "http://127.0.0.1:8000/v1", "model": "Qwen3-VL-8B", "world": "data/shapes/t2i"}, False),
    ],
)
def test_every_title_says_synthetic_when_and_only_when_a_judge_is(training, reward, synthetic):
    config(**reward).save(training.config_path)
    assert training.config.is_synthetic is synthetic
    assert LiveView(training).to_html().count("(synthetic)") == 2 * synthetic
    title = curves_figure(training.metrics(), "Training", synthetic=synthetic).layout.title.text
    assert title.endswith("(synthetic)") is synthetic


def test_win_rates_carry_their_interval_and_n_in_the_figure_and_in_the_table():
    figure = curves_figure(metrics(20), "Training", synthetic=False)
    drawn = next(trace for trace in figure.data if trace.name == "training judge")
    assert list(drawn.x) == [10, 20]
    assert list(drawn.error_y.array) == pytest.approx([0.15, 0.15])
    assert spaced(drawn.hovertext[0]) == "training judge, update 10: 55.0% [40.0%, 70.0%], n = 64"
    assert "55.0% [40.0%, 70.0%], n = 64 (update 10)" in spaced(curves_table(metrics(20)))


def test_every_panel_has_its_curves_and_a_number_nobody_has_is_left_out():
    figure = curves_figure(metrics(20), "Training", synthetic=False)
    assert [each.text for each in figure.layout.annotations] == [panel.title for panel in PANELS]
    points = {trace.name: len(trace.x) for trace in figure.data}
    assert points["KL"] == points["gradient norm"] == points["tied"] == 20
    assert points["gold judge"] == 0
    [win_rate, *_] = PANELS
    missing = [{"update": 1, "win_rate_base": {"value": None, "ci95": None, "n": 0}}, {"update": 2}]
    assert curve(missing, win_rate.series[0]) == []


def test_the_base_and_the_latest_samples_are_within_the_page_small_and_with_words_for_them(training):
    shown = grids_shown(training.grids())
    assert shown.text == "Samples of the fixed prompts, frozen base\nSamples of the fixed prompts, update 20"
    assert shown.html.count("data:image/webp;base64,") == 2
    assert 'alt="Samples of the fixed prompts, update 20"' in shown.html
    assert len(shown.html) < 20_000


def test_a_run_without_an_update_yet_is_shown_too(tmp_path):
    training = Training(tmp_path / "rpo-1")
    config(kind="oracle").save(training.config_path)
    assert "No update yet" in LiveView(training).to_html()


def test_what_did_not_change_is_not_sent_again(training, monkeypatch):
    sent = {"status": [], "curves": [], "grids": []}
    handles = iter([SimpleNamespace(update=updates.append) for updates in sent.values()])
    monkeypatch.setattr("IPython.display.display", lambda part, display_id: next(handles))
    states = iter(["running", "running", "running", "finished"])

    def status(training) -> Status:
        if (state := next(states, None)) == "finished":
            write(training, 21, "finished")
        return Status(state=state or "finished", update=21, updates=40)

    monkeypatch.setattr(Training, "status", status)
    monkeypatch.setattr(Training, "wait", status)
    LiveView(training).watch(every=0.0)
    assert len(sent["status"]) == 1
    assert [bool(part.more) for part in sent["curves"]] == [False, True]  # taken out and drawn anew, once
    assert not sent["grids"]


WATCH = """
import threading, time
from workbench.rpo.launch import Training
from workbench.widgets.training_view import LiveView
from workbench.runs.folder import RunFolder
from test_training_view import write
from pathlib import Path
training = Training(Path("rpo-1"))
def train():
    with RunFolder.open(training.out, {}, kind="rpo"):
        for n in (30, 40):
            write(training, n, "running")
            time.sleep(0.5)
        write(training, 40, "finished")
thread = threading.Thread(target=train)
thread.start()
time.sleep(0.2)
status = LiveView(training).watch(every=0.1)
thread.join()
"""


def test_in_a_notebook_outputs_are_rewritten_in_place_and_survive_the_export(training, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(WATCH)])
    NotebookClient(notebook, resources={"metadata": {"path": str(training.out.parent)}}).execute()
    status, curves, grid = notebook.cells[0].outputs
    assert status["data"]["text/plain"].startswith("finished · update 40 of 40")
    drawn = curves["data"]["application/vnd.plotly.v1+json"]
    assert max(drawn["data"][2]["x"]) == 40
    assert drawn["layout"]["meta"]["title"] == "Training rpo-1 (synthetic)"
    assert "update 40" in curves["data"]["text/html"]
    assert "data:image/webp" in grid["data"]["text/html"]
    page, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    for said in ("finished · update 40 of 40", "n = 64 (update 40)", "data:image/webp;base64,", "(synthetic)"):
        assert said in spaced(page)
