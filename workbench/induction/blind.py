"""The blind recipe: criteria are kept for what they do to a judge that never sees the human label.

Different from the published recipe (`arr`): every verdict is asked for in both orders and without the label; the
judge's own words go into the revision; what was revised is verified again; criteria that nobody can check, that compare
or that repeat the example are screened out; criteria are chosen and weighted by how well their verdicts predict people
(`selection`); and the finished rubric is verified once more. n seed pairs take at most 6 n calls:

    write n, verify a third in both orders and revise it (3 n/3), verify all in both orders (2 n), and the result (2 n)

The writer and the judge may be different models; the rubric is for the judge.
"""

import zlib
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from workbench.evaluation.judging import judge_pairs
from workbench.evaluation.record import ORDERS, VerdictRecord
from workbench.induction.answers import Group
from workbench.induction.events import Event
from workbench.induction.pool import capped, criteria_of, renumbered, screened, weighted
from workbench.induction.screen import screen
from workbench.induction.seeds import EmptyRubric, usable_seeds
from workbench.induction.selection import SEPARATES, Selection, Votes, select
from workbench.induction.writing import PACKAGE, Writer, numbered, ranks_text, themes_of
from workbench.judges.exemplars import Exemplar
from workbench.judges.messages import prompt_text
from workbench.judges.vlm_judge import RankingJudge
from workbench.pairs.comparison import Comparison
from workbench.progress import Progress
from workbench.rubrics.rubric import Criterion, Rubric, Theme
from workbench.vlm.client import VlmClient
from workbench.vlm.errors import BudgetSpent, InvalidAnswer, NoAnswer
from workbench.vlm.tasks import gather_or_stop

POOL_THEMES = 10
"""Most properties that are told apart before any is chosen."""
MOST_POOLED, MOST_REVISED, MOST_TIGHTENED = 16, 8, 4
"""Most criteria a judge is asked about at once: as first written, as revised, as tightened."""
MOST_GROUPED = 400
"""Most criteria put in order by one call; beyond it the rarest wordings are left out."""
TEXT_CALLS = 3
"""Calls that show no image: ordering what was written, and what was revised, and tightening."""


class SilentJudge(ValueError):
    """The judge gave no valid verdict at all, so nothing can be chosen by its verdicts."""


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

    A budget that ends half-way leaves what there is by then, and `provenance["partial"]` says what was not done. Raises
    `ValueError` for unlabelled seeds or mixed tasks, `EmptyRubric` when no criterion is left, `SilentJudge` when no
    verdict came, and `workbench.vlm.errors.StopRun` when going on is pointless, a budget that leaves nothing among it;
    everything answered so far is in the client's cache.
    """
    usable = usable_seeds(seeds)
    recipe = _Recipe(usable.pairs, writer, judge, settings, record, progress)
    for pair_id, why in usable.aside.items():
        record(Event(pair_id, "dropped", detail=why))
    spent: BudgetSpent | None = None
    try:
        await recipe.run()
    except BudgetSpent as error:
        spent = error
        record(Event("", "failed", detail=f"{spent}; not done: {recipe.stage}"))
        recipe.themes = capped(recipe.themes or recipe.unordered(), settings.criteria)
    if not recipe.themes:
        raise spent or EmptyRubric(recipe.why_empty())
    provenance = {
        "recipe": "blind",
        "seed_pairs": [seed.id for seed in seeds],
        "settings": settings.to_json(),
        "writer": writer.identity(),
        "judge": judge.identity(),
        "counts": {"seed_pairs": len(seeds), "set_aside": len(usable.aside), **recipe.counts},
    }
    if usable.aside:
        provenance["set_aside"] = dict(usable.aside)
    if recipe.selection:
        provenance["selection"] = recipe.selection.to_json()
    if recipe.chosen:
        provenance["chosen"] = recipe.chosen
    if spent:
        provenance["partial"] = f"{spent}; not done: {recipe.stage}"
    return Rubric(name=name, task=usable.task, themes=recipe.themes, provenance=provenance)


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
        self.writer = Writer(
            writer,
            seeds[0].task,
            settings.criteria_per_pair,
            record,
            description=settings.description,
            exemplars=settings.exemplars,
        )
        self.sources: dict[str, list[str]] = {}
        self.themes: tuple[Theme, ...] = ()
        self.counts: Counter[str] = Counter()
        self.screened: Counter[str] = Counter()
        self.selection: Selection | None = None
        self.chosen: dict[str, Any] = {}
        self.stage = ""

    async def run(self) -> None:
        """All steps, the best rubric so far in `themes` after each."""
        self.stage = "ordering, trying, choosing and verifying criteria"
        await self._written((seed, self._propose(seed)) for seed in self.seeds)
        self.themes = capped(await self._order(list(self.sources), epoch=0), MOST_POOLED)
        if not self.themes:
            return
        self.stage = "trying, choosing and verifying criteria"
        tried = self._some(tried_first(len(self.seeds)))
        records = await self._verify(self.themes, tried, epoch=0)
        self.stage = "revising, choosing and verifying criteria"
        self.themes = renumbered([*self.themes, *await self._improved(tried, records)])
        self.stage = "choosing and verifying criteria"
        records = await self._verify(self.themes, self.seeds, epoch=1)
        pool = self.themes
        votes = Votes.of(self.seeds, records, [c.id for c in criteria_of(pool)])
        selection = select(votes, most=self.settings.criteria, seed=self.settings.seed)
        self.themes, self.selection = weighted(pool, selection)
        self.record(Event("", "selected", 1, tuple(c.text for c in criteria_of(self.themes))))
        self.stage = "verifying the result"
        await self._choose(pool, records)

    def unordered(self) -> tuple[Theme, ...]:
        """What was written so far, the most frequent first, when nothing was put in order yet."""
        texts = sorted(self.sources, key=lambda text: -len(self.sources[text]))[: self.settings.criteria]
        return themes_of([Group("Criteria", tuple(texts))] if texts else [], self.sources)

    def why_empty(self) -> str:
        """Why there is no criterion, and what to do."""
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.screened.most_common()) or "none was written"
        return (
            f"no criterion was left of {self.counts['written']} written for {len(self.seeds)} seed pairs "
            f"({self.counts['failed']} without an answer; screened out: {reasons}); look at events.jsonl, then try "
            "another writer"
        )

    async def _propose(self, seed: Comparison) -> tuple[str, ...]:
        order = tuple(int(i) for i in self._generator(seed.id).permutation(len(seed.images)))
        question = prompt_text(PACKAGE, "question_label", {"ranks": ranks_text(_shown(seed.ranks or (), order))})
        texts = await self.writer.write(seed, order, "write", question, Event(seed.id, "generated"))
        if self.progress:
            self.progress.advance()
        return texts

    def _keep(self, seed: Comparison, texts: Iterable[str], epoch: int) -> list[str]:
        """Note the criteria that pass the screen, and where they came from."""
        kept = []
        for text in dict.fromkeys(texts):
            self.counts["written"] += 1
            if reason := screen(text, seed.prompt):
                self.screened[reason] += 1
                self.counts["screened_out"] += 1
                self.record(Event(seed.id, "screened", epoch, (text,), detail=reason))
                continue
            kept.append(text)
            self.sources.setdefault(text, []).append(seed.id)
        return kept

    async def _order(self, texts: Sequence[str], epoch: int) -> tuple[Theme, ...]:
        """Criteria by theme, as the writer groups them; one theme of all when it cannot."""
        if not texts:
            return ()
        common = sorted(texts, key=lambda text: -len(self.sources.get(text, ())))[:MOST_GROUPED]
        try:
            groups = await self.writer.group(common, "pool", POOL_THEMES, Event("", "structured", epoch))
        except (NoAnswer, InvalidAnswer) as failure:
            self.record(Event("", "failed", epoch, tuple(common), detail=str(failure)))
            groups = (Group("Criteria", tuple(common)),)
        return themes_of(self._fit(groups, epoch), self.sources)

    def _fit(self, groups: Iterable[Group], epoch: int) -> list[Group]:
        """What a writer put in order, screened once more, as it may have written anew; near repeats left out."""

        def refused(tip: str, reason: str) -> None:
            self.record(Event("", "screened", epoch, (tip,), detail=reason))

        return screened(groups, [criterion.text for criterion in criteria_of(self.themes)], refused)

    async def _verify(
        self, themes: Sequence[Theme], pairs: Sequence[Comparison], epoch: int, *, criteria: bool = True
    ) -> list[VerdictRecord]:
        """The judge's verdicts by a rubric, and by each of its criteria, in both orders, the label unseen."""
        if not pairs:
            return []
        rubric = Rubric("pool", pairs[0].task, tuple(themes))
        judge = RankingJudge(self.judge, rubric, criteria=criteria)
        concurrency = self.judge.limits.concurrency
        records = await judge_pairs(pairs, judge, concurrency=concurrency, progress=self.progress)
        failed = [each for each in records if each.ranks is None]
        self.counts["failed_verdicts"] += len(failed)
        if len(failed) == len(records):
            raise SilentJudge(f"not one of {len(records)} verdicts came from the judge, the last: {failed[-1].detail}")
        by_pair: dict[str, list[VerdictRecord]] = {}
        for each in records:
            by_pair.setdefault(each.pair_id, []).append(each)
        for pair_id, found in by_pair.items():
            self.record(
                Event(
                    pair_id,
                    "verified",
                    epoch,
                    passed=all(each.correct for each in found),
                    reason=found[0].reason,
                    detail=", ".join(f"{each.order}: {'right' if each.correct else each.outcome}" for each in found),
                    cached=all(each.cached for each in found),
                    keys=tuple(key for each in found for key in each.keys),
                )
            )
        return records

    async def _improved(self, pairs: Sequence[Comparison], records: Sequence[VerdictRecord]) -> tuple[Theme, ...]:
        """New criteria for the pairs on which the judge went wrong, and stricter ones for what every image passes."""
        if not pairs:
            return ()
        wrong: dict[str, list[VerdictRecord]] = {}
        for each in records:  # a verdict that failed says nothing about the criteria
            if each.ranks is not None and not each.correct:
                wrong.setdefault(each.pair_id, []).append(each)
        missed = [pair for pair in pairs if pair.id in wrong]
        revised = await self._written(((pair, self._revise(pair, wrong[pair.id])) for pair in missed), epoch=1)
        self.counts["revised_pairs"] = len(missed)
        ordered = capped(await self._order(list(dict.fromkeys(revised)), epoch=1), MOST_REVISED)
        votes = Votes.of(pairs, records, [criterion.id for criterion in criteria_of(self.themes)])
        passed = [c for c, share in zip(criteria_of(self.themes), votes.separates, strict=True) if share < SEPARATES]
        return (*ordered, *await self._tighten(passed[:MOST_TIGHTENED]))

    async def _revise(self, pair: Comparison, records: Sequence[VerdictRecord]) -> tuple[str, ...]:
        """Criteria against an error, with what the judge said; shown as the judge was shown it."""
        worst = records[0]
        again = "the same" if len(records) == len(ORDERS) else "as people did, or gave no valid ranking"
        values = {
            "ranks": ranks_text(_shown(pair.ranks or (), worst.shown)),
            "previous": numbered([criterion.text for criterion in criteria_of(self.themes)]),
            "actual": ranks_text(_shown(worst.ranks or (), worst.shown)),
            "reason": worst.reason or "nothing",
            "reversed": again,
        }
        question = prompt_text(PACKAGE, "question_critique", values)
        return await self.writer.write(pair, worst.shown, "rewrite", question, Event(pair.id, "revised"))

    async def _tighten(self, criteria: Sequence[Criterion]) -> tuple[Theme, ...]:
        if not criteria:
            return ()
        texts = [criterion.text for criterion in criteria]
        try:
            stricter = await self.writer.tighten(texts)
        except (NoAnswer, InvalidAnswer) as failure:
            self.record(Event("", "failed", 1, tuple(texts), detail=str(failure)))
            return ()
        self.counts["tightened"] = len(stricter)
        return themes_of(self._fit([Group("Tightened", stricter[:MOST_TIGHTENED])], epoch=1), {})

    async def _choose(self, pool: tuple[Theme, ...], records: Sequence[VerdictRecord]) -> None:
        """Keep the chosen criteria, unless the whole pool led the judge to people's choice more often."""
        finished = await self._verify(self.themes, self.seeds, epoch=2, criteria=False)
        valid = {each.key for each in records if each.ranks} & {each.key for each in finished if each.ranks}
        before, after = (_accuracy(each, valid) for each in (records, finished))
        self.chosen = {
            "pool": round(before, 4),
            "selected": round(after, 4),
            "verdicts": len(valid),
            "pool_criteria": len(criteria_of(pool)),
        }
        if before > after:
            self.themes, self.selection = pool, None
        self.chosen["kept"] = "pool" if before > after else "selected"
        kept = tuple(criterion.text for criterion in criteria_of(self.themes))
        detail = f"right on seeds: {after:.1%} chosen, {before:.1%} all {len(criteria_of(pool))}"
        self.record(Event("", "kept", 2, kept, detail=detail))

    async def _written(
        self, work: Iterable[tuple[Comparison, Coroutine[Any, Any, tuple[str, ...]]]], epoch: int = 0
    ) -> list[str]:
        """What was written for each seed and passes the screen, in the seeds' order whatever came first.

        Failures are noted; a spent budget is raised once the answers in flight, which are paid for, have come.
        """
        spent: list[BudgetSpent] = []

        async def one(seed: Comparison, writing: Coroutine[Any, Any, tuple[str, ...]]) -> tuple[str, ...]:
            try:
                return await writing
            except (NoAnswer, InvalidAnswer) as failure:
                self.counts["failed"] += 1
                self.record(Event(seed.id, "failed", epoch, detail=str(failure)))
            except BudgetSpent as error:
                spent.append(error)
            return ()

        pairs = list(work)
        texts = await gather_or_stop(one(*each) for each in pairs)
        kept = [text for (seed, _), own in zip(pairs, texts, strict=True) for text in self._keep(seed, own, epoch)]
        if spent:
            raise spent[0]
        return kept

    def _some(self, count: int) -> list[Comparison]:
        generator = np.random.default_rng(self.settings.seed)
        return [self.seeds[i] for i in sorted(generator.permutation(len(self.seeds))[:count])]

    def _generator(self, about: str) -> np.random.Generator:
        return np.random.default_rng([self.settings.seed, zlib.crc32(about.encode())])


def _shown(ranks: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
    """Ranks in the dataset's order, put into the order shown."""
    return tuple(ranks[index] for index in order)


def _accuracy(records: Sequence[VerdictRecord], keys: Collection[object]) -> float:
    """The share of right verdicts among those with one of the keys."""
    return sum(bool(record.correct) for record in records if record.key in keys) / max(1, len(keys))
