"""The steps of an induction as they happen: one JSON line each, so that a run can be followed and explained."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from workbench.runs.storage import storage

SCHEMA = "workbench.event/1"

Step = Literal["generated", "verified", "revised", "kept", "dropped", "failed", "structured"]


@dataclass(frozen=True, slots=True)
class Event:
    """One step for one seed pair, or for the whole set (`pair_id` empty).

    - `epoch`: which verification round, 0 for the first.
    - `rubrics`: the criteria the step wrote or looked at.
    - `ranks`: what the verifier answered; `passed`: whether that is the human ranking.
    - `detail`: why a pair was dropped or failed.
    - `keys`: cache keys of the answers behind the step.
    """

    pair_id: str
    step: Step
    epoch: int = 0
    rubrics: tuple[str, ...] = ()
    ranks: tuple[int, ...] | None = None
    passed: bool | None = None
    reason: str = ""
    detail: str = ""
    cached: bool = False
    keys: tuple[str, ...] = ()

    @property
    def identity(self) -> tuple[str, str, int]:
        """What makes two events the same step."""
        return (self.pair_id, self.step, self.epoch)


class EventLog:
    """An append-only file of events; a step already in it is not written again, so a resumed run continues it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: set[tuple[str, str, int]] = set()
        if path.exists():
            cut_torn_line(path)
            self._seen = {event.identity for event in read_events(path) if event.step != "failed"}

    def record(self, event: Event) -> None:
        """Append one event; it has reached the operating system when this returns.

        Raises `StorageError`, and leaves no part of the line, when it cannot be written.
        """
        if event.identity in self._seen:
            return
        line = json.dumps({"schema": SCHEMA, **asdict(event)}, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        with storage(self.path), self.path.open("ab", buffering=0) as file:
            before = os.fstat(file.fileno()).st_size
            try:
                written = file.write(line)
                while written < len(line):  # a nearly full disk takes part of a line; the next write says why
                    written += file.write(line[written:])
            except OSError:
                with suppress(OSError):
                    file.truncate(before)
                raise
        self._seen.add(event.identity)


def read_events(path: Path) -> Iterator[Event]:
    """All events of a file, a torn last line left out; raises `ValueError` naming the line that is no event."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith("\n"):
                return
            try:
                yield _event(json.loads(line))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise ValueError(
                    f"{path}, line {number}: not an event ({error}); delete the line and run the same command again, "
                    "answers come back from the response cache"
                ) from error


def _event(fields: Mapping[str, Any]) -> Event:
    known = {key: value for key, value in fields.items() if key != "schema"}
    for key in ("rubrics", "ranks", "keys"):
        known[key] = tuple(known[key]) if known[key] is not None else None
    return Event(**known)


def cut_torn_line(path: Path) -> None:
    """Remove a last line that a killed process left without its end."""
    data = path.read_bytes()
    complete = data.rfind(b"\n") + 1
    if complete < len(data):
        with path.open("r+b") as file:
            file.truncate(complete)
