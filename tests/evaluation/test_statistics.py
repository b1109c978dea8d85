import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.evaluation.statistics import (
    Estimate,
    bootstrap_bounds,
    difference_bounds,
    exact_mcnemar,
    mean_difference,
    paired_difference,
    proportion,
    smallest_detectable,
)

changes = st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), min_size=1, max_size=40)


def clusters_for(values: list[float], per_prompt: int) -> np.ndarray:
    return np.arange(len(values)) // per_prompt


def test_independent_pairs_give_the_textbook_wilson_interval():
    # p = 0.8, n = 10, z = 1.959964: z²/n = 0.384146
    # middle = (0.8 + 0.192073) / 1.384146 = 0.716740, half = sqrt(0.384146 * 0.16 + 0.192073²) / 1.384146 = 0.226577
    found = proportion([1] * 8 + [0] * 2, np.arange(10))
    assert found.value == pytest.approx(0.8)
    assert found.ci95 == pytest.approx((0.490162, 0.943318), abs=1e-5)
    assert found.n == 10


def test_wilson_at_the_ends_keeps_the_value_and_a_sensible_width():
    # all right: [n / (n + z²), 1] = [20 / 23.841459, 1]
    assert proportion([1] * 20, np.arange(20)).ci95 == pytest.approx((0.838875, 1.0), abs=1e-5)
    assert proportion([0] * 20, np.arange(20)).ci95 == pytest.approx((0.0, 0.161125), abs=1e-5)


def test_independent_differences_with_weight_one_give_bonett_and_price():
    # 6 fixed, 2 broken, n = 20: (7 - 3) / 22 = 0.181818, variance ((7 + 3)/22 - 0.181818²)/22 = 0.019159
    low, high = difference_bounds(np.array([1.0] * 6 + [-1.0] * 2 + [0.0] * 12), np.arange(20), weight=1.0)
    assert (float(low), float(high)) == pytest.approx((-0.089473, 0.453110), abs=1e-5)


def test_identical_pairs_of_a_prompt_count_as_little_more_than_one():
    prompts = np.repeat(np.arange(40), 5)
    copied = np.repeat(np.tile([1.0, 1.0, 0.0, 1.0], 10), 5)
    clustered, independent = proportion(copied, prompts).ci95, proportion(copied, np.arange(200)).ci95
    once = proportion(np.tile([1.0, 1.0, 0.0, 1.0], 10), np.arange(40)).ci95
    assert clustered[1] - clustered[0] > 2 * (independent[1] - independent[0])
    assert clustered[1] - clustered[0] == pytest.approx(once[1] - once[0], rel=0.07)


def test_one_prompt_says_nothing_about_others():
    assert proportion([1, 1, 0], [7, 7, 7]).ci95 == (0.0, 1.0)
    assert mean_difference([1, 1, 0], [7, 7, 7], limit=2.0).ci95 == (-2.0, 2.0)
    assert smallest_detectable([1, 1, 0], [7, 7, 7]) is None


def test_nothing_judged_is_not_a_zero():
    assert proportion([], []) == Estimate(None, None, 0)
    assert mean_difference([], []).value is None
    empty = paired_difference([], [], [])
    assert (empty.value, empty.verdict, empty.n) == (None, "undecided", 0)


def test_a_prompt_that_holds_most_pairs_widens_the_interval():
    values = np.tile([1.0, 0.0, 1.0, 1.0], 15)
    even, uneven = np.arange(60) // 2, np.r_[np.zeros(31, int), np.arange(1, 30)]
    first, second = proportion(values, even).ci95, proportion(values, uneven).ci95
    assert second[1] - second[0] > first[1] - first[0]


@pytest.mark.parametrize(
    ("fixed", "broken", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 0.0625), (0, 5, 0.0625), (5, 1, 0.21875), (10, 2, 0.03857421875), (4, 4, 1.0)],
)
def test_exact_mcnemar_by_hand(fixed: int, broken: int, p: float):
    # 10 against 2: 2 (C(12,0) + C(12,1) + C(12,2)) / 2¹² = 2 * 79 / 4096
    assert exact_mcnemar(fixed, broken) == pytest.approx(p)


@given(changes, st.integers(1, 5))
def test_swapping_the_runs_mirrors_the_difference(values: list[float], per_prompt: int):
    clusters = clusters_for(values, per_prompt)
    zero = np.zeros(len(values))
    forth, back = paired_difference(zero, values, clusters), paired_difference(values, zero, clusters)
    assert forth.value == pytest.approx(-back.value)
    assert forth.ci95 == pytest.approx((-back.ci95[1], -back.ci95[0]))
    assert forth.p_mcnemar == back.p_mcnemar
    assert forth.smallest_detectable == pytest.approx(back.smallest_detectable)
    assert {forth.verdict, back.verdict} in ({"better", "worse"}, {"undecided"})


@given(changes, st.integers(1, 5), st.randoms(use_true_random=False))
def test_order_of_pairs_and_names_of_prompts_do_not_matter(values: list[float], per_prompt: int, random):
    clusters = clusters_for(values, per_prompt)
    order = list(range(len(values)))
    random.shuffle(order)
    renamed = 1000 - 7 * clusters[order]
    first, second = mean_difference(values, clusters), mean_difference(np.array(values)[order], renamed)
    assert first.value == pytest.approx(second.value)
    assert first.ci95 == pytest.approx(second.ci95)


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=40), st.integers(1, 5))
def test_intervals_hold_the_value_stay_in_range_and_mirror(values: list[float], per_prompt: int):
    clusters = clusters_for(values, per_prompt)
    found, mirrored = proportion(values, clusters), proportion(1 - np.array(values), clusters)
    low, high = found.ci95
    assert 0 <= low <= found.value + 1e-12
    assert found.value - 1e-12 <= high <= 1
    assert low < high
    assert mirrored.ci95 == pytest.approx((1 - high, 1 - low))


def test_bootstrap_resamples_whole_prompts_and_repeats_with_its_seed():
    prompts = np.repeat(np.arange(30), 4)
    values = np.repeat(np.tile([1.0, 0.0, -1.0], 10), 4)[None]
    clustered, again = bootstrap_bounds(values, prompts, seed=3), bootstrap_bounds(values, prompts, seed=3)
    independent = bootstrap_bounds(values, np.arange(120), seed=3)
    assert clustered[0] == again[0]
    assert clustered[1] == again[1]
    assert (clustered[1] - clustered[0])[0] > 1.6 * (independent[1] - independent[0])[0]


def test_nearer_to_zero_is_better_for_a_position_bias():
    rng = np.random.default_rng(0)
    biased, fair = (rng.random(300) < 0.4).astype(float), np.zeros(300)
    assert paired_difference(biased, fair, np.arange(300), goal="zero").verdict == "better"
    assert paired_difference(fair, -biased, np.arange(300), goal="zero").verdict == "worse"
    assert paired_difference(fair, biased, np.arange(300), goal="high").verdict == "better"


def test_a_position_bias_that_changes_sides_but_not_size_is_neither_better_nor_worse():
    first, last = np.array([1.0] * 63 + [0.0] * 237), np.array([0.0] * 240 + [-1.0] * 60)
    turned = paired_difference(last, first, np.arange(300), limit=2.0, goal="zero")
    assert turned.ci95 is not None
    assert turned.ci95[0] > 0.3
    assert turned.verdict == "undecided"
    assert paired_difference(last / 4, first, np.arange(300), limit=2.0, goal="zero").verdict == "worse"


def test_smallest_detectable_gain_by_hand():
    # 20 fixed, 20 broken of 100: (z.975 + z.8) sqrt((40 + 2 * 0.5) / 101²) = 2.801585 * 0.063398
    values = [1.0] * 20 + [-1.0] * 20 + [0.0] * 60
    assert smallest_detectable(values, np.arange(100)) == pytest.approx(0.177614, abs=1e-5)


def test_no_detectable_gain_is_beyond_the_scale():
    # One prompt holds 1,000 of 1,001 pairs: hardly a degree of freedom is left.
    clusters = np.array([0] * 1000 + [1])
    values = np.where(np.arange(1001) % 3, 1.0, 0.0)
    assert smallest_detectable(values, clusters) is None
    assert proportion(values, clusters).ci95 == pytest.approx((0, 1), abs=1e-6)
    assert paired_difference(0 * values, values, clusters).smallest_detectable is None
