"""Seed pairs a rubric can be induced from, and what is set aside."""

from collections.abc import Sequence

from workbench.pairs.comparison import Comparison, Task


class EmptyRubric(ValueError):
    """No criterion survived."""


def check_seeds(seeds: Sequence[Comparison]) -> Task:
    """The task of labelled seeds without ties.

    Raises `ValueError` naming the seeds that are unlabelled or tied, and for none at all or several tasks.
    """
    if not seeds:
        raise ValueError("no seed pairs were given; induction needs at least one labelled pair")
    if unlabelled := [seed.id for seed in seeds if seed.ranks is None]:
        raise ValueError(f"seed pairs without ranks: {', '.join(unlabelled)}; label them or leave them out")
    if tied := [seed.id for seed in seeds if len(set(seed.ranks or ())) < len(seed.images)]:
        raise ValueError(
            f"seed pairs with ties: {', '.join(tied)}; the recipe explains a strict ranking, leave them out"
        )
    tasks = {seed.task for seed in seeds}
    if len(tasks) > 1:
        raise ValueError(f"seed pairs of several tasks: {', '.join(sorted(tasks))}; a rubric is for one of them")
    return tasks.pop()
