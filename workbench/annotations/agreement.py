"""How far people agree with each other, with judges and with the dataset's own label, and where they do not."""

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from workbench.annotations.annotation import Annotation, plain_name, shown
from workbench.annotations.compared import Agreement, Kind, name
from workbench.annotations.log import latest
from workbench.annotations.placing import place
from workbench.annotations.raters import Labels, majority, people_labels
from workbench.annotations.reliability import (
    MISSING,
    cohen,
    coincidence_tables,
    crossed_tables,
    estimate,
    krippendorff,
    percent_agreement,
    resampled_tables,
)
from workbench.evaluation.statistics import Estimate, Ints
from workbench.pairs.comparison import Comparison
from workbench.pairs.prompts import prompt_id

MAJORITY, LABEL = "the majority", "the dataset's label"
SIMULATED = "sim-"
"""Simulated people of the embedded world are called so; what they say is synthetic."""

DRAWS = 2000


@dataclass(frozen=True, slots=True)
class DisputedPair:
    """A pair people see differently: each one's label and note, and the share of couples who disagree, in (0, 1]."""

    pair_id: str
    labels: Mapping[str, str]
    notes: Mapping[str, str]
    share: float

    @property
    def text(self) -> str:
        """Who says what, as a note to put beside the pair: `ada: a · ben: b (the hand has six fingers)`."""
        said = [f"{author}: {label}{self._note(author)}" for author, label in self.labels.items()]
        return " · ".join(said)

    def _note(self, author: str) -> str:
        return f" ({self.notes[author]})" if author in self.notes else ""


@dataclass(frozen=True, slots=True)
class AgreementReport:
    """Agreement between people, and of them with judges and with the dataset's label.

    - `disagreements`: the pairs people see differently, most disputed first. - `orphans`: annotations about no pair.
    """

    people: Mapping[str, int]
    rows: tuple[Agreement, ...]
    disagreements: tuple[DisputedPair, ...]
    orphans: int
    synthetic: bool

    @property
    def ids(self) -> list[str]:
        """The disputed pairs, for `PairViewer.filter`."""
        return [each.pair_id for each in self.disagreements]

    @property
    def notes(self) -> dict[str, str]:
        """Who says what of each disputed pair, for `PairViewer(notes=...)`."""
        return {each.pair_id: each.text for each in self.disagreements}

    def to_text(self, most: int = 10) -> str:
        """The table for a terminal, and the `most` disputed pairs."""
        wrap = textwrap.TextWrapper(110, subsequent_indent="  ", break_on_hyphens=False)
        wrapped = [line for each in self.sentences() for line in wrap.wrap(each)]
        return "\n".join([*_table(self), "", *wrapped, *_disputed(self, most)])

    def sentences(self) -> list[str]:
        """What the numbers allow one to say: of people together in full, of the others who shares a conclusion."""
        people = [row for row in self.rows if row.kind in ("people", "everyone")]
        shared: dict[str, list[str]] = defaultdict(list)
        for row in (row for row in self.rows if row not in people[-1:]):
            shared[row.conclusion].append(name(row))
        said = [f"{name(row)}, {row.sentence}." for row in people[-1:]]
        said += [f"{conclusion[0].upper()}{conclusion[1:]}: {'; '.join(who)}." for conclusion, who in shared.items()]
        return [*said, *self.remarks()]

    def remarks(self) -> list[str]:
        """What holds for the report as a whole, a sentence each."""
        said = []
        if len(self.people) < 2:
            who = f"Only {shown(next(iter(self.people)))} labelled pairs" if self.people else "Nobody labelled a pair"
            said.append(f"{who}: agreement between people needs two who labelled the same pairs.")
        alike: dict[str, list[str]] = defaultdict(list)
        for author in self.people:
            alike[plain_name(author)].append(author)
        for authors in alike.values():
            if len(authors) > 1:
                named = ", ".join(shown(author) for author in authors)
                said.append(f"{named}: alike but for case, spaces or hidden signs. Is it one person, who counts twice?")
        if self.orphans:
            said.append(f"{self.orphans:,} annotations are about no pair of this dataset and are in no number.")
        if self.synthetic:
            said.append("Synthetic: these people are simulated, or the judge is.")
        return said


def agreement(
    comparisons: Sequence[Comparison],
    annotations: Iterable[Annotation],
    judges: Mapping[str, Labels] | None = None,
    *,
    seed: int = 0,
    synthetic: bool = False,
) -> AgreementReport:
    """Agreement between every two people, over all of them, and of each of them, and the majority, with the rest.

    Skips are missing, ties a category. Intervals of kappa and alpha come from resampling prompts, `seed` is theirs.

    - `judges`: `raters.judge_labels` of each judge's verdicts, by its name.
    - `synthetic`: whether a judge is; people are where a name begins with `sim-`.
    """
    placed = place(annotations, comparisons)
    at_home = placed.at_home
    people = people_labels(at_home)
    basis = _Basis(comparisons, seed)
    rows = [basis.row("people", (a, people[a]), (b, people[b])) for a, b in combinations(people, 2)]
    if len(people) > 2:
        rows.append(basis.row("everyone", *people.items()))
    by_name: dict[str, Labels] = dict(people)
    if len(people) > 1:
        by_name[MAJORITY] = majority(people)
    if label := {c.id: c.label for c in comparisons if c.label is not None}:
        rows += [basis.row("label", rater, (LABEL, label)) for rater in by_name.items()]
    for judge, labels in (judges or {}).items():
        rows += [basis.row("judge", rater, (judge, labels)) for rater in by_name.items()]
    return AgreementReport(
        people={author: len(labels) for author, labels in people.items()},
        rows=tuple(rows),
        disagreements=tuple(_disagreements(comparisons, people, at_home)),
        orphans=len(placed.orphans),
        synthetic=synthetic or any(author.startswith(SIMULATED) for author in people),
    )


@dataclass(frozen=True, slots=True)
class _Basis:
    """The pairs on which raters are compared, and how their intervals are drawn."""

    comparisons: Sequence[Comparison]
    seed: int

    def row(self, kind: Kind, *raters: tuple[str, Labels]) -> Agreement:
        between = tuple(rater for rater, _ in raters)
        codes, prompts, categories = self._codes([labels for _, labels in raters])
        n, n_prompts = len(codes), len(np.unique(prompts))
        percent = percent_agreement(codes, prompts)
        if n == 0:
            empty = Estimate(None, None, 0)
            return Agreement(between, kind, 0, 0, empty, empty, empty)
        met = coincidence_tables(codes, categories)
        drawn = resampled_tables(met, prompts, seed=self.seed, draws=DRAWS)
        alpha = estimate(krippendorff(met.sum(axis=0)), krippendorff(drawn), percent)
        kappa = Estimate(None, None, n)
        if len(raters) == 2:
            crossed = crossed_tables(codes, categories)
            drawn = resampled_tables(crossed, prompts, seed=self.seed, draws=DRAWS)
            kappa = estimate(cohen(crossed.sum(axis=0)), cohen(drawn), percent)
        return Agreement(between, kind, n, n_prompts, percent, kappa, alpha)

    def _codes(self, raters: Sequence[Labels]) -> tuple[Ints, Ints, int]:
        """Labels as (n, raters) numbers and the prompts as (n,), of the pairs with two labels or more."""
        both = [c for c in self.comparisons if sum(c.id in labels for labels in raters) > 1]
        categories = {label: i for i, label in enumerate(sorted({label for each in raters for label in each.values()}))}
        prompts = {prompt: i for i, prompt in enumerate(dict.fromkeys(prompt_id(c.prompt) for c in both))}
        codes = [[categories[each[c.id]] if c.id in each else MISSING for each in raters] for c in both]
        return (
            np.array(codes, dtype=np.int64).reshape(len(both), len(raters)),
            np.array([prompts[prompt_id(c.prompt)] for c in both], dtype=np.int64),
            len(categories),
        )


def _disagreements(
    comparisons: Sequence[Comparison], people: Mapping[str, Labels], annotations: Sequence[Annotation]
) -> list[DisputedPair]:
    said = latest(annotations)
    found = []
    for comparison in comparisons:
        labels = {author: given[comparison.id] for author, given in people.items() if comparison.id in given}
        couples = list(combinations(labels.values(), 2))
        differing = sum(one != other for one, other in couples)
        if differing:
            notes = {author: said[comparison.id, author].note for author in labels}
            notes = {author: note for author, note in notes.items() if note}
            found.append(DisputedPair(comparison.id, labels, notes, differing / len(couples)))
    return sorted(found, key=lambda each: (-each.share, -len(each.labels)))


def _table(report: AgreementReport) -> list[str]:
    cells = [
        (name(row), f"{row.n:,}", f"{row.n_prompts:,}", row.percent.shown(".1%"), row.kappa.shown(), row.alpha.shown())
        for row in report.rows
    ]
    head = ("agreement, 95% intervals", "pairs", "prompts", "percent", "Cohen's kappa", "Krippendorff's alpha")
    widths = [max(len(row[i]) for row in [head, *cells]) for i in range(len(head))]
    align = "<>><<<"
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, align, widths, strict=True)).rstrip()
        for row in [head, *cells]
    ]


def _disputed(report: AgreementReport, most: int) -> list[str]:
    if not report.disagreements:
        return []
    total = len(report.disagreements)
    head = f"{total:,} pairs are disputed" + (f"; the {most} most disputed:" if total > most else ":")
    lines = [f"  {shown(each.pair_id)}: {shown(each.text, 160)}" for each in report.disagreements[:most]]
    return ["", head, *lines]
