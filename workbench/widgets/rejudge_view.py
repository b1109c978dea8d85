"""What the re-judging panel shows, as JSON for the browser; every text in it is displayable."""

from pathlib import Path
from typing import Any

from workbench.evaluation.compare import FLIP_WORDS, Flip, RunComparison
from workbench.evaluation.leave_one_out import FEWEST, Worth, caution
from workbench.evaluation.panel import SEEN, Judgement, Outlook, compare_judgements
from workbench.evaluation.rejudging import State
from workbench.evaluation.statistics import Difference, Estimate
from workbench.foreign import displayable
from workbench.pairs.comparison import Comparison
from workbench.rubrics.rubric import Rubric
from workbench.vlm.budget import user_prices

AGAINST = ("baseline", "previous")
_SHORT = 60
_NAME = 120
_PROMPT = 600
_PROBLEM = 2000
CHANGED = "changed"
"""Without a label nothing is right or wrong: the verdict is another one, and that is all."""
KINDS = (*FLIP_WORDS.values(), CHANGED)


class KnownComparisons:
    """Comparisons of judgements, each made once: they are asked for with every piece of news."""

    def __init__(self) -> None:
        self._known: list[tuple[Judgement, Judgement, RunComparison | None]] = []

    def of(self, before: Judgement, after: Judgement) -> RunComparison | None:
        for known_before, known_after, found in self._known:
            if known_before is before and known_after is after:
                return found
        found = compare_judgements(before, after)
        self._known = [*self._known[-3:], (before, after, found)]
        return found


def state_view(state: State, compared: KnownComparisons, most_calls: int) -> dict[str, Any]:
    """Everything but images and reasons, which are asked for pair by pair."""
    current = state.current
    sides = {name: side_of(state, name) for name in AGAINST}
    return {
        "mostCalls": most_calls,
        "seen": SEEN,
        "rubric": rubric_name(state.rubric),
        "pairs": len(state.pairs),
        "judged": state.judged,
        "doing": state.doing,
        "done": state.done,
        "wanted": state.wanted,
        "problem": displayable(state.problem, _PROBLEM),
        "outlook": _outlook(state.outlook, most_calls),
        "rows": rows(state),
        "changes": {
            name: changes(side, current, compared) for name, side in sides.items() if side and current is not side
        },
        "leaving": _outlook(state.leaving, most_calls),
        "worths": worths_view(state),
    }


def side_of(state: State, against: str) -> Judgement | None:
    """The judgement that the current one is compared with."""
    return state.first if against == "baseline" else state.previous


def rows(state: State) -> list[dict[str, Any]]:
    """Accuracy of baseline, previous and current judgement on the panel, as far as there are any."""
    named = (("baseline", state.first), ("previous", state.previous), ("current", state.current))
    return [_row(role, judgement) for role, judgement in named if judgement]


def _row(role: str, judgement: Judgement) -> dict[str, Any]:
    results = judgement.results
    return {
        "role": role,
        "name": rubric_name(judgement.rubric),
        "mean": _estimate(results.accuracy.mean),
        "resolved": _estimate(results.accuracy.resolved),
        "invalid": judgement.outcomes["invalid"],
        "error": judgement.outcomes["error"],
        "verdicts": len(judgement.records),
        "wanted": judgement.wanted,
        "unlabelled": results.n_unlabelled,
    }


def changes(before: Judgement, after: Judgement | None, compared: KnownComparisons) -> dict[str, Any] | None:
    """The pairs that flipped, and what the numbers allow; None where no pair was judged both times."""
    found = compared.of(before, after) if after else None
    if found is None or after is None:
        return None
    by_id = {pair.id: pair for pair in after.pairs}
    flips = [_flip(by_id[flip.pair_id], flip, before, after) for flip in found.flips]
    counts = {shown: sum(flip["kind"] == shown for flip in flips) for shown in KINDS}
    return {
        "name": rubric_name(before.rubric),
        "after": rubric_name(after.rubric),
        "n": found.n_pairs,
        "unshared": len(after.pairs) - found.n_pairs,
        "sentence": displayable(found.sentence),
        "test": mcnemar(found),
        "counts": counts,
        "flips": flips,
    }


def mcnemar(comparison: RunComparison) -> str:
    """The exact paired test on pairs right in both orders: `exact McNemar p = 0.22 (5 fixed, 1 broken)`."""
    p, counts = comparison.differences["resolved"].p_mcnemar, comparison.flip_counts
    if p is None:
        return "no pair carries a label: nothing to test"
    # Below 1e-3 digits would claim more than a small panel knows.
    told = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    n = comparison.differences["resolved"].n
    return f"exact McNemar {told} (right in both orders: {counts['fixed']} fixed, {counts['broken']} broken, n = {n})"


def _flip(pair: Comparison, flip: Flip, before: Judgement, after: Judgement) -> dict[str, Any]:
    return {
        "id": pair.id,
        "name": displayable(pair.id, _NAME),
        "kind": CHANGED if pair.ranks is None else flip.word,
        "prompt": displayable(pair.prompt, _PROMPT),
        "label": pair.label,
        "images": len(pair.images),
        "source": pair.source_image is not None,
        "before": [[record.order, record.outcome, record.correct] for record in before.of(pair.id)],
        "after": [[record.order, record.outcome, record.correct] for record in after.of(pair.id)],
    }


def rubric_name(rubric: Rubric | None) -> str:
    """A rubric's name, cut, and the start of its hash, by which versions are told apart."""
    return f"{displayable(rubric.name, _SHORT)} {rubric.hash[:8]}" if rubric else "rubric-free"


def worths_view(state: State) -> dict[str, Any] | None:
    """What each criterion is worth; None until that was asked for, and for another version of the rubric."""
    if state.weighed is None or state.weighed.hash != state.rubric.hash:
        return None
    wanted = len(state.weighed.enabled_criteria())
    return {
        "rows": [_worth(worth) for worth in state.worths],
        "caution": caution(state.worths),
        "missing": wanted - len(state.worths),
        "alone": wanted == 1,
        "fewest": FEWEST,
    }


def _worth(worth: Worth) -> dict[str, Any]:
    return {
        "id": displayable(worth.criterion.id, _NAME),
        "text": displayable(worth.criterion.text, _PROMPT),
        "difference": _estimate(worth.difference),
        "said": worth.said,
        "failed": _failed(worth.comparison),
        "fixed": worth.comparison.flip_counts["fixed"],
        "broken": worth.comparison.flip_counts["broken"],
        "seen": worth.difference.smallest_detectable,
    }


def _failed(comparison: RunComparison) -> str:
    """Verdicts with and without the criterion that failed: `2 invalid, 48 errors`."""
    told = [f"{comparison.invalid} invalid"] if comparison.invalid else []
    told += [f"{comparison.errors} error{'s' * (comparison.errors > 1)}"] if comparison.errors else []
    return ", ".join(told)


def _estimate(number: Estimate) -> dict[str, Any] | None:
    """A number, its interval and n, and how they are said: a difference in points, a share in percent."""
    if number.value is None or number.ci95 is None:
        return None
    low, high = number.ci95
    told = number.points() if isinstance(number, Difference) else number.percent()
    return {"value": number.value, "low": low, "high": high, "n": number.n, "text": told}


def _outlook(expected: Outlook | None, most_calls: int) -> dict[str, Any] | None:
    if expected is None:
        return None
    home, prices = str(Path.home()), str(user_prices())
    where = prices.replace(home, "~", 1) if prices.startswith(home) else prices
    unknown = expected.calls and expected.missing.cost_usd is None
    return {
        "calls": expected.calls,
        "line": expected.line(),
        "hint": f"to know it, add the model to {where}" if unknown else "",
        "tooMany": expected.calls > most_calls,
    }
