"""Progress of long work: done, calls, cost and time left, wherever it runs."""

import sys
import time
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TextIO

from workbench.vlm.budget import RunUsage


class Progress:
    """One line that follows work of `total` steps; a context manager.

    A terminal and a notebook show a live line; anything else (a log, a pipe) gets a plain line every `every` seconds.

    >>> with Progress("judging", total=2, stream=open("/dev/null", "w")) as progress:
    ...     progress.advance()
    """

    def __init__(
        self,
        label: str,
        total: int,
        usage: RunUsage | None = None,
        *,
        stream: TextIO | None = None,
        every: float = 15.0,
    ) -> None:
        self.label = label
        self.total = total
        self.usage = usage
        self._before = replace(usage) if usage else None
        self.done = 0
        self.stream = stream or sys.stderr
        self._started = time.monotonic()
        self._notebook = _notebook_line() if stream is None else None
        self._live = self._notebook is not None or self.stream.isatty()
        self._pause = 0.25 if self._live else every
        self._shown = self._started if not self._live else 0.0

    def advance(self, steps: int = 1) -> None:
        """Count finished steps and refresh the line when it is due."""
        self.done += steps
        now = time.monotonic()
        if now - self._shown >= self._pause:
            self._shown = now
            self._show(end="")

    def line(self) -> str:
        """The line as text, such as `judging 12/40 · 9 calls, 3 cached · $0.0021 · 0:31 left`."""
        parts = [f"{self.label} {self.done}/{self.total}"]
        if self.usage and self._before:
            calls, cached = self.usage.calls - self._before.calls, self.usage.cached - self._before.cached
            parts.append(f"{calls} calls, {cached} cached")
            if cost := self.usage.cost_usd - self._before.cost_usd:
                parts.append(f"${cost:.4f}")
        elapsed = time.monotonic() - self._started
        if 0 < self.done < self.total:
            parts.append(f"{_clock(elapsed / self.done * (self.total - self.done))} left")
        else:
            parts.append(f"took {_clock(elapsed)}")
        return " · ".join(parts)

    def _show(self, end: str) -> None:
        if self._notebook is not None:
            self._notebook.update({"text/plain": self.line()}, raw=True)
        elif self._live:
            print(f"\r\x1b[2K{self.line()}", end=end, file=self.stream, flush=True)
        else:
            print(self.line(), file=self.stream, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._show(end="\n")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _notebook_line() -> Any:
    """A line of output that can be rewritten, inside a Jupyter kernel; None elsewhere."""
    if "ipykernel" not in sys.modules:
        return None
    from IPython import get_ipython
    from IPython.display import display

    shell = get_ipython()
    if shell is None or type(shell).__name__ != "ZMQInteractiveShell":
        return None
    return display({"text/plain": ""}, raw=True, display_id=True)
