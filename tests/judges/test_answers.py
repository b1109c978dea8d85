import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.judges.answers import check_ranks, probability_first, rank_answer, score_answer
from workbench.judges.rewards import rewards
from workbench.judges.vlm_judge import to_dataset_order
from workbench.vlm.request import Token


@pytest.mark.parametrize(
    "ranks",
    [[1, 1], [0, 1], [1], [1, 2, 3], [2, 2], [1, 3], [], ["1", "2"], [1.0, 2.0], [True, 2], [None, 1]],
)
def test_ranks_that_are_no_permutation_are_refused(ranks):
    with pytest.raises(ValueError, match="rank"):
        rank_answer(2).parse({"reason": "r", "rank": ranks})


@pytest.mark.parametrize("ranks", [[1, 1], [1, 2], [2, 1]])
def test_ties_are_accepted_only_where_allowed(ranks):
    assert rank_answer(2, ties=True).parse({"reason": "", "rank": ranks}).ranks == tuple(ranks)


@pytest.mark.parametrize("ranks", [[2, 2], [0, 1], [1, 3], [1]])
def test_ties_allowed_still_needs_a_best_and_a_range(ranks):
    with pytest.raises(ValueError, match="rank"):
        rank_answer(2, ties=True).parse({"reason": "", "rank": ranks})


def test_per_criterion_ranks_come_with_the_verdict_and_may_tie():
    answer = rank_answer(2, criteria=("c1", "c2"))
    data = {
        "reason": "",
        "criteria": [{"id": "c1", "rank": [1, 1]}, {"id": "c2", "rank": [2, 1]}],
        "rank": [2, 1],
    }
    assert answer.parse(data).criteria == {"c1": (1, 1), "c2": (2, 1)}
    with pytest.raises(ValueError, match="lacks c2"):
        answer.parse({**data, "criteria": data["criteria"][:1]})
    with pytest.raises(ValueError, match="c1, c2"):
        answer.parse({**data, "criteria": [{"id": "c9", "rank": [1, 2]}]})


def test_schema_asks_for_the_reason_before_the_rank():
    schema = rank_answer(3, criteria=("c1",)).schema
    assert list(schema["properties"]) == ["reason", "criteria", "rank"]
    assert schema["required"] == ["reason", "criteria", "rank"]
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("score", [0.9, 5.1, "4", None, True, math.nan])
def test_scores_outside_the_scale_are_refused(score):
    with pytest.raises(ValueError, match="from 1 to 5"):
        score_answer(1, 5).parse({"reason": "", "score": score})


@given(st.permutations(range(5)), st.permutations(range(1, 6)))
def test_ranks_go_back_to_the_datasets_order(order, shown):
    ranks = to_dataset_order(shown, order)
    assert [ranks[index] for index in order] == list(shown)


@given(st.lists(st.integers(-2, 9), max_size=6), st.integers(2, 5), st.booleans())
def test_check_ranks_accepts_exactly_what_it_documents(ranks, n, ties):
    if ties:
        allowed = len(ranks) == n and min(ranks) == 1 and max(ranks) <= n
    else:
        allowed = sorted(ranks) == list(range(1, n + 1))
    if allowed:
        assert check_ranks(ranks, n, ties=ties) == tuple(ranks)
    else:
        with pytest.raises(ValueError, match="rank"):
            check_ranks(ranks, n, ties=ties)


def _tokens(*tokens: tuple[str, dict[str, float]]) -> tuple[Token, ...]:
    return tuple(
        Token(text, math.log(top.get(text, 1.0)), {k: math.log(p) for k, p in top.items()}) for text, top in tokens
    )


def test_probability_is_read_from_the_token_of_the_first_rank():
    tokens = _tokens(
        ('{"reason": "2 of 3", "rank"', {}), (": [", {}), ("2", {"2": 0.6, "1": 0.2, "x": 0.1}), (", 1]}", {})
    )
    # 0.2 / (0.2 + 0.6)
    assert probability_first(tokens) == pytest.approx(0.25)


def test_probability_ignores_the_ranks_of_single_criteria():
    text = '{"criteria": [{"id": "c1", "rank": [1, 2]}], "rank": [2, 1]}'
    head, tail = text[: text.rindex("[2")], text[text.rindex("[2") :]
    tokens = _tokens((head, {}), (tail[:2], {"[2": 0.9, "[1": 0.1}), (tail[2:], {}))
    assert probability_first(tokens) == pytest.approx(0.1)


def test_probability_is_unknown_without_log_probabilities():
    assert probability_first(()) is None


def test_probability_is_found_behind_hidden_reasoning_and_halves_of_characters():
    rank = [('"rank": [', {}), ("2", {"2": 0.6, "1": 0.2}), (", ", {}), ("1", {"1": 0.9, "2": 0.1}), ("]}", {})]
    # The answer's text is the part after </think>, and one character where a server lists three tokens.
    reasoning = ("<think>Image 2 is better</think>", {})
    halves = [('{"reason": "', {}), ("\ufffd", {}), ("\ufffd", {}), ("\ufffd", {}), ('", ', {})]
    assert probability_first(_tokens(reasoning, *halves, *rank)) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("ranks", "expected"),
    [
        ((1, 2), (1.0, -0.1)),
        ((2, 1), (-0.1, 1.0)),
        ((1, 1), (1.0, 1.0)),
        ((1,), (1.0,)),
        # 1 - 1.1 * (2 - 1) / (3 - 1) = 0.45
        ((1, 2, 3), (1.0, 0.45, -0.1)),
    ],
)
def test_rewards_follow_the_published_mapping(ranks, expected):
    assert rewards(ranks) == pytest.approx(expected)


@pytest.mark.parametrize("ranks", [(0, 1), (2, 2), ()])
def test_rewards_refuse_what_the_published_code_inverts(ranks):
    with pytest.raises(ValueError, match="start at 1"):
        rewards(ranks)
