"""Why an induction ends without the rubric it was to give."""

from workbench.rubrics.rubric import Rubric
from workbench.vlm.errors import BudgetSpent


class SilentJudge(ValueError):
    """The judge gave no valid verdict at all, so nothing can be chosen by its verdicts."""


class PartialRubric(BudgetSpent):
    """The budget ended half-way.

    - `rubric`: what there is by then; its provenance says under `partial` what was not done.
    """

    def __init__(self, message: str, rubric: Rubric) -> None:
        super().__init__(message)
        self.rubric = rubric
