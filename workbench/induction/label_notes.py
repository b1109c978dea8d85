"""What the labels alone say about seed pairs: how many, how varied, how balanced, and where they contradict."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from workbench.pairs.comparison import Comparison
from workbench.pairs.content import Content, contradictory
from workbench.pairs.prompts import prompt_id

FEWEST = 20
"""Below this, the documentation of Auto-Rubric as Reward wants every criterion reviewed by a person."""
RECOMMENDED = (50, 100)
SKEWED = 0.05
"""Exact binomial p below which winners stand in one position too often."""


@dataclass(frozen=True, slots=True)
class Note:
    """One thing a planner says.

    - `ok`: nothing needs doing. - `count` of `n`: what the message is about, and out of how many.
    - `message`: one or two sentences, with what to do. - `pair_ids`: which comparisons, where it is about some.
    """

    topic: str
    ok: bool
    count: int
    n: int
    message: str
    pair_ids: tuple[str, ...] = ()


def label_notes(comparisons: Sequence[Comparison], shown: Mapping[str, Content]) -> tuple[Note, ...]:
    """Every check that needs no judge, in the order to read them.

    - `comparisons`: labelled or not. - `shown`: their `workbench.pairs.content.contents`.
    """
    labelled = [c for c in comparisons if c.ranks is not None]
    return (
        _size(labelled),
        *_prompts(labelled),
        *_positions(labelled),
        _ties(labelled),
        _contradictions(labelled, shown),
        _duplicates(comparisons, shown),
        _identical(comparisons, shown),
        _unlabelled(comparisons),
    )


def strictly_ranked(comparison: Comparison) -> bool:
    """Whether people ranked the candidates, no two of them alike."""
    return comparison.ranks is not None and not comparison.tied


def _size(labelled: Sequence[Comparison]) -> Note:
    n, (low, high) = len(labelled), RECOMMENDED
    if n <= 2:
        advice = f"nothing general can be induced from so few, label at least {FEWEST}"
    elif n < FEWEST:
        advice = f"under {FEWEST} only with a person reviewing every criterion; label {low - n} more"
    elif n < low:
        advice = f"usable, {low} to {high} are recommended; label {low - n} more"
    elif n <= high:
        advice = f"within the recommended {low} to {high}"
    else:
        advice = f"more than the recommended {low} to {high}; keep some apart for testing"
    return Note("labelled pairs", n >= low, n, n, f"{n} labelled pairs: {advice}.")


def _prompts(labelled: Sequence[Comparison]) -> Iterator[Note]:
    if not labelled:
        return
    counts = Counter(prompt_id(c.prompt) for c in labelled)
    n, prompts = len(labelled), len(counts)
    largest = max(counts.values())
    ok = 2 * prompts >= n and prompts >= min(n, FEWEST)
    advice = "varied" + ("" if n >= FEWEST else ", as far as so few can be")
    if not ok:
        advice = "criteria learn those prompts' subjects; add pairs of other prompts"
    message = f"{n} labelled pairs are of {prompts} prompts, at most {largest} of one: {advice}."
    yield Note("prompts", ok, prompts, n, message)


def _positions(labelled: Sequence[Comparison]) -> Iterator[Note]:
    """Where winners stand; of pairs alone, as with more candidates there is no one position to be skewed to."""
    from workbench.evaluation.statistics import exact_mcnemar, proportion

    pairs = [c for c in labelled if len(c.images) == 2 and strictly_ranked(c)]
    if not pairs:
        return
    first = [c.ranks is not None and c.ranks[0] == 1 for c in pairs]
    n, wins = len(pairs), sum(first)
    p = exact_mcnemar(wins, n - wins)  # the same two-sided binomial test of one half
    share = proportion(first, [prompt_id(c.prompt) for c in pairs])
    assert share.ci95 is not None
    low, high = share.ci95
    always = n > 1 and wins in (0, n)
    skewed = always or p < SKEWED
    place = "first" if 2 * wins >= n else "second"
    often = max(wins, n - wins)
    found = f"{f'all {n}' if always else f'{often} of {n}'} winners stand {place}"
    numbers = f"first: {wins / n:.0%}, 95% interval {low:.0%} to {high:.0%}, exact binomial p = {p:.2g}"
    advice = (
        f"swap images and ranks of about {often - n // 2} of them at random, or a reader of one order learns the place"
        if skewed
        else "no skew to be seen" + ("" if n >= FEWEST else ", though so few pairs hardly show one")
    )
    yield Note("winner position", not skewed, often, n, f"{found} ({numbers}): {advice}.")


def _ties(labelled: Sequence[Comparison]) -> Note:
    tied = tuple(c.id for c in labelled if not strictly_ranked(c))
    if labelled and len(tied) == len(labelled):
        message = f"all {len(tied)} labels are ties, from which no preference can be learned: label pairs that differ."
    elif tied:
        message = (
            f"{len(tied)} of {len(labelled)} labels are ties, which explain nothing: leave them out or decide them."
        )
    else:
        message = f"none of {len(labelled)} labels is a tie."
    return Note("ties", not tied, len(tied), len(labelled), message, tied)


def _contradictions(labelled: Sequence[Comparison], shown: Mapping[str, Content]) -> Note:
    found = contradictory(labelled, shown)
    n = len(labelled)
    message = (
        f"{len(found)} of {n} pairs show the same prompt and images as another with the opposite label: decide which "
        "is right and drop the other, or drop both."
        if found
        else f"none of {n} labels contradicts another on the same images."
    )
    return Note("contradictory labels", not found, len(found), n, message, found)


def _duplicates(comparisons: Sequence[Comparison], shown: Mapping[str, Content]) -> Note:
    """Comparisons of what an earlier one shows already; those of opposite labels are here as well."""
    seen: set[Content] = set()
    repeated = []
    for c in comparisons:
        if shown[c.id].unordered in seen:
            repeated.append(c.id)
        seen.add(shown[c.id].unordered)
    n = len(comparisons)
    message = (
        f"{len(repeated)} of {n} pairs show the same prompt and images as an earlier one: keep one of each, or it "
        "counts twice."
        if repeated
        else f"none of {n} pairs repeats another."
    )
    return Note("duplicates", not repeated, len(repeated), n, message, tuple(repeated))


def _identical(comparisons: Sequence[Comparison], shown: Mapping[str, Content]) -> Note:
    same = tuple(c.id for c in comparisons if len(set(shown[c.id].images)) < len(c.images))
    n = len(comparisons)
    message = (
        f"{len(same)} of {n} pairs hold the same image twice: remove them, no criterion tells their candidates apart."
        if same
        else f"none of {n} pairs holds the same image twice."
    )
    return Note("identical candidates", not same, len(same), n, message, same)


def _unlabelled(comparisons: Sequence[Comparison]) -> Note:
    ids = tuple(c.id for c in comparisons if c.ranks is None)
    n = len(comparisons)
    message = f"{len(ids)} of {n} pairs have no label" + (
        "; where a judge disagrees with itself says which to label next." if ids else "."
    )
    return Note("unlabelled", True, len(ids), n, message, ids)
