"""Evaluations with a scripted judge: nothing judged is lost, nothing is asked twice, no failure is a vote."""

import asyncio
import json
import resource
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from workbench.evaluation.evaluate import evaluate
from workbench.evaluation.judging import SPARE_WORKERS
from workbench.evaluation.record import read_verdicts
from workbench.judges.verdict import Verdict
from workbench.pairs.comparison import Comparison
from workbench.rubrics.files import load_rubric
from workbench.rubrics.rubric import Criterion, Rubric, Theme
from workbench.runs.manifest import read_manifest
from workbench.runs.storage import StorageError
from workbench.vlm.errors import BudgetSpent, WrongKey

WORKERS = 32 + SPARE_WORKERS


class ScriptedJudge:
    """Finds the human's winner unless `script(comparison, order, sample)` says otherwise."""

    name = "scripted"

    def __init__(self, script: Callable[..., Verdict | Exception | None] = lambda *_: None, **identity) -> None:
        self.script = script
        self.asked: list[tuple[str, tuple[int, ...], int]] = []
        self._identity = {"model": "scripted", **identity}

    def identity(self):
        return self._identity

    async def compare(self, comparison, order, sample=0):
        self.asked.append((comparison.id, tuple(order), sample))
        said = self.script(comparison, tuple(order), sample)
        await asyncio.sleep(0.001)
        if isinstance(said, Exception):
            raise said
        return said or Verdict(ranks=comparison.ranks or (1, 2))


def pairs(n=6, ranks=(1, 2), **changes):
    images = tuple(b"%d" % i for i in range(len(ranks)))
    return [Comparison(f"p{i}", "t2i", f"prompt {i // 2}", images, ranks=ranks, **changes) for i in range(n)]


@pytest.fixture
def run(tmp_path):
    def evaluated(comparisons, judge, **options):
        return evaluate(comparisons, judge, dataset="data/test.jsonl", **{"out": tmp_path / "run", **options})

    return evaluated


def lines(folder):
    return list(read_verdicts(folder / "verdicts.jsonl"))


async def test_every_pair_is_judged_in_both_orders_into_a_run_folder(run):
    judge = ScriptedJudge()
    evaluation = await run(pairs(), judge)
    assert Counter(order for _, order, _ in judge.asked) == {(0, 1): 6, (1, 0): 6}
    assert {(record.pair_id, record.order) for record in lines(evaluation.path)} == {
        (f"p{i}", order) for i in range(6) for order in ("forward", "reverse")
    }
    stored = json.loads((evaluation.path / "results.json").read_text())
    assert stored == json.loads(json.dumps(evaluation.results.to_json()))
    assert stored["accuracy"]["mean"]["value"] == 1
    assert (stored["evidence"], stored["synthetic"]) == ("model", False)
    manifest = read_manifest(evaluation.path)
    assert (manifest.status, manifest.inputs["dataset"]["name"]) == ("finished", "data-test")
    assert manifest.counts == {"pairs": 6, "a": 12, "b": 0, "tie": 0, "invalid": 0, "error": 0}


async def test_a_judge_of_the_embedded_world_is_labelled_synthetic(run):
    results = (await run(pairs(), ScriptedJudge(model="shapes-t2i-w1-0-v1"))).results
    assert (results.evidence, results.synthetic) == ("calibration", True)
    assert results.to_text().endswith("evidence: calibration, synthetic")


async def test_forward_shows_the_humans_winner_first_and_a_lover_of_the_first_place_is_right_half_the_time(run):
    judge = ScriptedJudge(lambda _c, order, _s: Verdict(ranks=tuple(order.index(i) + 1 for i in range(2))))
    results = (await run(pairs(ranks=(2, 1)), judge)).results
    assert (results.accuracy.forward.value, results.accuracy.reverse.value) == (1, 0)
    assert (results.position_bias.value, results.consistency.value, results.accuracy.resolved.value) == (1, 0, 0)
    assert judge.asked[0][1] == (1, 0)


async def test_a_finished_run_asks_nothing_again_and_a_larger_one_is_another(run, tmp_path):
    first = await run(pairs(), ScriptedJudge())
    again = ScriptedJudge()
    resumed = await run(pairs(), again)
    assert again.asked == []
    assert resumed.results == first.results
    with pytest.raises(ValueError, match=r"made with other inputs.*choose another folder"):
        await run(pairs(8), again)
    other = await run(pairs(8), again, out=None, outputs=tmp_path / "runs")
    assert other.path.name.startswith("evaluate-data-test-scripted-")
    assert (await run(pairs(8), again, out=None, outputs=tmp_path / "runs")).path == other.path


async def test_a_run_that_stopped_goes_on_with_what_is_missing(run, tmp_path):
    def stops(comparison, order, _sample):
        return WrongKey("the key was withdrawn") if (comparison.id, order) == ("p70", (0, 1)) else None

    judge = ScriptedJudge(stops)
    with pytest.raises(WrongKey):
        await run(pairs(100), judge)
    assert read_manifest(tmp_path / "run").status == "failed"
    judged = {record.key[:2] for record in lines(tmp_path / "run")}
    assert len(judged) >= 2 * 70 - WORKERS
    rest = ScriptedJudge()
    finished = await run(pairs(100), rest)
    assert len(rest.asked) == 200 - len(judged)
    assert {(pair, "forward" if order == (0, 1) else "reverse") for pair, order, _ in rest.asked}.isdisjoint(judged)
    assert finished.results.n_missing == 0
    assert len(lines(tmp_path / "run")) == 200


async def test_a_spent_budget_keeps_every_answer_in_flight(run, tmp_path):
    left = iter(range(90))
    judge = ScriptedJudge(lambda *_: None if next(left, None) is not None else BudgetSpent("max_calls (90) is reached"))
    with pytest.raises(BudgetSpent, match="max_calls"):
        await run(pairs(100), judge)
    assert len(lines(tmp_path / "run")) == 90, "each of the 90 answers is paid for"
    assert len(judge.asked) <= 90 + WORKERS
    assert (await run(pairs(100), ScriptedJudge())).results.n_missing == 0


async def test_errors_are_asked_again_and_invalid_answers_are_not(run):
    failures = {"p0": "error", "p1": "invalid"}

    def fails(comparison, *_):
        kind = failures.get(comparison.id)
        return Verdict(ranks=None, failure=kind, detail="bad") if kind else None

    first = (await run(pairs(), ScriptedJudge(fails))).results
    assert (first.outcomes["error"], first.outcomes["invalid"]) == (2, 2)
    assert first.accuracy.mean.value == pytest.approx(4 / 6)
    assert first.accuracy.mean.n == 6
    assert first.accuracy_bounds["mean"] == (pytest.approx(4 / 6), 1)
    again = ScriptedJudge()
    second = (await run(pairs(), again)).results
    assert {pair for pair, *_ in again.asked} == {"p0"}
    assert (second.outcomes["error"], second.outcomes["invalid"]) == (0, 2)
    assert sum(second.outcomes.values()) == 12
    assert second.accuracy.mean.value == pytest.approx(5 / 6)


async def test_samples_are_independent_verdicts_and_a_pairs_value_is_their_mean(run):
    judge = ScriptedJudge(lambda c, _o, sample: Verdict(ranks=(2, 1)) if sample == 1 else None)
    evaluation = await run(pairs(), judge, samples=2)
    assert Counter(sample for *_, sample in judge.asked) == {0: 12, 1: 12}
    assert sum(evaluation.results.outcomes.values()) == 24
    assert evaluation.results.n_pairs == evaluation.results.accuracy.mean.n == 6
    assert evaluation.results.accuracy.mean.value == 0.5


async def test_three_candidates_are_shown_best_first_then_worst_first(run):
    judge = ScriptedJudge(lambda *_: Verdict(ranks=(1, 3, 2)))
    results = (await run(pairs(ranks=(2, 3, 1)), judge)).results
    assert {order for _, order, _ in judge.asked} == {(2, 0, 1), (1, 0, 2)}
    assert results.accuracy.mean.value == 0
    # Of a-b, a-c and b-c only a-c is the wrong way round.
    assert results.pairwise_agreement.value == pytest.approx(2 / 3)
    assert results.outcomes == {"a": 12, "b": 0, "c": 0, "tie": 0, "invalid": 0, "error": 0}


async def test_unlabelled_pairs_are_judged_and_are_in_no_accuracy(run):
    unlabelled = [Comparison("u", "t2i", "x", (b"0", b"1"))]
    results = (await run(pairs() + unlabelled, ScriptedJudge())).results
    assert (results.n_pairs, results.n_unlabelled, results.accuracy.mean.n, results.consistency.n) == (7, 1, 6, 7)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A disk that is full once a file has `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_verdict_that_cannot_be_written_stops_the_run(run, tmp_path):
    judge = ScriptedJudge()
    with files_of_at_most(16_384), pytest.raises(StorageError, match=r"verdicts\.jsonl"):
        await run(pairs(200), judge)
    written = len(lines(tmp_path / "run"))
    assert 0 < written <= len(judge.asked) <= written + 2 * WORKERS < 400
    rest = ScriptedJudge()
    assert (await run(pairs(200), rest)).results.n_missing == 0
    assert len(rest.asked) == 400 - written


RUBRIC = Rubric("edits", "edit", (Theme("T", criteria=(Criterion("c1", "Nothing else changes."),)),))


async def test_what_no_judge_can_decide_is_refused_before_the_first_call(run, tmp_path):
    judge = ScriptedJudge()
    with pytest.raises(ValueError, match="rubric 'edits' is for task edit, the comparisons are of task t2i"):
        await run(pairs(), judge, rubric=RUBRIC)
    single = [Comparison("lonely", "t2i", "x", (b"0",))]
    with pytest.raises(ValueError, match="1 of 7 comparisons without 2 to 26 images: lonely"):
        await run(pairs() + single, judge)
    assert judge.asked == []
    assert not (tmp_path / "run").exists()


async def test_its_records_are_the_last_of_each_order(run):
    failing = ScriptedJudge(lambda c, *_: Verdict(ranks=None, failure="error") if c.id == "p1" else None)
    await run(pairs(), failing)
    records = (await run(pairs(), ScriptedJudge())).records()
    assert sorted((r.pair_id, r.order, r.outcome) for r in records) == [
        (pair.id, order, "a") for pair in pairs() for order in ("forward", "reverse")
    ]


async def test_the_run_folder_keeps_the_rubric_it_judged_with(run):
    rubric = Rubric("counts", "t2i", (Theme("", criteria=(Criterion("c1", "The count is right."),)),))
    evaluation = await run(pairs(), ScriptedJudge(), rubric=rubric)
    assert load_rubric(evaluation.path / "rubric.yaml") == rubric
