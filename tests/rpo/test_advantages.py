"""Advantages of a group: published and centred ones, Flow-GRPO's, and none where nothing was decided."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.rpo.advantages import Kind, advantages
from workbench.rpo.reward import Judged, Status

KINDS: tuple[Kind, ...] = ("paper", "centered", "group")
kinds = st.sampled_from(KINDS)
win_rates = st.lists(st.integers(0, 8).map(lambda wins: wins / 8), min_size=2, max_size=8).map(tuple)


def decided(*values: float) -> Judged:
    return Judged(values=values, status="decided")


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("paper", (1.0, 0.0), (1.0, -0.1)),
        ("paper", (0.0, 1.0), (-0.1, 1.0)),
        ("paper", (1.0, 0.5, 0.0), (1.0, 0.45, -0.1)),
        ("paper", (7.5, 9.0, 9.0), (-0.1, 1.0, 1.0)),
        ("centered", (1.0, 0.0), (1.0, -1.0)),
        ("centered", (1.0, 0.5, 0.0), (1.0, 0.0, -1.0)),
        ("centered", (0.2, 0.9, 0.9, 0.9), (-1.5, 0.5, 0.5, 0.5)),
        ("centered", (1.0, 0.1 + 0.2, 0.3, 0.0), (1.0, 0.0, 0.0, -1.0)),
        ("group", (1.0, 0.0), (0.5 / 0.5001, -0.5 / 0.5001)),
        ("group", (0.0, 3.0, 3.0, 6.0), (-3 / (math.sqrt(4.5) + 1e-4), 0.0, 0.0, 3 / (math.sqrt(4.5) + 1e-4))),
        ("group", (0.0,) * 40 + (1.0,), (*[-1 / 41 / (math.sqrt(40) / 41 + 1e-4)] * 40, 5.0)),
    ],
)
def test_advantages_by_hand(kind: Kind, values: tuple[float, ...], expected: tuple[float, ...]) -> None:
    assert advantages(kind, decided(*values)) == pytest.approx(expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "values"), [("tied", (0.5, 0.5)), ("failed", (math.nan, math.nan)), ("decided", (0.5, 0.5, 0.5))]
)
def test_what_decides_nothing_teaches_nothing(kind: Kind, status: Status, values: tuple[float, ...]) -> None:
    assert advantages(kind, Judged(values=values, status=status)) == (0.0,) * len(values)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_decided_group_without_numbers_is_an_error_and_no_loss(kind: Kind, value: float) -> None:
    with pytest.raises(ValueError, match=r"values\[1\]=(nan|inf): .* 'failed'"):
        advantages(kind, decided(1.0, value))


@settings(deadline=None)
@given(kind=kinds, values=win_rates, data=st.data())
def test_advantages_follow_their_candidates(kind: Kind, values: tuple[float, ...], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(values))))
    given_order = advantages(kind, decided(*values))
    shuffled = advantages(kind, decided(*(values[i] for i in order)))
    assert shuffled == pytest.approx([given_order[i] for i in order])


@settings(deadline=None)
@given(kind=kinds, values=win_rates)
def test_a_better_candidate_never_has_the_smaller_advantage(kind: Kind, values: tuple[float, ...]) -> None:
    by_value = [advantage for _, advantage in sorted(zip(values, advantages(kind, decided(*values)), strict=True))]
    assert by_value == sorted(by_value)


@settings(deadline=None)
@given(values=win_rates)
def test_centred_is_the_published_reward_less_its_mean_over_its_signal(values: tuple[float, ...]) -> None:
    published = np.array(advantages("paper", decided(*values)))
    assert advantages("centered", decided(*values)) == pytest.approx((published - published.mean()) / 0.55, abs=1e-12)


@settings(deadline=None)
@given(first=st.floats(-1e6, 1e6), second=st.floats(-1e6, 1e6))
def test_a_swapped_verdict_swaps_signs_exactly(first: float, second: float) -> None:
    there = advantages("centered", decided(first, second))
    back = advantages("centered", decided(second, first))
    assert there == tuple(-advantage for advantage in back)
    assert sum(there) == 0


@settings(deadline=None)
@given(values=win_rates, shift=st.floats(-5, 5), scale=st.floats(0.5, 50))
def test_group_advantages_forget_where_scores_start_and_nearly_how_far_they_reach(
    values: tuple[float, ...], shift: float, scale: float
) -> None:
    moved = advantages("group", decided(*(shift + scale * value for value in values)))
    assert moved == pytest.approx(advantages("group", decided(*values)), rel=5e-3, abs=1e-6)
    assert sum(moved) == pytest.approx(0, abs=1e-6)
