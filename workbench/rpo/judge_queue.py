"""Judging beside training: groups are judged on a thread of their own while the next ones are sampled."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future

from workbench.background import LoopThread
from workbench.pairs.comparison import Comparison
from workbench.rpo.reward import Judged, RewardPanel
from workbench.vlm.tasks import gather_or_stop


class JudgeQueue:
    """Hands groups to a panel on `loop`, `concurrency` of them at a time, first come first served.

    >>> judged = queue.submit(comparisons)  # doctest: +SKIP
    >>> judged.result()  # one Judged per comparison; sample meanwhile  # doctest: +SKIP

    A client bounds its calls by itself (`workbench.vlm.settings.Limits`). The panel belongs to the loop from then on.
    """

    def __init__(self, panel: RewardPanel, loop: LoopThread, concurrency: int = 32) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency is {concurrency}, must be at least 1: groups judged at a time")
        self.panel = panel
        self._loop = loop
        self._places = asyncio.Semaphore(concurrency)

    def submit(self, comparisons: Sequence[Comparison]) -> Future[list[Judged]]:
        """Start judging; the result has the order of `comparisons`.

        `result()` raises `StopRun` (dead endpoint, budget spent, disk full) and what else a judge raises, as itself, as
        soon as it happens: the rest of the batch is given up. Another batch may be submitted then.
        """
        return self._loop.submit(gather_or_stop(self._judge(each) for each in tuple(comparisons)))

    def close(self) -> None:
        """Close the panel's clients; the loop stays open."""
        self._loop.submit(self.panel.close()).result()

    async def _judge(self, comparison: Comparison) -> Judged:
        async with self._places:
            return await self.panel.judge(comparison)
