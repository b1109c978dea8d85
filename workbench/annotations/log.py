"""`annotations.jsonl`: grows by a line for everything people say, from several tabs and processes at once."""

import fcntl
import json
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from workbench.annotations.annotation import SCHEMA, Annotation, read_annotation
from workbench.runs.lines import LineLog
from workbench.runs.storage import storage

EXPECTED = f'one JSON object a line, such as {{"schema": "{SCHEMA}", "pair_id": ..., "author": ..., "label": "a"}}'

_BEGINNING = f'{{"schema": "{SCHEMA}"'.encode()

Signature = tuple[int, int, int, int]


class AnnotationLog:
    """One file of annotations; what it says is what the file says, whoever else writes to it.

    Raises `ValueError`, and touches nothing, where the file holds anything else than annotations.

    >>> log = AnnotationLog(path)  # doctest: +SKIP
    >>> log.append(Annotation.of(comparison, "ada", "a"))  # doctest: +SKIP
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._guard = threading.Lock()
        self._signature: Signature | None = None
        self._latest: dict[tuple[str, str], Annotation] = {}
        self._refresh()

    def append(self, annotation: Annotation) -> None:
        """Write one line at once; a torn line that a kill left behind is cut off first.

        Where a clock was set back the line bears a time just after the author's last word on the pair: files are merged
        by time, and what was said last must count there too.

        Raises `StorageError` when it cannot be written; then the annotation is not in `latest()` either.
        """
        with self._guard, alone(self.path):
            self._refresh(held=True)
            annotation = _after(annotation, self._latest.get(annotation.key))
            with LineLog(self.path) as file:
                file.append(annotation.to_line())
            self._latest[annotation.key] = annotation
            self._signature = _signature(self.path)

    def latest(self) -> dict[tuple[str, str], Annotation]:
        """What counts, by pair id and author, as the file has it now: of each key the last line."""
        with self._guard:
            self._refresh()
            return dict(self._latest)

    def _refresh(self, *, held: bool = False) -> None:
        """Reads the file again if anyone changed it."""
        signature = _signature(self.path)
        if signature == self._signature:
            return
        self._latest = latest(read_annotations(self.path, held=held)) if signature else {}
        self._signature = signature


def read_annotations(path: str | os.PathLike[str], *, held: bool = False) -> list[Annotation]:
    """Every annotation of a log in the order written, history included; a torn last line is left out.

    - `held`: whether the caller keeps others from writing the file, in `alone`.

    Raises `ValueError` naming file, line and what was expected where the file holds anything else.
    """
    annotations, problems = read_lines(path, held=held)
    if problems:
        raise ValueError(f"{problems[0]}; expected {EXPECTED}")
    return annotations


def read_lines(path: str | os.PathLike[str], *, held: bool = False) -> tuple[list[Annotation], list[str]]:
    """The annotations of a log, and a message on every line that is none; `held` as in `read_annotations`."""
    annotations: list[Annotation] = []
    problems: list[str] = []
    with open(path, "rb") as file:
        if not held:  # else a line that is cut off and written over meanwhile would be read as half this, half that
            with suppress(OSError):  # some file systems have no locks
                fcntl.flock(file, fcntl.LOCK_SH)
        for number, line in enumerate(file, start=1):
            if not line.strip() or is_torn(line):
                continue
            try:
                annotations.append(_parse(line))
            except ValueError as error:
                problems.append(f"{path}, line {number}: not an annotation ({error})")
    return annotations, problems


def latest(annotations: Iterable[Annotation]) -> dict[tuple[str, str], Annotation]:
    """Of each pair and author the last one."""
    return {annotation.key: annotation for annotation in annotations}


def is_torn(line: bytes) -> bool:
    """Whether this is the first part of a line that a kill or a full disk cut short."""
    if line.endswith(b"\n") or not (line.startswith(_BEGINNING) or _BEGINNING.startswith(line)):
        return False
    try:
        json.loads(line)
    except ValueError:
        return True
    return False


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keeps others of this package from writing `path` during the block; an empty file is made where there is none."""
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _locked(path)
    try:
        yield
    finally:
        os.close(file)


def _after(annotation: Annotation, last: Annotation | None) -> Annotation:
    if last is None or annotation.moment >= last.moment:
        return annotation
    return replace(annotation, time=(last.moment + timedelta(microseconds=1)).isoformat(timespec="microseconds"))


def _locked(path: Path) -> int:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with suppress(OSError):  # some file systems have no locks; one write of a whole line is safe there too
            fcntl.flock(file, fcntl.LOCK_EX)
        try:
            if os.path.samestat(os.fstat(file), os.stat(path)):  # else it was replaced while this one waited
                return file
        except FileNotFoundError:
            pass
        os.close(file)


def _parse(line: bytes) -> Annotation:
    try:
        record = json.loads(line)
    except UnicodeDecodeError:
        raise ValueError("not text in UTF-8") from None
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    return read_annotation(record)


def _signature(path: Path) -> Signature | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns
