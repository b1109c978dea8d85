"""What all processes of a run do together: add up, and go on or stop, whichever of them has a reason to."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, broadcast, gather_object
from torch import Tensor

from workbench.vlm.errors import BudgetSpent, StopRun

T = TypeVar("T")

_LONGEST_UPDATE = timedelta(hours=12)
"""So long a process that was asked to stop, or failed, waits for the others to end their update; NCCL by itself would
give up after minutes."""


class Stopped(Exception):
    """Training was asked to end: by SIGTERM, or `Trainer.stop`."""


class ElsewhereError(RuntimeError):
    """Another process failed."""


def launched() -> Accelerator:
    """This process among those that were launched with it.

    Without an accelerator it has to be said: `accelerate` would take each of several processes for the only one.
    """
    if not torch.accelerator.is_available():
        return Accelerator(cpu=True)
    return Accelerator(kwargs_handlers=[InitProcessGroupKwargs(backend=None, timeout=_LONGEST_UPDATE)])


class Processes:
    """The processes of a run, one where nothing was launched.

    Each says with every sum whether something stops it, so none waits for one that has given up.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator = accelerator
        self.index: int = accelerator.process_index
        self.count: int = accelerator.num_processes

    @property
    def is_main(self) -> bool:
        """Whether this one writes the run's files."""
        return self.index == 0

    def total(self, values: Tensor, problem: Exception | None = None) -> Tensor:
        """The sum of a flat tensor over processes, by one all-reduce.

        Where a process has a `problem` all of them raise: the one with the worst its own, the others `Stopped`,
        `BudgetSpent`, `StopRun` or `ElsewhereError` as that one is, naming the process.
        """
        values = self._accelerator.reduce(torch.cat([values, self.slot(_severity(problem), values)]), reduction="sum")
        severities = values[-self.count :].tolist()
        if any(severities):
            self._raise(severities, problem)
        return values[: -self.count]

    def slot(self, value: float, like: Tensor) -> Tensor:
        """A place for every process, with `value` in its own: summed, all see the value of each."""
        slots = torch.zeros(self.count, dtype=like.dtype, device=like.device)
        slots[self.index] = value
        return slots

    def attempt(self, action: Callable[[], T], device: torch.device) -> T:
        """Do something everywhere that may fail anywhere; raises as `total` does."""
        result, problem = None, None
        try:
            result = action()
        except Exception as error:
            problem = error
        self.total(torch.zeros(0, device=device), problem)
        return result  # type: ignore[return-value]

    def gather(self, items: list[T]) -> list[T]:
        """The items of all processes, on each of them."""
        gathered: list[T] = gather_object(items)
        return gathered

    def share(self, parameters: dict[str, torch.nn.Parameter]) -> None:
        """Give every process the main one's parameters."""
        if self.count > 1:
            flat: Any = broadcast(torch.cat([each.detach().flatten() for each in parameters.values()]))
            parts = flat.split([each.numel() for each in parameters.values()])
            with torch.no_grad():
                for parameter, part in zip(parameters.values(), parts, strict=True):
                    parameter.copy_(part.view_as(parameter))

    def _raise(self, severities: list[float], problem: Exception | None) -> None:
        messages = self.gather([str(problem)])
        worst = max(range(self.count), key=lambda index: severities[index])
        if worst == self.index and problem is not None:
            raise problem
        kind = (Stopped, BudgetSpent, StopRun, ElsewhereError)[int(severities[worst]) - 1]
        raise kind(f"process {worst}: {messages[worst]}") from problem


def _severity(problem: Exception | None) -> int:
    match problem:
        case None:
            return 0
        case Stopped():
            return 1
        case BudgetSpent():
            return 2
        case StopRun():
            return 3
        case _:
            return 4
