"""A judge of the shapes world that makes no mistakes: it measures how far a picture does what was asked."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from workbench.judges.verdict import Verdict
from workbench.pairs.comparison import Comparison, ImageSource
from workbench.pairs.images import decode
from workbench.pairs.labels import rank_scores
from workbench.pairs.sources import ImageError, read_bytes
from workbench.shapes.attributes import FIDELITY, satisfaction
from workbench.shapes.measure import observe
from workbench.shapes.scene import Observation

STEP = 0.02
"""Scores are rounded to this: two backgrounds that differ by a shade are equal."""
MET = 0.9
"""From here on a criterion counts as met: one object too many is not nearly right."""


class OracleJudge:
    """Scores every candidate by what its prompt asks for: count, colour, shape, presence, relation and size, or for an
    edit that it was carried out and that nothing else changed; 0 is worst, 1 is right in everything.

    Half of the score is how far each is met, on average, half the share of those that are met.

    Sharpness, background and composition do not count. What it measures are pixels, so a picture may deceive it; a
    second measurer should have the last word.
    """

    name = "oracle"
    pointwise = True

    def identity(self) -> dict[str, Any]:
        """Everything that decides its verdicts."""
        return {"judge": "shapes oracle", "step": STEP, "met": MET}

    async def compare(self, comparison: Comparison, order: Sequence[int], sample: int = 0) -> Verdict:
        """Scores and ranks; `order` and `sample` change nothing.

        A picture that cannot be read is a failed verdict. Raises `ValueError` for a prompt of another world, and for
        an edit without its source.
        """
        try:
            source = None if comparison.source_image is None else _look(comparison.source_image)
            seen = [_look(image) for image in comparison.images]
        except ImageError as error:
            return Verdict(ranks=None, failure="error", detail=str(error))
        scores = tuple(_score(comparison, each, source) for each in seen)
        reason = ", ".join(f"image {i}: {score:.2f}" for i, score in enumerate(scores, start=1))
        return Verdict(ranks=rank_scores(scores), scores=scores, reason=reason)


def _look(image: ImageSource) -> Observation:
    return observe(decode(read_bytes(image)))


def _score(comparison: Comparison, seen: Observation, source: Observation | None) -> float:
    satisfied = satisfaction(comparison.task, comparison.prompt, seen, source)
    values = [satisfied[name] for name in FIDELITY[comparison.task]]
    score = (fmean(values) + fmean(value >= MET for value in values)) / 2
    return round(round(score / STEP) * STEP, 9)
