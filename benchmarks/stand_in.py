"""A stand-in model server for benchmarks: a usable answer, after a delay, to every question of a rubric induction.

It ranks the first candidate best, writes as many criteria as were asked for, no two alike, and groups numbered lines
just as they are. Which kind of answer is wanted stands in the request's JSON schema; a request without one is refused.
`GET /counts` tells what was asked since the last time, and how many requests were in flight at most.
"""

import asyncio
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.request import urlopen

MODEL = "stand-in"
KINDS = ("rubrics", "rank", "categories")
LARGEST_REQUEST = 2**26  # bytes

_COUNT = re.compile(r"exactly \**(\d+)")
_THEMES = re.compile(r"(\d+) (?:themes|or fewer)")
_NUMBERED = re.compile(r"^\d+\. (.+)$", re.MULTILINE)
_THINGS = ("lamp", "shadow", "roof", "window", "river", "bridge", "sail", "tower", "garden", "fence", "ladder")
_PARTS = ("edge", "outline", "surface", "corner", "base", "tip", "rim", "texture", "middle", "frame", "grain")
_PLACES = (
    "at dusk",
    "under glass",
    "behind mist",
    "near water",
    "on stone",
    "on sand",
    "on wood",
    "in snow",
    "in rain",
)
_STATES = ("crisp", "unbroken", "straight", "even", "smooth", "matte", "polished", "dry", "solid", "closed", "plain")


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests by kind, and the most in flight at once."""

    rubrics: int = 0
    rank: int = 0
    categories: int = 0
    peak: int = 0

    @property
    def calls(self) -> int:
        """Requests of all kinds."""
        return self.rubrics + self.rank + self.categories


@dataclass(frozen=True, slots=True)
class StandIn:
    """A running server; `base_url` ends in `/v1`."""

    base_url: str

    def take_counts(self) -> Counts:
        """What was asked since the last time."""
        with urlopen(f"{self.base_url.removesuffix('/v1')}/counts", timeout=10) as reply:
            return Counts(**json.load(reply))


def answer(request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The kind of a request, and the answer to it. Raises `ValueError` for one that induction does not ask."""
    schema = request.get("response_format", {}).get("json_schema", {}).get("schema", {})
    properties = schema.get("properties", {})
    kind = next((kind for kind in KINDS if kind in properties), None)
    if kind is None:
        raise ValueError(f"the schema asks for {sorted(properties)}, not for {', '.join(KINDS)}")
    text = "\n".join(_texts(request["messages"]))
    if kind == "rubrics":
        asked = _COUNT.search(text)
        return kind, {"rubrics": criteria(int(asked[1]) if asked else 1, text), "reason": "That is what differs."}
    if kind == "categories":
        return kind, {"categories": _grouped(text), "reason": "As they came."}
    ranks = list(range(1, properties["rank"].get("minItems", 2) + 1))
    # A schema may ask for more than the workbench's does; an answer without it would be refused.
    verdict: dict[str, Any] = {name: {} if of.get("type") == "object" else "" for name, of in properties.items()}
    verdict |= {"reason": "The first one fits better.", "rank": ranks}
    if "criteria" in properties:
        ids = properties["criteria"]["items"]["properties"]["id"]["enum"]
        verdict["criteria"] = [{"id": name, "rank": ranks} for name in ids]
    return kind, verdict


def criteria(count: int, about: str) -> list[str]:
    """`count` criteria, all different; the same for the same request, others for another."""
    size = len(_THINGS) * len(_PARTS) * len(_PLACES) * len(_STATES)
    first = int.from_bytes(sha256(about.encode()).digest()[:8])
    written = []
    for i in range(count):
        number = (first + 7919 * i) % size  # a prime step visits every combination before it repeats one
        number, thing = divmod(number, len(_THINGS))
        number, part = divmod(number, len(_PARTS))
        state, place = divmod(number, len(_PLACES))
        written.append(f"The {_PARTS[part]} of the {_THINGS[thing]} {_PLACES[place]} is {_STATES[state]}.")
    return written


def _grouped(text: str) -> list[dict[str, Any]]:
    asked = _THEMES.search(text)
    lines = _NUMBERED.findall(text)
    size = -(-len(lines) // int(asked[1] if asked else 1)) or 1
    parts = [lines[start : start + size] for start in range(0, len(lines), size)]
    return [{"theme": f"Theme {i}", "tips": tips} for i, tips in enumerate(parts, start=1)]


def _texts(messages: list[dict[str, Any]]) -> Iterator[str]:
    for message in messages:
        content = message["content"]
        if isinstance(content, str):
            yield content
        else:
            # Pictures count as what they are, so that two pairs of one prompt get different criteria.
            yield from (part.get("text") or sha256(part["image_url"]["url"].encode()).hexdigest() for part in content)


class Server:
    """Answers after `latency` seconds, and counts."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.in_flight = 0
        self.peak = 0
        self.counts: Counter[str] = Counter()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until its other end is closed."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"content-length: *(\d+)", head, re.IGNORECASE)
                body = await reader.readexactly(int(length[1]) if length else 0)
                status, reply = (200, self._take_counts()) if head.startswith("GET /counts") else await self._chat(body)
                data = json.dumps(reply).encode()
                fields = f"content-type: application/json\r\ncontent-length: {len(data)}"
                writer.write(f"HTTP/1.1 {status} X\r\n{fields}\r\n\r\n".encode() + data)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _chat(self, body: bytes) -> tuple[int, dict[str, Any]]:
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        due = asyncio.get_running_loop().time() + self.latency
        try:
            kind, data = answer(json.loads(body))
            self.counts[kind] += 1
            # The time answering takes is part of the latency, so that it does not grow with the size of requests.
            await asyncio.sleep(due - asyncio.get_running_loop().time())
        except ValueError as error:
            return 400, {"error": {"message": str(error)}}
        finally:
            self.in_flight -= 1
        message = {"role": "assistant", "content": json.dumps(data)}
        return 200, {
            "id": "chatcmpl-0",
            "object": "chat.completion",
            "created": 0,
            "model": MODEL,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
        }

    def _take_counts(self) -> dict[str, int]:
        counts = {**self.counts, "peak": self.peak}
        self.counts.clear()
        self.peak = self.in_flight
        return counts


async def serve(latency: float) -> None:
    """Serve on a free port of this machine, whose base URL is printed, until cancelled."""
    server = await asyncio.start_server(Server(latency).connected, "127.0.0.1", 0, limit=LARGEST_REQUEST, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


@contextmanager
def stand_in_server(latency: float = 0.0) -> Iterator[StandIn]:
    """A server in a process of its own while the block runs."""
    command = [sys.executable, __file__, str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield StandIn(process.stdout.readline().strip())
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
