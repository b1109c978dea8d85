"""From what judges say about a group of candidates to one value each: higher is better, a failure is never a loss."""

import io
import math
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean, pstdev
from typing import Literal

from PIL import Image

from workbench.background import LoopThread
from workbench.judges.verdict import Judge, Usage, Verdict
from workbench.judges.vlm_judge import total_usage
from workbench.pairs.comparison import Comparison, ImageSource, Task
from workbench.vlm.client import VlmClient
from workbench.vlm.tasks import gather_or_stop

Status = Literal["decided", "tied", "failed"]

SAME = 1e-9
"""Values nearer than this are equal."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a group of candidates got.

    - `values`: one per candidate, higher is better: win rates in [0, 1] or scores; NaN throughout where it failed.
    - `status`: `tied` when all values are equal, `failed` when too little was said: neither teaches anything.
    - `verdicts`: all that was said.
    """

    values: tuple[float, ...]
    status: Status
    verdicts: tuple[Verdict, ...] = ()

    @property
    def n_failed(self) -> int:
        """Verdicts that failed, also those a decided group could do without."""
        return sum(verdict.ranks is None for verdict in self.verdicts)

    @property
    def usage(self) -> Usage:
        """What all verdicts took."""
        return total_usage([verdict.usage for verdict in self.verdicts])


@dataclass(frozen=True, slots=True)
class WeightedJudge:
    """One of several judges; `weight` is above 0, `both_orders` is of no account to a pointwise one."""

    judge: Judge
    weight: float = 1.0
    both_orders: bool = True


@dataclass(frozen=True, slots=True)
class RewardPanel:
    """Several judges as one: the weighted sum of their values, each brought to mean 0 and deviation 1 in the group.

    value_i = sum_k weight_k (v_ki - mean_i v_k) / std_i v_k

    A single judge's values stay as they are. A judge that ties adds nothing; a group that one of them failed is failed.
    `clients` are those the judges ask, for `close`.
    """

    judges: tuple[WeightedJudge, ...]
    clients: tuple[VlmClient, ...] = ()

    async def judge(self, comparison: Comparison) -> Judged:
        """Ask all judges at once about one group. Raises `StopRun` when going on is pointless."""
        parts = await gather_or_stop(
            judge_group(each.judge, comparison, both_orders=each.both_orders) for each in self.judges
        )
        for verdict in (verdict for part in parts for verdict in part.verdicts):
            if verdict.failure == "invalid":  # asked again once the server is mended
                for client in self.clients:
                    client.forget(verdict.keys)
        if len(parts) == 1:
            return parts[0]
        verdicts = [verdict for part in parts for verdict in part.verdicts]
        if any(part.status == "failed" for part in parts):
            return _judged(None, comparison, verdicts)
        standard = [_standardised(part.values) for part in parts]
        weights = [each.weight for each in self.judges]
        sums = (sum(w * v for w, v in zip(weights, column, strict=True)) for column in zip(*standard, strict=True))
        return _judged(tuple(sums), comparison, verdicts)

    def submit(self, comparisons: Sequence[Comparison], loop: LoopThread) -> Future[list[Judged]]:
        """Start judging groups on `loop`, to which the clients belong from then on; the result has their order.

        >>> judged = panel.submit(comparisons, loop)  # doctest: +SKIP
        >>> judged.result()  # one Judged per comparison; sample meanwhile  # doctest: +SKIP

        `result()` raises `StopRun` (dead endpoint, budget spent, disk full) and what else a judge raises, as itself, as
        soon as it happens: the rest of the batch is given up. Another batch may be submitted then. How many calls are
        on their way at a time is for the clients to bound (`workbench.vlm.settings.Limits`).
        """
        return loop.submit(gather_or_stop(map(self.judge, tuple(comparisons))))

    async def close(self) -> None:
        """Close the clients; call it on the loop they were used on.

        Answers on their way are waited for and cached, as they are paid for.
        """
        for client in self.clients:
            await client.drain()
            await client.close()


async def judge_group(judge: Judge, comparison: Comparison, *, both_orders: bool = True) -> Judged:
    """What one judge makes of all candidates of `comparison`.

    - A judge with `pointwise = True` is asked once; its scores are the values.
    - Two candidates are shown in both orders: the winner of both has the value 1 and the other 0. A tie in either, or
      two winners, is a tie; where an order failed, the group has failed.
    - More are shown two at a time, each two in both orders: G (G - 1) calls. A candidate's value is the share of its
      pairs it won, 1/2 for each tie or disagreement (Pref-GRPO). A pair of which an order failed is left out; the
      group has failed when that leaves a candidate without any.

    With `both_orders=False` each pair is shown once, in the order the candidates come in. Raises `StopRun` when going
    on is pointless, and whatever else a judge raises: that is a bug in it.
    """
    candidates = range(len(comparison.images))
    if getattr(judge, "pointwise", False):
        verdict = await judge.compare(comparison, candidates)
        return _judged(_scores(verdict, judge, comparison), comparison, [verdict])
    pairs = list(combinations(candidates, 2))
    orders = ((0, 1), (1, 0)) if both_orders else ((0, 1),)
    shown = [_of_two(comparison, pair) for pair in pairs]
    verdicts = await gather_or_stop(judge.compare(each, order) for each in shown for order in orders)
    wins: list[list[float]] = [[] for _ in candidates]
    for number, (i, j) in enumerate(pairs):
        won = _share_won(verdicts[number * len(orders) : (number + 1) * len(orders)])
        if won is not None:
            wins[i].append(won)
            wins[j].append(1 - won)
    values = tuple(fmean(each) for each in wins) if all(wins) else None
    return _judged(values, comparison, verdicts)


def comparison_of(
    update: int, group: int, task: Task, prompt: str, images: Sequence[Image.Image], source: ImageSource | None = None
) -> Comparison:
    """The candidates of one group as judges see them; its id is such as `u12-g3`."""
    return Comparison(f"u{update}-g{group}", task, prompt, tuple(map(png, images)), source)


def png(image: Image.Image) -> bytes:
    """A picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _scores(verdict: Verdict, judge: Judge, comparison: Comparison) -> tuple[float, ...] | None:
    if verdict.ranks is None:
        return None
    if verdict.scores is None or not all(map(math.isfinite, verdict.scores)):
        raise ValueError(
            f"judge {judge.name!r} gave the scores {verdict.scores} to {comparison.id}; a judge with pointwise = True "
            "gives a finite score to every candidate, or a failed verdict"
        )
    return verdict.scores


def _of_two(comparison: Comparison, pair: tuple[int, int]) -> Comparison:
    if len(comparison.images) == 2:
        return comparison
    i, j = pair
    images = (comparison.images[i], comparison.images[j])
    return replace(comparison, id=f"{comparison.id}-{i}-{j}", images=images, ranks=None, scores=None)


def _share_won(verdicts: Sequence[Verdict]) -> float | None:
    """What the first of two candidates won: 1, 0, or 1/2 where verdicts tie or differ; None where one failed."""
    outcomes = {verdict.outcome for verdict in verdicts}
    if any(verdict.ranks is None for verdict in verdicts):
        return None
    return {"a": 1.0, "b": 0.0}.get(outcomes.pop(), 0.5) if len(outcomes) == 1 else 0.5


def _standardised(values: Sequence[float]) -> list[float]:
    mean, std = fmean(values), pstdev(values)
    return [(value - mean) / std if std > SAME else 0.0 for value in values]


def _judged(values: tuple[float, ...] | None, comparison: Comparison, verdicts: Sequence[Verdict]) -> Judged:
    if values is None:
        return Judged((math.nan,) * len(comparison.images), "failed", tuple(verdicts))
    return Judged(values, "decided" if max(values) - min(values) > SAME else "tied", tuple(verdicts))
