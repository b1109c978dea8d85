"""Several evaluations read from disk: names, numbers, rubrics, prices."""

import json
from pathlib import Path

import pytest

from workbench.evaluation.evaluate import evaluate
from workbench.evaluation.overview import against_first, read_runs
from workbench.judges.vlm_judge import RankingJudge
from workbench.pairs.loading import load
from workbench.rubrics.files import load_rubric
from workbench.shapes.judge.server import running_server
from workbench.shapes.judge.settings import JudgeSettings
from workbench.vlm.client import VlmClient
from workbench.vlm.settings import Endpoint

WORLD = Path("data/shapes/t2i")
PAIRS = 6


@pytest.fixture
async def runs(tmp_path):
    """Three evaluations of the embedded judge: without a rubric, with one, and with one asked for criteria as well."""
    settings = JudgeSettings.load(WORLD)
    rubric = load_rubric("rubrics/shapes_t2i_handwritten.yaml")
    pairs = load(WORLD / "test.parquet")[:PAIRS]
    paths = []
    with running_server(settings) as url:
        async with VlmClient(Endpoint(url, settings.model_id), cache=tmp_path / "answers.sqlite") as client:
            for judge in (RankingJudge(client), RankingJudge(client, rubric), RankingJudge(client, rubric, ties=True)):
                done = await evaluate(
                    pairs, judge, dataset="test.parquet", rubric=judge.rubric, outputs=tmp_path / "runs", client=client
                )
                paths.append(done.path)
    return paths


async def test_runs_are_named_by_their_judges_and_bring_their_rubrics(runs):
    free, first, second = read_runs(runs)
    assert (free.name, free.rubric) == ("rubric-free", None)
    assert first.name == f"shapes_t2i_handwritten ({first.path.name})"
    assert first.name != second.name, "two judges of one name are told apart"
    assert first.rubric.hash == second.rubric.hash
    assert all(run.synthetic for run in (free, first, second))


async def test_a_row_shows_every_number_with_its_interval(runs):
    row = read_runs(runs)[1].row()
    mean = json.loads((runs[1] / "results.json").read_text())["accuracy"]["mean"]
    low, high = mean["ci95"]
    assert " ".join(row["accuracy"].split()) == f"{mean['value']:.1%} [{low:.1%}, {high:.1%}], n = {PAIRS}"
    assert row["position bias"][0] in "+-"
    assert (row["pairs"], row["invalid, error"]) == (PAIRS, "0, 0")


async def test_tokens_are_those_of_the_answers_whoever_paid_for_them(runs, tmp_path):
    free, first, _ = read_runs(runs)
    cache = tmp_path / "answers.sqlite"
    usage = free.results.tokens
    assert free.tokens_per_pair(cache) == pytest.approx((usage.input + usage.output) / PAIRS)
    assert first.tokens_per_pair(cache) > free.tokens_per_pair(cache), "a rubric is read with every pair"
    assert first.tokens_per_pair(tmp_path / "another.sqlite") is None


async def test_all_are_compared_with_the_first(runs):
    overview = read_runs(runs)
    compared = against_first(overview)
    assert list(compared) == [run.name for run in overview[1:]]
    assert {each.n_pairs for each in compared.values()} == {PAIRS}


async def test_a_folder_that_is_no_evaluation_is_named(runs, tmp_path):
    with pytest.raises(ValueError, match=r"nowhere is not a run folder"):
        read_runs([tmp_path / "nowhere"])
    (runs[0] / "results.json").unlink()
    with pytest.raises(ValueError, match=r"evaluate-.* of kind 'evaluate', finished: name finished evaluations"):
        read_runs(runs)
    (runs[0] / "results.json").write_text('{"accuracy": {}}')
    with pytest.raises(ValueError, match="not in the format of this version"):
        read_runs(runs)
