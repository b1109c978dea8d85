"""The criteria a writer has come up with so far, screened, and where each came from."""

import zlib
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

import numpy as np

from workbench.evaluation.record import VerdictRecord
from workbench.induction.answers import Group
from workbench.induction.events import Event
from workbench.induction.pool import criteria_of, screened
from workbench.induction.screen import screen
from workbench.induction.writing import PACKAGE, Writer, numbered, ranks_text, themes_of
from workbench.judges.messages import prompt_text
from workbench.pairs.comparison import Comparison
from workbench.rubrics.rubric import Theme
from workbench.vlm.errors import BudgetSpent, InvalidAnswer, NoAnswer
from workbench.vlm.tasks import gather_or_stop

POOL_THEMES = 10
"""Most properties that are told apart before any is chosen."""
MOST_GROUPED = 400
"""Most criteria put in order by one call; beyond it the rarest wordings are left out."""

Writing = tuple[Comparison, Coroutine[Any, Any, tuple[str, ...]]]


class Drafts:
    """What was written; `counts` of it, and `refused`, why criteria were screened out.

    - `record`: called with every step as it happens. - `advance`: called for every seed written about.
    - `seed`: of the order in which the writer is shown the candidates of a seed.
    """

    def __init__(
        self, writer: Writer, record: Callable[[Event], None], advance: Callable[[], None], *, seed: int
    ) -> None:
        self.writer = writer
        self.record = record
        self.advance = advance
        self.seed = seed
        self.sources: dict[str, list[str]] = {}
        self.counts: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    async def propose(self, seeds: Sequence[Comparison]) -> list[str]:
        """Criteria for every seed, its label in view. Raises `BudgetSpent` once answers in flight have come."""
        return await self._written([(seed, self._propose(seed)) for seed in seeds], epoch=0)

    async def revise(
        self, wrong: Sequence[tuple[Comparison, Sequence[VerdictRecord]]], themes: Sequence[Theme]
    ) -> list[str]:
        """Criteria for pairs with the judge's verdicts under `themes`, one wrong at least, its own words in view.

        Raises as `propose` does.
        """
        self.counts["revised_pairs"] = len(wrong)
        return await self._written([(pair, self._revise(pair, own, themes)) for pair, own in wrong], epoch=1)

    async def order(self, texts: Iterable[str], known: Sequence[Theme], epoch: int) -> tuple[Theme, ...]:
        """Criteria by theme, as the writer groups them, without near repeats of `known`; one theme when it cannot."""
        common = sorted(dict.fromkeys(texts), key=lambda text: -len(self.sources.get(text, ())))[:MOST_GROUPED]
        if not common:
            return ()
        try:
            groups = await self.writer.group(common, "pool", POOL_THEMES, Event("", "structured", epoch))
        except (NoAnswer, InvalidAnswer) as failure:
            self.counts["not_ordered"] += 1
            self.record(Event("", "failed", epoch, tuple(common), detail=str(failure)))
            groups = (Group("Criteria", tuple(common)),)
        return themes_of(self._fit(groups, known, epoch), self.sources)

    async def tighten(self, texts: Sequence[str], known: Sequence[Theme]) -> tuple[Theme, ...]:
        """Stricter wordings of criteria that separate no images."""
        if not texts:
            return ()
        try:
            stricter = await self.writer.tighten(texts)
        except (NoAnswer, InvalidAnswer) as failure:
            self.record(Event("", "failed", 1, tuple(texts), detail=str(failure)))
            return ()
        self.counts["tightened"] = len(stricter)
        return themes_of(self._fit([Group("Tightened", stricter[: len(texts)])], known, epoch=1), {})

    def unordered(self) -> tuple[Theme, ...]:
        """What was written so far as one theme, the most frequent first."""
        texts = sorted(self.sources, key=lambda text: -len(self.sources[text]))
        return themes_of([Group("Criteria", tuple(texts))] if texts else [], self.sources)

    def why_none(self) -> str:
        """Why there is no criterion, and what to do."""
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.refused.most_common()) or "none was written"
        return (
            f"no criterion was left of {self.counts['written']} written ({self.counts['failed']} without an answer; "
            f"screened out: {reasons}); look at events.jsonl, then try another writer"
        )

    async def _propose(self, seed: Comparison) -> tuple[str, ...]:
        order = tuple(int(i) for i in self._generator(seed).permutation(len(seed.images)))
        question = prompt_text(PACKAGE, "question_label", {"ranks": ranks_text(_shown(seed.ranks or (), order))})
        texts = await self.writer.write(seed, order, "write", question, Event(seed.id, "generated"))
        self.advance()
        return texts

    async def _revise(
        self, pair: Comparison, verdicts: Sequence[VerdictRecord], themes: Sequence[Theme]
    ) -> tuple[str, ...]:
        errors = [each for each in verdicts if each.ranks is not None and not each.correct]
        error = errors[int(self._generator(pair).integers(len(errors)))]  # shown as the judge was shown it
        other = next((each.ranks for each in verdicts if each is not error), None)
        values = {
            "ranks": ranks_text(_shown(pair.ranks or (), error.shown)),
            "previous": numbered([criterion.text for criterion in criteria_of(themes)]),
            "actual": ranks_text(_shown(error.ranks or (), error.shown)),
            "reason": error.reason or "nothing",
            "reversed": ranks_text(_shown(other, error.shown) if other else None),
        }
        question = prompt_text(PACKAGE, "question_critique", values)
        return await self.writer.write(pair, error.shown, "rewrite", question, Event(pair.id, "revised"))

    def _generator(self, pair: Comparison) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(pair.id.encode())])

    async def _written(self, work: Sequence[Writing], epoch: int) -> list[str]:
        """What was written for each seed and passes the screen, in the seeds' order whatever came first."""
        spent: list[BudgetSpent] = []

        async def one(seed: Comparison, writing: Coroutine[Any, Any, tuple[str, ...]]) -> tuple[str, ...]:
            try:
                return await writing
            except (NoAnswer, InvalidAnswer) as failure:
                self.counts["failed"] += 1
                self.record(Event(seed.id, "failed", epoch, detail=str(failure)))
            except BudgetSpent as error:  # the answers in flight are paid for, so they are waited for
                spent.append(error)
            return ()

        texts = await gather_or_stop(one(*each) for each in work)
        kept = [text for (seed, _), own in zip(work, texts, strict=True) for text in self._keep(seed, own, epoch)]
        if spent:
            raise spent[0]
        return kept

    def _keep(self, seed: Comparison, texts: Iterable[str], epoch: int) -> list[str]:
        """Note the criteria that pass the screen, and where they came from."""
        kept = []
        for text in dict.fromkeys(texts):
            self.counts["written"] += 1
            if reason := screen(text, seed.prompt):
                self._refuse(seed.id, text, reason, epoch)
                continue
            kept.append(text)
            self.sources.setdefault(text, []).append(seed.id)
        return kept

    def _fit(self, groups: Iterable[Group], known: Sequence[Theme], epoch: int) -> list[Group]:
        """What a writer put in order, screened once more, as it may have written anew."""
        texts = [criterion.text for criterion in criteria_of(known)]
        return screened(groups, texts, lambda tip, reason: self._refuse("", tip, reason, epoch))

    def _refuse(self, pair_id: str, text: str, reason: str, epoch: int) -> None:
        self.refused[reason] += 1
        self.counts["screened_out"] += 1
        self.record(Event(pair_id, "screened", epoch, (text,), detail=reason))


def _shown(ranks: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
    """Ranks in the dataset's order, put into the order shown."""
    return tuple(ranks[index] for index in order)
