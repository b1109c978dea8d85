"""Following a rubric as it is edited: what judging it again would ask, then its verdicts beside the earlier ones."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from workbench.evaluation.leave_one_out import Worth, rubrics_left, worths
from workbench.evaluation.panel import Judgement, Outlook, judge_panel, outlook
from workbench.evaluation.record import VerdictRecord
from workbench.pairs.comparison import Comparison
from workbench.rubrics.rubric import Rubric, RubricError
from workbench.vlm.client import VlmClient
from workbench.vlm.errors import BudgetSpent, StopRun, Unreachable, WrongKey

Doing = Literal["", "looking", "judging", "leaving one out"]

_NEWS_S = 0.1
"""Seconds between two pieces of news while verdicts arrive."""

_REMEDIES: dict[type[StopRun], str] = {
    BudgetSpent: "A higher cap needs a new client and a new panel; what is cached is not asked for twice.",
    WrongKey: "Set it in this kernel's environment (os.environ), then judge again.",
    Unreachable: "Then judge again: only what is missing is asked.",
}


@dataclass(frozen=True, slots=True)
class State:
    """Everything there is to show; each change makes a new one, so any thread may read it.

    - `rubric`: as it is now. - `baseline`: None for rubric-free; `first`: the verdicts under it.
    - `current`: the verdicts under `rubric`, or under an earlier version while it is not judged; `previous`: under the
      version judged before that one.
    - `outlook`: what judging now would send; None while that is being found out, or where nothing can be judged.
    - `done` of `wanted`: verdicts of what is `doing`. - `problem`: what went wrong last, and what to do.
    - `leaving`: what leaving out each criterion would send, once asked; `worths`: what was found for `weighed`.
    """

    pairs: tuple[Comparison, ...]
    rubric: Rubric
    baseline: Rubric | None
    automatic: bool = False
    doing: Doing = "looking"
    done: int = 0
    wanted: int = 0
    outlook: Outlook | None = None
    problem: str = ""
    first: Judgement | None = None
    previous: Judgement | None = None
    current: Judgement | None = None
    leaving: Outlook | None = None
    worths: tuple[Worth, ...] = ()
    weighed: Rubric | None = None

    @property
    def judged(self) -> bool:
        """Whether `current` is of the rubric and the pairs as they are now; perhaps only in part."""
        current = self.current
        return current is not None and _hash(current.rubric) == self.rubric.hash and current.pairs == self.pairs


@dataclass(slots=True)
class _Run:
    """What is being judged: verdicts by rubric, as they arrive."""

    pairs: tuple[Comparison, ...]
    rubrics: tuple[Rubric | None, ...]
    records: dict[str | None, list[VerdictRecord]] = field(default_factory=dict)


class Rejudging:
    """Judges a panel of pairs again as its rubric changes; the newest version wins, older judgements are cancelled.

    - `client`: of the running event loop, with a cache, which makes undo and redo free. Closed by `close`.
    - `most_calls`: more than these are never sent without being asked to.
    - `changed`: called after every change of `state`.
    - `pause_s`: seconds without another change before anything is done about one.

    All methods are for the running event loop. Raises `ValueError` for a client without a cache.
    """

    def __init__(
        self,
        pairs: Sequence[Comparison],
        client: VlmClient,
        rubric: Rubric,
        baseline: Rubric,
        *,
        most_calls: int,
        changed: Callable[[], None],
        pause_s: float = 0.3,
    ) -> None:
        if client.cache is None:
            raise ValueError("the client has no cache: give it one, without it undoing an edit would ask all again")
        self.state = State(tuple(pairs), rubric, _given(baseline))
        self.client = client
        self.most_calls = most_calls
        self._changed = changed
        self._pause_s = pause_s
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._run: _Run | None = None
        self._news: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def follow(self, rubric: Rubric) -> None:
        """The rubric has changed; a change no judge sees is only noted."""
        seen = rubric.hash != self.state.rubric.hash
        self._set(rubric=rubric)
        if seen:
            self._set(problem="")
            self._react(self._pause_s)

    def choose(self, pairs: Sequence[Comparison]) -> None:
        """Judge other pairs from now on."""
        self._set(pairs=tuple(pairs), weighed=None, worths=(), problem="")
        self._react(self._pause_s)

    def compare_with(self, baseline: Rubric) -> None:
        """Take another rubric as the one that all later ones are compared with; one without criteria is rubric-free."""
        given, current = _given(baseline), self.state.current
        first = current if current and _hash(current.rubric) == _hash(given) else None
        self._set(baseline=given, first=first)
        self._react(0)

    def automate(self, automatic: bool) -> None:
        """Whether changes are judged without being asked, up to `most_calls`."""
        self._set(automatic=automatic)
        if automatic and not self.state.doing:
            self._react(0)

    def look(self) -> None:
        """Find out what judging now would send; what needs nothing to be sent is judged at once."""
        self._react(0)

    def judge(self) -> asyncio.Task[None]:
        """Judge the rubric as it is, and the baseline where it lacks verdicts."""
        return self._start(self._judge)

    def consider_leaving_out(self) -> asyncio.Task[None]:
        """Find out what `leave_one_out` would send; where that is nothing, do it."""
        return self._start(self._consider)

    def leave_one_out(self) -> asyncio.Task[None]:
        """Judge the rubric without each of its criteria in turn."""
        return self._start(self._leave_one_out)

    def cancel(self) -> None:
        """Send nothing more; verdicts that came stay, and answers on their way still reach the cache."""
        self._keep()
        self._start(self._look)

    async def close(self) -> None:
        """End what runs and close the client."""
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
        await asyncio.gather(self.client.close(), *self._closing)

    def _react(self, pause_s: float) -> None:
        async def work() -> None:
            await asyncio.sleep(pause_s)
            await self._look()
            expected = self.state.outlook
            if expected and (not expected.calls or (self.state.automatic and expected.calls <= self.most_calls)):
                await self._judge()

        self._set(outlook=None)
        self._start(work)

    def _start(self, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Begin something new once what runs has been cancelled to its end."""
        if self._task:
            self._task.cancel()
        self._run = None
        self._set(doing="looking", leaving=None)
        self._task = asyncio.create_task(self._in_turn(work))
        return self._task

    async def _in_turn(self, work: Callable[[], Awaitable[None]]) -> None:
        async with self._turn:
            try:
                await work()
            except asyncio.CancelledError:
                self.client.abandon()
                raise
            except (StopRun, RubricError) as error:
                self._stopped(error)
            except Exception as error:  # a bug must not leave the panel saying that it works
                traceback.print_exc()
                self._stopped(error)
            self._run = None
            self._set(doing="")

    async def _look(self) -> None:
        self._set(outlook=await outlook(self.state.pairs, self.client, self._rubrics()))

    async def _judge(self) -> None:
        await self._judge_under(self._rubrics(), "judging")
        await self._look()

    async def _consider(self) -> None:
        expected = await outlook(self.state.pairs, self.client, self._left())
        if expected.calls:
            self._set(leaving=expected)
        else:
            await self._leave_one_out()

    async def _leave_one_out(self) -> None:
        await self._judge_under(self._left(), "leaving one out")

    def _rubrics(self) -> tuple[Rubric | None, ...]:
        rubric, baseline = self.state.rubric, self.state.baseline
        for each in (rubric, baseline):
            if each and any(pair.task != each.task for pair in self.state.pairs):
                raise RubricError(f"rubric {each.name} is for {each.task}, which the pairs are not: give one for them")
        return (rubric,) if rubric.hash == _hash(baseline) else (baseline, rubric)

    def _left(self) -> tuple[Rubric | None, ...]:
        if not self.state.rubric.enabled_criteria():
            raise RubricError(f"rubric {self.state.rubric.name} has no enabled criterion to leave out: enable one")
        self._rubrics()  # which refuses those of another task
        return tuple(rubrics_left(self.state.rubric))

    async def _judge_under(self, rubrics: Sequence[Rubric | None], doing: Doing) -> None:
        run = self._run = _Run(self.state.pairs, tuple(rubrics))
        self._set(doing=doing, done=0, wanted=2 * len(run.pairs) * len(rubrics), problem="")
        try:
            for rubric in rubrics:
                records = run.records.setdefault(_hash(rubric), [])
                await judge_panel(run.pairs, self.client, rubric, partial(self._arrived, records))
        except StopRun as error:
            self._stopped(error)
        self._keep()

    def _arrived(self, records: list[VerdictRecord], record: VerdictRecord) -> None:
        records.append(record)
        if self._news is None:
            self._news = asyncio.get_running_loop().call_later(_NEWS_S, self._count)

    def _count(self) -> None:
        self._news = None
        if self._run:
            self._set(done=sum(map(len, self._run.records.values())))

    def _keep(self) -> None:
        """Take over the verdicts that have arrived."""
        run, self._run = self._run, None
        if run is None:
            return
        self._set(done=sum(map(len, run.records.values())))
        judgements = [self._judgement(run, rubric) for rubric in run.rubrics if run.records.get(_hash(rubric))]
        if self.state.doing == "leaving one out":
            self._set(worths=tuple(worths(self.state.rubric, judgements)), weighed=self.state.rubric)
            return
        for judgement in judgements:
            if _hash(judgement.rubric) == _hash(self.state.baseline):
                self._set(first=judgement)
            if _hash(judgement.rubric) == self.state.rubric.hash:
                last = self.state.current
                if last and _hash(last.rubric) != self.state.rubric.hash:
                    self._set(previous=last)
                self._set(current=judgement)

    def _judgement(self, run: _Run, rubric: Rubric | None) -> Judgement:
        """The verdicts under one rubric; a run cut short keeps those that an earlier one had."""
        records = {record.key: record for record in run.records[_hash(rubric)]}
        for earlier in (self.state.current, self.state.first):
            if earlier and earlier.pairs == run.pairs and _hash(earlier.rubric) == _hash(rubric):
                records = {record.key: record for record in earlier.records} | records
        ordered = tuple(records[key] for key in sorted(records))
        return Judgement(rubric, run.pairs, ordered, self.client.endpoint.is_synthetic)

    def _stopped(self, error: Exception) -> None:
        """Say what went wrong; a client that was stopped sends nothing more, so another takes its place."""
        remedy = next((text for kind, text in _REMEDIES.items() if isinstance(error, kind)), "")
        self._set(problem=f"{error} {remedy}".strip())
        if isinstance(error, StopRun):
            old, self.client = self.client, self.client.twin()
            closing = asyncio.get_running_loop().create_task(old.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _set(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)
        self._changed()


def _given(baseline: Rubric) -> Rubric | None:
    return baseline if baseline.enabled_criteria() else None


def _hash(rubric: Rubric | None) -> str | None:
    return rubric.hash if rubric else None
