"""Asking a judge about many comparisons at once, each in both orders."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.evaluation.record import ORDERS, Order, VerdictRecord, last_outcomes, shown_order
from workbench.judges.verdict import Judge
from workbench.pairs.comparison import Comparison
from workbench.progress import Progress
from workbench.runs.lines import LineLog
from workbench.vlm.errors import BudgetSpent
from workbench.vlm.tasks import gather_or_stop

# While a worker reads an answer and prepares its next request no call of its is in flight; a few more workers than
# calls keep the server busy meanwhile.
SPARE_WORKERS = 32


@dataclass(frozen=True, slots=True)
class Showing:
    """One comparison, shown in one order, for one of several samples."""

    comparison: Comparison
    order: Order
    sample: int


async def judge_pairs(
    comparisons: Sequence[Comparison],
    judge: Judge,
    *,
    concurrency: int = 32,
    progress: Progress | None = None,
    record: Callable[[VerdictRecord], None] | None = None,
) -> list[VerdictRecord]:
    """Verdicts on every comparison in both orders, kept in memory; the client's cache is what a second call reads.

    - `concurrency`: how many calls the judge's client keeps in flight.
    - `record`: called with every verdict as it arrives, for one who wants those before a budget ends.

    Raises `StopRun` when going on is pointless. A spent budget lets calls in flight finish first.
    """
    records: list[VerdictRecord] = []

    def keep(each: VerdictRecord) -> None:
        records.append(each)
        if record:
            record(each)
        if progress:
            progress.advance()

    await _judge(_missing(comparisons, 1, set()), judge, keep, concurrency)
    return sorted(records, key=lambda each: each.key)


async def judge_all(
    comparisons: Sequence[Comparison],
    judge: Judge,
    log: Path,
    progress: Progress,
    *,
    concurrency: int = 32,
    samples: int = 1,
) -> int:
    """Append to `log` the verdicts it lacks, in both orders, and return how many; those that ended in `error` are
    asked for again.

    - `concurrency`: how many calls the judge's client keeps in flight.

    Raises `StopRun` when going on is pointless and `StorageError` when a verdict cannot be written; what was judged
    before is on disk, and calling again goes on from there. A spent budget lets calls in flight finish first.
    """
    done = {key for key, outcome in last_outcomes(log).items() if outcome != "error"}
    progress.advance(len(done))
    with LineLog(log) as verdicts:

        def keep(record: VerdictRecord) -> None:
            verdicts.append(record.to_line())
            progress.advance()

        await _judge(_missing(comparisons, samples, done), judge, keep, concurrency)
    return progress.done - len(done)


async def _judge(
    work: Iterator[Showing], judge: Judge, keep: Callable[[VerdictRecord], None], concurrency: int
) -> None:
    spent: list[BudgetSpent] = []

    async def worker() -> None:
        for showing in work:
            shown = shown_order(showing.comparison, showing.order)
            started = time.monotonic()
            try:
                verdict = await judge.compare(showing.comparison, shown, showing.sample)
            except BudgetSpent as error:
                spent.append(error)
                return
            latency = None if verdict.cached else time.monotonic() - started
            keep(VerdictRecord.of(showing.comparison, showing.order, verdict, sample=showing.sample, latency_s=latency))
            if spent:
                return

    await gather_or_stop(worker() for _ in range(concurrency + SPARE_WORKERS))
    if spent:
        raise spent[0]


def _missing(comparisons: Sequence[Comparison], samples: int, done: set[tuple[str, Order, int]]) -> Iterator[Showing]:
    for comparison in comparisons:
        for order in ORDERS:
            for sample in range(samples):
                if (comparison.id, order, sample) not in done:
                    yield Showing(comparison, order, sample)
