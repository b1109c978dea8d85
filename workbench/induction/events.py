"""The steps of an induction as they happen: one JSON line each, so that a run can be followed and explained."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import ConfigDict, TypeAdapter

from workbench.runs.lines import LineLog, read_lines

Step = Literal[
    "generated", "screened", "verified", "revised", "tightened", "kept", "dropped", "failed", "structured", "selected"
]


@dataclass(frozen=True, slots=True)
class Event:
    """One step for one seed pair, or for the whole set (`pair_id` empty).

    - `epoch`: which verification round, 0 for the first.
    - `rubrics`: the criteria the step wrote or looked at.
    - `ranks`: what the verifier answered; `passed`: whether that is the human ranking.
    - `detail`: why a pair was dropped or failed.
    - `keys`: cache keys of the answers behind the step.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

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
    schema: Literal["workbench.event/1"] = "workbench.event/1"


_ADAPTER = TypeAdapter(Event)


class EventLog:
    """A log of events; one already in it is not written again, so a resumed run continues it.

    Of two about the same step the last counts: asked again, a judge that failed may answer.
    """

    def __init__(self, path: Path) -> None:
        self._lines = LineLog(path)
        self._seen = {replace(event, cached=False) for event in read_events(path)}

    def record(self, event: Event) -> None:
        """Append one event; it has reached the operating system when this returns. Raises `StorageError`."""
        told = replace(event, cached=False)  # the same step, whether its answer was paid for now or before
        if told not in self._seen:
            line = json.dumps(asdict(event), ensure_ascii=False) + "\n"
            self._lines.append(line.encode("utf-8", "replace"))
            self._seen.add(told)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()


def read_events(path: Path) -> Iterator[Event]:
    """`read_lines` of an `events.jsonl`."""
    return read_lines(path, _ADAPTER.validate_json, "an event")
