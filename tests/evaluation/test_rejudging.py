"""Following a rubric: only what is new is sent, the newest version wins, and any failure can be gone on from."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from faulty_server import FaultyServer, Received, Step, answer, hang, status
from panel_helpers import client_of, judge, pairs, renamed, rubric, verdict

from workbench.evaluation.rejudging import Rejudging
from workbench.vlm.client import VlmClient
from workbench.vlm.settings import Endpoint

FIRST, RED, LAST = rubric("Prefer what comes first."), rubric("Prefer RED."), rubric("Prefer the last.")
MOST = 20


@asynccontextmanager
async def following(server: FaultyServer, cache: Path, n: int = 6, **options) -> AsyncIterator[Rejudging]:
    limits = {name: options.pop(name) for name in list(options) if name in ("max_calls", "concurrency", "attempt_s")}
    settings = {"baseline": FIRST, "most_calls": MOST, "changed": lambda: None, "pause_s": 0.02} | options
    rejudging = Rejudging(pairs(n), client_of(server.url, cache, **limits), FIRST, **settings)
    rejudging.look()
    await settled(rejudging)
    try:
        yield rejudging
    finally:
        await rejudging.close()


def arrived(rejudging: Rejudging) -> int:
    run = rejudging._run
    return sum(map(len, run.records.values())) if run else 0


async def settled(rejudging: Rejudging) -> None:
    await until(lambda: rejudging.state.doing == "")


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not happened():
            await asyncio.sleep(0.005)


async def test_a_change_waits_to_be_judged_and_shows_what_it_takes(tmp_path: Path) -> None:
    with FaultyServer(judge) as server:
        async with following(server, tmp_path / "c.sqlite") as rejudging:
            assert rejudging.state.outlook is not None
            assert (rejudging.state.outlook.calls, rejudging.state.current) == (12, None)
            await rejudging.judge()
            assert (len(server.requests), rejudging.state.judged) == (12, True)
            rejudging.follow(RED)
            assert not rejudging.state.judged
            await settled(rejudging)
            assert (len(server.requests), rejudging.state.outlook.calls) == (12, 12)
            await rejudging.judge()
            state = rejudging.state
            assert (len(server.requests), state.outlook.calls, state.judged) == (24, 0, True)
            assert state.first is not None
            assert state.previous is not None
            assert state.current is not None
            assert (state.first.rubric, state.previous.rubric, state.current.rubric) == (FIRST, FIRST, RED)
            assert [j.results.accuracy.mean.value for j in (state.first, state.current)] == [0.5, 1.0]


async def test_only_changed_requests_are_sent(tmp_path: Path) -> None:
    with FaultyServer(judge) as server:
        async with following(server, tmp_path / "c.sqlite") as rejudging:
            await rejudging.judge()
            rejudging.automate(True)

            async def sent(change: Callable[[], None]) -> int:
                before = len(server.requests)
                change()
                await asyncio.sleep(0.04)
                await settled(rejudging)
                assert rejudging.state.judged
                return len(server.requests) - before

            assert await sent(lambda: rejudging.follow(renamed(FIRST))) == 0
            assert await sent(lambda: rejudging.follow(RED)) == 12
            assert await sent(lambda: rejudging.follow(FIRST)) == 0  # undo
            assert await sent(lambda: rejudging.follow(RED)) == 0  # redo
            assert await sent(lambda: rejudging.follow(FIRST)) == 0
            assert rejudging.state.previous is not None
            assert rejudging.state.previous.rubric == RED
            assert await sent(lambda: rejudging.choose(pairs(7))) == 2  # one pair more, both orders
            assert await sent(lambda: rejudging.choose(pairs(5))) == 0
            assert rejudging.state.current is not None
            assert len(rejudging.state.current.records) == 10


async def test_undo_is_judged_at_once_where_nothing_has_to_be_sent(tmp_path: Path) -> None:
    with FaultyServer(judge) as server:
        async with following(server, tmp_path / "c.sqlite") as rejudging:
            await rejudging.judge()
            rejudging.follow(RED)
            await settled(rejudging)
            rejudging.follow(FIRST)
            await settled(rejudging)
            assert rejudging.state.judged
    assert len(server.requests) == 12


async def test_automatically_means_up_to_a_number_of_calls(tmp_path: Path) -> None:
    with FaultyServer(judge) as server:
        async with following(server, tmp_path / "c.sqlite", n=11) as rejudging:
            rejudging.automate(True)
            await settled(rejudging)
            assert rejudging.state.outlook is not None
            assert (rejudging.state.outlook.calls, server.requests) == (22, [])  # more than 20
            rejudging.choose(pairs(10))
            await until(lambda: rejudging.state.judged and not rejudging.state.doing)
    assert len(server.requests) == 20


async def test_the_newest_version_wins_and_what_it_overtakes_stays_cached(tmp_path: Path) -> None:
    def slow(number: int, request: Received) -> Step:
        return answer(verdict(request), delay_s=0.05)

    with FaultyServer(slow) as server:
        options = {"concurrency": 4, "most_calls": 100, "pause_s": 0.15}
        async with following(server, tmp_path / "c.sqlite", n=10, **options) as rejudging:
            rejudging.judge()
            await until(lambda: len(server.requests) >= 4)
            rejudging.automate(True)
            for version in (LAST, RED):  # typed quickly: the first of them is never judged
                rejudging.follow(version)
                await asyncio.sleep(0.03)
            await until(lambda: rejudging.state.judged and not rejudging.state.doing)
            current = rejudging.state.current
            assert current is not None
            assert (current.rubric, current.whole, rejudging.state.previous) == (RED, True, None)
            asked = [request.body["messages"][0]["content"] for request in server.requests]
            assert not any("the last" in text for text in asked)
            # No answer was asked for twice, those of the judgement that was overtaken neither.
            assert len(server.requests) == 40


async def test_a_pause_in_typing_is_waited_for(tmp_path: Path) -> None:
    with FaultyServer(judge) as server:
        async with following(server, tmp_path / "c.sqlite", pause_s=0.15) as rejudging:
            await rejudging.judge()
            rejudging.automate(True)
            for text in ("Prefer R", "Prefer RE", "Prefer RED."):
                rejudging.follow(rubric(text))
                await asyncio.sleep(0.03)
            await until(lambda: rejudging.state.judged and not rejudging.state.doing)
    assert len(server.requests) == 24


async def test_cancelling_sends_nothing_more_and_keeps_what_came(tmp_path: Path) -> None:
    def stuck(number: int, request: Received) -> Step:
        return answer(verdict(request)) if number < 6 else status(503)

    with FaultyServer(stuck) as server:
        cache = tmp_path / "c.sqlite"
        async with following(server, cache, n=10, concurrency=4) as rejudging:
            await exchange(rejudging, backoff_s=30.0)  # retries would wait half a minute
            rejudging.judge()
            await until(lambda: len(server.requests) >= 10 and arrived(rejudging) == 6)
            started = time.monotonic()
            rejudging.cancel()
            await settled(rejudging)
            assert time.monotonic() - started < 1
            sent = len(server.requests)
            state = rejudging.state
            assert state.current is not None
            assert (len(state.current.records), state.current.wanted, state.problem) == (6, 20, "")
            assert state.outlook is not None
            assert state.outlook.calls == 14
            await asyncio.sleep(0.1)
            assert len(server.requests) == sent


async def test_cancelling_leaves_what_waits_for_its_turn_unsent(tmp_path: Path) -> None:
    with FaultyServer(lambda number, request: answer(verdict(request), delay_s=0.05)) as server:
        async with following(server, tmp_path / "c.sqlite", n=20, concurrency=2) as rejudging:
            rejudging.judge()
            await until(lambda: len(server.requests) >= 4)
            rejudging.cancel()
            await asyncio.sleep(0.3)
            assert len(server.requests) <= 6
            await settled(rejudging)
            rejudging.look()
            await settled(rejudging)
            assert rejudging.state.outlook is not None
            assert rejudging.state.outlook.calls == 40 - len(server.requests)  # answers on their way were kept


async def test_an_edit_no_judge_sees_disturbs_no_judgement(tmp_path: Path) -> None:
    with FaultyServer(lambda number, request: answer(verdict(request), delay_s=0.02)) as server:
        async with following(server, tmp_path / "c.sqlite", concurrency=2) as rejudging:
            task = rejudging.judge()
            await until(lambda: len(server.requests) >= 3)
            rejudging.follow(renamed(FIRST))
            await task
            assert (rejudging.state.judged, rejudging.state.rubric.name) == (True, "another name")
            assert rejudging.state.current is not None
            assert (rejudging.state.current.whole, len(server.requests)) == (True, 12)


async def test_a_hanging_server_is_cancelled_at_once(tmp_path: Path) -> None:
    with FaultyServer(lambda number, request: hang()) as server:
        async with following(server, tmp_path / "c.sqlite") as rejudging:
            rejudging.judge()
            await until(lambda: len(server.requests) >= 8)
            rejudging.cancel()
            async with asyncio.timeout(1):
                await settled(rejudging)
            assert len(server.requests) == 8


async def test_a_lost_endpoint_leaves_part_of_the_results_and_judging_again_asks_the_rest(tmp_path: Path) -> None:
    with FaultyServer(judge) as server:
        async with following(server, tmp_path / "c.sqlite", n=4) as rejudging:
            rejudging.choose(pairs(3))
            await asyncio.sleep(0.04)
            await settled(rejudging)
            await rejudging.judge()
            url = server.url
            rejudging.choose(pairs(6))
            await asyncio.sleep(0.04)
            await settled(rejudging)
            asked = len(server.requests)
            await exchange(rejudging, "http://127.0.0.1:9/v1")
            await rejudging.judge()
            state = rejudging.state
            assert "cannot be reached" in state.problem
            assert "judge again: only what is missing is asked" in state.problem
            assert state.current is not None
            assert (len(state.current.records), state.current.wanted) == (6, 12)
            assert state.outlook is not None
            assert state.outlook.calls == 6
            await exchange(rejudging, url)
            await rejudging.judge()
            assert rejudging.state.problem == ""
            assert rejudging.state.current.whole
            assert len(server.requests) - asked == 6


@pytest.mark.parametrize(
    ("steps", "limits", "said"),
    [
        ([status(401)] * 20, {}, "judge again"),
        ([], {"max_calls": 5}, "max_calls (5) is reached"),
    ],
    ids=["wrong key", "budget spent"],
)
async def test_what_stops_a_judgement_is_said_with_what_to_do(steps, limits, said: str, tmp_path: Path) -> None:
    with FaultyServer(steps) as server:
        async with following(server, tmp_path / "c.sqlite", **limits) as rejudging:
            await rejudging.judge()
            assert said in rejudging.state.problem
            assert rejudging.state.doing == ""
            if limits:
                assert len(server.requests) == 5
                assert rejudging.state.current is not None
                assert (len(rejudging.state.current.records), rejudging.state.outlook.calls) == (5, 7)
                await rejudging.judge()
                assert len(server.requests) == 5  # the cap holds for the panel as a whole


async def test_errors_are_shown_and_asked_again(tmp_path: Path) -> None:
    def broken(number: int, request: Received) -> Step:
        return status(400, "too odd a question") if number == 11 else judge(number, request)

    with FaultyServer(broken) as server:
        async with following(server, tmp_path / "c.sqlite") as rejudging:
            await rejudging.judge()
            current = rejudging.state.current
            assert current is not None
            assert (current.whole, current.outcomes["error"], rejudging.state.outlook.calls) == (True, 1, 1)
            await rejudging.judge()
            assert rejudging.state.current.outcomes["error"] == 0
    assert len(server.requests) == 13


async def test_a_failed_try_for_the_rest_keeps_what_was_there(tmp_path: Path) -> None:
    def broken(number: int, request: Received) -> Step:
        return status(400, "too odd a question") if number == 10 else judge(number, request)

    with FaultyServer(broken) as server:
        async with following(server, tmp_path / "c.sqlite", n=60, concurrency=1) as rejudging:
            await rejudging.judge()
            await exchange(rejudging, "http://127.0.0.1:9/v1", backoff_s=0.0)
            await rejudging.judge()
            assert rejudging.state.problem
            assert rejudging.state.current is not None
            assert len(rejudging.state.current.records) == 120


async def test_without_an_enabled_criterion_nothing_is_judged(tmp_path: Path) -> None:
    with FaultyServer(judge) as server:
        async with following(server, tmp_path / "c.sqlite") as rejudging:
            rejudging.automate(True)
            await settled(rejudging)
            sent = len(server.requests)
            rejudging.follow(rubric("-off"))
            await asyncio.sleep(0.04)
            await settled(rejudging)
            assert "no enabled criterion: enable one" in rejudging.state.problem
            assert rejudging.state.outlook is None
            await rejudging.judge()
            assert (len(server.requests), rejudging.state.judged) == (sent, False)
            rejudging.follow(FIRST)
            await asyncio.sleep(0.04)
            await settled(rejudging)
            assert (rejudging.state.problem, rejudging.state.judged) == ("", True)


async def test_a_baseline_without_criteria_is_rubric_free_and_another_can_be_set(tmp_path: Path) -> None:
    with FaultyServer(judge) as server:
        async with following(server, tmp_path / "c.sqlite", baseline=rubric("-off")) as rejudging:
            await rejudging.judge()
            assert rejudging.state.first is not None
            assert (rejudging.state.first.name, len(server.requests)) == ("rubric-free", 24)
            rejudging.compare_with(FIRST)
            await settled(rejudging)
            assert rejudging.state.first is rejudging.state.current
            rejudging.compare_with(RED)
            await settled(rejudging)
            assert rejudging.state.outlook is not None
            assert (rejudging.state.first, rejudging.state.outlook.calls) == (None, 12)


async def test_leaving_one_out_tells_what_it_takes_first_and_can_be_cancelled(tmp_path: Path) -> None:
    both = rubric("Prefer RED.", "Be kind.")
    with FaultyServer(judge) as server:
        async with following(server, tmp_path / "c.sqlite", n=20, baseline=both) as rejudging:
            rejudging.follow(both)
            await rejudging.consider_leaving_out()
            assert rejudging.state.leaving is not None
            assert (rejudging.state.leaving.calls, len(server.requests)) == (120, 0)
            rejudging.leave_one_out()
            await until(lambda: len(server.requests) >= 50)
            rejudging.cancel()
            await settled(rejudging)
            assert len(rejudging.state.worths) < 2
            sent = len(server.requests)
            assert sent < 120
            await rejudging.leave_one_out()
            assert [worth.said for worth in rejudging.state.worths] == ["helps", "undecided"]
            assert len(server.requests) == 120
            await rejudging.consider_leaving_out()  # nothing to send: shown at once
            assert (rejudging.state.leaving, len(server.requests)) == (None, 120)


async def test_a_bug_is_shown_instead_of_a_panel_that_works_for_ever(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FaultyServer(judge) as server:
        async with following(server, tmp_path / "c.sqlite") as rejudging:
            rejudging.client.estimate_missing = None  # type: ignore[method-assign, assignment]
            rejudging.look()
            await settled(rejudging)
            assert "not callable" in rejudging.state.problem
            rejudging.client = rejudging.client.twin()
    assert "Traceback" in capsys.readouterr().err


async def exchange(rejudging: Rejudging, url: str = "", **limits: float) -> None:
    """The same client for another address, as of a server that is gone or back, or with other limits."""
    old = rejudging.client
    await old.close()
    endpoint = Endpoint(url or old.endpoint.base_url, old.endpoint.model)
    rejudging.client = VlmClient(endpoint, limits=replace(old.limits, **limits), cache=old.cache.path)


async def test_a_rubric_for_another_task_is_refused_and_nothing_is_sent(tmp_path: Path) -> None:
    with FaultyServer(judge) as server:
        async with following(server, tmp_path / "c.sqlite") as rejudging:
            rejudging.follow(replace(RED, task="edit"))
            for start in (rejudging.judge, rejudging.leave_one_out):
                await start()
                assert "rubric mine is for edit, which the pairs are not" in rejudging.state.problem
            rejudging.follow(LAST)
            rejudging.compare_with(replace(RED, task="edit"))
            await settled(rejudging)
            assert "is for edit" in rejudging.state.problem
    assert server.requests == []
