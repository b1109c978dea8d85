"""Where a judge's rubric comes from: one for all comparisons, or one for each prompt."""

from collections.abc import Sequence
from typing import Any, Protocol

from workbench.judges.verdict import Usage
from workbench.pairs.comparison import Comparison
from workbench.rubrics.rubric import Rubric


class RubricSource(Protocol):
    """Gives every comparison its rubric; it never looks at the comparison's ranks or scores."""

    @property
    def name(self) -> str:
        """A short name for tables."""

    def identity(self) -> dict[str, Any]:
        """Everything that decides its rubrics, as JSON."""

    async def rubric_for(self, comparison: Comparison) -> Rubric | None:
        """The rubric to judge a comparison by; None to judge it without one.

        Raises `workbench.vlm.errors.StopRun` when going on is pointless, and `ValueError` for another task.
        """

    def take_usage(self, comparison: Comparison) -> Usage:
        """What a comparison's rubric took and no verdict has been charged with yet; zero when asked again."""

    def most_calls(self, comparisons: Sequence[Comparison]) -> int:
        """The most calls the rubrics of `comparisons` can take."""


class FixedRubric:
    """One rubric for every comparison; a judge given this is the judge given the rubric itself."""

    def __init__(self, rubric: Rubric) -> None:
        self.rubric = rubric

    @property
    def name(self) -> str:
        """The rubric's name."""
        return self.rubric.name

    def identity(self) -> dict[str, Any]:
        """The rubric's hash."""
        return {"source": "fixed", "rubric": self.rubric.hash}

    async def rubric_for(self, comparison: Comparison) -> Rubric | None:
        """Always the same."""
        return self.rubric

    def take_usage(self, comparison: Comparison) -> Usage:
        """Nothing."""
        return Usage()

    def most_calls(self, comparisons: Sequence[Comparison]) -> int:
        """None."""
        return 0


def apart(given: Rubric | RubricSource | None) -> tuple[Rubric | None, RubricSource | None]:
    """The rubric, where it is one for all comparisons, or else the source."""
    if isinstance(given, FixedRubric):
        return given.rubric, None
    return (given, None) if isinstance(given, Rubric) else (None, given)
