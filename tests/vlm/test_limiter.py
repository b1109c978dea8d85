"""The number of requests in flight falls on 429, once a burst, and recovers."""

import asyncio
import contextlib

import pytest
from faulty_server import FaultyServer, Received, Step, answer, status
from vlm_helpers import client_of, question

from workbench.vlm.limiter import Limiter


async def test_one_cut_per_burst() -> None:
    limiter = Limiter(16)
    slots = [await limiter.acquire() for _ in range(16)]
    for slot in slots:
        limiter.overloaded(slot)
        limiter.release()
    assert limiter.limit == 8
    later = await limiter.acquire()
    limiter.overloaded(later)
    assert limiter.limit == 4


async def test_it_recovers_by_one_per_round() -> None:
    limiter = Limiter(16)
    limiter.overloaded(await limiter.acquire())
    limiter.release()
    for _ in range(8):  # one round: as many successes as the limit; 8 -> 8 + sum of 1/limit, a little under 9
        limiter.succeeded()
    assert 8.9 < limiter.limit <= 9
    for _ in range(200):
        limiter.succeeded()
    assert limiter.limit == 16


async def test_it_never_falls_below_one() -> None:
    limiter = Limiter(4)
    for _ in range(10):
        limiter.overloaded(await limiter.acquire())
        limiter.release()
    assert limiter.limit == 1
    assert await limiter.acquire()


async def test_a_question_asked_again_goes_first() -> None:
    limiter = Limiter(1)
    await limiter.acquire()
    order: list[str] = []

    async def wait(name: str, again: bool) -> None:
        await limiter.acquire(again=again)
        order.append(name)
        limiter.release()

    tasks = [asyncio.create_task(wait(name, name == "again")) for name in ("first", "second", "again")]
    await asyncio.sleep(0)
    limiter.release()
    await asyncio.gather(*tasks)
    assert order == ["again", "first", "second"]


@pytest.mark.parametrize("handed_over", [False, True])
async def test_cancelling_who_waits_loses_no_slot(handed_over: bool) -> None:
    limiter = Limiter(1)
    await limiter.acquire()
    waiting = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0)
    if handed_over:
        limiter.release()
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    if not handed_over:
        limiter.release()
    assert limiter.in_flight == 0
    async with asyncio.timeout(1):
        await limiter.acquire()


async def test_a_server_with_four_places_gets_all_answers() -> None:
    def script(number: int, received: Received) -> Step:
        return status(429) if server.in_flight > 4 else answer(delay_s=0.01)

    with FaultyServer(script) as server:
        async with client_of(server.url, concurrency=32, attempts=10, backoff_s=0.02) as client:
            replies = await asyncio.gather(*[client.ask(question(str(number))) for number in range(100)])
    assert len(replies) == 100
    assert server.peak > 4
    refused = len(server.requests) - 100
    assert refused < 100


async def test_concurrency_is_never_exceeded() -> None:
    with FaultyServer(lambda number, received: answer(delay_s=0.01)) as server:
        async with client_of(server.url, concurrency=5) as client:
            await asyncio.gather(*[client.ask(question(str(number))) for number in range(50)])
    assert server.peak == 5


async def test_waiting_for_a_slot_does_not_count_against_the_deadline() -> None:
    with FaultyServer(lambda number, received: answer(delay_s=0.05)) as server:
        async with client_of(server.url, concurrency=1, deadline_s=0.2) as client:
            await asyncio.gather(*[client.ask(question(str(number))) for number in range(10)])
    assert len(server.requests) == 10
