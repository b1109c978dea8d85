"""Where a judge's rubrics come from when prompts have their own; one for all comparisons is a plain `Rubric`."""

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


def apart(given: Rubric | RubricSource | None) -> tuple[Rubric | None, RubricSource | None]:
    """The rubric, where it is one for all comparisons, or else the source."""
    return (given, None) if isinstance(given, Rubric) else (None, given)
