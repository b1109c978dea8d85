"""Asking a vision-language model questions with images, once each."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from workbench.pairs.sources import ImageError
from workbench.vlm.body import Question, Repair, pose, sampling_fields, serialise, unkeyed
from workbench.vlm.budget import Budget, Estimate, RunUsage, image_tokens, text_tokens
from workbench.vlm.cache import Answer, Cache, Entry
from workbench.vlm.errors import InvalidAnswer, NoAnswer, Spent
from workbench.vlm.images import Fingerprint, Images, inspect
from workbench.vlm.json_text import find_object
from workbench.vlm.request import ChatRequest, Picture, Reply
from workbench.vlm.sender import Job, Sender
from workbench.vlm.settings import Endpoint, ImagePolicy, Limits, Sampling, Structured

_SHOWN = 300


@dataclass(frozen=True, slots=True)
class _Asked:
    """An answer, its cache key, and what it took this time."""

    key: str
    answer: Answer
    spent: Spent


class VlmClient:
    """Asks one model of an OpenAI-compatible server; an answer that is in the cache is never asked for again.

        async with VlmClient(Endpoint("http://127.0.0.1:8000/v1", "qwen"), cache=default_path()) as client:
            reply = await client.ask(request)

    - `cache`: the file that holds all answers; None keeps none.
    - `structured`: how the answer's schema is enforced.

    Identical questions asked at once are sent once. A client belongs to one event loop. Raises `ValueError` for a cap
    on cost where the model's price is unknown.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        sampling: Sampling = Sampling(),
        limits: Limits = Limits(),
        *,
        cache: Path | None,
        structured: Structured = "auto",
        images: ImagePolicy = ImagePolicy(),
    ) -> None:
        self.endpoint = endpoint
        self.sampling = sampling
        self.limits = limits
        self.structured = structured
        self.cache = Cache(cache) if cache else None
        self._budget = Budget(endpoint, limits)
        self._images = Images(images)
        self._sender = Sender(endpoint, limits, structured, self._budget)
        self._under_way: dict[str, asyncio.Task[_Asked]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Cancel what is in flight and close connections, threads and the cache."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._sender.close()
        self._images.close()
        if self.cache:
            self.cache.close()

    @property
    def usage(self) -> RunUsage:
        """What has been sent, received and spent so far."""
        return self._budget.usage

    @property
    def schema_mode(self) -> Structured:
        """How schemas are enforced now: with `auto`, `off` once the server has refused them."""
        return self._sender.mode

    def identity(self) -> dict[str, Any]:
        """Everything about the client that decides answers, as JSON."""
        return {
            "model": self.endpoint.model,
            "sampling": sampling_fields(self.sampling),
            "structured": self.structured,
            "max_side": self._images.policy.max_side,
        }

    def estimate(self, request: ChatRequest, count: int) -> Estimate:
        """What `count` questions like `request` take at most, if each is answered at once and none is cached.

        Raises `ImageError`.
        """
        shown = [inspect(picture.source, self._images.policy) for picture in _pictures(request)]
        tokens = count * _input_tokens(request, shown)
        answers = count * self.sampling.max_tokens
        price = self._budget.price
        return Estimate(count, tokens, answers, price.of(tokens, answers) if price else None)

    async def estimate_missing(self, requests: Sequence[ChatRequest]) -> Estimate:
        """What those of `requests` take at most that cannot be answered from the cache, each answered at once.

        An answer in the cache that breaks the format counts where asking it to be put right is not cached either; an
        image that cannot be read counts for nothing, as nothing is sent. Raises `StopRun` for an unreadable cache.
        """
        missing: dict[str, int] = {}
        for request in requests:
            try:
                shown = await self._look(request)
            except NoAnswer:
                continue
            question = pose(request, shown, self.endpoint.model, self.sampling, self.structured)
            tokens = _input_tokens(request, shown)
            if self.cache and (found := self.cache.get(question.key)):
                if (repair := _needed_repair(request, found)) is None:
                    continue
                question = pose(request, shown, self.endpoint.model, self.sampling, self.structured, repair)
                if self.cache.get(question.key):
                    continue
                tokens += _repair_tokens(repair)
            missing[question.key] = tokens
        tokens, answers = sum(missing.values()), len(missing) * self.sampling.max_tokens
        price = self._budget.price
        return Estimate(len(missing), tokens, answers, price.of(tokens, answers) if price else None)

    def abandon(self) -> None:
        """Send nothing more of what was asked so far; answers on their way still arrive and are cached.

        Whoever waits for a question that is not on its way is cancelled. Call it on the client's loop.
        """
        on_their_way = self._sender.abandon()
        for key, task in list(self._under_way.items()):
            if task not in on_their_way:
                task.cancel()
                del self._under_way[key]  # asked again, it must not be joined

    async def drain(self) -> None:
        """Wait for the answers on their way, which are then cached; what was not sent yet is cancelled."""
        self.abandon()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    def forget(self, keys: Iterable[str]) -> None:
        """Drop answers from the cache, so that the same questions are asked again."""
        if self.cache:
            self.cache.remove(keys)

    def twin(self) -> Self:
        """A client with the same settings and cache file, for another event loop or to go on after a `StopRun`.

        What they use is counted together, so the caps hold for both.
        """
        twin = type(self)(
            self.endpoint,
            self.sampling,
            self.limits,
            cache=self.cache.path if self.cache else None,
            structured=self.structured,
            images=self._images.policy,
        )
        twin._budget.usage = self.usage
        return twin

    async def ask(self, request: ChatRequest) -> Reply:
        """The model's answer in the format asked for; one that breaks the format is sent back once to be put right.

        Raises `NoAnswer` or `InvalidAnswer` for this question, `StopRun` when going on is pointless.
        """
        shown = await self._look(request)
        first = await self._answer(request, shown)
        try:
            return _reply(request, first)
        except ValueError as error:
            repair = Repair(first.answer.text, str(error))
        try:
            again = await self._answer(request, shown, repair)
        except NoAnswer as error:
            raise NoAnswer(str(error), first.spent + error.spent) from error
        again = replace(again, spent=first.spent + again.spent)
        try:
            return _reply(request, again)
        except ValueError as error:
            text = again.answer.text
            raise InvalidAnswer(
                f"{self.endpoint.model} answered twice, never in the format asked for: {error}. "
                f"Its last answer: {text[:_SHOWN]!r}",
                text,
                (first.key, again.key),
                again.spent,
            ) from error

    async def _look(self, request: ChatRequest) -> list[Fingerprint]:
        try:
            return [await self._images.fingerprint(picture.source) for picture in _pictures(request)]
        except ImageError as error:
            raise NoAnswer(str(error)) from error

    async def _answer(self, request: ChatRequest, shown: list[Fingerprint], repair: Repair | None = None) -> _Asked:
        """One complete answer, from the cache, from the same question already under way, or from the server."""
        question = pose(request, shown, self.endpoint.model, self.sampling, self.structured, repair)
        if self.cache and (found := self.cache.get(question.key)):
            self.usage.cached += 1
            self._sender.has_worked = True
            return _Asked(question.key, found, Spent())
        task = self._under_way.get(question.key)
        if task:
            self._sender.resume(task)
            self.usage.cached += 1
            try:
                return replace(await asyncio.shield(task), spent=Spent())
            except NoAnswer as error:
                raise NoAnswer(str(error)) from error
        task = asyncio.create_task(self._ask_server(request, shown, question, repair))
        self._under_way[question.key] = task
        task.add_done_callback(lambda done: self._finish(question.key, done))
        return await asyncio.shield(task)

    def _finish(self, key: str, task: asyncio.Task[_Asked]) -> None:
        if self._under_way.get(key) is task:
            del self._under_way[key]
        if not task.cancelled():
            task.exception()  # whoever asked may have been cancelled; the failure is no news then

    async def _ask_server(
        self, request: ChatRequest, shown: list[Fingerprint], question: Question, repair: Repair | None
    ) -> _Asked:
        beside: dict[str, Any] = {}

        async def body(mode: Structured, logprobs: bool) -> bytes:
            beside.update(
                unkeyed(
                    request,
                    self.sampling,
                    logprobs=logprobs,
                    repair=repair,
                    transport=self._images.policy.transport,
                )
            )
            sources = [picture.source for picture in _pictures(request)]
            try:
                urls = [await self._images.url(*pair) for pair in zip(sources, shown, strict=True)]
            except ImageError as error:
                raise NoAnswer(str(error)) from error
            return serialise(request, urls, self.endpoint.model, self.sampling, mode, logprobs=logprobs, repair=repair)

        async def store(answer: Answer) -> Answer:
            answer = replace(answer, unkeyed=beside)
            if self.cache is None:
                return answer
            return await self.cache.put_soon(Entry(question.key, self.endpoint.model, question.request, answer))

        tokens = _input_tokens(request, shown) + (_repair_tokens(repair) if repair else 0)
        spent = Spent()
        job = Job(question.key, body, store, request.logprobs, tokens, self.sampling.max_tokens, spent)
        return _Asked(question.key, await self._sender.fetch(job), spent)


def _pictures(request: ChatRequest) -> list[Picture]:
    return [part for part in request.content if isinstance(part, Picture)]


def _input_tokens(request: ChatRequest, shown: Sequence[Fingerprint]) -> int:
    texts = [part for part in request.content if isinstance(part, str)]
    schema = len(str(request.answer.schema))
    return text_tokens(request.system + "".join(texts)) + schema // 4 + sum(image_tokens(image.size) for image in shown)


def _repair_tokens(repair: Repair) -> int:
    return text_tokens(repair.answer + repair.problem)


def _needed_repair(request: ChatRequest, answer: Answer) -> Repair | None:
    """What is sent back for a stored answer that breaks the format."""
    try:
        request.answer.parse(find_object(answer.text))
    except ValueError as error:
        return Repair(answer.text, str(error))
    return None


def _reply(request: ChatRequest, asked: _Asked) -> Reply:
    """The reply in the format asked for. Raises `ValueError` saying what is wrong."""
    answer, spent = asked.answer, asked.spent
    data = find_object(answer.text)
    return Reply(
        value=request.answer.parse(data),
        data=data,
        text=answer.text,
        key=asked.key,
        tokens=answer.tokens,
        input_tokens=spent.input_tokens,
        output_tokens=spent.output_tokens,
        cost_usd=spent.cost_usd,
        calls=spent.calls,
        cached=spent.calls == 0,
    )
