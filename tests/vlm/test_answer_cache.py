"""Nothing paid for is asked twice: across runs, processes, kills, full disks and damaged files."""

import asyncio
import hashlib
import json
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from faulty_server import FaultyServer, Received, Step, answer
from vlm_helpers import PIXEL, RANKING, client_of, png, question

from workbench.vlm.cache import Answer, Cache, Entry, default_path, merge
from workbench.vlm.errors import NoAnswer, StorageFailed
from workbench.vlm.request import ChatRequest, Token
from workbench.vlm.settings import ImagePolicy, Sampling

ANSWER = Answer("text", "stop", 3, 2, "m", "f", "off", (Token("1", -0.1, {"1": -0.1, "2": -2.5}),))
HERE = Path(__file__).parent

# Asks 60 questions through one cache, and prints a line for every answer.
CHILD = """
import asyncio, resource, sys
sys.path[:0] = sys.argv[1].split(":")
from vlm_helpers import client_of, question
from workbench.vlm.errors import VlmError
from pathlib import Path

async def one(client, number):
    reply = await client.ask(question(f"question {number} " + "x" * int(sys.argv[4])))
    print("answered", number, reply.calls, flush=True)

async def main():
    async with client_of(sys.argv[2], Path(sys.argv[3]), concurrency=4) as client:
        results = await asyncio.gather(*[one(client, number) for number in range(60)], return_exceptions=True)
        for failure in {str(result) for result in results if isinstance(result, VlmError)}:
            print("failed", failure, flush=True)

if int(sys.argv[5]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[5]),) * 2)
asyncio.run(main())
"""


def start(server: FaultyServer, cache: Path, *, padding: int = 0, most_bytes: int = 0) -> "subprocess.Popen[str]":
    paths = f"{HERE}:{HERE.parent}"
    arguments = [sys.executable, "-c", CHILD, paths, server.url, str(cache), str(padding), str(most_bytes)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def output(child: "subprocess.Popen[str]") -> list[str]:
    """The lines it printed, once it has ended."""
    return child.communicate(timeout=60)[0].splitlines()


def texts_in(path: Path) -> set[str]:
    """The questions that are answered on disk."""
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute("SELECT request FROM answers").fetchall()
    finally:
        connection.close()
    return {json.loads(row[0])["content"][0].strip() for row in rows}


def asked_since(server: FaultyServer, number: int) -> set[str]:
    return {received.text.strip() for received in server.requests[number:]}


async def test_an_answer_is_asked_for_once(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "answers.sqlite"
    with FaultyServer() as server:
        async with client_of(server.url, path) as client:
            first = await client.ask(question())
        async with client_of(server.url, path) as client:
            again = await client.ask(question())
            assert client.usage.cached == 1
    assert len(server.requests) == 1
    assert (first.calls, first.cached, first.input_tokens) == (1, False, 100)
    assert (again.calls, again.cached, again.input_tokens) == (0, True, 0)
    assert (again.value, again.text, again.key) == (first.value, first.text, first.key)


async def test_a_cached_run_needs_no_server(tmp_path: Path) -> None:
    with FaultyServer() as server:
        async with client_of(server.url, tmp_path / "c.sqlite") as client:
            await client.ask(question())
    async with client_of("http://127.0.0.1:1/v1", tmp_path / "c.sqlite", max_calls=0) as client:
        assert (await client.ask(question())).cached


async def test_identical_questions_at_once_are_sent_once() -> None:
    with FaultyServer(lambda number, received: answer(delay_s=0.1)) as server:
        async with client_of(server.url) as client:
            replies = await asyncio.gather(*[client.ask(question()) for _ in range(20)])
    assert len(server.requests) == 1
    assert sum(reply.calls for reply in replies) == 1


async def test_everything_that_decides_the_answer_decides_the_key(tmp_path: Path) -> None:
    base = question()
    copy = tmp_path / "copy.png"
    copy.write_bytes(PIXEL)
    schema = {**RANKING.schema, "title": "other"}
    differing = [
        base,
        replace(base, system="Judge."),
        question("what?"),
        question("which?", png("blue"), PIXEL),
        replace(base, answer=replace(RANKING, schema=schema)),
        replace(base, logprobs=True),
        replace(base, sample=1),
    ]
    with FaultyServer() as server:
        keys = []
        for settings in (
            {},
            {"model": "other"},
            {"sampling": Sampling(temperature=1)},
            {"sampling": Sampling(extra={"top_k": 5})},
            {"structured": "off"},
            {"images": ImagePolicy(max_side=8)},
        ):
            async with client_of(server.url, **settings) as client:
                keys += [(await client.ask(request)).key for request in (differing if not settings else [base])]
        assert len(set(keys)) == len(keys) == 12
        async with client_of(server.url.replace("127.0.0.1", "localhost"), concurrency=1) as client:
            assert (await client.ask(question("which?", str(copy), png("blue")))).key == keys[0]


async def test_a_whole_number_is_the_same_setting_as_its_float(tmp_path: Path) -> None:
    with FaultyServer() as server:
        for sampling in (Sampling(temperature=0, top_p=1), Sampling(temperature=0.0, top_p=1.0)):
            async with client_of(server.url, tmp_path / "c.sqlite", sampling=sampling) as client:
                await client.ask(question())
    assert len(server.requests) == 1


async def test_the_row_tells_what_was_asked_without_images(tmp_path: Path) -> None:
    with FaultyServer() as server:
        async with client_of(server.url, tmp_path / "c.sqlite") as client:
            reply = await client.ask(question())
            assert client.cache is not None
            entry = client.cache.entry(reply.key)
            assert client.cache.entry("another") is None
    assert entry is not None
    content = json.loads(entry.request)["content"]
    assert content[0] == "which?"
    assert set(content[1]) == {"sha256", "transform"}
    assert (entry.model, entry.answer.model, entry.answer.mode) == ("judge", "served", "json_schema")
    assert hashlib.sha256(entry.request.encode()).hexdigest() == entry.key == reply.key


def test_an_answer_survives_the_round_trip(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "c.sqlite")
    cache.put([Entry("k", "m", "{}", ANSWER)])
    cache.close()
    assert cache.get("k") == ANSWER
    assert cache.get("other") is None
    cache.close()


def test_the_first_answer_stays(tmp_path: Path) -> None:
    one, two = Cache(tmp_path / "c.sqlite"), Cache(tmp_path / "c.sqlite")
    assert one.put([Entry("k", "m", "{}", ANSWER)]) == [ANSWER]
    later = Entry("k", "m", "{}", replace(ANSWER, text="later"))
    assert two.put([later, replace(later, key="new")]) == [ANSWER, later.answer]
    one.close()
    two.close()


def test_caches_are_joined(tmp_path: Path) -> None:
    for name, numbers in (("a", range(700)), ("b", range(600, 1300)), ("into", range(1))):
        cache = Cache(tmp_path / name)
        cache.put([Entry(str(number), "m", "{}", replace(ANSWER, text=name)) for number in numbers])
        cache.close()
    into = tmp_path / "into"
    assert merge(into, [tmp_path / "a", tmp_path / "b"]) == 699 + 600
    assert merge(into, [tmp_path / "a", tmp_path / "b"]) == 0
    cache = Cache(into)
    texts = [found.text for number in (0, 650, 1299) if (found := cache.get(str(number)))]
    cache.close()
    assert texts == ["into", "a", "b"]


@pytest.mark.parametrize("content", [None, b"", b"this is no database at all" * 200])
def test_a_file_that_is_no_cache_is_not_merged(content: bytes | None, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    if content is not None:
        other.write_bytes(content)
    with pytest.raises(StorageFailed, match=r"other\.sqlite"):
        merge(tmp_path / "into.sqlite", [other])


def test_the_default_cache_is_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_path() == tmp_path / "workbench" / "answers.sqlite"
    assert not list(tmp_path.iterdir())


async def test_a_damaged_cache_is_named_with_its_remedy(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    path.write_bytes(b"this is no database at all" * 200)
    with FaultyServer() as server:
        async with client_of(server.url, path) as client:
            with pytest.raises(StorageFailed, match=r"c\.sqlite.*move it aside"):
                await client.ask(question())
    assert not server.requests


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with FaultyServer() as server:
        async with client_of(server.url, tmp_path / "file" / "c.sqlite") as client:
            with pytest.raises(StorageFailed, match=r"c\.sqlite.*--cache"):
                await client.ask(question())
    assert not server.requests


def test_two_processes_share_one_cache(tmp_path: Path) -> None:
    with FaultyServer(lambda number, received: answer(delay_s=0.002)) as server:
        children = [start(server, tmp_path / "c.sqlite") for _ in range(2)]
        lines = [output(child) for child in children]
        sent = len(server.requests)
        assert [len(answered) for answered in lines] == [60, 60], lines
        again = output(start(server, tmp_path / "c.sqlite"))
        assert all(line.endswith(" 0") for line in again)
    assert 60 <= sent <= 120
    assert len(server.requests) == sent
    assert len(texts_in(tmp_path / "c.sqlite")) == 60


def test_nothing_on_disk_is_asked_again_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    with FaultyServer(lambda number, received: answer(delay_s=0.01)) as server:
        stored: set[str] = set()
        for kill_after in (3, 17, 31):
            before = len(server.requests)
            child = start(server, path)
            assert child.stdout
            for _ in range(kill_after):
                child.stdout.readline()
            child.send_signal(signal.SIGKILL)
            child.wait()
            child.stdout.close()
            assert not stored & asked_since(server, before)
            stored = texts_in(path)
            assert len(stored) >= kill_after
        before = len(server.requests)
        lines = output(start(server, path))
    assert len(lines) == 60
    assert not stored & asked_since(server, before)
    assert len(texts_in(path)) == 60


def test_a_full_disk_stops_sending_and_keeps_what_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    with FaultyServer(lambda number, received: answer(delay_s=0.01)) as server:
        lines = output(start(server, path, padding=4000, most_bytes=200_000))
        answered = [line for line in lines if line.startswith("answered")]
        failed = [line for line in lines if line.startswith("failed")]
        assert 5 < len(answered) < 60
        assert len(failed) == 1
        assert "c.sqlite" in failed[0]
        assert "free some disk space" in failed[0]
        assert len(server.requests) <= len(answered) + 4  # those in flight
        stored = texts_in(path)
        assert len(stored) >= len(answered)
        before = len(server.requests)
        assert len(output(start(server, path, padding=4000))) == 60
    assert not stored & asked_since(server, before)


async def test_an_answer_is_on_disk_before_its_slot_is_free(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    on_disk: list[int] = []

    def script(number: int, received: Received) -> Step:
        on_disk.append(len(texts_in(path)))
        return answer()

    with FaultyServer(script) as server:
        async with client_of(server.url, path, concurrency=1) as client:
            await asyncio.gather(*[client.ask(question(str(number))) for number in range(5)])
    assert on_disk == [0, 1, 2, 3, 4]


async def test_ten_thousand_cached_answers_come_fast(tmp_path: Path) -> None:
    images = [tmp_path / f"{number}.png" for number in range(20)]
    for number, image in enumerate(images):
        image.write_bytes(png(f"#{number:06x}", (256, 256)))

    def nth(number: int) -> ChatRequest:
        return question(f"question {number % 500}", str(images[number % 20]), str(images[number * 7 % 20]))

    with FaultyServer() as server:
        async with client_of(server.url, tmp_path / "c.sqlite") as client:
            await asyncio.gather(*[client.ask(nth(number)) for number in range(500)])
        async with client_of(server.url, tmp_path / "c.sqlite") as client:
            started = time.perf_counter()
            for number in range(10_000):
                await client.ask(nth(number))
            took = time.perf_counter() - started
    assert client.usage.cached == 10_000
    assert took < 4


async def test_an_answer_that_came_is_kept_when_nobody_waits_any_more(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    with FaultyServer(lambda number, received: answer(delay_s=0.1)) as server:
        async with client_of(server.url, path) as client:
            task = asyncio.create_task(client.ask(question()))
            await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.sleep(0.15)
        assert len(texts_in(path)) == 1


async def test_a_failed_shared_question_fails_for_all(tmp_path: Path) -> None:
    with FaultyServer(lambda number, received: answer(None, refusal="no", delay_s=0.05)) as server:
        async with client_of(server.url, tmp_path / "c.sqlite") as client:
            results = await asyncio.gather(*[client.ask(question()) for _ in range(3)], return_exceptions=True)
    assert all(isinstance(result, NoAnswer) for result in results)
    assert sum(result.spent.calls for result in results if isinstance(result, NoAnswer)) == 1
    assert len(server.requests) == 1
