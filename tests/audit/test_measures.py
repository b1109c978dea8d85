"""Agreement, accuracy and moves, on verdicts written by hand."""

import numpy as np
import pytest

from workbench.audit.arms import ARMS, FREE, RUBRIC
from workbench.audit.measures import (
    agreement,
    estimate,
    failures,
    mean_accuracy,
    moves,
    self_agreement,
    smallest_change,
)
from workbench.audit.questions import questions
from workbench.audit.report import measured_rows
from workbench.audit.words import agrees, beats, gains, meaning, meanings, resists
from workbench.evaluation.compare import JudgedRun, compare_runs
from workbench.evaluation.record import VerdictRecord
from workbench.evaluation.statistics import Estimate
from workbench.evaluation.table import VerdictTable
from workbench.judges.verdict import Verdict
from workbench.pairs.comparison import Comparison

RANKS = {"a": (1, 2), "b": (2, 1), "t": (1, 1)}


def records(*pairs):
    """`records("ab", "ax")`: pair 0 won by a forward and b in reverse; pair 1 failed in reverse. Label: a."""
    found = []
    for number, verdicts in enumerate(pairs):
        comparison = Comparison(f"p{number}", "t2i", f"prompt {number}", (b"a", b"b"), ranks=(1, 2))
        samples = len(verdicts) // 2
        for i, letter in enumerate(verdicts):
            order = "forward" if i < samples else "reverse"
            failed = Verdict(None, "invalid") if letter == "x" else Verdict(RANKS[letter])
            found.append(VerdictRecord.of(comparison, order, failed, sample=i % samples))
    return found


def table(*pairs):
    return VerdictTable.of(records(*pairs))


def test_repeats_agree_within_an_order_and_failures_agree_with_nothing():
    # aab: one of three pairs agrees; bbb: three of three. tt|xx: a tie agrees with a tie, failures do not.
    assert self_agreement(table("aabbbb")).tolist() == [pytest.approx((1 / 3 + 1) / 2)]
    assert self_agreement(table("ttxx", "abab")).tolist() == [0.5, 0.0]


def test_two_judges_agree_where_both_name_the_same_winner_in_the_same_order():
    assert agreement(table("aa", "ab", "xt"), table("aa", "ba", "xt")).tolist() == [1.0, 0.0, 0.5]


def test_moves_count_gains_and_losses_of_the_marked_image_and_failures_stay_put():
    plain, marked = table("aa", "ab", "bb", "ab", "at"), table("bb", "bb", "aa", "xx", "bb")
    target = np.ones(5, dtype=np.int64)
    assert moves(plain, marked, target).tolist() == [1.0, 0.5, -1.0, 0.0, 0.75]
    assert failures(plain, marked) == 2


def test_gains_are_those_of_compared_runs():
    rng = np.random.default_rng(0)
    drawn = [["".join(pair) for pair in rng.choice(list("aabx"), (60, 2))] for _ in range(2)]
    a, b = (records(*pairs) for pairs in drawn)
    compared = compare_runs(JudgedRun.of("a", "d", a), JudgedRun.of("b", "d", b)).differences
    by_measure = {question.measure: question for question in questions(0.5)}
    tables, worst = [VerdictTable.of(a), VerdictTable.of(b)], np.ones(60, dtype=np.int64)
    for measure, name in (
        ("accuracy, gain over rubric-free", "mean"),
        ("both orders agree, gain over rubric-free", "consistency"),
    ):
        question = by_measure[measure]
        values = question.values(tables, worst)
        found = estimate(values, tables[0].prompts, question.scale)
        assert found.value == pytest.approx(compared[name].value)
        assert found.ci95 == pytest.approx(compared[name].ci95)
        assert smallest_change(values, tables[0].prompts, question.scale) == pytest.approx(
            compared[name].smallest_detectable
        )
    assert mean_accuracy(tables[0]).mean() == pytest.approx(compared["mean"].before)


@pytest.mark.parametrize(
    ("rule", "interval", "word"),
    [
        (agrees, (0.91, 0.99), "ok"),
        (agrees, (0.8, 0.95), "undecided"),
        (agrees, (0.7, 0.85), "weak"),
        (agrees, (0.5, 0.7), "bad"),
        (gains, (0.01, 0.1), "ok"),
        (gains, (-0.1, -0.01), "bad"),
        (gains, (-0.05, 0.01), "weak"),
        (gains, (-0.05, 0.05), "undecided"),
        (resists, (-0.02, 0.08), "ok"),
        (resists, (0.02, 0.2), "weak"),
        (resists, (0.2, 0.4), "bad"),
        (resists, (-0.1, 0.2), "undecided"),
        (beats(0.5), (0.51, 0.6), "ok"),
        (beats(0.5), (0.3, 0.49), "bad"),
        (beats(0.5), (0.4, 0.6), "undecided"),
    ],
)
def test_the_interval_decides_the_word(rule, interval, word):
    assert rule(Estimate(sum(interval) / 2, interval, 100)) == word


def test_every_word_of_every_question_has_a_sentence():
    intervals = [(low / 50, high / 50) for low in range(-50, 50) for high in range(low, 51)]
    for question in questions(0.5):
        words = {question.rule(Estimate(interval[0], interval, 9)) for interval in intervals}
        assert all(meaning(question.measure, word, 0.031) for word in words)
    assert set(meanings()) == {question.measure for question in questions(0.5)}
    assert "3.1 points" in meaning("accuracy, gain over placebo", "undecided", 0.031)


def test_pairs_from_several_worlds_are_pooled_with_the_world_as_cluster():
    tables = {FREE: table("bb", "ab", "bb", "aa"), RUBRIC: table("aa", "aa", "bb", "bb")}
    pairs = [Comparison(f"p{i}", "t2i", f"prompt {i}", (b"a", b"b"), ranks=(1, 2)) for i in range(4)]
    missing = {arm: "left out" for arm in ARMS if arm not in tables}

    def gain(clusters):
        rows = measured_rows(tables, pairs, missing, clusters=clusters)
        return next(row for row in rows if row.measure == "accuracy, gain over rubric-free")

    by_prompt, by_world = gain(None), gain({"p0": 0, "p1": 0, "p2": 1, "p3": 1})
    assert by_prompt.value == by_world.value == pytest.approx((1 + 0.5 + 0 - 1) / 4)
    assert by_world.ci95[0] < by_prompt.ci95[0] < by_prompt.ci95[1] < by_world.ci95[1]
