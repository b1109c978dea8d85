"""What comparisons must be for a purpose; each fault is said in one way, naming how many have it and which."""

from collections.abc import Sequence

from workbench.pairs.comparison import Comparison, Task
from workbench.pairs.problems import printable

MOST_CANDIDATES = 26
"""A verdict names its winner by one letter."""
NAMED = 5
"""Ids a message lists."""


def check_ranked(comparisons: Sequence[Comparison], called: str = "comparisons") -> Task:
    """The one task of comparisons from which a preference can be learned: labelled, and without ties.

    - `called`: what they are, for messages.

    Raises `ValueError` as `one_task` and `check_images` do, and for comparisons without ranks or with ties.
    """
    task = one_task(comparisons, called)
    check_images(comparisons, called)
    _refuse(comparisons, called, [c.id for c in comparisons if c.ranks is None], "without ranks", "label them")
    tied = [c.id for c in comparisons if c.tied]
    _refuse(comparisons, called, tied, "with ties", "decide which candidate people prefer")
    return task


def one_task(comparisons: Sequence[Comparison], called: str = "comparisons") -> Task:
    """The task of all. Raises `ValueError` for none and for several tasks."""
    if not comparisons:
        raise ValueError(f"no {called} were given; give at least one")
    if len(tasks := sorted({c.task for c in comparisons})) > 1:
        raise ValueError(f"{called} of several tasks: {', '.join(tasks)}; a rubric is for one of them, pick it")
    return comparisons[0].task


def check_images(comparisons: Sequence[Comparison], called: str = "comparisons") -> None:
    """Raises `ValueError` for comparisons a judge cannot compare: of one image, or of more than `MOST_CANDIDATES`."""
    odd = [c.id for c in comparisons if not 2 <= len(c.images) <= MOST_CANDIDATES]
    _refuse(comparisons, called, odd, f"without 2 to {MOST_CANDIDATES} images", "show that many")


def check_task(comparisons: Sequence[Comparison], rubric: str, task: Task, called: str = "comparisons") -> None:
    """Raises `ValueError` where comparisons are not of the task of the rubric called `rubric`."""
    if other := next((c.task for c in comparisons if c.task != task), None):
        raise ValueError(
            f"rubric {rubric!r} is for task {task}, the {called} are of task {other}; choose a rubric for {other}, or "
            "correct the rubric's `task`"
        )


def _refuse(comparisons: Sequence[Comparison], called: str, ids: Sequence[str], fault: str, remedy: str) -> None:
    if ids:
        more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
        raise ValueError(
            f"{len(ids)} of {len(comparisons)} {called} {fault}: {printable(', '.join(ids[:NAMED]))}{more}; "
            f"{remedy}, or leave them out"
        )
