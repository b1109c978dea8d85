"""What the pair viewer shows, as JSON for the browser: one row per pair for finding it, one view of a pair in full.

Both are read by `mountViewer` in `js/viewer.js`, in a notebook and in a shared HTML file alike. Every text in them is
displayable; `id` alone is as it is in the dataset, to ask with, and `name` is how it is shown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from workbench.annotations.annotation import Annotation
from workbench.evaluation.record import VerdictRecord
from workbench.foreign import displayable
from workbench.pairs.comparison import Comparison

Said = Mapping[str, Sequence[VerdictRecord]]
"""What judges said about one pair, by the name they are shown under."""

FAILURES = ("invalid", "error")
_NAME = 120
_FOUND = 300


@dataclass(frozen=True, slots=True)
class ImageKeys:
    """The names a pair's images are asked for by: candidates in the dataset's order, and the source of an edit."""

    images: tuple[str, ...]
    source: str | None = None

    @classmethod
    def of(cls, comparison: Comparison) -> Self:
        """`<pair id>/0`, `<pair id>/1`, ... and `<pair id>/source`."""
        source = f"{comparison.id}/source" if comparison.source_image is not None else None
        return cls(tuple(f"{comparison.id}/{index}" for index in range(len(comparison.images))), source)


def shown_names(names: Iterable[str]) -> dict[str, str]:
    """Each judge's name as it is shown, no two alike."""
    shown: dict[str, str] = {}
    for name in names:
        plain = displayable(name, _NAME)
        taken = set(shown.values())
        shown[name] = next(each for each in (plain, *(f"{plain} ({i})" for i in range(2, 999))) if each not in taken)
    return shown


def by_pair(judges: Mapping[str, Iterable[VerdictRecord]]) -> dict[str, dict[str, list[VerdictRecord]]]:
    """Records by pair id and shown name, forward first; for one order and sample the last record counts."""
    last: dict[str, dict[str, dict[tuple[str, str, int], VerdictRecord]]] = {}
    names = shown_names(judges)
    for judge, records in judges.items():
        for record in records:
            last.setdefault(record.pair_id, {}).setdefault(names[judge], {})[record.key] = record
    return {
        pair: {judge: [own[key] for key in sorted(own)] for judge, own in said.items()} for pair, said in last.items()
    }


def index_row(
    comparison: Comparison,
    said: Said,
    annotations: Sequence[Annotation] = (),
    *,
    author: str = "",
    baseline: str | None = None,
    keys: ImageKeys | None = None,
) -> dict[str, Any]:
    """What a pair is found by: its name, prompt, tags, label, and what judges and people said, in short.

    - `annotations`: the latest of each person on this pair; those of `author` are `mine`.
    - `baseline`: the shown name of the judge that flips are relative to.
    - `keys`: of its images; `ImageKeys.of(comparison)` unless given.

    `marks` by judge: `wrong`, `flipped` (with `fixed` or `broken`), `inconsistent`, `invalid`, `error`.
    """
    keys = keys or ImageKeys.of(comparison)
    own = [each for each in annotations if each.author == author]
    marks = {judge: _marks(records, said.get(baseline or "") or ()) for judge, records in said.items()}
    return {
        "id": comparison.id,
        "name": displayable(comparison.id, _NAME),
        "prompt": displayable(comparison.prompt, _FOUND),
        "tags": _tags(comparison),
        "label": comparison.label,
        "images": list(keys.images),
        "source": keys.source,
        "marks": {judge: found for judge, found in marks.items() if found},
        "said": {judge: [record.outcome for record in records] for judge, records in said.items()},
        "people": [each.label for each in annotations if each.author != author and each.label],
        "mine": own[-1].label if own else None,
        "noted": any(each.note for each in annotations),
    }


def pair_view(
    comparison: Comparison,
    said: Said,
    annotations: Sequence[Annotation] = (),
    *,
    note: str = "",
    keys: ImageKeys | None = None,
) -> dict[str, Any]:
    """Everything about one pair; `note` is a word to put over it, such as `fixed`."""
    keys = keys or ImageKeys.of(comparison)
    return {
        "id": comparison.id,
        "name": displayable(comparison.id, _NAME),
        "prompt": displayable(comparison.prompt),
        "task": comparison.task,
        "tags": _tags(comparison),
        "images": list(keys.images),
        "source": keys.source,
        "ranks": list(comparison.ranks) if comparison.ranks else None,
        "label": comparison.label,
        "note": displayable(note, _FOUND),
        "judges": [
            {"name": judge, "verdicts": [_verdict(each) for each in records]} for judge, records in said.items()
        ],
        "annotations": [annotation_view(each) for each in annotations],
    }


def annotation_view(annotation: Annotation) -> dict[str, Any]:
    """One person's label and note."""
    return {
        "author": displayable(annotation.author, _NAME),
        "time": displayable(str(annotation.time), _NAME),
        "label": annotation.label,
        "note": displayable(annotation.note),
    }


def _verdict(record: VerdictRecord) -> dict[str, Any]:
    return {
        "order": record.order,
        "sample": record.sample,
        "shown": list(record.shown),
        "outcome": record.outcome,
        "correct": record.correct,
        "ranks": list(record.ranks) if record.ranks else None,
        "scores": list(record.scores) if record.scores else None,
        "confidence": record.confidence,
        "reason": displayable(record.reason),
        "detail": displayable(record.detail),
        "criteria": [{"id": displayable(name, _NAME), "ranks": list(own)} for name, own in record.criteria.items()],
        "cached": record.cached,
        "keys": list(record.keys),
    }


def _marks(records: Sequence[VerdictRecord], baseline: Sequence[VerdictRecord]) -> list[str]:
    votes = [record for record in records if record.outcome not in FAILURES]
    marks = ["wrong"] if any(record.correct is False for record in votes) else []
    by_sample: dict[int, set[str]] = {}
    for record in votes:
        by_sample.setdefault(record.sample, set()).add(record.outcome)
    if any(len(outcomes) > 1 for outcomes in by_sample.values()):
        marks.append("inconsistent")
    marks += [failure for failure in FAILURES if any(record.outcome == failure for record in records)]
    return marks + _flips(records, baseline)


def _flips(records: Sequence[VerdictRecord], baseline: Sequence[VerdictRecord]) -> list[str]:
    """`flipped` as `evaluation.compare` has it: fixed and broken go by the share of samples right in both orders."""
    before = {record.key: record for record in baseline}
    shared = [record for record in records if record.key in before]
    if all(
        (record.outcome, record.correct) == (before[record.key].outcome, before[record.key].correct)
        for record in shared
    ):
        return []
    change = _resolved(shared) - _resolved([before[record.key] for record in shared])
    return ["flipped", *(["fixed"] if change > 0 else ["broken"] if change < 0 else [])]


def _resolved(records: Sequence[VerdictRecord]) -> int:
    right: dict[int, list[bool]] = {}
    for record in records:
        right.setdefault(record.sample, []).append(record.correct is True)
    return sum(all(both) and len(both) == 2 for both in right.values())


def _tags(comparison: Comparison) -> dict[str, str]:
    return {displayable(name, _NAME): displayable(value, _NAME) for name, value in comparison.tags.items()}
