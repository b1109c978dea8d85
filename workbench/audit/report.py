"""The one table of an audit: what was measured, its interval, a plain word and what it means."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from workbench.audit.arms import Arm
from workbench.audit.measures import estimate, smallest_change
from workbench.audit.questions import Question, questions
from workbench.audit.words import Word, meaning
from workbench.evaluation.table import VerdictTable
from workbench.pairs.comparison import Comparison

Unit = Literal["share", "points", "times", "count", "dollars"]


@dataclass(frozen=True, slots=True)
class Row:
    """One number of an audit; `value` is None where it was not measured, and `meaning` says why.

    - `unit`: a share in [0, 1], a difference of shares (shown in points), a ratio to rubric-free, a count, US dollars.
    - `n`: pairs behind it; for counts, what was counted in. - `ci95`: None where nothing was estimated.
    """

    section: str
    measure: str
    unit: Unit
    value: float | None
    ci95: tuple[float, float] | None
    n: int
    word: Word
    meaning: str

    def shown(self) -> str:
        """The number in its unit, with its interval.

        >>> Row("cost", "calls", "count", 1200, None, 0, "ok", "").shown()
        '1,200'
        """
        if self.value is None:
            return "-"
        return " ".join(filter(None, (_shown(self.value, self.unit), _interval(self))))


@dataclass(frozen=True, slots=True)
class Audit:
    """A rubric's audit.

    - `notes`: what makes the numbers mean less than they seem to.
    - `complete`: False when a budget ended it half-way; the same call goes on.
    """

    path: Path
    rubric: str
    dataset: str
    model: str
    rows: Sequence[Row]
    notes: Sequence[str]
    complete: bool
    synthetic: bool

    def row(self, measure: str) -> Row:
        """The row of one measure; raises `KeyError`."""
        return {row.measure: row for row in self.rows}[measure]

    def differences(self) -> dict[str, Row]:
        """The measured rows that are paired differences, as `plots.difference_figure` draws them."""
        return {row.measure: row for row in self.rows if row.unit == "points" and row.value is not None}

    def to_json(self) -> dict[str, Any]:
        """The content of `audit.json`."""
        data = {name: value for name, value in asdict(self).items() if name != "path"}
        return {"schema": "workbench.audit/1", **data}

    def to_text(self) -> str:
        """The table for a terminal, each row's sentence below it."""
        lines = [f"audit of {self.rubric} on {self.dataset}, model {self.model}", ""]
        lines.append(f"{'':42}{'value':>8}  {'95% interval':<18}{'n':>7}  verdict")
        section = ""
        for row in self.rows:
            if row.section != section:
                section = row.section
                lines.append(section)
            lines += _lines(row)
        lines += ["", *self.notes] if self.notes else []
        lines += [] if self.complete else ["", "not complete: run the same command again to go on"]
        lines += ["synthetic: this judge is of the embedded world"] if self.synthetic else []
        return "\n".join(lines)


def measured_rows(
    tables: Mapping[Arm, VerdictTable],
    comparisons: Sequence[Comparison],
    missing: Mapping[Arm, str],
    *,
    clusters: Mapping[str, int] | None = None,
) -> Iterator[Row]:
    """A row for each question.

    - `tables`: the arms' verdicts. - `missing`: why an arm has none.
    - `clusters`: which pairs belong together, by pair id; without it those of one prompt.
    """
    chance = float(np.mean([1 / math.factorial(len(each.images)) for each in comparisons]))
    worst = worst_candidates(comparisons)
    for question in questions(chance):
        unit: Unit = "share" if question.scale == "share" else "points"
        if why := _unusable(question, tables, missing):
            yield Row(question.section, question.measure, unit, None, None, 0, "not measured", f"Not measured: {why}.")
            continue
        used = [tables[arm] for arm in question.arms]
        values = question.values(used, np.array([worst[pair] for pair in used[0].pair_ids]))
        together = np.array([clusters[pair] for pair in used[0].pair_ids]) if clusters else used[0].prompts
        found = estimate(values, together, question.scale)
        word = question.rule(found)
        sentence = meaning(question.measure, word, smallest_change(values, together, question.scale))
        yield Row(question.section, question.measure, unit, found.value, found.ci95, found.n, word, sentence)


def _unusable(question: Question, tables: Mapping[Arm, VerdictTable], missing: Mapping[Arm, str]) -> str:
    """Why a question cannot be answered; empty where it can."""
    for arm in question.arms:
        if arm not in tables:
            return missing.get(arm, "it was not judged before the budget ended")
        if tables[arm].failed.all():
            return "not one verdict came; read `detail` in the arm's file"
    return ""


def worst_candidates(comparisons: Sequence[Comparison]) -> dict[str, int]:
    """The candidate people liked least, by pair id."""
    ranked = [(each.id, each.ranks or ()) for each in comparisons]
    return {id: max(range(len(ranks)), key=ranks.__getitem__) for id, ranks in ranked}


def _lines(row: Row) -> Iterator[str]:
    value = "-" if row.value is None else _shown(row.value, row.unit)
    yield f"  {row.measure:40}{value:>8}  {_interval(row):<18}{row.n:>7,}  {row.word}"
    yield f"      {row.meaning}"


def _interval(row: Row) -> str:
    return f"[{_shown(row.ci95[0], row.unit)}, {_shown(row.ci95[1], row.unit)}]" if row.ci95 else ""


def _shown(value: float, unit: Unit) -> str:
    match unit:
        case "share":
            return f"{value:.1%}"
        case "points":
            return f"{value * 100:+.1f}"
        case "times":
            return f"{value:.2f}x"
        case "count":
            return f"{value:,.0f}"
        case "dollars":
            return f"${value:.2f}"
