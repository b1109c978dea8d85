"""Rubric dropout: a judge that sees other parts of its rubric each time, so that none of them can be played to."""

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from workbench.judges.verdict import Judge, Verdict
from workbench.pairs.comparison import Comparison
from workbench.rubrics.rubric import Rubric, RubricError


class RubricDropout:
    """Judges every comparison by a rubric from which each enabled criterion is left out with chance `share`.

        RubricDropout(lambda rubric: RankingJudge(client, rubric), rubric, 0.3, seed=0)

    - `judge`: the judge of a rubric.
    - `share`: from 0 up to, and without, 1; one criterion at least stays.

    What is left out hangs on `seed` and the comparison's id alone: it is the same in every order and after a restart.
    """

    def __init__(self, judge: Callable[[Rubric], Judge], rubric: Rubric, share: float, *, seed: int) -> None:
        if not 0 <= share < 1:
            raise ValueError(f"share is {share}, must be from 0 up to, and without, 1: the chance of being left out")
        if not rubric.enabled_criteria():
            raise RubricError(f"rubric {rubric.name} has no enabled criterion: enable one, or judge without a rubric")
        self.rubric = rubric
        self.share = share
        self.seed = seed
        self._judge = judge
        self._whole = judge(rubric)

    @property
    def name(self) -> str:
        """The judge's, with the share."""
        return f"{self._whole.name}, {self.share:.0%} left out"

    @property
    def pointwise(self) -> bool:
        """Whether the judge scores each candidate by itself."""
        return bool(getattr(self._whole, "pointwise", False))

    def identity(self) -> dict[str, Any]:
        """Everything that decides its verdicts."""
        return {"judge": "dropout", "share": self.share, "seed": self.seed, "of": self._whole.identity()}

    def rubric_for(self, comparison: Comparison) -> Rubric:
        """What stays of the rubric for this comparison."""
        digest = hashlib.sha256(f"{self.seed}|{comparison.id}".encode()).digest()
        draw = random.Random(digest)
        ids = [criterion.id for criterion in self.rubric.enabled_criteria()]
        kept = {each for each in ids if draw.random() >= self.share} or {draw.choice(ids)}
        themes = tuple(
            replace(theme, criteria=tuple(each for each in theme.criteria if each.id in kept))
            for theme in self.rubric.themes
        )
        return replace(self.rubric, themes=themes)

    async def compare(self, comparison: Comparison, order: Sequence[int], sample: int = 0) -> Verdict:
        """Judge by what stays; `Verdict.rubric` is its hash."""
        rubric = self.rubric_for(comparison)
        verdict = await self._judge(rubric).compare(comparison, order, sample)
        return replace(verdict, rubric=rubric.hash)
