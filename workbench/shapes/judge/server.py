"""The judge of the shapes world as an OpenAI-compatible server on loopback; it knows nothing but the request.

Speaks what vLLM speaks: `POST /v1/chat/completions`, `GET /v1/models`, `GET /health`, `GET /version`, with images as
`data:` URLs, JSON schemas, log-probabilities and usage. `serve` blocks; `running_server` starts a process of its own:

    with running_server(perfect("t2i")) as base_url:
        OpenAI(base_url=base_url, api_key="none").chat.completions.create(...)
"""

import asyncio
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import tornado.httpserver
import tornado.netutil
import tornado.web

from workbench.shapes.judge.answering import Sampling, answer
from workbench.shapes.judge.chat import AnswerToken, ChatBody, RequestRefused, choice, read_body
from workbench.shapes.judge.eyes import Eyes
from workbench.shapes.judge.request_reading import Asked, read_request
from workbench.shapes.judge.settings import SERVER_VERSION, JudgeSettings

LOOPBACK = "127.0.0.1"
MOST_BYTES = 256 * 1024 * 1024
CHARACTERS_PER_TOKEN = 4


class Brain:
    """Everything between a request's body and its answer; one judge, one memory of images."""

    def __init__(self, settings: JudgeSettings, image_root: Path | None = None) -> None:
        self.settings = settings
        self.eyes = Eyes(image_root)

    def complete(self, raw: bytes) -> dict[str, Any]:
        """The body of a chat completion; raises `RequestRefused`."""
        body = read_body(raw)
        if body.model != self.settings.model_id:
            known = self.settings.model_id
            raise RequestRefused(404, f"The model {body.model!r} does not exist; this server has {known!r}.", "model")
        asked = read_request(body, self.eyes, self.settings.task)
        drawn = [self._answer(body, asked, i) for i in range(body.n)]
        choices = [choice(i, tokens, body) for i, tokens in enumerate(drawn)]
        prompt_tokens = self._prompt_tokens(asked)
        written = sum(min(len(tokens), body.limit or len(tokens)) for tokens in drawn)
        return {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": body.model,
            "choices": choices,
            "usage": {
                "prompt_tokens": prompt_tokens,
                "completion_tokens": written,
                "total_tokens": prompt_tokens + written,
            },
        }

    def _answer(self, body: ChatBody, asked: Asked, index: int) -> list[AnswerToken]:
        # Without a seed, sampling is free; greedy decoding answers alike every time.
        free = body.seed is None and body.temperature > 0
        seed = secrets.token_hex(8) if free else f"{body.seed or 0}|{index}"
        return answer(self.settings, asked, self.eyes, Sampling(body.temperature, seed))

    @staticmethod
    def _prompt_tokens(asked: Asked) -> int:
        images = asked.candidates if asked.source is None else (asked.source, *asked.candidates)
        return -(-asked.text_length // CHARACTERS_PER_TOKEN) + sum(seen.tokens for seen in images)


class _Handler(tornado.web.RequestHandler):
    """What all endpoints share: the key, and errors as JSON."""

    def initialize(self, brain: Brain, api_key: str | None) -> None:
        self.brain = brain
        self.api_key = api_key

    def prepare(self) -> None:
        given = self.request.headers.get("Authorization", "")
        if self.api_key is not None and not secrets.compare_digest(given.encode(), f"Bearer {self.api_key}".encode()):
            self._refuse(RequestRefused(401, "Unauthorized: the API key is missing or wrong."))

    def _refuse(self, refusal: RequestRefused) -> None:
        self.set_status(refusal.status)
        self.finish(refusal.body())

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Anything else that went wrong, in the same form."""
        self.finish(RequestRefused(status_code, self._reason).body())


class _Chat(_Handler):
    async def post(self) -> None:
        try:
            body = self.brain.complete(self.request.body)
        except RequestRefused as refusal:
            self._refuse(refusal)
            return
        if self.brain.settings.latency_s:
            await asyncio.sleep(self.brain.settings.latency_s)
        self.finish(body)


class _Models(_Handler):
    def get(self) -> None:
        model = {"id": self.brain.settings.model_id, "object": "model", "created": 0, "owned_by": "workbench"}
        self.finish({"object": "list", "data": [model]})


class _Version(_Handler):
    def get(self) -> None:
        self.finish({"version": f"shapes-{SERVER_VERSION}"})


class _Health(_Handler):
    def prepare(self) -> None:
        """Open to everybody, as vLLM's is."""

    def get(self) -> None:
        self.finish()


def application(brain: Brain, api_key: str | None = None) -> tornado.web.Application:
    """The endpoints."""
    shared = {"brain": brain, "api_key": api_key}
    routes: list[tuple[str, type[_Handler], dict[str, Any]]] = [
        (r"/v1/chat/completions", _Chat, shared),
        (r"/v1/models", _Models, shared),
        (r"/version", _Version, shared),
        (r"/health", _Health, shared),
    ]
    # The log of every request would drown what a notebook prints.
    return tornado.web.Application(
        routes, default_handler_class=_Missing, default_handler_args=shared, log_function=lambda _: None
    )


class _Missing(_Handler):
    def prepare(self) -> None:
        self._refuse(RequestRefused(404, f"There is no {self.request.path!r} here."))


def serve(
    settings: JudgeSettings,
    port: int = 0,
    *,
    api_key: str | None = None,
    image_root: Path | None = None,
    ready: Callable[[str], None] = print,
) -> None:
    """Serve until interrupted, on loopback only.

    - `port`: 0 takes a free one.
    - `image_root`: the folder under which `file://` images are read; None refuses them.
    - `ready`: called once with the base URL, such as `http://127.0.0.1:8000/v1`.

    Raises OSError when the port is taken.
    """

    async def main() -> None:
        sockets = tornado.netutil.bind_sockets(port, LOOPBACK)
        app = application(Brain(settings, image_root), api_key)
        server = tornado.httpserver.HTTPServer(app, max_buffer_size=MOST_BYTES, max_body_size=MOST_BYTES)
        server.add_sockets(sockets)
        ready(f"http://{LOOPBACK}:{sockets[0].getsockname()[1]}/v1")
        await asyncio.Event().wait()

    with suppress(KeyboardInterrupt):
        asyncio.run(main())


@contextmanager
def running_server(
    settings: JudgeSettings, port: int = 0, *, api_key: str | None = None, image_root: Path | None = None
) -> Iterator[str]:
    """A server in a process of its own while the block runs; gives the base URL.

    Raises RuntimeError when it does not start.
    """
    start = {
        "settings": settings.model_dump(by_alias=True),
        "port": port,
        "api_key": api_key,
        "image_root": str(image_root) if image_root else None,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench.shapes.judge.server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(start) + "\n")
        process.stdin.flush()
        base_url = process.stdout.readline().strip()
        if not base_url:
            raise RuntimeError(f"the shapes server stopped as it started; is port {port} taken? Try port 0.")
        yield base_url
    finally:
        process.terminate()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def _serve_for_parent() -> None:
    """Serve what the first line of standard input says, until its other end is closed."""
    start = json.loads(sys.stdin.readline())
    # A parent that is killed closes the pipe: no server is left behind.
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    try:
        serve(
            JudgeSettings.model_validate(start["settings"]),
            start["port"],
            api_key=start["api_key"],
            image_root=Path(start["image_root"]) if start["image_root"] else None,
            ready=lambda url: print(url, flush=True),
        )
    except OSError as error:
        sys.exit(f"port {start['port']}: {error.strerror}")


if __name__ == "__main__":
    _serve_for_parent()
