"""Several people's annotations in one file: nothing lost, nothing twice, in the order they were written."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.annotations.annotation import SCHEMA, SKIP, TIE, Annotation, read_annotation
from workbench.annotations.log import EXPECTED, alone, latest, read_lines
from workbench.annotations.placing import Orphan, Placed, place
from workbench.atomic import replacing
from workbench.pairs.comparison import Comparison
from workbench.runs.storage import storage

EXPORT_SCHEMA = "workbench.annotations/1"
MOST_PROBLEMS = 5


@dataclass(frozen=True, slots=True)
class Conflict:
    """One person's different labels for one pair in different files; the latest, `taken`, counts."""

    pair_id: str
    author: str
    taken: str | None
    other: str | None
    at_once: bool


@dataclass(frozen=True, slots=True)
class Person:
    """What one person's annotations come to: of each pair only the last one is counted."""

    author: str
    labels: int
    ties: int
    skips: int
    notes: int
    orphans: int
    conflicts: int


@dataclass(frozen=True, slots=True)
class Merged:
    """Annotations of several files as one.

    - `annotations`: each once, by time; the last of a pair and author counts. - `duplicates`: how often one was met
      again. - `orphans`, `renamed`: as `place` found them, empty where no pairs were given.
    """

    annotations: tuple[Annotation, ...]
    duplicates: int
    conflicts: tuple[Conflict, ...]
    orphans: tuple[Orphan, ...]
    renamed: dict[str, str]

    @property
    def people(self) -> list[Person]:
        """What each author's annotations come to, by name."""
        orphans = Counter(orphan.annotation.key for orphan in self.orphans)
        conflicts = Counter(conflict.author for conflict in self.conflicts)
        counted: dict[str, list[Annotation]] = defaultdict(list)
        for annotation in latest(self.annotations).values():
            counted[annotation.author].append(annotation)
        return [
            Person(
                author,
                labels=sum(each.label not in (None, TIE, SKIP) for each in own),
                ties=sum(each.label == TIE for each in own),
                skips=sum(each.label == SKIP for each in own),
                notes=sum(bool(each.note) for each in own),
                orphans=sum(each.key in orphans for each in own),
                conflicts=conflicts[author],
            )
            for author, own in sorted(counted.items())
        ]


def merge(
    files: Iterable[Iterable[Annotation]],
    comparisons: Sequence[Comparison] | None = None,
    *,
    hashes: Collection[str] = (),
) -> Merged:
    """The annotations of several files as one; neither their order nor a file given twice makes a difference.

    With `comparisons` orphans are found, `place` says how; they are kept among the annotations.
    """
    given = [list(file) for file in files]
    everything = [annotation for file in given for annotation in file]
    placed = place(everything, comparisons, hashes=hashes) if comparisons is not None else Placed((), (), {})
    if comparisons is not None:
        rest = iter(placed.annotations)
        given = [[next(rest) for _ in file] for file in given]
    kept: dict[tuple[Any, ...], Annotation] = {}
    for annotation in (annotation for file in given for annotation in file):
        same = _said(annotation)
        kept[same] = max(kept.get(same, annotation), annotation, key=_told)
    annotations = tuple(sorted(kept.values(), key=_in_time))
    lost = {_said(orphan.annotation): orphan for orphan in placed.orphans}
    return Merged(
        annotations,
        duplicates=len(everything) - len(annotations),
        conflicts=tuple(_conflicts(given, latest(annotations))),
        orphans=tuple(Orphan(each, lost[_said(each)].why) for each in annotations if _said(each) in lost),
        renamed=placed.renamed,
    )


def merge_files(
    files: Sequence[Path],
    out: Path,
    comparisons: Sequence[Comparison] | None = None,
    *,
    hashes: Collection[str] = (),
) -> Merged:
    """`merge` of logs and of pages' exports, written to `out` at once, which may be one of them.

    Raises `ValueError`, and writes nothing, naming file and line of what is no annotation, and where `out` is none of
    `files` and holds what the merged file would not.
    """
    with alone(out) if out.exists() else nullcontext():
        merged = merge(read_files(files, held=out), comparisons, hashes=hashes)
        if out.exists() and not any(file.samefile(out) for file in files):
            _refuse_loss(out, merged, comparisons)
        with storage(out), replacing(out) as temporary:
            temporary.write_bytes(b"".join(annotation.to_line() for annotation in merged.annotations))
    return merged


def read_files(files: Sequence[Path], *, held: Path | None = None) -> list[list[Annotation]]:
    """The annotations of each file, a log or what a shared page exported.

    - `held`: the file that the caller keeps others from writing, in `alone`.

    Raises `ValueError` with the first lines of every file that are no annotations.
    """
    read, problems = [], []
    for file in files:
        annotations, wrong = _read_file(file, held=held is not None and held.exists() and file.samefile(held))
        read.append(annotations)
        problems += wrong[:MOST_PROBLEMS]
        if len(wrong) > MOST_PROBLEMS:
            problems.append(f"{file}: {len(wrong) - MOST_PROBLEMS:,} more")
    if problems:
        raise ValueError("\n".join([*problems, f"correct or leave out what is named; expected {EXPECTED}"]))
    return read


def _read_file(file: Path, *, held: bool) -> tuple[list[Annotation], list[str]]:
    try:
        page = json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        if file.suffix.lower() in (".html", ".htm"):
            return [], [f"{file}: is a page: open it, export the comments there, and merge the exported file"]
        return read_lines(file, held=held)
    if not isinstance(page, dict) or page.get("schema") != EXPORT_SCHEMA:
        return read_lines(file, held=held)
    records, dataset = page.get("annotations"), page.get("dataset")
    if not isinstance(records, list):
        return [], [f"{file}: a page's export whose `annotations` are no list"]
    annotations: list[Annotation] = []
    problems: list[str] = []
    for number, record in enumerate(records, start=1):
        if isinstance(record, dict):  # the page says once what holds for all
            record = {"schema": SCHEMA, "dataset": dataset if isinstance(dataset, str) else None, **record}
        try:
            annotations.append(read_annotation(record))
        except ValueError as error:
            problems.append(f"{file}, annotation {number}: not an annotation ({error})")
    return annotations, problems


def _refuse_loss(out: Path, merged: Merged, comparisons: Sequence[Comparison] | None) -> None:
    there, problems = read_lines(out, held=True)
    if problems:
        raise ValueError(f"--out {out} is in the way: {problems[0]}; name another file")
    said = {_said(annotation) for annotation in merged.annotations}
    lost = [each for each in merge([there], comparisons).annotations if _said(each) not in said]
    if lost:
        raise ValueError(
            f"--out {out} holds {len(lost):,} annotations that the files named do not: name it as one of them too, "
            "or choose another file"
        )


def _said(annotation: Annotation) -> tuple[Any, ...]:
    """What makes two annotations the same one."""
    return annotation.pair_id, annotation.author, annotation.moment, annotation.label, annotation.note


def _told(annotation: Annotation) -> tuple[int, bytes]:
    """Of two copies of one annotation that is kept which knows more about what was seen."""
    known = (annotation.rubric, annotation.dataset, annotation.content)
    return sum(each is not None for each in known), annotation.to_line()


def _in_time(annotation: Annotation) -> tuple[Any, ...]:
    return annotation.moment, annotation.to_line()


def _conflicts(files: Sequence[Sequence[Annotation]], counts: dict[tuple[str, str], Annotation]) -> list[Conflict]:
    """Last words in one file that another file overrules without having known them."""
    last = [latest(file) for file in files]
    known = [{_said(annotation) for annotation in file} for file in files]
    found: dict[tuple[Any, ...], Conflict] = {}
    for words in last:
        for key, word in words.items():
            taken = counts[key]
            succeeded = any(
                key in theirs and _said(theirs[key]) == _said(taken) and _said(word) in lines
                for theirs, lines in zip(last, known, strict=True)
            )
            if word.label != taken.label and not succeeded:
                at_once = word.moment == taken.moment
                found[_said(word)] = Conflict(*key, taken=taken.label, other=word.label, at_once=at_once)
    return [found[word] for word in sorted(found, key=repr)]
