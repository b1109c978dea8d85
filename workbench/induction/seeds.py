"""Seed pairs a rubric can be induced from, and what is set aside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workbench.pairs.comparison import Comparison, Task
from workbench.pairs.content import contents, contradictory


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


@dataclass(frozen=True, slots=True)
class UsableSeeds:
    """Seeds that say which candidate people preferred; `aside`: why others were set aside, by id."""

    pairs: tuple[Comparison, ...]
    task: Task
    aside: Mapping[str, str]


def usable_seeds(seeds: Sequence[Comparison], *, allow_urls: bool = False) -> UsableSeeds:
    """The seeds without ties and without those that contradict another: `workbench.pairs.content.contradictory`.

    Every image is read once, to tell the same picture under other names.

    Raises `ValueError` when none is left, and as `check_seeds` does.
    """
    contrary = contradictory(seeds, contents(seeds, allow_urls=allow_urls))
    why = "contradictory: the same pictures for the same prompt are also labelled the other way"
    aside = dict.fromkeys(contrary, why)
    aside |= {seed.id: "tied: says nothing about what people prefer" for seed in seeds if _tied(seed)}
    pairs = tuple(seed for seed in seeds if seed.id not in aside)
    if seeds and not pairs:
        reasons = "; ".join(f"{id}: {why}" for id, why in list(aside.items())[:3])
        raise ValueError(
            f"none of {len(seeds)} seed pairs can be learned from ({reasons}); label pairs people do separate"
        )
    return UsableSeeds(pairs, check_seeds(pairs), aside)


def _tied(seed: Comparison) -> bool:
    return seed.ranks is not None and len(set(seed.ranks)) < len(seed.images)
