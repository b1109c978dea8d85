"""Files that grow by a line at a time, read as a stream, whole again after a kill."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from workbench.runs.storage import first_fault, storage

CHUNK = 1 << 16

Item = TypeVar("Item")


class LineLog:
    """Appends JSON lines with one write each, so a kill loses at most the line being written.

    Opening a log that a kill left with a torn last line cuts that line off first.

    >>> with LineLog(path) as log:  # doctest: +SKIP
    ...     log.append(record.to_line())
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with storage(self.path):
            self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            _repair_tail(self._file)

    def append(self, line: bytes) -> None:
        """Hands one line, its newline included, to the operating system.

        Raises `StorageError`, and leaves no part of the line, when that fails.
        """
        before = os.fstat(self._file).st_size
        with storage(self.path):
            try:
                written = os.write(self._file, line)
                while written < len(line):  # a nearly full disk takes part of a line; the next write says why
                    written += os.write(self._file, line[written:])
            except OSError:
                with suppress(OSError):
                    os.ftruncate(self._file, before)
                raise

    def close(self) -> None:
        if self._file >= 0:
            with storage(self.path):
                with suppress(OSError):  # not every file can be synced; what was written is with the system already
                    os.fsync(self._file)
                os.close(self._file)
            self._file = -1

    def __enter__(self) -> "LineLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_lines(path: str | os.PathLike[str], parse: Callable[[bytes], Item], what: str) -> Iterator[Item]:
    """Every line of a log in the order written, one at a time, as `parse` (of pydantic) reads it.

    - `what`: what a line should be, for messages: `a verdict`.

    A torn last line is dropped: its answer is still in the response cache. Any other bad line raises `ValueError`
    naming file and line.
    """
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield parse(line)
            except ValidationError as error:
                if not line.endswith(b"\n"):
                    return
                raise ValueError(
                    f"{path}, line {number}: not {what} ({first_fault(error)}); "
                    "delete the line and run the same command again, answers come back from the response cache"
                ) from error


def _repair_tail(file: int) -> None:
    """Cuts off a last line without newline, or completes it where only the newline is missing."""
    end = os.fstat(file).st_size
    tail, start = b"", end
    while start > 0 and b"\n" not in tail:
        stop, start = start, max(0, start - CHUNK)
        tail = os.pread(file, stop - start, start) + tail
    torn = tail[tail.rfind(b"\n") + 1 :]
    if not torn:
        return
    try:
        json.loads(torn)
    except ValueError:
        os.ftruncate(file, end - len(torn))
    else:
        os.write(file, b"\n")
