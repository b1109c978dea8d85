"""A rubric for every prompt, written without labels and kept only when the judge is consistent under it.

The zero-shot mode of Auto-Rubric as Reward (arXiv 2605.08354, "+ARR" in its tables): criteria conditioned on the
prompt, without human examples. The paper does not say how its verification, which compares with labels, works there;
here a rubric is verified when a judge who reads it names the same winner in both orders and in repeated samples. That
is agreement with itself: a judge can be consistently wrong, and on the pair a rubric was chosen by it is consistent
because of the choice. Position bias and consistency mean something on the other pairs only (`verifiers` names these).
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from workbench.induction.answers import Criteria, criteria_answer
from workbench.induction.screen import screen_each
from workbench.induction.writing import PACKAGE
from workbench.judges.exemplars import Exemplar, exemplars_text
from workbench.judges.messages import prompt_text, show
from workbench.judges.verdict import Usage, Verdict
from workbench.judges.vlm_judge import RankingJudge, failed, total_usage, usage_of
from workbench.pairs.comparison import Comparison, ImageSource, Task
from workbench.pairs.prompts import prompt_id
from workbench.rubrics.rubric import Criterion, Rubric, Theme
from workbench.vlm.client import VlmClient
from workbench.vlm.errors import InvalidAnswer, NoAnswer
from workbench.vlm.request import ChatRequest

Prompt = tuple[Task, str, ImageSource | None]


@dataclass(frozen=True, slots=True)
class ZeroShotSettings:
    """How a prompt's rubric is written and verified.

    - `criteria`: how many are asked for. - `max_attempts`: how many rubrics are tried for a prompt.
    - `samples`: verdicts drawn in each order at `temperature`, besides the judge's own.
    - `threshold`: the least share of these verdicts, in (0.5, 1], that must name one winner.
    - `description`: what the images are for. - `exemplars`: human decisions shown to the writer (guide mode).
    """

    criteria: int = 5
    max_attempts: int = 3
    samples: int = 2
    temperature: float = 0.7
    threshold: float = 0.75
    description: str = ""
    exemplars: tuple[Exemplar, ...] = ()

    def __post_init__(self) -> None:
        for name, least in (("criteria", 1), ("max_attempts", 1), ("samples", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} must be at least {least}")
        if not 0.5 < self.threshold <= 1:
            raise ValueError(f"threshold={self.threshold:g} must be above 0.5, what a coin reaches, and at most 1")
        if self.temperature <= 0:
            raise ValueError(f"temperature={self.temperature:g} must be above 0, or repeats cannot differ")

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON."""
        return {**asdict(self), "exemplars": [exemplar.model_dump() for exemplar in self.exemplars]}

    def most_calls(self, prompts: int) -> int:
        """The most calls `prompts` prompts can take: to write a rubric and to verify it, `max_attempts` times."""
        return prompts * self.max_attempts * (1 + 2 * (1 + self.samples))


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One rubric that was tried, and the share of verdicts that agree under it."""

    rubric: Rubric
    agreement: float


class PerPromptRubrics:
    """Writes a rubric for each prompt (for edits, each prompt and source image) when it is first asked for.

        judge = RankingJudge(client, PerPromptRubrics(client, pairs=pairs))

    - `client`: the model that writes, and that judges in order to verify.
    - `pairs`: what will be judged: the first pair of a prompt verifies its rubric, in whatever order pairs are asked
      for, and so again when a killed run goes on. For a prompt not among them it is the pair that is asked for first.

    Beyond that, only answers that did not come (refusals, timeouts) can make the rubrics of two runs differ: they
    count as no agreement, and what is not cached is asked for again.
    """

    def __init__(
        self, client: VlmClient, settings: ZeroShotSettings = ZeroShotSettings(), *, pairs: Iterable[Comparison] = ()
    ) -> None:
        self.client = client
        self.settings = settings
        self._verified_with: dict[Prompt, Comparison] = {}
        for pair in pairs:
            self._verified_with.setdefault(_prompt_of(pair), pair)
        self._verifiers = {pair.id for pair in self._verified_with.values()}
        self._locks: dict[Prompt, asyncio.Lock] = {}
        self._made: dict[Prompt, Rubric | None] = {}
        self._usage: dict[Prompt, Usage] = {}

    @property
    def name(self) -> str:
        """What tables call it."""
        return "zero-shot"

    def identity(self) -> dict[str, Any]:
        """Settings and model; the rubrics follow from them and the pairs."""
        return {"source": "zero-shot", "settings": self.settings.to_json(), "writer": self.client.identity()}

    @property
    def verifiers(self) -> frozenset[str]:
        """Ids of the pairs that rubrics are verified with: their rubric was chosen for being consistent on them."""
        return frozenset(self._verifiers)

    def most_calls(self, comparisons: Sequence[Comparison]) -> int:
        """`ZeroShotSettings.most_calls` of their prompts."""
        return self.settings.most_calls(len({_prompt_of(comparison) for comparison in comparisons}))

    def take_usage(self, comparison: Comparison) -> Usage:
        """What the prompt's rubric took since this was last asked."""
        return self._usage.pop(_prompt_of(comparison), Usage())

    async def rubric_for(self, comparison: Comparison) -> Rubric | None:
        """The prompt's rubric, made once however many ask at once; None when no attempt reached the threshold."""
        prompt = _prompt_of(comparison)
        # A lock and not a shared task: whoever waits takes over when the one who writes is cancelled.
        async with self._locks.setdefault(prompt, asyncio.Lock()):
            if prompt not in self._made:
                self._made[prompt] = await self._make(self._verified_with.get(prompt, comparison))
            return self._made[prompt]

    async def _make(self, pair: Comparison) -> Rubric | None:
        """The first rubric under which all verdicts agree, else the one under which most do, if enough do."""
        self._verifiers.add(pair.id)
        tried: list[_Candidate] = []
        for attempt in range(self.settings.max_attempts):
            candidate = await self._attempt(pair, attempt)
            if candidate:
                tried.append(candidate)
                if candidate.agreement == 1:
                    break
        best = max(tried, key=lambda candidate: candidate.agreement, default=None)
        return best.rubric if best and best.agreement >= self.settings.threshold else None

    async def _attempt(self, pair: Comparison, attempt: int) -> _Candidate | None:
        """One rubric and how far verdicts agree under it; None when the writer gave nothing that can be used."""
        request = self._request(pair, attempt)
        try:
            reply = await self.client.ask(request)
        except (NoAnswer, InvalidAnswer) as failure:
            self._spend(pair, failed(failure).usage)
            return None
        self._spend(pair, usage_of(reply))
        written: Criteria = reply.value
        texts = [text for text, reason in screen_each(written.texts) if not reason]
        if not texts:
            return None
        criteria = tuple(Criterion(f"c{i}", text) for i, text in enumerate(texts, start=1))
        rubric = Rubric(f"zero_shot_{prompt_id(pair.prompt)}", pair.task, (Theme("", criteria=criteria),))
        agreement = await self._agreement(pair, rubric)
        provenance = {
            "recipe": "zero-shot",
            "prompt": pair.prompt,
            "settings": self.settings.to_json(),
            "writer": self.client.identity(),
            "attempt": attempt,
            "agreement": round(agreement, 4),
            "verified_with": pair.id,
            "key": reply.key,
        }
        return _Candidate(replace(rubric, provenance=provenance), agreement)

    def _request(self, pair: Comparison, attempt: int) -> ChatRequest:
        """What the writer is asked: the prompt, and for an edit the source image, but no candidate."""
        exemplars = exemplars_text(self.settings.exemplars)
        description = self.settings.description
        values = {
            "setting": prompt_text(PACKAGE, f"zero_shot_{pair.task}"),
            "hints": prompt_text(PACKAGE, f"hints_{pair.task}"),
            "description": f"What the images are for: {description}\n\n" if description else "",
            "exemplars": f"<exemplars>\n{exemplars}\n</exemplars>\n\n" if exemplars else "",
            "count": self.settings.criteria,
        }
        content = show(pair, (), prompt_text(PACKAGE, "question_zero_shot"))
        temperature = self.settings.temperature if attempt else 0.0
        system = prompt_text(PACKAGE, "zero_shot", values)
        return ChatRequest(system, content, criteria_answer(), sample=attempt, temperature=temperature)

    async def _agreement(self, pair: Comparison, rubric: Rubric) -> float:
        """The share of verdicts that name the most frequent winner.

        Both orders are asked first, as the judge itself will ask them; only where they agree are repeats drawn. A
        verdict that failed or is a tie names no winner.
        """
        forward = tuple(range(len(pair.images)))
        orders = (forward, forward[::-1])  # the dataset's order, not the label's
        verdicts = await self._verdicts(RankingJudge(self.client, rubric), pair, [(order, 0) for order in orders])
        if _share(verdicts) == 1 and self.settings.samples:
            drawing = RankingJudge(self.client, rubric, temperature=self.settings.temperature)
            repeats = [(order, sample) for order in orders for sample in range(1, self.settings.samples + 1)]
            verdicts += await self._verdicts(drawing, pair, repeats)
        return _share(verdicts)

    async def _verdicts(
        self, judge: RankingJudge, pair: Comparison, shown: Sequence[tuple[tuple[int, ...], int]]
    ) -> list[Verdict]:
        # Answers in flight are paid for: they are waited for even when the budget is spent meanwhile.
        results = await asyncio.gather(
            *(judge.compare(pair, order, sample) for order, sample in shown), return_exceptions=True
        )
        verdicts = [result for result in results if isinstance(result, Verdict)]
        self._spend(pair, total_usage([verdict.usage for verdict in verdicts]))
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return verdicts

    def _spend(self, pair: Comparison, usage: Usage) -> None:
        prompt = _prompt_of(pair)
        self._usage[prompt] = total_usage([self._usage.get(prompt, Usage()), usage])


def _prompt_of(comparison: Comparison) -> Prompt:
    return comparison.task, comparison.prompt, comparison.source_image


def _share(verdicts: Sequence[Verdict]) -> float:
    winners = [verdict.outcome for verdict in verdicts if verdict.ranks is not None and verdict.outcome != "tie"]
    return max((winners.count(winner) for winner in winners), default=0) / len(verdicts)
