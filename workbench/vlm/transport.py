"""Sending bytes to a server and getting bytes back."""

import math
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2

from workbench.vlm.settings import Endpoint

_PER_POOL = 8


@dataclass(frozen=True, slots=True)
class Response:
    """What the server sent; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Body(httpx2.AsyncByteStream):
    """Bytes to send once, and let go of then: a reply may take a minute, with hundreds of bodies in flight."""

    def __init__(self, data: bytes) -> None:
        self._data = [data]
        self.length = len(data)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._data.pop()


class NotConnected(Exception):
    """The request never reached the server."""


class Dropped(Exception):
    """The connection broke before the whole reply had come."""


def api_key(variable: str) -> str:
    """The key in an environment variable; empty if it is not set."""
    return os.environ.get(variable, "").strip()


def headers(variable: str) -> dict[str, str]:
    """The headers every request carries, as the openai client sends them."""
    common = {"accept": "application/json", "user-agent": "workbench"}
    key = api_key(variable)
    return common | {"authorization": f"Bearer {key}"} if key else common


@contextmanager
def connecting() -> Iterator[None]:
    """Tell a request that never reached the server (`NotConnected`) from one that broke off (`Dropped`)."""
    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as error:
        raise NotConnected(str(error) or type(error).__name__) from error
    except httpx2.RequestError as error:
        raise Dropped(str(error) or type(error).__name__) from error


class Transport:
    """HTTP connections to one endpoint, authenticated with a bearer token.

    Connections are spread over several clients: a pool walks all its connections at every request, which at 256 in
    flight costs more than everything else.
    """

    def __init__(self, endpoint: Endpoint, concurrency: int) -> None:
        self._url = httpx2.URL(endpoint.base_url.rstrip("/") + "/chat/completions")
        self._headers = {"content-type": "application/json", **headers(endpoint.api_key_env)}
        # A proxy cannot reach this machine's own server, which needs no certificates; reading those takes 20 ms.
        local = endpoint.is_loopback and self._url.scheme == "http"
        secure = False if local else httpx2.create_ssl_context()
        unlimited = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
        self._clients = [
            httpx2.AsyncClient(verify=secure, trust_env=not local, limits=unlimited, timeout=None)
            for _ in range(math.ceil(concurrency / _PER_POOL))
        ]
        self._turn = 0

    async def post(self, body: Body) -> Response:
        """Send one request, which uses up its body; how long that may take is the caller's business.

        Raises `NotConnected` or `Dropped`.
        """
        self._turn = (self._turn + 1) % len(self._clients)
        headers = {**self._headers, "content-length": str(body.length)}
        request = httpx2.Request("POST", self._url, headers=headers, content=body)
        with connecting():
            response = await self._clients[self._turn].send(request)
        return Response(response.status_code, dict(response.headers), response.content)

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients:
            await client.aclose()
