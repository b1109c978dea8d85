"""How judges decide: attention, position, noise, and what a rubric can and cannot change."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.shapes.attributes import ATTRIBUTES_T2I
from workbench.shapes.judge import mind
from workbench.shapes.judge.reader import Reading, read_criterion
from workbench.shapes.judge.settings import JudgeSettings, perfect, sample_settings

RELEVANT = "count"
DISTRACTORS = [name for name in ATTRIBUTES_T2I if name not in (RELEVANT, "leftward")]
Pair = tuple[dict[str, float], dict[str, float], str]


def reading(name: str, sign: float = 1.0) -> tuple[float, Reading]:
    return 1.0, Reading({name: sign})


VAGUE = (1.0, Reading({}))


def sampled_pairs(n: int, seed: int = 0) -> list[Pair]:
    """Pairs in which the first has the better count, and everything else varies freely."""
    rng = np.random.default_rng(seed)
    pairs = []
    for i in range(n):
        a, b = (dict(zip(ATTRIBUTES_T2I, rng.random(len(ATTRIBUTES_T2I)).tolist(), strict=True)) for _ in range(2))
        low, high = sorted((a[RELEVANT], b[RELEVANT]))
        a[RELEVANT], b[RELEVANT] = high + 0.1, low
        pairs.append((a, b, f"prompt {i}"))
    return pairs


def logit(
    settings: JudgeSettings, criteria: list[tuple[float, Reading]], pair: Pair, *, reverse: bool = False
) -> float:
    """Logit of the first-shown candidate."""
    a, b, prompt = pair
    shown, names = ([b, a], ["b", "a"]) if reverse else ([a, b], ["a", "b"])
    percept = mind.perceive(settings, "t2i", shown, names, prompt)
    u = mind.utilities(settings, mind.attend(settings, "t2i", criteria), percept)
    return float(u[0] - u[1])


def accuracy(settings: JudgeSettings, criteria: list[tuple[float, Reading]], pairs: list[Pair]) -> float:
    """Share right, both orders."""
    right = [logit(settings, criteria, pair) > 0 for pair in pairs]
    right += [logit(settings, criteria, pair, reverse=True) < 0 for pair in pairs]
    return float(np.mean(right))


SENTENCES = st.lists(
    st.text(max_size=40) | st.sampled_from(["Edges are crisp.", "The number is right.", "Dark."]), max_size=8
)


@given(texts=SENTENCES, seed=st.integers(0, 1000), weights=st.lists(st.floats(0.1, 9), min_size=8, max_size=8))
def test_at_compliance_0_no_rubric_changes_a_bit(texts: list[str], seed: int, weights: list[float]) -> None:
    settings = sample_settings("t2i", seed).model_copy(update={"compliance": 0.0})
    criteria = [
        (weight, read_criterion(text, "t2i", settings.vocabulary)) for weight, text in zip(weights, texts, strict=False)
    ]
    pair = sampled_pairs(1, seed)[0]
    assert logit(settings, criteria, pair) == logit(settings, [], pair)
    assert logit(settings, criteria, pair, reverse=True) == logit(settings, [], pair, reverse=True)


def test_a_perfect_judge_with_the_right_rubric_is_always_right() -> None:
    assert accuracy(perfect("t2i"), [reading(RELEVANT)], sampled_pairs(200)) == 1.0


def test_the_right_rubric_helps_a_misleading_one_hurts_and_irrelevant_criteria_dilute() -> None:
    settings = sample_settings("t2i", 3).model_copy(update={"taste": {}, "compliance": 0.9})
    pairs = sampled_pairs(400)
    none = accuracy(settings, [], pairs)
    right = accuracy(settings, [reading(RELEVANT)], pairs)
    misleading = accuracy(settings, [reading(RELEVANT, -1.0)], pairs)
    diluted = [accuracy(settings, [reading(RELEVANT), *map(reading, DISTRACTORS[:k])], pairs) for k in (0, 2, 5, 10)]
    assert right > none + 0.1
    assert misleading < 0.5 < none
    assert diluted == sorted(diluted, reverse=True)
    assert diluted[0] - diluted[-1] > 0.15
    vague = accuracy(settings, [reading(RELEVANT), *[VAGUE] * 6], pairs)
    assert vague < right - 0.1


def test_attention_is_what_a_criterion_has_to_share() -> None:
    settings = perfect("t2i").model_copy(update={"attention": 8.0})
    few = mind.attend(settings, "t2i", [reading("count"), reading("color")])
    many = mind.attend(settings, "t2i", [reading("count"), *map(reading, DISTRACTORS)])
    assert few.spent.sum() == pytest.approx(many.spent.sum()) == pytest.approx(1.0)
    heavy = mind.attend(settings, "t2i", [(3.0, Reading({"count": 1.0})), reading("color"), VAGUE])
    assert heavy.spent[ATTRIBUTES_T2I.index("count")] == pytest.approx(3 / 5)
    assert heavy.vague == pytest.approx(1 / 5)


def test_what_is_noticed_follows_the_budget() -> None:
    settings = perfect("t2i").model_copy(update={"attention": 5.0})
    attention = mind.attend(settings, "t2i", [reading("count"), reading("color"), VAGUE, VAGUE])
    pairs = sampled_pairs(3000)
    seen = np.mean(
        [mind.noticed(settings, attention, mind.perceive(settings, "t2i", [a, b], ["a", "b"], p)) for a, b, p in pairs],
        axis=0,
    )
    # P(noticed) = 1 - exp(-5 / 4) = 0.713
    assert seen[ATTRIBUTES_T2I.index("count")] == pytest.approx(1 - math.exp(-5 / 4), abs=0.03)
    assert seen[ATTRIBUTES_T2I.index("size")] == 0


def test_position_bias_is_the_mean_of_both_orders_logits() -> None:
    settings = sample_settings("t2i", 5).model_copy(update={"position_bias": 1.3})
    both = [logit(settings, [], p) + logit(settings, [], p, reverse=True) for p in sampled_pairs(2000)]
    # The sum holds twice the bias, plus noise of the orders: sd 1.5, so a standard error below 0.04.
    assert np.mean(both) / 2 == pytest.approx(1.3, abs=0.1)


def test_noise_has_a_part_of_the_pair_and_a_part_of_the_order() -> None:
    settings = perfect("t2i").model_copy(update={"noise": 2.0, "taste": {"leftward": 1.0}})
    same = dict.fromkeys(ATTRIBUTES_T2I, 0.5)
    pairs: list[Pair] = [(same, same, f"prompt {i}") for i in range(3000)]
    forward = np.array([logit(settings, [], p) for p in pairs])
    reverse = np.array([-logit(settings, [], p, reverse=True) for p in pairs])
    assert forward.std() == pytest.approx(2.0, rel=0.06)
    assert np.corrcoef(forward, reverse)[0, 1] == pytest.approx(0.5, abs=0.06)


def test_a_dead_heat_is_not_settled_by_position() -> None:
    same = dict.fromkeys(ATTRIBUTES_T2I, 0.5)
    first = [logit(perfect("t2i"), [], (same, same, f"prompt {i}")) > 0 for i in range(400)]
    assert 0.4 < np.mean(first) < 0.6


def test_misreading_belongs_to_the_image() -> None:
    settings = perfect("t2i").model_copy(update={"misreading": {"count": 0.2}})
    a, b, prompt = sampled_pairs(1)[0]
    one = mind.perceive(settings, "t2i", [a, b], ["a", "b"], prompt).values
    other = mind.perceive(settings, "t2i", [b, a], ["b", "a"], prompt).values
    assert np.array_equal(one, other[::-1])
    k = ATTRIBUTES_T2I.index("count")
    assert one[0][k] != a["count"]
    assert one[0][k + 1] == a[ATTRIBUTES_T2I[k + 1]]


@given(st.lists(st.floats(-8, 8), min_size=2, max_size=5))
def test_rank_probabilities_sum_to_one_and_pairs_follow_the_sigmoid(values: list[float]) -> None:
    logits = np.array(values)
    chances = mind.rank_probabilities(logits)
    assert sum(chances.values()) == pytest.approx(1.0)
    if len(values) == 2:
        assert chances[1, 2] == pytest.approx(1 / (1 + math.exp(values[1] - values[0])))


def test_sampling_follows_the_probabilities() -> None:
    logits = np.array([0.0, 1.0, 0.5])
    chances = mind.rank_probabilities(logits)
    drawn = [mind.choose_ranks(logits, ties=False, temperature=1.0, seed=str(i)) for i in range(4000)]
    for ranks, p in chances.items():
        assert drawn.count(ranks) / 4000 == pytest.approx(p, abs=0.03)
    assert mind.choose_ranks(logits, ties=False, temperature=0.0, seed="") == (3, 1, 2)


def test_ties_only_where_they_are_allowed() -> None:
    close = np.array([0.1, 0.0, 3.0])
    assert mind.choose_ranks(close, ties=True, temperature=0.0, seed="") == (2, 2, 1)
    assert mind.choose_ranks(close, ties=False, temperature=0.0, seed="") == (2, 3, 1)
