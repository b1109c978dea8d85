"""Every way a server can fail during a run: asked again, or one clear error; never a made-up answer."""

import asyncio
import socket
import sqlite3
import time
from email.utils import formatdate
from pathlib import Path

import pytest
from faulty_server import VALID, FaultyServer, Received, Step, answer, drop, hang, status
from vlm_helpers import client_of, question

from workbench.vlm.client import VlmClient
from workbench.vlm.errors import (
    BadRequest,
    BudgetSpent,
    InvalidAnswer,
    NoAnswer,
    NoVision,
    StopRun,
    UnknownModel,
    Unreachable,
    WrongKey,
)


@pytest.mark.parametrize(
    "fault",
    [
        status(429, retry_after="0"),
        status(429, "Rate limit reached. Add a payment method at https://example.com/account/billing."),
        status(408),
        status(409),
        status(500),
        status(503),
        Step(502, b"<html>Bad gateway</html>"),
        drop(0.0),
        drop(0.9),
        answer(""),
        answer(None),
        Step(body=b'{"choices": []}'),
        Step(body=b"no JSON"),
        Step(body=b'{"error": {"code": 503, "message": "upstream"}}'),
    ],
    ids=lambda step: f"{step.status}-{step.sent}-{step.body[:12]!r}",
)
async def test_a_passing_fault_is_asked_again(fault: Step, tmp_path: Path) -> None:
    with FaultyServer([fault] * 4) as server:
        async with client_of(server.url, tmp_path / "c.sqlite") as client:
            reply = await client.ask(question())
    assert reply.value == [1, 2]
    assert (reply.calls, client.usage.calls, client.usage.retries) == (5, 5, 4)


async def test_a_hang_is_cut_off_and_asked_again() -> None:
    with FaultyServer([hang()]) as server:
        async with client_of(server.url, attempt_s=0.2) as client:
            reply = await client.ask(question())
    assert reply.calls == 2


async def test_a_dripping_reply_cannot_outlast_the_attempt() -> None:
    with FaultyServer(lambda number, received: answer(delay_s=0.5)) as server:
        async with client_of(server.url, attempt_s=0.05, attempts=5) as client:
            with pytest.raises(NoAnswer, match=r"5 x no reply within 0.05 s.*attempt_s"):
                await client.ask(question())


async def test_the_deadline_bounds_all_attempts() -> None:
    with FaultyServer([hang()] * 9) as server:
        async with client_of(server.url, deadline_s=0.3, attempt_s=0.2) as client:
            started = time.monotonic()
            with pytest.raises(NoAnswer, match="deadline_s"):
                await client.ask(question())
    assert time.monotonic() - started < 1.0


@pytest.mark.parametrize(
    ("headers", "least"),
    [({"retry_after": "0.3"}, 0.3), ({"retry_after_ms": "300", "retry_after": "60"}, 0.3)],
)
async def test_retry_after_is_honoured(headers: dict[str, str], least: float) -> None:
    with FaultyServer([status(429, **headers)]) as server:
        async with client_of(server.url) as client:
            await client.ask(question())
    assert least <= server.requests[1].at - server.requests[0].at < least + 1


async def test_retry_after_as_a_date_is_honoured() -> None:
    def script(number: int, received: Received) -> Step:
        return status(429, retry_after=formatdate(time.time() + 2, usegmt=True)) if number == 0 else answer()

    with FaultyServer(script) as server:
        async with client_of(server.url) as client:
            await client.ask(question())
    assert 0.5 < server.requests[1].at - server.requests[0].at < 3


async def test_a_wait_beyond_the_deadline_is_not_waited_for() -> None:
    with FaultyServer([status(429, retry_after="3600")]) as server:
        async with client_of(server.url) as client:
            started = time.monotonic()
            with pytest.raises(NoAnswer, match=r"3,600\.0 s, too late"):
                await client.ask(question())
    assert time.monotonic() - started < 1


async def test_attempts_run_out() -> None:
    with FaultyServer(lambda number, received: status(500, "worker crashed")) as server:
        async with client_of(server.url) as client:
            with pytest.raises(NoAnswer, match="6 x status 500: worker crashed") as failure:
                await client.ask(question())
    assert failure.value.spent.calls == len(server.requests) == 6


@pytest.mark.parametrize(
    ("step", "error", "words"),
    [
        (status(401, "bad key"), WrongKey, "OPENAI_API_KEY"),
        (status(403, "forbidden"), WrongKey, "OPENAI_API_KEY"),
        (status(401, "Could not decode the API key"), WrongKey, "OPENAI_API_KEY"),
        (status(400, "Unknown parameter: 'safety_settings'"), BadRequest, "safety_settings"),
        (status(404, "The model `judge` does not exist"), UnknownModel, "model's name"),
        (status(400, "judge is not a multimodal model"), NoVision, "vision-language model"),
        (status(400, "At most 0 image(s) may be provided in one request."), NoVision, "vision-language model"),
        (status(400, "Invalid content type. image_url is only supported by certain models."), NoVision, "no images"),
        (status(404, "No endpoints found that support image input"), NoVision, "no images"),
        (status(500, "image input is not supported - hint: you may need the mmproj"), NoVision, "no images"),
        (status(400, "At most 1 image(s) may be provided in one prompt."), BadRequest, "--limit-mm-per-prompt"),
        (status(400, "Unknown parameter: 'top_k'"), BadRequest, "top_k"),
        (status(307, "moved", location="http://127.0.0.1:1/"), BadRequest, "redirects"),
        (status(429, "You exceeded your current quota"), BudgetSpent, "top it up"),
        (status(402, "Insufficient credits"), BudgetSpent, "top it up"),
    ],
    ids=lambda value: f"{value.status}" if isinstance(value, Step) else None,
)
async def test_what_would_fail_every_time_stops_the_run(step: Step, error: type[StopRun], words: str) -> None:
    with FaultyServer(lambda number, received: step) as server:
        async with client_of(server.url) as client:
            with pytest.raises(error, match=words) as failure:
                await client.ask(question())
            with pytest.raises(error):
                await client.ask(question("another"))
    assert len(server.requests) == 1
    assert server.url in str(failure.value)
    assert "'judge'" in str(failure.value)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (status(400, "This model's maximum context length is 8192 tokens"), "shorter prompt"),
        (status(400, "Your request was flagged by our content policy"), "rejected"),
        (status(413, "Request Entity Too Large"), "max_side"),
        (answer(None, refusal="I cannot judge people."), "refused: I cannot judge people"),
        (answer('{"reason": "', reason="length"), "max_tokens"),
        (answer("", reason="content_filter"), "content filter"),
    ],
    ids=["context", "policy", "too large", "refusal", "truncated", "filter"],
)
async def test_one_hopeless_question_does_not_stop_the_others(step: Step, words: str, tmp_path: Path) -> None:
    with FaultyServer([step]) as server:
        async with client_of(server.url, tmp_path / "c.sqlite") as client:
            with pytest.raises(NoAnswer, match=words):
                await client.ask(question("first"))
            assert _rows(tmp_path / "c.sqlite") == 0
            assert (await client.ask(question("second"))).value == [1, 2]
            assert (await client.ask(question("first"))).value == [1, 2]
    assert len(server.requests) == 3


async def test_an_unexplained_rejection_after_successes_is_about_one_question() -> None:
    with FaultyServer([answer(), status(400, "no idea")]) as server:
        async with client_of(server.url) as client:
            await client.ask(question("first"))
            with pytest.raises(NoAnswer, match="Other questions were answered"):
                await client.ask(question("second"))
            await client.ask(question("third"))


async def test_an_unreachable_endpoint_is_named() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        async with client_of(url) as client:
            with pytest.raises(Unreachable, match=f"{url} cannot be reached after 6 attempts.*\n.*server is running"):
                await client.ask(question())


@pytest.mark.parametrize(
    "text",
    [
        f"Sure, here is my verdict: {VALID} Hope that helps!",
        f"```json\n{VALID}\n```",
        f'<think>maybe {{"rank": [2, 1]}}?</think>{VALID}',
        f"{VALID}\n{VALID}",
    ],
    ids=["prose", "fence", "thinking", "twice the same"],
)
async def test_the_one_object_inside_prose_is_taken(text: str) -> None:
    with FaultyServer([answer(text)]) as server:
        async with client_of(server.url) as client:
            assert (await client.ask(question())).value == [1, 2]
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"reason": "x", "rank": [1, 1]}', "rank"),
        ('{"reason": "x", "rank": [0, 1]}', "rank"),
        ('{"reason": "x", "rank": [1, 2, 3]}', "rank"),
        ('{"verdict": "A"}', "rank"),
        ('{"rank": [1, 2]} or {"rank": [2, 1]}', "2 different JSON objects"),
        ('{"rank": [1, 2], "rank": [2, 1]}', "twice"),
        ("The first image is better.", "no JSON object"),
        ("[1, 2]", "not an object"),
        ('{"rank": [NaN, 1]}', "NaN"),
        ("{" * 100_000, "unreadable braces"),
        ('{"a":' * 5_000, "no JSON object|unreadable braces"),
    ],
)
async def test_a_broken_format_is_repaired_once_then_invalid(text: str, problem: str, tmp_path: Path) -> None:
    with FaultyServer([answer(text), answer()]) as server:
        async with client_of(server.url, tmp_path / "a.sqlite") as client:
            assert (await client.ask(question())).value == [1, 2]
        bad, told = server.requests[1].body["messages"][2:]
        assert (bad["role"], bad["content"], told["role"]) == ("assistant", text, "user")
    with FaultyServer([answer(text), answer(text)]) as server:
        for calls in (2, 0):  # both answers were paid for: they are not asked for again
            async with client_of(server.url, tmp_path / "b.sqlite") as client:
                with pytest.raises(InvalidAnswer, match=problem) as failure:
                    await client.ask(question())
            assert failure.value.text == text
            assert failure.value.spent.calls == calls
    assert len(server.requests) == 2


async def test_a_missing_image_is_one_question_without_answer(tmp_path: Path) -> None:
    with FaultyServer() as server:
        async with client_of(server.url) as client:
            with pytest.raises(NoAnswer, match=r"gone\.png does not exist"):
                await client.ask(question("q", str(tmp_path / "gone.png")))
    assert not server.requests


async def test_the_key_is_sent_but_never_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-123")
    steps = [answer(), status(401, "Incorrect API key provided: sk-secret-123")]
    with FaultyServer(steps) as server:
        async with client_of(server.url, tmp_path / "c.sqlite") as client:
            await client.ask(question("first"))
            with pytest.raises(WrongKey) as failure:
                await client.ask(question("second"))
            assert "sk-secret-123" not in str(failure.value) + repr(client.identity())
    assert server.requests[0].headers["authorization"] == "Bearer sk-secret-123"
    assert b"sk-secret-123" not in (tmp_path / "c.sqlite").read_bytes()


async def test_a_password_in_the_base_url_is_not_shown() -> None:
    with FaultyServer([status(404)]) as server:
        async with client_of(server.url.replace("http://", "http://me:hush@")) as client:
            with pytest.raises(UnknownModel) as failure:
                await client.ask(question())
    assert "hush" not in str(failure.value)


async def test_a_cancelled_question_leaves_the_client_usable() -> None:
    with FaultyServer([hang(0.3)]) as server:
        async with client_of(server.url, concurrency=1) as client:
            task = asyncio.create_task(client.ask(question("slow")))
            await asyncio.sleep(0.1)
            task.cancel()
            assert (await client.ask(question("next"))).value == [1, 2]


async def test_text_utf8_cannot_hold_is_replaced(tmp_path: Path) -> None:
    with FaultyServer([answer('{"reason": "\\ud800 \ud800", "rank": [1, 2]}')]) as server:
        async with client_of(server.url, tmp_path / "c.sqlite") as client:
            reply: VlmClient | object = await client.ask(question())
    assert str(reply).encode()


def _rows(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        count: int = connection.execute("SELECT count(*) FROM answers").fetchone()[0]
        return count
    finally:
        connection.close()
