"""Why an induction ends without the rubric it was to give."""

from collections.abc import Sequence

from workbench.evaluation.record import VerdictRecord
from workbench.rubrics.rubric import Rubric
from workbench.vlm.errors import BudgetSpent


class SilentJudge(ValueError):
    """Most of the judge's verdicts failed, so nothing can be concluded from the others."""


def check_answered(records: Sequence[VerdictRecord]) -> None:
    """Raises `SilentJudge` when more than half of the verdicts failed."""
    failed = [record for record in records if record.ranks is None]
    if 2 * len(failed) > len(records):
        raise SilentJudge(
            f"{len(failed)} of {len(records)} verdicts of the judge failed, too many to conclude anything, the last: "
            f"{failed[-1].detail}; the same command asks for errors again"
        )


class PartialRubric(BudgetSpent):
    """The budget ended half-way.

    - `rubric`: what there is by then; its provenance says under `partial` what was not done.
    """

    def __init__(self, message: str, rubric: Rubric) -> None:
        super().__init__(message)
        self.rubric = rubric
