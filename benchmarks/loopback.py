"""A chat server for benchmarks: answers every request with the same verdict after a fixed delay, in its own process."""

import asyncio
import json
import multiprocessing
import re
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

ANSWER = {
    "id": "chatcmpl-0",
    "object": "chat.completion",
    "created": 0,
    "model": "loopback",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": '{"reason": "The first one is sharper.", "rank": [1, 2]}'},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 2800, "completion_tokens": 20, "total_tokens": 2820},
}
BODY = json.dumps(ANSWER).encode()
RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Server(asyncio.Protocol):
    """Reads requests only as far as needed to know where they end."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.head = b""
        self.missing = -1  # bytes of the body still to come; -1 while in the head

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.missing < 0:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            length = LENGTH.search(self.head, 0, end)
            self.missing = int(length[1]) if length else 0
            data, self.head = self.head[end + 4 :], b""
        self.missing -= len(data)
        if self.missing == 0:
            self.missing = -1
            asyncio.get_running_loop().call_later(self.latency, self._answer)

    def _answer(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(RESPONSE)


def _serve(latency: float, started: Connection) -> None:
    async def work() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: Server(latency), "127.0.0.1", 0, backlog=1024)
        started.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(work())


@contextmanager
def loopback_server(latency: float = 0.0) -> Iterator[str]:
    """The base URL of a server that answers after `latency` seconds."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(latency, sender), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{receiver.recv()}/v1"
    finally:
        process.terminate()
        process.join()
