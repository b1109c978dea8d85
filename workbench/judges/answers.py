"""What judges must answer: the JSON schema of an answer, and the check that turns it into ranks or a score."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.vlm.request import AnswerFormat, Token, object_schema


@dataclass(frozen=True, slots=True)
class Ranking:
    """Ranks in the order shown, 1 is best, with the reason and the ranks under each criterion."""

    reason: str
    ranks: tuple[int, ...]
    criteria: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Score:
    """One candidate's score, higher is better, and the reason."""

    reason: str
    score: float


def rank_answer(n: int, *, ties: bool = False, criteria: Sequence[str] = ()) -> AnswerFormat:
    """`{"reason", "rank"}` for `n` candidates, with `"criteria": [{"id", "rank"}]` between them where ids are given.

    >>> rank_answer(2).parse({"reason": "", "rank": [2, 1]}).ranks
    (2, 1)
    """
    ranks_schema = {
        "type": "array",
        "items": {"type": "integer", "minimum": 1, "maximum": n},
        "minItems": n,
        "maxItems": n,
    }
    properties: dict[str, Any] = {"reason": {"type": "string"}}
    if criteria:
        item = {
            "type": "object",
            "properties": {"id": {"type": "string", "enum": list(criteria)}, "rank": ranks_schema},
            "required": ["id", "rank"],
            "additionalProperties": False,
        }
        properties["criteria"] = {"type": "array", "items": item}
    properties["rank"] = ranks_schema

    def parse(data: dict[str, Any]) -> Ranking:
        by_criterion: dict[str, tuple[int, ...]] = {}
        if criteria:
            # Candidates may well be equal under a single criterion, whatever the overall verdict must be.
            for entry in _list(data, "criteria"):
                if not isinstance(entry, dict) or entry.get("id") not in criteria:
                    raise ValueError(f'each entry of "criteria" needs an "id" out of {", ".join(criteria)}')
                by_criterion[entry["id"]] = check_ranks(_list(entry, "rank"), n, ties=True)
            if missing := [name for name in criteria if name not in by_criterion]:
                raise ValueError(f'"criteria" lacks {", ".join(missing)}')
        return Ranking(_reason(data), check_ranks(_list(data, "rank"), n, ties=ties), by_criterion)

    return AnswerFormat("ranking", object_schema(properties), parse)


def score_answer(low: float, high: float) -> AnswerFormat:
    """`{"reason", "score"}` with the score in `[low, high]`."""
    schema = object_schema(
        {"reason": {"type": "string"}, "score": {"type": "number", "minimum": low, "maximum": high}},
    )

    def parse(data: dict[str, Any]) -> Score:
        score = data.get("score")
        if isinstance(score, bool) or not isinstance(score, int | float) or not low <= score <= high:
            raise ValueError(f'"score" is {score!r}; it must be a number from {low:g} to {high:g}')
        return Score(_reason(data), float(score))

    return AnswerFormat("score", schema, parse)


def check_ranks(ranks: Sequence[object], n: int, *, ties: bool) -> tuple[int, ...]:
    """`ranks` as integers, a permutation of 1..n, or with `ties` any ranks in 1..n of which one is 1.

    Raises `ValueError` for a wrong length, `[0, 1]`, `[1, 1]` without `ties`, and anything that is not whole numbers.
    """
    whole = tuple(rank for rank in ranks if isinstance(rank, int) and not isinstance(rank, bool))
    allowed = f"whole numbers from 1 to {n}, 1 for the best" if ties else f"1 to {n}, each exactly once"
    if len(whole) != len(ranks) or len(whole) != n:
        raise ValueError(f'"rank" is {list(ranks)}; it must hold {n} numbers: {allowed}')
    expected = min(whole) == 1 and max(whole) <= n if ties else sorted(whole) == list(range(1, n + 1))
    if not expected:
        raise ValueError(f'"rank" is {list(ranks)}; it must hold {allowed}')
    return whole


def probability_first(tokens: Sequence[Token]) -> float | None:
    """P(the image shown first is ranked 1) of a pair, from the log-probabilities of the first rank's token.

    p = P("1") / (P("1") + P("2")); None when the server gave no log-probabilities for that token.
    """
    # Not in the answer's own text: servers list the tokens of hidden reasoning too, and halves of characters.
    digit = _rank_position("".join(token.text for token in tokens))
    if digit is None:
        return None
    start = 0
    for token in tokens:
        if start <= digit < start + len(token.text):
            mass = {"1": 0.0, "2": 0.0}
            for alternative, logprob in {**token.top, token.text: token.logprob}.items():
                # A tokeniser may join the digit with what surrounds it, as in "[1" or " 1,".
                digits = [char for char in alternative if char.isdigit()]
                if len(digits) == 1 and digits[0] in mass:
                    mass[digits[0]] += math.exp(logprob)
            total = mass["1"] + mass["2"]
            return mass["1"] / total if total > 0 else None
        start += len(token.text)
    return None


def _rank_position(text: str) -> int | None:
    """Where the first overall rank stands: after the last `"rank"` key, past those of single criteria."""
    key = text.rfind('"rank"')
    if key < 0:
        return None
    return next((i for i in range(key + len('"rank"'), len(text)) if text[i].isdigit()), None)


def _list(data: Mapping[str, Any], key: str) -> list[Any]:
    value = data.get(key)
    if not isinstance(value, list):
        raise ValueError(f'"{key}" is {value!r}; it must be a list')
    return value


def _reason(data: Mapping[str, Any]) -> str:
    # A missing reason costs an explanation, not the verdict.
    reason = data.get("reason", "")
    return reason if isinstance(reason, str) else str(reason)
