"""What an update was like, added up over processes, and the files it is told in."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor

from workbench.atomic import replacing
from workbench.evaluation.statistics import Estimate
from workbench.rpo.config import RpoConfig
from workbench.rpo.objective import StepSums
from workbench.rpo.processes import Processes
from workbench.rpo.reward import Judged
from workbench.rpo.status import State, Status
from workbench.runs.lines import LineLog, read_lines
from workbench.runs.storage import storage

METRICS = "metrics.jsonl"

_BREATH = 0.5
"""Seconds between two looks at a running training: tiny policies make tens of updates a second."""

_LINE = TypeAdapter(dict[str, Any])


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums over the groups of an update.

    - `decided`, `tied`, `failed`: groups. - `values`, `valued`: sum and number of candidates' rewards.
    - `learned`: of the steps trained on.
    """

    decided: int = 0
    tied: int = 0
    failed: int = 0
    failed_verdicts: int = 0
    values: float = 0.0
    valued: int = 0
    images: int = 0
    judge_calls: int = 0
    cost_usd: float = 0.0
    learned: StepSums = field(default_factory=StepSums)

    @property
    def received(self) -> int:
        """Groups with a verdict: what an update is normalised by."""
        return self.decided + self.tied

    def with_verdict(self, judged: Judged) -> "Tally":
        """One more group."""
        values = () if judged.status == "failed" else judged.values
        return replace(
            self,
            **{judged.status: getattr(self, judged.status) + 1},
            failed_verdicts=self.failed_verdicts + judged.n_failed,
            values=self.values + sum(values),
            valued=self.valued + len(values),
            images=self.images + len(judged.values),
            judge_calls=self.judge_calls + judged.usage.calls,
            cost_usd=self.cost_usd + judged.usage.cost_usd,
        )

    def vector(self, processes: Processes, like: Tensor) -> Tensor:
        """All sums flat, the largest ratio in this process's place."""
        sums = [*(getattr(self, name) for name in _SUMS), *(getattr(self.learned, name) for name in _LEARNED)]
        return torch.cat([torch.tensor(sums).to(like), processes.slot(self.learned.largest, like)])

    @classmethod
    def of(cls, vector: Tensor) -> "Tally":
        """From the sum of vectors over processes."""
        numbers: list[Any] = vector.tolist()
        learned = dict(zip(_LEARNED, numbers[len(_SUMS) :], strict=False))
        largest = max(numbers[len(_SUMS) + len(_LEARNED) :])
        return cls(**dict(zip(_SUMS, numbers, strict=False)), learned=StepSums(**learned, largest=largest))

    def line(self) -> dict[str, Any]:
        """For `metrics.jsonl`; None where there was nothing to take a mean of."""
        counts = ("decided", "tied", "failed", "failed_verdicts", "images", "judge_calls")
        return {
            "reward": self.values / self.valued if self.valued else None,
            "kl": self.learned.kl,
            "ratio_dev": self.learned.ratio_deviation,
            "ratio_dev_max": self.learned.largest if self.learned.n else None,
            "clip_fraction": self.learned.clip_fraction,
            **{name: round(getattr(self, name)) for name in counts},
            "cost_usd": self.cost_usd,
        }


_SUMS = tuple(name for name in Tally.__dataclass_fields__ if name != "learned")
_LEARNED = tuple(name for name in StepSums.__dataclass_fields__ if name != "largest")


class Stopwatch:
    """Where the seconds of an update go, in this process."""

    def __init__(self) -> None:
        self._began = perf_counter()
        self._parts = dict.fromkeys(("sample", "judge_wait", "train", "evaluate"), 0.0)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Adds what the block takes to `sample`, `judge_wait`, `train` or `evaluate`."""
        began = perf_counter()
        yield
        self._parts[name] += perf_counter() - began

    def seconds(self) -> dict[str, float]:
        """The parts, and the `total` so far."""
        return {**self._parts, "total": perf_counter() - self._began}


class TooManyFailures(Exception):
    """More verdicts of an update failed than `max_failure_rate` allows; nothing was trained on it."""


def check_failures(tally: Tally, config: RpoConfig, update: int) -> None:
    """Raises `TooManyFailures` where an update got too few verdicts to train on."""
    rate = tally.failed / config.groups
    if rate > config.max_failure_rate:
        raise TooManyFailures(
            f"update {update}: {tally.failed:.0f} of {config.groups} groups got no verdict ({rate:.0%}, "
            f"max_failure_rate is {config.max_failure_rate:.0%}): look at the judge's server and its answers, then "
            "resume, with a higher max_failure_rate if that is to be expected"
        )


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
