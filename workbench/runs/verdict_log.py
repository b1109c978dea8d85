"""`verdicts.jsonl`: verdicts appended as they arrive, read as a stream, whole again after a kill."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from workbench.evaluation.record import Order, VerdictRecord
from workbench.runs.storage import storage

CHUNK = 1 << 16


class VerdictLog:
    """Appends one line per verdict with one write each, so a kill loses at most the line being written.

    Opening a log that a kill left with a torn last line cuts that line off first.

    >>> with VerdictLog(path) as log:  # doctest: +SKIP
    ...     log.append(record)
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with storage(self.path):
            self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            _repair_tail(self._file)

    def append(self, record: VerdictRecord) -> None:
        """Hands one line to the operating system; raises `StorageError` and leaves no part of it when that fails."""
        line = record.to_line()
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

    def __enter__(self) -> "VerdictLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_verdicts(path: str | os.PathLike[str]) -> Iterator[VerdictRecord]:
    """Every line of a log in the order written, one at a time; for one `record.key` the last line counts.

    A torn last line is dropped: its answer is still in the response cache. Any other bad line raises `ValueError`
    naming file and line.
    """
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield VerdictRecord.from_line(line)
            except ValidationError as error:
                if not line.endswith(b"\n"):
                    return
                problem = error.errors(include_url=False)[0]
                field = ".".join(str(part) for part in problem["loc"])
                raise ValueError(
                    f"{path}, line {number}: not a verdict ({field + ': ' if field else ''}{problem['msg']}); "
                    "delete the line and run the same command again, answers come back from the response cache"
                ) from error


def last_outcomes(path: str | os.PathLike[str]) -> dict[tuple[str, Order, int], str]:
    """The outcome of every verdict a log holds, by `record.key`; empty for a log that does not exist yet."""
    if not Path(path).exists():
        return {}
    return {record.key: record.outcome for record in read_verdicts(path)}


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
        VerdictRecord.from_line(torn)
    except ValidationError:
        os.ftruncate(file, end - len(torn))
    else:
        os.write(file, b"\n")
