"""`workbench share` as a researcher types it, on the embedded world."""

import json
import zipfile

import pytest


@pytest.fixture
def runs(command, world, url):
    """A run without a rubric and one with."""
    rubric = {"schema": "workbench.rubric/1", "name": "count", "task": "t2i"}
    rubric["themes"] = [{"name": "", "criteria": [{"id": "c1", "text": "The number of shapes is right."}]}]
    (world / "count.yaml").write_text(json.dumps(rubric))
    pairs = (world / "pairs.jsonl", "--base-url", url, "--outputs", world / "outputs", "--limit", 12)
    for options in ((), ("--rubric", world / "count.yaml")):
        assert command("evaluate", *pairs, *options).exit_code == 0
    free, guided = sorted((world / "outputs").iterdir(), key=lambda run: (run / "rubric.yaml").exists())
    return free, guided


def test_share_writes_one_file_and_says_what_takes_how_much(command, runs):
    free, guided = runs
    result = command("share", guided, "--against", free, "--bundle", "--question", "Does counting help?")
    assert result.exit_code == 0, result.output
    html = (guided / "report.html").read_text()
    for said in ("Does counting help?", "The number of shapes is right.", "synthetic", "With 12 pairs of"):
        assert said in html
    assert "figures 4.6 MB" in result.output
    assert f"written: {guided / 'report.html'}" in result.output
    with zipfile.ZipFile(guided / "report.zip") as file:
        assert {"run/rubric.yaml", "pairs.jsonl", "report.html"} <= set(file.namelist())


def test_share_refuses_without_writing_and_check_only_looks(command, runs):
    free, _ = runs
    manifest = json.loads((free / "run.json").read_text())
    manifest["facts"]["server_version"] = "vLLM on gpu-9.lab:8000"
    (free / "run.json").write_text(json.dumps(manifest))
    refused = command("share", free)
    assert refused.exit_code != 0
    assert "card, server: host name gpu-9.lab" in str(refused.exception)
    assert not (free / "report.html").exists()
    checked = command("share", free, "--check", "--allow", "gpu-9.lab")
    assert checked.exit_code == 0
    assert "nothing was written" in checked.output
    assert not (free / "report.html").exists()


def test_share_names_a_folder_that_is_no_run(command, tmp_path):
    result = command("share", tmp_path)
    assert "is not a run folder" in str(result.exception)
    assert result.exit_code != 0
