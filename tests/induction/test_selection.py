"""Choosing and weighing criteria from their votes: known answers, and data where the truth is planted."""

import numpy as np
import pytest

from workbench.evaluation.record import VerdictRecord
from workbench.induction.selection import Votes, agreement, distinct, fit, select, worth_rows
from workbench.judges.verdict import Verdict
from workbench.pairs.comparison import Comparison
from workbench.rubrics.rubric import Criterion, Rubric, Theme


def planted(n, weights, *, noise=1.0, seed=0, useless=6):
    """n pairs of n prompts on which people weigh the first criteria as told and care for no other."""
    generator = np.random.default_rng(seed)
    m = len(weights) + useless
    truth = np.array([*weights, *[0.0] * useless])
    rows = generator.choice([-1.0, -0.5, 0.0, 0.5, 1.0], size=(n, m))
    margin = rows @ truth + noise * generator.logistic(size=n)
    rows *= np.where(margin > 0, 1.0, -1.0)[:, None]  # rows point to what people chose
    return Votes(tuple(f"c{i}" for i in range(m)), rows, np.arange(n), np.ones(m))


def fit_all(rows, strength):
    return fit(rows, np.array([strength]), np.ones((1, len(rows)), dtype=bool))[0]


def test_one_criterion_that_is_always_right_has_the_weight_of_the_closed_form():
    # strength = 1 / (1 + e^w)  =>  w = ln(1 / strength - 1)
    assert fit_all(np.ones((7, 1)), 0.1) == pytest.approx([np.log(9)], abs=1e-4)


def test_weights_are_those_of_logistic_regression_on_rows_of_both_signs():
    from sklearn.linear_model import LogisticRegression

    votes = planted(300, (3.0, 2.0, 1.0), useless=0)
    both, labels = np.concatenate([votes.rows, -votes.rows]), np.repeat([1, 0], 300)
    # sklearn's loss is the sum over the rows, the penalty 1 / C: 600 rows of which each pair of signs costs the same
    other = LogisticRegression(
        C=1 / (600 * 0.02), l1_ratio=1.0, solver="liblinear", fit_intercept=False, tol=1e-8, max_iter=1000
    ).fit(both, labels)
    assert fit_all(votes.rows, 0.02) == pytest.approx(other.coef_[0], abs=2e-3)


def test_no_weight_is_negative_and_a_criterion_people_vote_against_gets_none():
    rows = np.column_stack([np.ones(20), -np.ones(20)])
    weights = fit_all(rows, 0.05)
    assert weights[0] > 0
    assert weights[1] == 0


def test_regressions_fitted_together_are_those_fitted_alone():
    votes = planted(80, (3.0, 1.0))
    used = np.arange(80) % 2 == np.array([[0], [1]])
    together = fit(votes.rows, np.array([0.02, 0.05]), used)
    assert together[0] == pytest.approx(fit_all(votes.rows[used[0]], 0.02), abs=2e-3)
    assert together[1] == pytest.approx(fit_all(votes.rows[used[1]], 0.05), abs=2e-3)


def test_the_criteria_people_decide_by_are_found_among_others():
    found = select(planted(200, (4.0, 3.0, 2.0)), most=8, seed=0)
    assert list(found.weights)[:3] == ["c0", "c1", "c2"]  # the weightiest first
    assert len(found.weights) <= 5
    assert sum(found.weights.values()) / len(found.weights) == pytest.approx(1, abs=0.05)
    assert found.accuracy.value > 0.8
    low, _ = found.worth["c0"].ci95
    assert low > 0


def test_labels_that_follow_no_criterion_predict_nothing_but_leave_a_rubric():
    draws = [select(planted(60, (), useless=24, seed=seed), most=8, seed=0) for seed in range(12)]
    assert all(found.weights for found in draws)
    assert np.mean([found.accuracy.value for found in draws]) == pytest.approx(0.5, abs=0.05)
    assert sum(found.accuracy.ci95[0] > 0.5 for found in draws) <= 1


def test_a_criterion_in_other_words_is_not_counted_twice():
    votes = planted(200, (4.0, 3.0))
    twice = Votes((*votes.ids, "echo"), np.column_stack([votes.rows, votes.rows[:, 0]]), votes.prompts, np.ones(9))
    assert len(distinct(twice.rows)) == 8
    chosen = set(select(twice, most=8, seed=0).weights)
    assert {"c0", "c1"} <= chosen
    assert "echo" not in chosen


def test_no_more_criteria_are_kept_than_asked_for():
    assert list(select(planted(200, (4.0, 3.0, 2.0)), most=2, seed=0).weights) == ["c0", "c1"]


def test_the_same_seed_chooses_the_same():
    votes = planted(60, (3.0, 2.0))
    assert select(votes, most=8, seed=5) == select(votes, most=8, seed=5)


def test_with_too_few_prompts_what_agrees_with_people_more_often_than_not_is_kept_unweighted():
    rows = np.array([[1.0, -1.0, 0.5], [1.0, -1.0, 0.0]])
    found = select(Votes(("c0", "c1", "c2"), rows, np.arange(2), np.ones(3)), most=8, seed=0)
    assert dict(found.weights) == {"c0": 1.0, "c2": 1.0}
    assert found.strength is None
    assert found.accuracy.n == 0


def test_agreement_counts_the_couples_people_separate():
    assert agreement((1, 2, 3), (1, 2, 2)) == 1.0  # the couple people tie does not count
    assert agreement((3, 1, 2), (1, 2, 3)) == pytest.approx(-1 / 3)  # one of three right
    assert agreement((1, 2), (1, 1)) == 0.0


def test_votes_average_both_orders_and_leave_out_failed_verdicts():
    pair = Comparison("p", "t2i", "a dog", (b"a", b"b"), ranks=(2, 1))
    other = Comparison("q", "t2i", "a cat", (b"a", b"b"), ranks=(1, 2))
    records = [
        VerdictRecord.of(pair, "forward", Verdict((2, 1), criteria={"c1": (2, 1), "c2": (2, 1)})),
        VerdictRecord.of(pair, "reverse", Verdict((2, 1), criteria={"c1": (2, 1), "c2": (1, 2)})),
        VerdictRecord.of(other, "forward", Verdict((1, 2), criteria={"c1": (2, 1), "c2": (1, 1)})),
        VerdictRecord.of(other, "reverse", Verdict(None, failure="invalid")),
    ]
    votes = Votes.of([pair, other], records, ["c1", "c2"])
    assert votes.rows.tolist() == [[1.0, 0.0], [-0.5, 0.0]]
    assert votes.separates.tolist() == [0.5, 0.0]


def test_worth_is_told_beside_each_criterion_and_of_nothing_when_none_was_chosen():
    found = select(planted(200, (4.0, 3.0)), most=2, seed=0)
    criteria = (Criterion("c0", "Edges are sharp.", weight=1.2, source="p1, p2"), Criterion("c1", "Colours match."))
    theme = Theme("", criteria=criteria)
    rows = worth_rows(Rubric("r", "t2i", (theme,), {"selection": found.to_json()}))
    assert [row["criterion"] for row in rows] == ["Edges are sharp.", "Colours match."]
    assert (rows[0]["weight"], rows[0]["seed pairs"], rows[1]["seed pairs"]) == ("1.2", "2", "")
    assert "[+" in rows[0]["worth"]
    assert worth_rows(Rubric("r", "t2i", (theme,))) == []
