import json
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from workbench.evaluation.record import ORDERS, VerdictRecord
from workbench.evaluation.results import MOST_STRATA, summarise
from workbench.evaluation.statistics import proportion
from workbench.judges.verdict import Usage, Verdict
from workbench.pairs.comparison import Comparison

A, B, TIE = Verdict(ranks=(1, 2)), Verdict(ranks=(2, 1)), Verdict(ranks=(1, 1))
INVALID, ERROR = Verdict(ranks=None, failure="invalid"), Verdict(ranks=None, failure="error")


def pair(number: int, ranks=(1, 2), prompt: str | None = None, **tags: str) -> Comparison:
    return Comparison(f"p{number}", "t2i", prompt or f"prompt {number}", ("0.png", "1.png"), ranks=ranks, tags=tags)


def both(comparison: Comparison, forward: Verdict, reverse: Verdict, sample: int = 0) -> list[VerdictRecord]:
    return [
        VerdictRecord.of(comparison, order, verdict, sample=sample)
        for order, verdict in zip(ORDERS, (forward, reverse), strict=True)
    ]


def summarised(*cases: tuple[Comparison, Verdict, Verdict]):
    return summarise((r for case in cases for r in both(*case)), [case[0] for case in cases])


def test_a_hand_counted_evaluation():
    # winner is image a in p0-p4, b in p5; "first" always picks what is shown first
    results = summarised(
        (pair(0), A, A),  # right twice
        (pair(1), A, B),  # first
        (pair(2), B, B),  # wrong twice
        (pair(3), TIE, A),  # right in reverse only
        (pair(4), INVALID, ERROR),
        (pair(5, ranks=(2, 1)), B, B),  # right twice
    )
    accuracy = results.accuracy
    assert accuracy.forward.value == pytest.approx(3 / 6)
    assert accuracy.reverse.value == pytest.approx(3 / 6)
    assert accuracy.mean.value == pytest.approx(3 / 6)
    assert accuracy.resolved.value == pytest.approx(2 / 6)
    assert results.position_bias.value == pytest.approx(0)
    assert results.consistency.value == pytest.approx(3 / 6)  # p0, p2, p5
    assert results.outcomes == {"a": 4, "b": 5, "tie": 1, "invalid": 1, "error": 1}
    assert sum(results.outcomes.values()) == 12
    assert {e.n for e in (accuracy.forward, accuracy.mean, accuracy.resolved, results.consistency)} == {6}
    # shown first wins: p0 1 of 2, p1 2 of 2, p2 1 of 2, p3 0 of 1, p5 1 of 2; p4 names no winner
    assert results.first_position_rate.value == pytest.approx((0.5 + 1 + 0.5 + 0 + 0.5) / 5)
    assert results.first_position_rate.n == 5


def test_failures_stay_in_the_denominator_with_bounds():
    results = summarised((pair(0), A, A), (pair(1), INVALID, A), (pair(2), ERROR, ERROR), (pair(3), B, A))
    assert results.accuracy_bounds["forward"] == pytest.approx((1 / 4, 3 / 4))
    assert results.accuracy_bounds["reverse"] == pytest.approx((3 / 4, 4 / 4))
    assert results.accuracy_bounds["mean"] == pytest.approx((2 / 4, 7 / 8))
    assert results.accuracy_bounds["resolved"] == pytest.approx((1 / 4, 3 / 4))
    assert "3 failed verdicts count as wrong" in results.to_text()


def test_position_bias_is_forward_minus_reverse():
    results = summarised(*[(pair(i), A, B if i < 7 else A) for i in range(10)])
    assert results.position_bias.value == pytest.approx(0.7)
    assert results.position_bias.ci95[0] > 0


def test_unlabelled_pairs_are_counted_and_leave_the_accuracy():
    results = summarised((pair(0), A, A), (pair(1, ranks=None), B, B))
    assert (results.n_pairs, results.n_unlabelled, results.accuracy.mean.n) == (2, 1, 1)
    assert (results.consistency.n, results.outcomes["b"]) == (2, 2)
    alone = summarised((pair(1, ranks=None), B, B))
    assert alone.to_json()["accuracy"]["mean"] == {"value": None, "ci95": None, "n": 0}
    assert "not yet" not in alone.to_text()


def test_a_tie_is_right_only_for_a_tied_label():
    results = summarised((pair(0, ranks=(1, 1)), TIE, TIE), (pair(1, ranks=(1, 1)), A, A), (pair(2), TIE, TIE))
    assert results.accuracy.resolved.value == pytest.approx(1 / 3)
    assert results.consistency.value == pytest.approx(1 / 3)  # a tie prefers no candidate


def test_pairs_not_judged_yet_are_reported():
    pairs = [pair(0), pair(1), pair(2)]
    records = [*both(pairs[0], A, A), both(pairs[1], A, A)[0]]
    results = summarise(records, pairs)
    assert (results.n_pairs, results.n_missing) == (3, 2)
    assert (results.accuracy.forward.n, results.accuracy.mean.n) == (2, 1)
    assert "2 of 3 pairs are not yet judged" in results.to_text()
    assert summarise([], pairs).n_missing == 3


def test_the_last_line_of_a_verdict_counts_and_every_line_was_paid():
    first = both(pair(0), Verdict(ranks=None, failure="error", usage=Usage(10, 0, 0.5, 5)), A)
    again = VerdictRecord.of(pair(0), "forward", Verdict(ranks=(1, 2), usage=Usage(10, 5, 0.25, 1)))
    results = summarise([*first, again, again], [pair(0)])
    assert results.outcomes == {"a": 2, "b": 0, "tie": 0, "invalid": 0, "error": 0}
    assert results.accuracy.resolved.value == 1
    assert (results.calls, results.cost_usd, results.tokens.input) == (7, 1.0, 30)


def test_verdicts_from_the_cache_are_counted():
    cached = Verdict(ranks=(1, 2), cached=True)
    assert summarised((pair(0), cached, A), (pair(1), cached, cached)).cached_calls == 3


def test_several_samples_are_averaged_within_the_pair():
    records = (
        both(pair(0), A, A, sample=0) + both(pair(0), A, B, sample=1) + both(pair(1), B, A) + both(pair(1), B, A, 1)
    )
    results = summarise(records, [pair(0), pair(1)])
    assert (results.accuracy.mean.n, sum(results.outcomes.values())) == (2, 8)
    assert results.accuracy.forward.value == pytest.approx(0.5)
    assert results.accuracy.reverse.value == pytest.approx((0.5 + 1) / 2)
    assert results.accuracy.resolved.value == pytest.approx((0.5 + 0) / 2)


def test_strata_by_tag():
    cases = [(pair(i, defect="count" if i % 2 else "colour"), A, A if i % 2 else B) for i in range(20)]
    strata = summarised(*cases).strata["defect"]
    assert (strata["count"].n, strata["count"].mean.value, strata["count"].resolved.value) == (10, 1.0, 1.0)
    assert (strata["colour"].n, strata["colour"].mean.value, strata["colour"].resolved.value) == (10, 0.5, 0.0)
    assert strata["colour"].mean.ci95[0] < 0.5 < strata["colour"].mean.ci95[1]


def test_a_tag_that_names_pairs_is_left_out_and_said_so():
    results = summarised(*[(pair(i, file=f"{i}.png", kind="x"), A, A) for i in range(MOST_STRATA + 1)])
    assert list(results.strata) == ["kind"]
    assert results.strata_left_out == ["file"]


def test_lists_of_candidates_report_pairwise_agreement():
    three = Comparison("l1", "t2i", "a", ("0.png", "1.png", "2.png"), ranks=(1, 2, 3))
    records = both(three, Verdict(ranks=(1, 2, 3)), Verdict(ranks=(1, 3, 2)))
    results = summarise(records, [three])
    assert (results.accuracy.forward.value, results.accuracy.reverse.value) == (1.0, 0.0)
    assert results.pairwise_agreement.value == pytest.approx((1 + 2 / 3) / 2)
    assert results.outcomes == {"a": 2, "b": 0, "c": 0, "tie": 0, "invalid": 0, "error": 0}
    assert summarised((pair(0), A, A)).pairwise_agreement is None


def test_a_verdict_on_a_pair_outside_the_dataset_is_refused():
    with pytest.raises(ValueError, match=r"'p9'.*with the dataset they were given on"):
        summarise(both(pair(9), A, A), [pair(0)])


def test_results_json_has_the_agreed_fields():
    results = summarise(both(pair(0), A, A), [pair(0)], evidence="calibration", synthetic=True)
    found = json.loads(json.dumps(results.to_json(), allow_nan=False))
    assert found["schema"] == "workbench.results/1"
    assert set(found["accuracy"]) == {"forward", "reverse", "mean", "resolved"}
    assert all(set(e) == {"value", "ci95", "n"} and len(e["ci95"]) == 2 for e in found["accuracy"].values())
    assert {"n_pairs", "position_bias", "consistency", "strata", "calls", "cached_calls", "cost_usd"} <= set(found)
    assert set(found["tokens"]) == {"input", "output"}
    assert (found["evidence"], found["synthetic"]) == ("calibration", True)


def test_every_shown_number_has_its_interval_and_n():
    results = summarised(*[(pair(i), A, A if i % 3 else B) for i in range(30)])
    frame = results.to_frame()
    assert list(frame.columns) == ["value", "low", "high", "n"]
    assert frame.notna().all().all()
    assert "accuracy, resolved       66.7%  [48.8%, 80.8%]          30" in results.to_text()


def test_results_are_those_of_the_simulated_statistics():
    rng = np.random.default_rng(0)
    right = rng.random((2, 90)) < 0.7
    cases = [(pair(i, prompt=f"{i // 3}"), A if right[0, i] else B, A if right[1, i] else B) for i in range(90)]
    assert summarised(*cases).accuracy.mean == proportion(right.mean(axis=0), np.arange(90) // 3)


def test_a_hundred_thousand_pairs_need_little_memory():
    pairs = [pair(i, prompt=f"prompt {i // 4}", kind=str(i % 5)) for i in range(20_000)]

    def stream() -> Iterator[VerdictRecord]:
        for comparison in pairs:
            yield from both(comparison, A, B)

    tracemalloc.start()
    summarise(stream(), pairs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000  # 100 MB for five times as many


def test_results_do_not_depend_on_the_order_in_which_verdicts_arrived():
    rng = np.random.default_rng(0)
    pairs = [pair(i, prompt=f"prompt {i // 3}") for i in range(40)]
    verdicts = [A, B, TIE, INVALID]
    records = [r for p in pairs for r in both(p, *(verdicts[int(i)] for i in rng.integers(4, size=2)))]
    shuffled = [records[int(i)] for i in rng.permutation(len(records))]
    assert summarise(shuffled, pairs).to_json() == summarise(records, pairs).to_json()
