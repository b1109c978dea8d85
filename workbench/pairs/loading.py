"""Reading a dataset of comparisons, whole or not at all."""

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from workbench.pairs.comparison import Comparison, Task
from workbench.pairs.locate import Locator
from workbench.pairs.problems import DatasetError, Problem
from workbench.pairs.record import Record, declared_task, read_record
from workbench.pairs.rows import Row, read_rows
from workbench.pairs.sources import ImageError

_UNREADABLE_REMEDY = "correct the file; formats are JSONL, a JSON list, YAML and Parquet"


def load(
    path: str | Path,
    *,
    allow_outside: bool = False,
    allow_urls: bool = False,
    task: Task | None = None,
    check_images: bool = True,
) -> list[Comparison]:
    """Read every comparison of a JSONL, JSON, YAML or Parquet file, in our format or any of ARR's.

    - `task`: take only this task's comparisons, where a file mixes them; also the task of records that name none.
    - `allow_outside`, `allow_urls`: accept images outside the dataset's folder and the working directory, and URLs.
    - `check_images`: check that each image is there and whole; URLs are not fetched.

    Human ranks are kept as given; scores of several images also give ranks, the highest first. A record with one image
    and one score, ARR's pointwise form, becomes a comparison of one. Records without an id get one from their content.
    Raises `DatasetError` with all of the file's problems.
    """
    path = Path(path)
    locator = Locator(path.parent, allow_outside=allow_outside, allow_urls=allow_urls, check_images=check_images)
    reading = _Reading(path, locator, task)
    for row in read_rows(path):
        reading.add(row)
    reading.finish()
    return reading.comparisons


class _Reading:
    """What has been read of one file so far; equal strings and tags are kept once."""

    def __init__(self, path: Path, locator: Locator, task: Task | None) -> None:
        self.path = path
        self.locator = locator
        self.task = task
        self.comparisons: list[Comparison] = []
        self.problems: list[Problem] = []
        self._lines: dict[str, int | None] = {}
        self._derived: Counter[str] = Counter()
        self._skipped = 0
        self._prompts: dict[str, str] = {}
        self._labels: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._tags: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}

    def add(self, row: Row) -> None:
        """Take a row in, as a comparison or as problems."""
        if row.record is None:
            self._complain(row.line, None, row.problem, _UNREADABLE_REMEDY)
            return
        named = declared_task(row.record)
        if self.task is not None and named not in (None, self.task):
            self._skipped += 1
            return
        record = read_record(row.record, self.path.name, self.task)
        before = len(self.problems)
        for problem, remedy in record.faults:
            self._complain(row.line, record.id, problem, remedy)
        comparison = self._comparison(record, row.line)
        if len(self.problems) == before:
            self.comparisons.append(comparison)

    def finish(self) -> None:
        """Raise what is wrong with the file as a whole, and all problems before it."""
        if not self.comparisons and not self.problems:
            if self._skipped:
                self._complain(
                    None, None, f"none of {self._skipped} comparisons is of task {self.task}", "ask for another"
                )
            else:
                self._complain(None, None, "holds no comparisons", "add some; one JSON object a line in .jsonl")
        tasks = Counter(comparison.task for comparison in self.comparisons)
        if len(tasks) > 1:
            counts = " and ".join(f"{count} {name}" for name, count in sorted(tasks.items()))
            remedy = "a rubric is for one task: pick it with task (--task), or split the file"
            self._complain(None, None, f"mixes tasks ({counts} comparisons)", remedy)
        if self.problems:
            raise DatasetError(self.problems)

    def _comparison(self, record: Record, line: int | None) -> Comparison:
        name = record.id if record.id is not None else self._derive_id(record)
        if name in self._lines:
            remedy = "give every comparison its own id"
            self._complain(line, name, f"id already used at line {self._lines[name]}", remedy)
        self._lines[name] = line
        images = []
        for image in (*record.images, *([record.source_image] if record.source_image is not None else [])):
            try:
                images.append(self.locator.locate(image))
            except ImageError as error:
                self._complain(line, name, error.problem, error.remedy)
        tags = tuple((sys.intern(key), sys.intern(value)) for key, value in record.tags.items())
        return Comparison(
            id=name,
            task=record.task,
            prompt=self._prompts.setdefault(record.prompt, record.prompt),
            images=tuple(images[: len(record.images)]),
            source_image=images[-1] if record.source_image is not None and images else None,
            ranks=None if record.ranks is None else self._labels.setdefault(record.ranks, record.ranks),
            scores=record.scores,
            tags=self._tags.setdefault(tags, dict(tags)),
        )

    def _derive_id(self, record: Record) -> str:
        name = record.content_id()
        self._derived[name] += 1
        return name if self._derived[name] == 1 else f"{name}-{self._derived[name]}"

    def _complain(self, line: int | None, id: str | None, problem: str, remedy: str) -> None:
        self.problems.append(Problem(str(self.path), line, id, problem, remedy))
