"""The blind recipe: criteria are kept for what they do to a judge that never sees the human label.

Different from the published recipe (`arr`): every verdict is asked for in both orders and without the label; the
judge's own words go into the revision; what was revised is verified again; criteria that nobody can check, that compare
or that repeat the example are screened out; criteria are chosen and weighted by how well their verdicts predict people
(`selection`); and the finished rubric is verified once more. n seed pairs take at most 6 n calls:

    write n, verify a third in both orders and revise it (3 n/3), verify all in both orders (2 n), and the result (2 n)

The writer and the judge may be different models; the rubric is for the judge.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from workbench.evaluation.judging import judge_pairs
from workbench.evaluation.record import VerdictRecord
from workbench.induction.drafts import Drafts
from workbench.induction.errors import PartialRubric, check_answered
from workbench.induction.events import Event
from workbench.induction.pool import capped, criteria_of, renumbered, weighted
from workbench.induction.seeds import EmptyRubric, usable_seeds
from workbench.induction.selection import SEPARATES, Selection, Votes, select
from workbench.induction.writing import Writer
from workbench.judges.exemplars import Exemplar
from workbench.judges.vlm_judge import RankingJudge
from workbench.pairs.comparison import Comparison
from workbench.progress import Progress
from workbench.rubrics.rubric import Rubric, Theme
from workbench.vlm.client import VlmClient
from workbench.vlm.errors import BudgetSpent

MOST_POOLED, MOST_REVISED, MOST_TIGHTENED = 16, 8, 4
"""Most criteria a judge is asked about at once: as first written, as revised, as tightened."""
TEXT_CALLS = 3
"""Calls that show no image: ordering what was written, and what was revised, and tightening."""
STAGES = ("writing", "ordering", "trying", "revising", "choosing", "verifying the result")


@dataclass(frozen=True, slots=True)
class BlindSettings:
    """Settings of the blind recipe.

    - `criteria_per_pair`: K, how many criteria are asked for at a time.
    - `criteria`: the most that are chosen. (All are kept where together they do better on the seeds than those chosen.)
    - `description`: what the images are for, in the user's words. - `exemplars`: guide mode, as in `ArrSettings`.
    - `seed`: of every random choice.
    """

    criteria_per_pair: int = 5
    criteria: int = 8
    description: str = ""
    exemplars: tuple[Exemplar, ...] = ()
    seed: int = 0

    recipe: ClassVar[str] = "blind"

    def __post_init__(self) -> None:
        for name in ("criteria_per_pair", "criteria"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON."""
        return {**asdict(self), "exemplars": [exemplar.model_dump() for exemplar in self.exemplars]}

    def most_calls(self, pairs: int) -> int:
        """The most questions `pairs` seed pairs take, repairs of answers that break the format not counted.

        >>> BlindSettings().most_calls(60)
        360
        """
        tried = tried_first(pairs)
        return 5 * pairs + 3 * tried + (TEXT_CALLS if tried else 1)

    def steps(self, pairs: int) -> int:
        """Steps of progress: seeds written about and verdicts asked for."""
        return 5 * pairs + 2 * tried_first(pairs)

    async def induce(
        self,
        seeds: Sequence[Comparison],
        writer: VlmClient,
        judge: VlmClient,
        *,
        name: str,
        record: Callable[[Event], None],
        progress: Progress | None = None,
    ) -> Rubric:
        """`induce_blind` with these settings."""
        return await induce_blind(seeds, writer, judge, self, name=name, record=record, progress=progress)


def tried_first(pairs: int) -> int:
    """How many pairs criteria are tried on, and revised for, before all are judged: as many as 6 calls a pair allow."""
    return max(0, (pairs - TEXT_CALLS) // 3)


async def induce_blind(
    seeds: Sequence[Comparison],
    writer: VlmClient,
    judge: VlmClient,
    settings: BlindSettings,
    *,
    name: str,
    record: Callable[[Event], None],
    progress: Progress | None = None,
) -> Rubric:
    """Induce a rubric for `judge` from labelled seed pairs, in the words of `writer`.

    - `record`: called with every step as it happens.

    Raises `ValueError` for unlabelled seeds or mixed tasks, `EmptyRubric` when no criterion is left, `SilentJudge` when
    most verdicts failed, `PartialRubric` with what there is when the budget ends half-way, and another
    `workbench.vlm.errors.StopRun` when going on is pointless; everything answered so far is in the client's cache.
    """
    usable = usable_seeds(seeds)
    recipe = _Recipe(usable.pairs, writer, judge, settings, record, progress)
    for pair_id, why in usable.aside.items():
        record(Event(pair_id, "dropped", detail=why))

    def finished(themes: tuple[Theme, ...], **more: Any) -> Rubric:
        provenance = {
            "recipe": settings.recipe,
            "seed_pairs": [seed.id for seed in seeds],
            "settings": settings.to_json(),
            "writer": writer.identity(),
            "judge": judge.identity(),
            "counts": {"seed_pairs": len(seeds), "set_aside": len(usable.aside), **recipe.counts()},
        }
        if usable.aside:
            provenance["set_aside"] = dict(usable.aside)
        return Rubric(name=name, task=usable.task, themes=themes, provenance={**provenance, **more})

    try:
        await recipe.run()
    except BudgetSpent as spent:
        themes = capped(recipe.themes or recipe.drafts.unordered(), settings.criteria)
        partial = f"{spent}; not done: {', '.join(STAGES[recipe.stage :])}"
        record(Event("", "failed", detail=partial))
        if not themes:
            raise
        raise PartialRubric(partial, finished(themes, partial=partial)) from spent
    if not recipe.themes:
        raise EmptyRubric(recipe.drafts.why_none())
    chosen: dict[str, Any] = {"chosen": recipe.chosen}
    if recipe.selection:
        chosen["selection"] = recipe.selection.to_json()
    return finished(recipe.themes, **chosen)


class _Recipe:
    """The steps of one induction; `themes` is the best rubric so far, `stage` the step under way."""

    def __init__(
        self,
        seeds: Sequence[Comparison],
        writer: VlmClient,
        judge: VlmClient,
        settings: BlindSettings,
        record: Callable[[Event], None],
        progress: Progress | None,
    ) -> None:
        self.seeds = seeds
        self.judge = judge
        self.settings = settings
        self.record = record
        self.progress = progress
        writing = Writer(
            writer,
            seeds[0].task,
            settings.criteria_per_pair,
            record,
            description=settings.description,
            exemplars=settings.exemplars,
        )
        advance = progress.advance if progress else lambda: None
        self.drafts = Drafts(writing, record, advance, seed=settings.seed)
        self.themes: tuple[Theme, ...] = ()
        self.selection: Selection | None = None
        self.chosen: dict[str, Any] = {}
        self.failed_verdicts = 0
        self.stage = 0

    def counts(self) -> Counter[str]:
        """What was written, screened out, revised and failed."""
        return self.drafts.counts + Counter(failed_verdicts=self.failed_verdicts)

    async def run(self) -> None:
        """All steps, the best rubric so far in `themes` after each."""
        written = await self.drafts.propose(self.seeds)
        self.stage = STAGES.index("ordering")
        self.themes = capped(await self.drafts.order(written, (), epoch=0), MOST_POOLED)
        if not self.themes:
            return
        self.stage = STAGES.index("trying")
        tried = self._some(tried_first(len(self.seeds)))
        records = await self._verify(self.themes, tried, epoch=0)
        self.stage = STAGES.index("revising")
        self.themes = renumbered([*self.themes, *await self._improved(tried, records)])
        self.stage = STAGES.index("choosing")
        pool = self.themes
        records = await self._verify(pool, self.seeds, epoch=1)
        check_answered(records)
        votes = Votes.of(self.seeds, records, [c.id for c in criteria_of(pool)])
        selection = select(votes, most=self.settings.criteria, seed=self.settings.seed)
        self.themes, self.selection = weighted(pool, selection)
        self.record(Event("", "selected", 1, tuple(c.text for c in criteria_of(self.themes))))
        self.stage = STAGES.index("verifying the result")
        await self._choose(pool, records)

    def _some(self, count: int) -> list[Comparison]:
        generator = np.random.default_rng(self.settings.seed)
        return [self.seeds[i] for i in sorted(generator.permutation(len(self.seeds))[:count])]

    async def _verify(
        self, themes: Sequence[Theme], pairs: Sequence[Comparison], epoch: int, *, criteria: bool = True
    ) -> list[VerdictRecord]:
        """The judge's verdicts by a rubric, and by each of its criteria, in both orders, the label unseen."""
        if not pairs:
            return []
        judge = RankingJudge(self.judge, Rubric("pool", pairs[0].task, tuple(themes)), criteria=criteria)
        concurrency = self.judge.limits.concurrency
        records = await judge_pairs(pairs, judge, concurrency=concurrency, progress=self.progress)
        failed = [each for each in records if each.ranks is None]
        self.failed_verdicts += len(failed)
        by_pair: dict[str, list[VerdictRecord]] = {}
        for each in records:
            by_pair.setdefault(each.pair_id, []).append(each)
        for pair_id, found in by_pair.items():
            self.record(_verified(pair_id, found, epoch))
        return records

    async def _improved(self, pairs: Sequence[Comparison], records: Sequence[VerdictRecord]) -> tuple[Theme, ...]:
        """New criteria for the pairs on which the judge went wrong, and stricter ones for what every image passes."""
        if not pairs:
            return ()
        # A verdict that failed says nothing about the criteria.
        errors = {each.pair_id for each in records if each.ranks is not None and not each.correct}
        wrong = [(pair, [each for each in records if each.pair_id == pair.id]) for pair in pairs if pair.id in errors]
        revised = await self.drafts.revise(wrong, self.themes)
        ordered = capped(await self.drafts.order(revised, self.themes, epoch=1), MOST_REVISED)
        known = criteria_of(self.themes)
        separates = Votes.of(pairs, records, [criterion.id for criterion in known]).separates
        passed = [c.text for c, share in zip(known, separates, strict=True) if share < SEPARATES]
        return (*ordered, *await self.drafts.tighten(passed[:MOST_TIGHTENED], (*self.themes, *ordered)))

    async def _choose(self, pool: tuple[Theme, ...], records: Sequence[VerdictRecord]) -> None:
        """Keep the chosen criteria, unless the whole pool led the judge to people's choice more often."""
        finished = await self._verify(self.themes, self.seeds, epoch=2, criteria=False)
        valid = {each.key for each in records if each.ranks} & {each.key for each in finished if each.ranks}
        before, after = (_accuracy(each, valid) for each in (records, finished))
        if before > after:
            self.themes, self.selection = pool, None
        self.chosen = {
            "kept": "pool" if before > after else "selected",
            "pool": round(before, 4),
            "selected": round(after, 4),
            "verdicts": len(valid),
            "pool_criteria": len(criteria_of(pool)),
        }
        kept = tuple(criterion.text for criterion in criteria_of(self.themes))
        detail = f"right on seeds: {after:.1%} chosen, {before:.1%} all {len(criteria_of(pool))}"
        self.record(Event("", "kept", 2, kept, detail=detail))


def _verified(pair_id: str, records: Sequence[VerdictRecord], epoch: int) -> Event:
    return Event(
        pair_id,
        "verified",
        epoch,
        passed=all(each.correct for each in records),
        reason=records[0].reason,
        detail=", ".join(f"{each.order}: {'right' if each.correct else each.outcome}" for each in records),
        cached=all(each.cached for each in records),
        keys=tuple(key for each in records for key in each.keys),
    )


def _accuracy(records: Sequence[VerdictRecord], keys: Collection[object]) -> float:
    """The share of right verdicts among those with one of the keys."""
    return sum(bool(record.correct) for record in records if record.key in keys) / max(1, len(keys))
