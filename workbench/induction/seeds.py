"""Seed pairs a rubric can be induced from, and what is set aside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workbench.pairs.checks import check_ranked
from workbench.pairs.comparison import Comparison, Task
from workbench.pairs.content import contents, contradictory


class EmptyRubric(ValueError):
    """No criterion survived."""


def check_seeds(seeds: Sequence[Comparison]) -> Task:
    """The task of labelled seeds without ties. Raises `ValueError` as `check_ranked` does."""
    return check_ranked(seeds, "seed pairs")


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
    aside |= {seed.id: "tied: says nothing about what people prefer" for seed in seeds if seed.tied}
    pairs = tuple(seed for seed in seeds if seed.id not in aside)
    if seeds and not pairs:
        reasons = "; ".join(f"{id}: {why}" for id, why in list(aside.items())[:3])
        raise ValueError(
            f"none of {len(seeds)} seed pairs can be learned from ({reasons}); label pairs people do separate"
        )
    return UsableSeeds(pairs, check_seeds(pairs), aside)
