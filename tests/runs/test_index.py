import json
from pathlib import Path

import pytest

from workbench.evaluation.record import VerdictRecord
from workbench.evaluation.results import summarise
from workbench.judges.verdict import Usage, Verdict
from workbench.pairs.comparison import Comparison
from workbench.runs.folder import RunFolder
from workbench.runs.index import list_runs


def evaluate(path: Path, rubric: str | None) -> None:
    pair = Comparison("p", "t2i", "a cat", ("0.png", "1.png"), ranks=(1, 2))
    verdict = Verdict(ranks=(1, 2), usage=Usage(10, 5, 0.5, 1))
    inputs = {
        "dataset": {"name": "shapes", "hash": "1"},
        "rubric": {"name": rubric, "hash": "2"} if rubric else None,
        "judge": {"name": "pairwise", "model": "m"},
    }
    with RunFolder.open(path, inputs, kind="evaluate") as run:
        records = [VerdictRecord.of(pair, "forward", verdict), VerdictRecord.of(pair, "reverse", verdict)]
        run.write("results.json", summarise(records, [pair]).to_json())


def test_runs_are_listed_with_their_numbers(tmp_path):
    evaluate(tmp_path / "one", "handwritten")
    evaluate(tmp_path / "two", None)
    frame = list_runs(tmp_path).set_index("id")
    one = frame.loc["one"]
    assert (one["kind"], one["status"], one["dataset"]) == ("evaluate", "finished", "shapes")
    assert (one["rubric"], one["judge"], one["problem"]) == ("handwritten", "pairwise", "")
    assert (one["pairs"], one["accuracy"], one["calls"], one["cost_usd"]) == (1, 1.0, 2, 1.0)
    assert one["accuracy_low"] < 1.0 == one["accuracy_high"]
    assert one["position_bias"] == 0.0
    assert frame["rubric"].isna()["two"]


def test_no_runs_is_an_empty_table_with_its_columns(tmp_path):
    assert list_runs(tmp_path / "absent").empty
    assert "accuracy" in list_runs(tmp_path).columns


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("run.json", "{", "run.json is not a run's manifest"),
        ("run.json", '{"schema": "workbench.run/9"}', "run.json is not a run's manifest"),
        ("results.json", "[1", "results.json is not JSON"),
        ("results.json", "[1]", "results.json holds a list"),
        ("results.json", json.dumps({"accuracy": {"mean": 3}}), "results.json is not in the format"),
    ],
)
def test_broken_folders_are_listed_with_the_problem(tmp_path, file, text, problem):
    evaluate(tmp_path / "good", None)
    evaluate(tmp_path / "bad", None)
    (tmp_path / "bad" / file).write_text(text)
    frame = list_runs(tmp_path).set_index("id")
    assert problem in frame["problem"]["bad"]
    assert frame["problem"]["good"] == ""


def test_a_run_that_lives_and_one_that_was_killed(tmp_path):
    alive = RunFolder.open(tmp_path / "alive", {}, kind="notebook")
    RunFolder.open(tmp_path / "dead", {}, kind="notebook").finish()
    manifest = (tmp_path / "dead" / "run.json").read_text()
    (tmp_path / "dead" / "run.json").write_text(manifest.replace('"finished"', '"running"'))
    status = list_runs(tmp_path).set_index("id")["status"]
    assert (status["alive"], status["dead"]) == ("running", "interrupted")
    alive.finish()
