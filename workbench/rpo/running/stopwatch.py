"""Where the seconds of an update go."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter


class Stopwatch:
    """The parts of an update, in this process."""

    def __init__(self) -> None:
        self._began = perf_counter()
        self._parts = dict.fromkeys(("sample", "judge_wait", "train", "evaluate"), 0.0)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Adds what the block takes to `sample`, `judge_wait`, `train` or `evaluate`."""
        began = perf_counter()
        try:
            yield
        finally:
            self._parts[name] += perf_counter() - began

    def seconds(self) -> dict[str, float]:
        """The parts, and the `total` so far."""
        return {**self._parts, "total": perf_counter() - self._began}
