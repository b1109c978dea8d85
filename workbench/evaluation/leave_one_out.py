"""What each criterion is worth: the rubric against itself without that criterion, on the same pairs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from workbench.evaluation.compare import RunComparison
from workbench.evaluation.panel import Judgement, compare_judgements
from workbench.evaluation.statistics import Difference
from workbench.rubrics.rubric import Criterion, Rubric

FEWEST = 20
"""Pairs below which no worth is told apart from chance here, whatever the numbers look like."""


@dataclass(frozen=True, slots=True)
class Worth:
    """One criterion's worth: mean accuracy with it minus without it, over pairs judged in both orders both times.

    - `comparison`: A is without, B is with the criterion; so `fixed` pairs are right only with it.
    """

    criterion: Criterion
    comparison: RunComparison

    @property
    def difference(self) -> Difference:
        """In mean accuracy; `better` means that the criterion helps."""
        return self.comparison.differences["mean"]

    @property
    def said(self) -> str:
        """What these numbers allow: `helps`, `hurts`, `undecided` or `too few pairs`."""
        difference = self.difference
        if difference.n < FEWEST or difference.smallest_detectable is None:
            return "too few pairs"
        return {"better": "helps", "worse": "hurts", "undecided": "undecided"}[difference.verdict]


def without(rubric: Rubric, criterion_id: str) -> Rubric | None:
    """The rubric with one criterion switched off; None, which is rubric-free, where it was the only one."""
    themes = tuple(
        replace(theme, criteria=tuple(replace(c, enabled=c.enabled and c.id != criterion_id) for c in theme.criteria))
        for theme in rubric.themes
    )
    left = replace(rubric, name=f"{rubric.name} without {criterion_id}", themes=themes)
    return left if left.enabled_criteria() else None


def rubrics_left(rubric: Rubric) -> list[Rubric | None]:
    """The rubric itself, then the rubric without each enabled criterion in turn: what has to be judged."""
    return [rubric, *(without(rubric, criterion.id) for criterion in rubric.enabled_criteria())]


def worths(rubric: Rubric, judgements: Sequence[Judgement]) -> list[Worth]:
    """The worth of each enabled criterion, in the rubric's order, from judgements on `rubrics_left(rubric)`.

    A criterion no shared pair was judged for, as the run was cut short, is left out.
    """
    if not judgements:
        return []
    whole, *less = judgements
    compared = (
        (criterion, compare_judgements(each, whole))
        for criterion, each in zip(rubric.enabled_criteria(), less, strict=False)
    )
    return [Worth(criterion, comparison) for criterion, comparison in compared if comparison]


def caution(found: Sequence[Worth]) -> str:
    """What to keep in mind when reading several intervals at once."""
    if not found:
        return "No criterion has been left out yet."
    n = max(worth.difference.n for worth in found)
    few = f" With {n} pairs, fewer than {FEWEST}, nothing is claimed." if n < FEWEST else ""
    chance = 0.05 * len(found)
    return (
        f"Each interval is 95% on its own: of {len(found)} criteria worth nothing, {chance:.2g} would look decided "
        f"by chance on average. Criteria that say the same cover for each other, so each may look worth nothing.{few}"
    )
