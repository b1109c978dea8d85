"""Rubric dropout: a judge that sees other parts of its rubric each time, so that none of them can be played to."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from workbench.judges.verdict import Usage
from workbench.pairs.comparison import Comparison
from workbench.rubrics.rubric import Rubric, RubricError


class RubricDropout:
    """A source of rubrics that leaves out each enabled criterion of one rubric with chance `share`.

        RankingJudge(client, RubricDropout(rubric, 0.3, seed=0))

    - `share`: from 0 up to, and without, 1; one criterion at least stays.

    What is left out hangs on `seed` and the comparison's id alone: it is the same in every order and after a restart.
    """

    def __init__(self, rubric: Rubric, share: float, *, seed: int) -> None:
        if not 0 <= share < 1:
            raise ValueError(f"share is {share}, must be from 0 up to, and without, 1: the chance of being left out")
        if not rubric.enabled_criteria():
            raise RubricError(f"rubric {rubric.name} has no enabled criterion: enable one, or judge without a rubric")
        self.rubric = rubric
        self.share = share
        self.seed = seed

    @property
    def name(self) -> str:
        """The rubric's, with the share."""
        return f"{self.rubric.name}, {self.share:.0%} left out"

    def identity(self) -> dict[str, Any]:
        """Everything that decides its rubrics."""
        return {"source": "dropout", "rubric": self.rubric.hash, "share": self.share, "seed": self.seed}

    async def rubric_for(self, comparison: Comparison) -> Rubric:
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

    def take_usage(self, comparison: Comparison) -> Usage:
        """Nothing: leaving out is free."""
        return Usage()

    def most_calls(self, comparisons: Sequence[Comparison]) -> int:
        """None."""
        return 0
