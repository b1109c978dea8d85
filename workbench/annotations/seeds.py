"""Labelled pairs from what people said, to induce a rubric from."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from workbench.annotations.annotation import SKIP, TIE, Annotation
from workbench.annotations.log import latest
from workbench.annotations.placing import place
from workbench.annotations.raters import majority, people_labels
from workbench.pairs.comparison import Comparison

MAJORITY, UNANIMOUS = "majority", "unanimous"


@dataclass(frozen=True, slots=True)
class Labelled:
    """Pairs with the ranks people gave, and what became of the others.

    - `comparisons`: as in the dataset, ranks from the annotations alone. Of three candidates and more the one named is
      ranked 1, the others 2.
    - `ties`: how many of them are ties. - `unresolved`: ids on which people differ too much for the rule.
    - `skipped`: ids on which there are only skips. - `unlabelled`: how many pairs nobody judged.
    - `orphans`: how many annotations are about no pair.
    """

    comparisons: tuple[Comparison, ...]
    ties: int
    unresolved: tuple[str, ...]
    skipped: tuple[str, ...]
    unlabelled: int
    orphans: int

    def summary(self) -> str:
        """One sentence on what is in and what is not."""
        return (
            f"{len(self.comparisons):,} labelled pairs, {self.ties:,} of them ties, which induce sets aside; "
            f"left out: {len(self.unresolved):,} unresolved, {len(self.skipped):,} skipped, "
            f"{self.unlabelled:,} without a label, and {self.orphans:,} annotations about no pair"
        )


def labelled(comparisons: Sequence[Comparison], annotations: Iterable[Annotation], *, rule: str = MAJORITY) -> Labelled:
    """The pairs that people labelled, with their label in place of the dataset's.

    - `rule`: `majority` of those who labelled a pair (more than half; a skip has no say), `unanimous`, or an author's
      name, whose labels alone are taken.

    Raises `ValueError` for a rule that is none of these.
    """
    placed = place(annotations, comparisons)
    people = people_labels(placed.at_home)
    agreed = _agreed(people, rule)
    said = {pair_id for labels in people.values() for pair_id in labels}
    if rule in people:
        said = set(people[rule])
    skipping = {id for (id, author), each in latest(placed.at_home).items() if _skips(each, author, rule, people)}
    named = [replace(c, ranks=_ranks(agreed[c.id], len(c.images)), scores=None) for c in comparisons if c.id in agreed]
    unresolved = [c.id for c in comparisons if c.id in said and c.id not in agreed]
    skipped = [c.id for c in comparisons if c.id in skipping and c.id not in said]
    return Labelled(
        comparisons=tuple(named),
        ties=sum(label == TIE for label in agreed.values()),
        unresolved=tuple(unresolved),
        skipped=tuple(skipped),
        unlabelled=len(comparisons) - len(named) - len(unresolved) - len(skipped),
        orphans=len(placed.orphans),
    )


def _agreed(people: dict[str, dict[str, str]], rule: str) -> dict[str, str]:
    if rule == MAJORITY:
        return majority(people)
    if rule == UNANIMOUS:
        given: dict[str, set[str]] = defaultdict(set)
        for labels in people.values():
            for pair_id, label in labels.items():
                given[pair_id].add(label)
        return {pair_id: labels.pop() for pair_id, labels in given.items() if len(labels) == 1}
    if rule in people:
        return people[rule]
    known = ", ".join([MAJORITY, UNANIMOUS, *people])
    raise ValueError(f"rule is {rule!r}, which is no rule and nobody who labelled these pairs; choose one of {known}")


def _skips(annotation: Annotation, author: str, rule: str, people: dict[str, dict[str, str]]) -> bool:
    return annotation.label == SKIP and (rule not in people or author == rule)


def _ranks(label: str, candidates: int) -> tuple[int, ...]:
    if label == TIE:
        return (1,) * candidates
    winner = ord(label) - ord("a")
    return tuple(1 if i == winner else 2 for i in range(candidates))
