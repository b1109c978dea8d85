"""A few chosen pairs judged under one rubric after another: what an edit would ask, and what it changed."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from workbench.evaluation.compare import JudgedRun, RunComparison, compare_runs
from workbench.evaluation.judging import judge_pairs
from workbench.evaluation.record import ORDERS, VerdictRecord, shown_order
from workbench.evaluation.results import Results, summarise
from workbench.judges.vlm_judge import RankingJudge
from workbench.pairs.comparison import Comparison
from workbench.rubrics.rubric import Rubric
from workbench.vlm.budget import Estimate
from workbench.vlm.client import VlmClient
from workbench.vlm.request import ChatRequest

SEEN = (
    "These pairs were chosen, and the rubric is edited while looking at them: they are seen pairs, and numbers on them "
    "are no held-out evidence. Prove a gain on pairs nobody looked at."
)

Kind = Literal["wrong", "inconsistent", "right", "other"]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What judging would send: of `questions` those in `missing`; the others are answered from the cache."""

    questions: int
    missing: Estimate

    @property
    def calls(self) -> int:
        """Requests, if each is answered at once in the format asked for."""
        return self.missing.calls

    def line(self) -> str:
        """Such as `48 calls, up to $0.12 (0 of 48 answers cached)`."""
        if not self.calls:
            return f"nothing to send: all {self.questions:,} answers are cached"
        cost = self.missing.cost_usd
        told = "price unknown" if cost is None else f"up to ${cost:.2f}" if cost >= 0.01 else f"up to ${cost:.4f}"
        told = "free on this machine" if cost == 0 else told
        calls = f"{self.calls:,} call{'s' if self.calls != 1 else ''}"
        return f"{calls}, {told} ({self.questions - self.calls:,} of {self.questions:,} answers cached)"


@dataclass(frozen=True)
class Judgement:
    """The verdicts on a panel under one rubric, all `wanted` of them or those that came before something went wrong.

    - `rubric`: None for rubric-free.
    """

    rubric: Rubric | None
    pairs: tuple[Comparison, ...]
    records: tuple[VerdictRecord, ...]
    synthetic: bool = False

    @property
    def wanted(self) -> int:
        """Verdicts of a whole judgement: every pair in both orders."""
        return len(ORDERS) * len(self.pairs)

    @property
    def whole(self) -> bool:
        return len(self.records) == self.wanted

    @property
    def name(self) -> str:
        """The rubric's name with the start of its hash."""
        return f"{self.rubric.name} {self.rubric.hash[:8]}" if self.rubric else "rubric-free"

    @cached_property
    def outcomes(self) -> Counter[str]:
        """How many verdicts were `a`, `b`, ..., `tie`, `invalid` and `error`."""
        return Counter(record.outcome for record in self.records)

    @cached_property
    def results(self) -> Results:
        """Accuracies with interval and n over the labelled pairs judged so far."""
        return summarise(self.records, self.pairs, synthetic=self.synthetic)

    def of(self, pair_id: str) -> list[VerdictRecord]:
        """The verdicts on one pair, forward first."""
        return sorted((r for r in self.records if r.pair_id == pair_id), key=lambda r: ORDERS.index(r.order))


def requests_of(pairs: Sequence[Comparison], client: VlmClient, rubrics: Iterable[Rubric | None]) -> list[ChatRequest]:
    """What is asked about `pairs` in both orders under each rubric; None is rubric-free.

    Raises `RubricError` for a rubric without an enabled criterion.
    """
    judges = [RankingJudge(client, rubric) for rubric in rubrics]
    return [judge.request(pair, shown_order(pair, order)) for judge in judges for pair in pairs for order in ORDERS]


async def outlook(pairs: Sequence[Comparison], client: VlmClient, rubrics: Iterable[Rubric | None]) -> Outlook:
    """What judging `pairs` under each rubric would send now. Raises as `requests_of` does."""
    requests = requests_of(pairs, client, rubrics)
    return Outlook(len(requests), await client.estimate_missing(requests))


async def judge_panel(
    pairs: Sequence[Comparison],
    client: VlmClient,
    rubric: Rubric | None,
    record: Callable[[VerdictRecord], None],
) -> None:
    """Judge every pair in both orders under `rubric`, handing each verdict to `record` as it arrives.

    Answers in the cache are not asked for again, so a second call goes on where one was cut short. Raises `StopRun`
    when going on is pointless and `RubricError` for a rubric without an enabled criterion.
    """
    judge = RankingJudge(client, rubric)
    await judge_pairs(pairs, judge, concurrency=client.limits.concurrency, record=record)


def compare_judgements(before: Judgement, after: Judgement) -> RunComparison | None:
    """What changed over the pairs judged in both orders by both; None where there is no such pair.

    Only pairs that are the same in both panels count, a changed label makes another pair.
    """
    known = {pair.id: pair for pair in before.pairs}
    same = {pair.id for pair in after.pairs if known.get(pair.id) == pair}
    runs = [
        JudgedRun.of(each.name, "panel", [r for r in each.records if r.pair_id in same], synthetic=each.synthetic)
        for each in (before, after)
    ]
    try:
        return compare_runs(*runs)
    except ValueError:  # no pair in common yet
        return None


def choose_panel(
    comparisons: Sequence[Comparison], records: Iterable[VerdictRecord], n: int = 24, seed: int = 0
) -> list[Comparison]:
    """About as many wrong, as inconsistent, as right pairs, `n` together, in the dataset's order.

    - `records`: one judge's verdicts on them. Wrong: right in neither order; inconsistent: right in one.

    Where a kind is short the others fill in; pairs without a label or verdict come last. Accuracy on a panel chosen
    like this says nothing about the dataset, and editing while looking at it makes its pairs seen: its numbers are no
    held-out evidence. The same `seed` chooses the same pairs.
    """
    right: dict[str, list[bool | None]] = {}
    for record in records:
        right.setdefault(record.pair_id, []).append(record.correct)
    groups: dict[Kind, list[Comparison]] = {"wrong": [], "inconsistent": [], "right": [], "other": []}
    for comparison in comparisons:
        groups[_kind(right.get(comparison.id, []))].append(comparison)
    draw = random.Random(seed)
    for group in groups.values():
        draw.shuffle(group)
    chosen: list[Comparison] = []
    while len(chosen) < min(n, len(comparisons)):
        turn = [group for kind, group in groups.items() if group and kind != "other"] or [groups["other"]]
        chosen += [group.pop() for group in turn][: n - len(chosen)]
    wanted = {id(comparison) for comparison in chosen}
    return [comparison for comparison in comparisons if id(comparison) in wanted]


def _kind(correct: Sequence[bool | None]) -> Kind:
    known = [value for value in correct if value is not None]
    if not known:
        return "other"
    return "right" if all(known) else "inconsistent" if any(known) else "wrong"
