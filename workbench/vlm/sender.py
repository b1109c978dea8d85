"""Getting one answer out of a server that may be slow, busy or broken."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from workbench.vlm.budget import Budget, Reservation
from workbench.vlm.cache import Answer
from workbench.vlm.errors import NoAnswer, Spent, StopRun, Unreachable
from workbench.vlm.limiter import Limiter
from workbench.vlm.rejections import Rejection, explain
from workbench.vlm.replies import TryAgain, Unusable, read_reply
from workbench.vlm.settings import Endpoint, Limits, Structured
from workbench.vlm.transport import Body, Dropped, NotConnected, Response, Transport, api_key

_LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True, slots=True)
class Job:
    """One answer to get.

    - `body`: makes the bytes to send, for a way to enforce the schema and with or without log-probabilities.
    - `store`: commits the answer, and returns what is stored. Called before the next request may be sent.
    - `input_tokens`: an estimate; `output_tokens`: at most.
    - `spent`: what it has taken so far, counted here.
    """

    key: str
    body: Callable[[Structured, bool], Awaitable[bytes]]
    store: Callable[[Answer], Awaitable[Answer]]
    logprobs: bool
    input_tokens: int
    output_tokens: int
    spent: Spent


class _AskOtherwise(Exception):
    """The server takes the question, but not with this field."""


class Sender:
    """Sends, waits, retries and counts, for one endpoint and one event loop."""

    def __init__(self, endpoint: Endpoint, limits: Limits, structured: Structured, budget: Budget) -> None:
        self._endpoint = endpoint
        self._limits = limits
        self._budget = budget
        self._limiter = Limiter(limits.concurrency)
        self._transport: Transport | None = None
        self._may_fall_back = structured == "auto"
        self.mode: Structured = "json_schema" if structured == "auto" else structured
        self._gives_logprobs = True
        self._sending: set[asyncio.Task[Any] | None] = set()
        self._given_up: set[asyncio.Task[Any] | None] = set()
        self.has_worked = False

    async def fetch(self, job: Job) -> Answer:
        """Ask until there is an answer. Raises `NoAnswer`, or `StopRun`, after which nothing more is sent."""
        try:
            return await self._fetch(job)
        except StopRun as error:
            self._budget.stop(error)
            raise
        finally:
            self._given_up.discard(asyncio.current_task())

    def abandon(self) -> set[asyncio.Task[Any] | None]:
        """The tasks whose request is on its way now; none of them makes another attempt, unless it is `resume`d."""
        self._given_up |= self._sending
        return set(self._sending)

    def resume(self, task: asyncio.Task[Any]) -> None:
        """Somebody waits again for an abandoned request that is on its way."""
        self._given_up.discard(task)

    async def close(self) -> None:
        """Close all connections."""
        if self._transport:
            await self._transport.close()
            self._transport = None

    async def _fetch(self, job: Job) -> Answer:
        failures: list[str] = []
        refused = 0
        late = ""
        deadline: float | None = None  # set with the first slot: thousands may be waiting for theirs
        while len(failures) < self._limits.attempts:
            try:
                async with asyncio.timeout_at(deadline):
                    slot = await self._limiter.acquire(again=deadline is not None)
            except TimeoutError:
                break
            wait_s: float | None = None
            try:
                deadline = deadline or self._now() + self._limits.deadline_s
                return await self._attempt(job, slot, deadline)
            except _AskOtherwise:
                continue
            except NotConnected as error:
                refused += 1
                failures.append(f"no connection ({error})")
            except TryAgain as error:
                failures.append(str(error))
                wait_s = error.wait_s
            finally:
                self._limiter.release()
            if asyncio.current_task() in self._given_up:
                refused, late = 0, "; it was given up"  # nobody asks any more: no reason to stop the run
                break
            if len(failures) < self._limits.attempts:
                pause_s = self._backoff(job.key, len(failures)) if wait_s is None else wait_s
                if deadline is not None and self._now() + pause_s >= deadline:
                    late = f"; the next attempt would come in {pause_s:,.1f} s, too late"
                    break
                await asyncio.sleep(pause_s)
                self._budget.usage.retries += 1
        raise self._give_up(failures, refused, late, job.spent)

    async def _attempt(self, job: Job, slot: int, deadline: float) -> Answer:
        """One request, in a slot that is already taken; what is stored when it ends has been committed."""
        mode, logprobs = self.mode, job.logprobs and self._gives_logprobs
        body = Body(await job.body(mode, logprobs))
        reservation = await self._budget.reserve(job.input_tokens, job.output_tokens)
        spent = job.spent
        spent.calls += 1
        response = await self._post(body, reservation, deadline, spent)
        try:
            outcome = read_reply(response, mode, time.time())
        except TryAgain as error:
            if error.overloaded:
                self._limiter.overloaded(slot)
            self._settle(reservation, spent, charged=response.status < 300)
            raise
        except Unusable as error:
            self._settle(reservation, spent, error.input_tokens, error.output_tokens)
            raise NoAnswer(f"{self._who()}: {error}", spent) from error
        if isinstance(outcome, Rejection):
            self._settle(reservation, spent, charged=False)
            raise self._reject(outcome, mode, logprobs, spent)
        self._settle(reservation, spent, outcome.input_tokens, outcome.output_tokens)
        self._limiter.succeeded()
        self.has_worked = True
        return await job.store(outcome)

    async def _post(self, body: Body, reservation: Reservation, deadline: float, spent: Spent) -> Response:
        if self._transport is None:
            self._transport = Transport(self._endpoint, self._limits.concurrency)
        patience_s = min(self._limits.attempt_s, deadline - self._now())
        task = asyncio.current_task()
        self._sending.add(task)
        try:
            async with asyncio.timeout(patience_s):
                return await self._transport.post(body)
        except NotConnected:
            self._budget.cancel(reservation)
            spent.calls -= 1
            raise
        except BaseException as error:
            self._settle(reservation, spent, charged=True)  # the server may have done the work, and billed it
            if isinstance(error, TimeoutError):
                raise TryAgain(f"no reply within {patience_s:.3g} s") from error
            if isinstance(error, Dropped):
                raise TryAgain(f"the connection broke ({error})") from error
            raise
        finally:
            self._sending.discard(task)

    def _settle(
        self,
        reservation: Reservation,
        spent: Spent,
        input_tokens: int = 0,
        output_tokens: int = 0,
        *,
        charged: bool = True,
    ) -> None:
        if charged:
            spent.cost_usd += self._budget.settle(reservation, input_tokens, output_tokens)
            spent.input_tokens += input_tokens
            spent.output_tokens += output_tokens
        else:
            self._budget.free(reservation)

    def _reject(self, rejection: Rejection, mode: Structured, logprobs: bool, spent: Spent) -> Exception:
        """The error to raise: ask otherwise, give this question up, or stop."""
        has_cause = rejection.is_no_vision or rejection.is_too_many_images
        if not has_cause and logprobs and rejection.is_logprobs:
            self._gives_logprobs = False
            return _AskOtherwise()
        if not has_cause and self._may_fall_back and mode == "json_schema" and rejection.is_schema:
            self.mode = "off"
            return _AskOtherwise()
        key = api_key(self._endpoint.api_key_env)
        if key:
            rejection = Rejection(rejection.status, rejection.text.replace(key, "***"))
        error = explain(rejection, self._endpoint, has_key=bool(key), has_worked=self.has_worked)
        return NoAnswer(str(error), spent) if isinstance(error, NoAnswer) else error

    def _give_up(self, failures: list[str], refused: int, late: str, spent: Spent) -> NoAnswer | Unreachable:
        if refused and refused == len(failures):
            return Unreachable(
                f"{self._endpoint.shown} cannot be reached after {refused} attempts: {failures[-1]}\n"
                "Check the base URL, and that the server is running; answers so far are cached."
            )
        counted = Counter(failures).items()
        tried = "; ".join(f"{count} x {failure}" if count > 1 else failure for failure, count in counted)
        return NoAnswer(
            f"{self._who()} gave no answer in {spent.calls} requests: {tried}{late}. "
            "Run again to ask again; raise attempts, attempt_s or deadline_s, or lower the concurrency.",
            spent,
        )

    def _backoff(self, key: str, failed: int) -> float:
        """Seconds: `backoff_s * 2 ** (failed - 1)`, up to 30 s, times a factor in [0.5, 1] fixed by key and attempt."""
        pause_s = min(_LONGEST_PAUSE_S, self._limits.backoff_s * 2.0 ** (failed - 1))
        return pause_s * random.Random(f"{key}/{failed}").uniform(0.5, 1.0)

    def _who(self) -> str:
        return f"{self._endpoint.shown} (model {self._endpoint.model!r})"

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
