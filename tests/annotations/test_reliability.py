import math
import warnings
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from workbench.annotations.reliability import (
    MISSING,
    cohen,
    coincidence_tables,
    crossed_tables,
    estimate,
    krippendorff,
    percent_agreement,
    resampled_tables,
)


def coded(*raters: str) -> np.ndarray:
    """(pairs, raters); a dot is a missing label."""
    letters = sorted({letter for rater in raters for letter in rater} - {"."})
    return np.array([[MISSING if c == "." else letters.index(c) for c in unit] for unit in zip(*raters, strict=True)])


def alpha_of(codes: np.ndarray) -> float:
    return float(krippendorff(coincidence_tables(codes, int(codes.max()) + 1).sum(axis=0)).coefficient)


def alpha_by_counting(codes: np.ndarray) -> float:
    """1 - D_o / D_e with every ordered couple of labels counted one by one, no tables."""
    units = [[label for label in unit if label != MISSING] for unit in codes.tolist()]
    units = [unit for unit in units if len(unit) > 1]
    labels = [label for unit in units for label in unit]
    n = len(labels)
    observed = sum(sum(a != b for a, b in permutations(unit, 2)) / (len(unit) - 1) for unit in units) / n
    expected = sum(a != b for a, b in permutations(labels, 2)) / (n * (n - 1))
    return math.nan if expected == 0 else 1 - observed / expected


# Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, sections A, B and C: data and results as printed.
PUBLISHED = {
    "A, binary, two observers": (("0100000010", "1110010000"), 0.095),
    "B, nominal, two observers": (("aabbdcccedda", "babbbccceddd"), 0.692),
    "C, nominal, four observers, missing": (
        ("123321412...", "1233224125.3", ".3332342251.", "12332441251."),
        0.743,
    ),
}


@pytest.mark.parametrize("example", PUBLISHED)
def test_alpha_is_that_of_the_published_worked_examples(example):
    raters, published = PUBLISHED[example]
    assert alpha_of(coded(*raters)) == pytest.approx(published, abs=5e-4)


tables_of_codes = st.integers(2, 4).flatmap(
    lambda raters: st.lists(
        st.lists(st.sampled_from([MISSING, 0, 1, 2]), min_size=raters, max_size=raters), min_size=1, max_size=12
    )
).map(np.array)  # fmt: skip


@given(tables_of_codes)
def test_alpha_is_what_counting_couples_one_by_one_gives(codes):
    if not (np.sum(codes != MISSING, axis=1) > 1).any():
        assert math.isnan(alpha_of(np.maximum(codes, MISSING)) if codes.max() >= 0 else math.nan)
        return
    assert alpha_of(codes) == pytest.approx(alpha_by_counting(codes), nan_ok=True, abs=1e-12)


@given(st.lists(st.tuples(*[st.sampled_from([0, 1, 2])] * 2), min_size=1, max_size=20).map(np.array))
def test_kappa_is_that_of_scikit_learn(codes):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where kappa is undefined
        expected = cohen_kappa_score(codes[:, 0], codes[:, 1])
    kappa = float(cohen(crossed_tables(codes, 3).sum(axis=0)).coefficient)
    assert kappa == pytest.approx(expected, nan_ok=True, abs=1e-12)


def test_percent_counts_each_pair_once_and_labels_nobody_gave_not_at_all():
    # of the couples 1/3, 1/1 and 0/1 agree; the last pair has one label
    found = percent_agreement(coded("aaab", "ba..", "a.b."), [0, 1, 2, 3])
    assert (found.value, found.n) == (pytest.approx((1 / 3 + 1 + 0) / 3), 3)


def test_resampling_draws_whole_prompts_and_is_a_function_of_its_seed():
    codes = coded("aaabbbab", "aabbbaab")
    tables, prompts = crossed_tables(codes, 2), np.array([0, 0, 0, 0, 1, 1, 1, 1])
    drawn = resampled_tables(tables, prompts, seed=3, draws=200)
    halves = tables[:4].sum(axis=0), tables[4:].sum(axis=0)
    possible = {str(2 * halves[0]), str(halves[0] + halves[1]), str(2 * halves[1])}
    assert {str(table) for table in drawn} == possible
    assert np.array_equal(drawn, resampled_tables(tables, prompts, seed=3, draws=200))
    assert not np.array_equal(drawn, resampled_tables(tables, prompts, seed=4, draws=200))


def test_the_interval_of_alpha_covers_the_truth_about_as_often_as_it_says():
    """Two raters who each misread a fair coin one time in ten: alpha = (1 - 2 * 0.1)² = 0.64."""
    rng, covered = np.random.default_rng(0), 0
    for _ in range(200):
        truth = rng.integers(2, size=80)
        codes = np.stack([truth ^ (rng.random(80) < 0.1) for _ in range(2)], axis=1)
        tables = coincidence_tables(codes, 2)
        drawn = resampled_tables(tables, np.arange(80), seed=0, draws=400)
        percent = percent_agreement(codes, np.arange(80))
        low, high = estimate(krippendorff(tables.sum(axis=0)), krippendorff(drawn), percent).ci95
        covered += low <= 0.64 <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_where_resampling_cannot_tell_the_interval_is_that_of_percent_agreement():
    """All 20 pairs agree: kappa 1, and with half the disagreement by chance, 1 - (1 - low) / 0.5 below."""
    codes = coded("ab" * 10, "ab" * 10)
    tables, prompts = crossed_tables(codes, 2), np.arange(20)
    percent = percent_agreement(codes, prompts)
    found = estimate(cohen(tables.sum(axis=0)), cohen(resampled_tables(tables, prompts, seed=0, draws=100)), percent)
    assert (found.value, found.n) == (1.0, 20)
    assert found.ci95 == (pytest.approx(1 - (1 - percent.ci95[0]) / 0.5), 1.0)
