"""Judges that ask a vision-language model: rubric-free or rubric-conditioned, ranking candidates or scoring each."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from workbench.judges.answers import Ranking, Score, probability_first, rank_answer, score_answer
from workbench.judges.messages import basis_text, prompt_text, show, task_text
from workbench.judges.rubric_source import RubricSource, apart
from workbench.judges.verdict import Usage, Verdict
from workbench.pairs.comparison import Comparison, Task
from workbench.pairs.labels import rank_scores
from workbench.rubrics.rubric import Rubric
from workbench.vlm.budget import Estimate
from workbench.vlm.client import VlmClient
from workbench.vlm.errors import InvalidAnswer, NoAnswer
from workbench.vlm.request import AnswerFormat, ChatRequest, Reply

PROMPT_VERSION = 1


class RankingJudge:
    """Shows all candidates at once and asks for their ranks: pairwise for n = 2, listwise above.

    - `rubric`: None for a rubric-free judge; a source may give every prompt its own.
    - `ties`: accept equal ranks; otherwise they are an invalid answer.
    - `criteria`: also ask for the ranks under each criterion, in the same call.
    - `soft`: read the verdict's probability from the rank token's log-probabilities (pairs only).
    - `exemplars`: how people decided elsewhere, shown to the judge beside the rubric.
    - `temperature`: in place of the client's.
    """

    def __init__(
        self,
        client: VlmClient,
        rubric: Rubric | RubricSource | None = None,
        *,
        ties: bool = False,
        criteria: bool = False,
        soft: bool = False,
        exemplars: str = "",
        temperature: float | None = None,
    ) -> None:
        self.rubric, self.source = apart(rubric)
        if criteria and self.source:
            raise ValueError(
                f"criteria=True needs one rubric for all comparisons; {self.source.name} gives each its own"
            )
        if criteria and self.rubric is None:
            raise ValueError("criteria=True needs a rubric; a rubric-free judge has no criteria to answer for")
        self.client = client
        self.ties = ties
        self.soft = soft
        self.exemplars = exemplars
        self.temperature = temperature
        self._ids = tuple(c.id for c in self.rubric.enabled_criteria()) if self.rubric and criteria else ()
        self._rubric_text = self.rubric.render(ids=criteria) if self.rubric else None
        self._asked: dict[tuple[Task, int], tuple[str, AnswerFormat]] = {}

    @property
    def name(self) -> str:
        """`rubric-free`, or the name of the rubric or of where rubrics come from."""
        given = self.rubric or self.source
        return given.name if given else "rubric-free"

    def identity(self) -> dict[str, Any]:
        """Everything that decides its verdicts."""
        identity: dict[str, Any] = {
            "judge": "ranking",
            "prompt_version": PROMPT_VERSION,
            "rubric": self.rubric.hash if self.rubric else self.source.identity() if self.source else None,
            "ties": self.ties,
            "criteria": list(self._ids),
            "soft": self.soft,
            "exemplars": self.exemplars,
            **self.client.identity(),
        }
        return identity if self.temperature is None else {**identity, "temperature": self.temperature}

    def request(
        self, comparison: Comparison, order: Sequence[int], sample: int = 0, *, rubric: Rubric | None = None
    ) -> ChatRequest:
        """What is asked for one comparison shown in `order`; `rubric` is the one its source gave, if any."""
        n = len(order)
        if rubric:
            system, answer = self._system(comparison.task, n, rubric.render())
        else:
            if (comparison.task, n) not in self._asked:
                self._asked[comparison.task, n] = self._system(comparison.task, n, self._rubric_text)
            system, answer = self._asked[comparison.task, n]
        content = show(comparison, order, f"Rank the {n} images.")
        logprobs = self.soft and n == 2
        return ChatRequest(system, content, answer, logprobs=logprobs, sample=sample, temperature=self.temperature)

    def _system(self, task: Task, n: int, rubric_text: str | None) -> tuple[str, AnswerFormat]:
        """The part of a request that is the same for every comparison of `n` candidates under one rubric."""
        allowed = (
            "Ties are allowed: give equal ranks to images you cannot separate."
            if self.ties
            else f"Use each of the ranks 1 to {n} exactly once. Ties are not allowed."
        )
        field = f' "criteria": [{{"id": "<criterion id>", "rank": [<{n} numbers>]}}, ...],' if self._ids else ""
        values = {
            "task": task_text(task),
            "basis": basis_text(rubric_text, self.exemplars),
            "ties": allowed,
            "criteria_field": field,
        }
        system = prompt_text("workbench.judges", "compare", values)
        return system, rank_answer(n, ties=self.ties, criteria=self._ids)

    def estimate(self, comparisons: Sequence[Comparison], samples: int = 1) -> Estimate:
        """What judging `comparisons` in both orders takes at most, going by the first of them without a rubric of its
        source, whose calls are counted."""
        first = comparisons[0]
        request = self.request(first, range(len(first.images)))
        own = self.source.most_calls(comparisons) if self.source else 0
        return self.client.estimate(request, 2 * samples * len(comparisons) + own)

    async def compare(self, comparison: Comparison, order: Sequence[int], sample: int = 0) -> Verdict:
        """Judge the candidates shown in `order` with one request, once there is a rubric."""
        if self.source is None:
            return await self._answer(self.request(comparison, order, sample), order)
        rubric = await self.source.rubric_for(comparison)
        verdict = await self._answer(self.request(comparison, order, sample, rubric=rubric), order)
        return _charged(verdict, self.source, comparison, rubric)

    async def _answer(self, request: ChatRequest, order: Sequence[int]) -> Verdict:
        try:
            reply = await self.client.ask(request)
        except (NoAnswer, InvalidAnswer) as failure:
            return failed(failure)
        ranking: Ranking = reply.value
        ranks = to_dataset_order(ranking.ranks, order)
        # Under a tie no candidate is ranked first whose probability this could be.
        probability = probability_first(reply.tokens) if len(set(ranks)) > 1 else None
        if probability is not None and ranking.ranks[0] != 1:
            probability = 1 - probability
        return Verdict(
            ranks=ranks,
            probability=probability,
            criteria={name: to_dataset_order(own, order) for name, own in ranking.criteria.items()},
            reason=ranking.reason,
            usage=usage_of(reply),
            cached=reply.cached,
            keys=(reply.key,),
        )


class ScoringJudge:
    """Shows one candidate at a time, asks for a score, and ranks by it; equal scores are ties.

    Blind to the order shown, at `n` calls a comparison instead of one.
    """

    pointwise = True

    def __init__(
        self,
        client: VlmClient,
        rubric: Rubric | RubricSource | None = None,
        *,
        low: float = 1,
        high: float = 5,
    ) -> None:
        self.client = client
        self.rubric, self.source = apart(rubric)
        self.low, self.high = low, high
        self._rubric_text = self.rubric.render() if self.rubric else None

    @property
    def name(self) -> str:
        """`rubric-free scores`, or the name of the rubric or of where rubrics come from."""
        given = self.rubric or self.source
        return f"{given.name if given else 'rubric-free'} scores"

    def identity(self) -> dict[str, Any]:
        """Everything that decides its verdicts."""
        return {
            "judge": "scoring",
            "prompt_version": PROMPT_VERSION,
            "rubric": self.rubric.hash if self.rubric else self.source.identity() if self.source else None,
            "scale": [self.low, self.high],
            **self.client.identity(),
        }

    def request(
        self, comparison: Comparison, index: int, sample: int = 0, *, rubric: Rubric | None = None
    ) -> ChatRequest:
        """What is asked for one candidate; `rubric` is the one its source gave, if any."""
        values = {
            "task": task_text(comparison.task),
            "basis": basis_text(rubric.render() if rubric else self._rubric_text),
            "low": f"{self.low:g}",
            "high": f"{self.high:g}",
        }
        system = prompt_text("workbench.judges", "score", values)
        content = show(comparison, (index,), "Score the image.")
        return ChatRequest(system, content, score_answer(self.low, self.high), sample=sample)

    def estimate(self, comparisons: Sequence[Comparison], samples: int = 1) -> Estimate:
        """What scoring every candidate takes at most, going by the first; the second order is free."""
        candidates = sum(len(comparison.images) for comparison in comparisons)
        own = self.source.most_calls(comparisons) if self.source else 0
        return self.client.estimate(self.request(comparisons[0], 0), samples * candidates + own)

    async def compare(self, comparison: Comparison, order: Sequence[int], sample: int = 0) -> Verdict:
        """Score every candidate on its own and rank them; `order` changes nothing."""
        images = range(len(comparison.images))
        if self.source is None:
            return await self._answer([self.request(comparison, i, sample) for i in images])
        rubric = await self.source.rubric_for(comparison)
        verdict = await self._answer([self.request(comparison, i, sample, rubric=rubric) for i in images])
        return _charged(verdict, self.source, comparison, rubric)

    async def _answer(self, requests: Sequence[ChatRequest]) -> Verdict:
        replies = await asyncio.gather(*map(self.client.ask, requests), return_exceptions=True)
        answered = [reply for reply in replies if isinstance(reply, Reply)]
        failures = [failed(reply) for reply in replies if isinstance(reply, NoAnswer | InvalidAnswer)]
        for reply in replies:
            if isinstance(reply, BaseException) and not isinstance(reply, NoAnswer | InvalidAnswer):
                raise reply
        usage = total_usage([*map(usage_of, answered), *(failure.usage for failure in failures)])
        if failures:  # an error first: asked again, it may yet be a verdict
            first = min(failures, key=lambda failure: failure.failure != "error")
            return replace(first, usage=usage, cached=first.cached and usage.calls == 0)
        values: list[Score] = [reply.value for reply in answered]
        scores = tuple(value.score for value in values)
        return Verdict(
            ranks=rank_scores(scores),
            scores=scores,
            reason="\n".join(f"Image {i}: {value.reason}" for i, value in enumerate(values, start=1)),
            usage=usage,
            cached=all(reply.cached for reply in answered),
            keys=tuple(reply.key for reply in answered),
        )


def to_dataset_order(shown: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
    """Ranks given in the order shown, put back into the dataset's order of candidates.

    >>> to_dataset_order((1, 2, 3), order=(2, 0, 1))
    (2, 3, 1)
    """
    ranks = [0] * len(order)
    for rank, index in zip(shown, order, strict=True):
        ranks[index] = rank
    return tuple(ranks)


def _charged(verdict: Verdict, source: RubricSource, comparison: Comparison, rubric: Rubric | None) -> Verdict:
    """The verdict by a rubric of `source`, with what that took."""
    usage = total_usage([source.take_usage(comparison), verdict.usage])
    return replace(verdict, usage=usage, rubric=rubric.hash if rubric else None)


def failed(failure: NoAnswer | InvalidAnswer) -> Verdict:
    """The verdict of a call that brought none: counted, never a vote."""
    spent = failure.spent
    usage = Usage(spent.input_tokens, spent.output_tokens, spent.cost_usd, spent.calls)
    if isinstance(failure, InvalidAnswer):
        cached = spent.calls == 0
        return Verdict(
            ranks=None, failure="invalid", detail=str(failure), usage=usage, cached=cached, keys=failure.keys
        )
    return Verdict(ranks=None, failure="error", detail=str(failure), usage=usage)


def total_usage(usages: Sequence[Usage]) -> Usage:
    """What several replies took together."""
    return Usage(
        input_tokens=sum(usage.input_tokens for usage in usages),
        output_tokens=sum(usage.output_tokens for usage in usages),
        cost_usd=sum(usage.cost_usd for usage in usages),
        calls=sum(usage.calls for usage in usages),
    )


def usage_of(reply: Reply) -> Usage:
    """What one reply took."""
    return Usage(reply.input_tokens, reply.output_tokens, reply.cost_usd, reply.calls)
