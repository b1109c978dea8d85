"""Pieces of work that take turns, so that a machine that slows down slows all of them; and what they took."""

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Seconds = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some numbers, and their extremes."""

    median: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values), len(values))

    def shown(self, form: str) -> str:
        return f"{self.median:{form}} [{self.low:{form}}, {self.high:{form}}]"

    def to_json(self) -> dict[str, float]:
        return {"median": self.median, "low": self.low, "high": self.high, "n": self.n}


def race(runners: Mapping[str, Callable[[int], None]], rounds: int) -> tuple[Seconds, Seconds]:
    """Seconds of an update each, by the clock and of the processor, in every round in another order.

    A first round warms up.
    """
    clock: Seconds = {name: [] for name in runners}
    processor: Seconds = {name: [] for name in runners}
    for number in range(1, rounds + 2):
        for name in random.Random(number).sample(list(runners), len(runners)):
            began, used = time.perf_counter(), time.process_time()
            runners[name](number)
            if number > 1:
                clock[name].append(time.perf_counter() - began)
                processor[name].append(time.process_time() - used)
    return clock, processor
