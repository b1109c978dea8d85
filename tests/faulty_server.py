"""A real HTTP server on loopback that misbehaves as told: one step a request, in its own thread.

with FaultyServer([status(500), drop(), answer()]) as server:
    ...ask server.url...
assert len(server.requests) == 3
"""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

VALID = '{"reason": "sharper", "rank": [1, 2]}'


@dataclass(frozen=True)
class Step:
    """What the server does with one request.

    - `sent`: how much of the response is sent before the connection is cut, as a fraction; None sends all.
    - `delay_s`: before the response; infinity never answers.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    sent: float | None = None
    delay_s: float = 0.0


@dataclass(frozen=True)
class Received:
    """One request as it arrived; `body` is its JSON."""

    at: float
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def text(self) -> str:
        """The user's text."""
        parts = self.body["messages"][1]["content"]
        return " ".join(part["text"] for part in parts if part["type"] == "text")

    @property
    def urls(self) -> list[str]:
        """The images' URLs."""
        parts = self.body["messages"][1]["content"]
        return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]


Script = Callable[[int, Received], Step]


def answer(text: str | None = VALID, *, reason: str = "stop", delay_s: float = 0.0, **message: Any) -> Step:
    """A chat completion."""
    tokens = message.pop("usage", {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110})
    logprobs = message.pop("logprobs", None)
    choice = {"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": text, **message}}
    if logprobs is not None:
        choice["logprobs"] = logprobs
    completion = {"id": "1", "object": "chat.completion", "model": "served", "choices": [choice], "usage": tokens}
    return Step(body=json.dumps(completion).encode(), delay_s=delay_s)


def status(code: int, message: str = "it went wrong", **headers: str) -> Step:
    """An error; `retry_after="1"` becomes the header `retry-after`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Step(code, json.dumps({"error": {"message": message}}).encode(), named)


def drop(sent: float = 0.0) -> Step:
    """Cut the connection after a part of the response; 0 sends nothing, 0.9 breaks off inside the body."""
    return Step(body=answer().body, sent=sent)


def hang(seconds: float = float("inf")) -> Step:
    """Say nothing."""
    return Step(body=answer().body, delay_s=seconds)


class FaultyServer:
    """Follows `script`: steps for the first requests, then `VALID` answers; or a function of number and request."""

    def __init__(self, script: Sequence[Step] | Script = ()) -> None:
        self._script = script
        self.requests: list[Received] = []
        self.in_flight = 0
        self.peak = 0
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=2**24)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        self._ready.set()
        await self._stop.wait()
        server.close()
        open_ones = asyncio.all_tasks() - {asyncio.current_task()}
        for task in open_ones:
            task.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; False when the connection is to be cut."""
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        data = await reader.readexactly(int(headers.get("content-length", 0)))
        received = Received(time.monotonic(), headers, json.loads(data or b"{}"))
        number = len(self.requests)
        self.requests.append(received)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            return await self._respond(self._next(number, received), writer)
        finally:
            self.in_flight -= 1

    def _next(self, number: int, received: Received) -> Step:
        if callable(self._script):
            return self._script(number, received)
        return self._script[number] if number < len(self._script) else answer()

    async def _respond(self, step: Step, writer: asyncio.StreamWriter) -> bool:
        if step.delay_s == float("inf"):
            await self._stop.wait()
            return False
        await asyncio.sleep(step.delay_s)
        fields = {"content-type": "application/json", "content-length": str(len(step.body)), **step.headers}
        head = f"HTTP/1.1 {step.status} Status\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items()) + "\r\n"
        whole = head.encode() + step.body
        writer.write(whole if step.sent is None else whole[: int(len(whole) * step.sent)])
        await writer.drain()
        return step.sent is None
