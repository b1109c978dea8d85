"""The files that training tells of itself in: a line for every update, and where it stands."""

import json
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from pydantic import TypeAdapter

from workbench.atomic import replacing
from workbench.evaluation.statistics import Estimate
from workbench.rpo.running.status import State, Status
from workbench.runs.lines import LineLog, read_lines
from workbench.runs.storage import storage

METRICS = "metrics.jsonl"

_BREATH = 0.5
"""Seconds between two looks at a running training: tiny policies make tens of updates a second."""

_LINE = TypeAdapter(dict[str, Any])


class Journal:
    """`metrics.jsonl`, a line an update, and `status.json`, where training stands; for one process to write.

    Opening it drops the lines of updates after `update`, which are done again.
    """

    def __init__(self, run: Path, update: int, updates: int) -> None:
        path = run / METRICS
        lines = [line for line in read_metrics(run) if line["update"] <= update]
        with storage(path), replacing(path) as temporary:
            temporary.write_text("".join(map(_text, lines)), encoding="utf-8")
        self._run, self._update, self._updates = run, update, updates
        self._seconds = float(sum(line["seconds"]["total"] for line in lines))
        self._log, self._said = LineLog(path), 0.0

    def add(self, line: Mapping[str, Any]) -> None:
        """One more update."""
        self._log.append(_text(line).encode())
        self._update, self._seconds = line["update"], self._seconds + line["seconds"]["total"]
        if monotonic() > self._said + _BREATH:
            self.say("running")

    def say(self, state: State, problem: str = "") -> None:
        """How training goes or how it ended."""
        left = self._seconds / self._update * (self._updates - self._update) if self._update else None
        Status(
            state=state,
            update=self._update,
            updates=self._updates,
            problem=problem,
            seconds=self._seconds,
            seconds_left=left,
        ).write(self._run)
        self._said = monotonic()

    def close(self) -> None:
        """Close the file of the metrics."""
        self._log.close()


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """A run's updates so far."""
    path = run / METRICS
    return list(read_lines(path, _LINE.validate_json, "an update's metrics")) if path.exists() else []


def estimate_of(rate: Mapping[str, Any]) -> Estimate:
    """A win rate in a line of the metrics, `{"value", "ci95", "n"}`."""
    return Estimate(rate["value"], rate["ci95"] and tuple(rate["ci95"]), rate["n"])


def _text(line: Mapping[str, Any]) -> str:
    return json.dumps(line, allow_nan=False) + "\n"
