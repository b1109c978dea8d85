"""Questions nobody waits for any more, questions counted before they are asked, and a client that takes over."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from faulty_server import FaultyServer, answer, status
from vlm_helpers import PIXEL, client_of, question

from workbench.vlm.errors import BudgetSpent, Unreachable


async def test_abandoned_questions_are_not_sent_and_answers_on_their_way_are_kept(tmp_path: Path) -> None:
    with FaultyServer(lambda number, request: answer(delay_s=0.2)) as server:
        async with client_of(server.url, tmp_path / "c.sqlite", concurrency=2) as client:
            asked = [asyncio.ensure_future(client.ask(question(f"number {i}"))) for i in range(6)]
            while len(server.requests) < 2:
                await asyncio.sleep(0.01)
            client.abandon()
            done = await asyncio.gather(*asked, return_exceptions=True)
            assert sum(isinstance(each, asyncio.CancelledError) for each in done) == 4
            assert len(server.requests) == 2
            again = [await client.ask(question(f"number {i}")) for i in range(3)]
    assert [reply.cached for reply in again] == [True, True, False]
    assert len(server.requests) == 3


async def test_what_is_asked_again_right_after_being_abandoned_is_answered(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PIXEL)
    asked = question("which?", str(tmp_path / "a.png"))  # a file that is known is looked at without waiting
    with FaultyServer([status(503)]) as server:
        async with client_of(server.url, tmp_path / "c.sqlite", backoff_s=20.0) as client:
            waiting = asyncio.ensure_future(client.ask(asked))
            while client.usage.calls < 1 or not server.requests:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)  # it waits for its second attempt now
            client.abandon()
            reply = await client.ask(asked)
            with suppress(asyncio.CancelledError):
                await waiting
    assert waiting.cancelled()
    assert (reply.value, len(server.requests)) == ([1, 2], 2)


async def test_an_abandoned_request_that_fails_is_not_tried_again(tmp_path: Path) -> None:
    slow = answer(delay_s=0.1)
    failing = type(slow)(503, b"{}", delay_s=0.1)
    with FaultyServer(lambda number, request: failing) as server:
        async with client_of(server.url, tmp_path / "c.sqlite") as client:
            waiting = asyncio.ensure_future(client.ask(question()))
            while not server.requests:
                await asyncio.sleep(0.01)
            client.abandon()
            with pytest.raises(Exception, match="given up"):
                await waiting
    assert len(server.requests) == 1


async def test_missing_answers_are_counted_without_asking(tmp_path: Path) -> None:
    wanted = [question("one"), question("two"), question("two"), question("gone", "no such file.png")]
    with FaultyServer([answer(), answer("no JSON"), answer("no JSON")]) as server:
        async with client_of(server.url, tmp_path / "c.sqlite") as client:
            assert (await client.estimate_missing(wanted)).calls == 2  # twice the same is one, and no file is none
            await client.ask(wanted[0])
            assert (await client.estimate_missing(wanted)).calls == 1
            with suppress(Exception):
                await client.ask(wanted[1])  # answered twice, never in the format: nothing more would be sent
            assert (await client.estimate_missing(wanted)).calls == 0
    assert len(server.requests) == 3


async def test_an_answer_that_waits_to_be_put_right_is_missing(tmp_path: Path) -> None:
    with FaultyServer([answer("no JSON")]) as server:
        async with client_of(server.url, tmp_path / "c.sqlite", max_calls=1) as client:
            with pytest.raises(BudgetSpent):
                await client.ask(question())
            assert (await client.estimate_missing([question()])).calls == 1
    assert len(server.requests) == 1


async def test_a_twin_goes_on_after_a_stop_within_the_same_caps(tmp_path: Path) -> None:
    async with client_of("http://127.0.0.1:9/v1", tmp_path / "c.sqlite") as client:
        with pytest.raises(Unreachable):
            await client.ask(question())
        with pytest.raises(Unreachable):
            await client.ask(question("another"))
    with FaultyServer([]) as server:
        async with client_of(server.url, tmp_path / "c.sqlite", max_calls=2) as first:
            await first.ask(question())
            async with first.twin() as twin:
                assert (await twin.ask(question())).cached
                await twin.ask(question("another"))
                assert (twin.identity(), twin.usage.calls, first.usage.calls) == (first.identity(), 2, 2)
                for client in (first, twin):
                    with pytest.raises(BudgetSpent):
                        await client.ask(question("a third"))


async def test_an_abandoned_request_that_is_asked_for_again_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PIXEL)
    asked = question("which?", str(tmp_path / "a.png"))
    failing = type(answer())(503, b"{}", delay_s=0.2)
    with FaultyServer([failing]) as server:
        async with client_of(server.url, tmp_path / "c.sqlite") as client:
            first = asyncio.ensure_future(client.ask(asked))
            while not server.requests:
                await asyncio.sleep(0.01)
            client.abandon()
            reply = await client.ask(asked)
            await first
    assert (reply.value, len(server.requests)) == ([1, 2], 2)
