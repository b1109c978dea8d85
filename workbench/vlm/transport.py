"""Sending bytes to a server and getting bytes back."""

import math
import os
import ssl
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


class NotConnected(Exception):  # noqa: N818
    """The request never reached the server."""


class Dropped(Exception):  # noqa: N818
    """The connection broke before the whole reply had come."""


class Transport:
    """HTTP connections to one endpoint, authenticated as the openai client does.

    Connections are spread over several clients: a pool walks all its connections at every request, which at 256 in
    flight costs more than everything else.
    """

    def __init__(self, endpoint: Endpoint, concurrency: int) -> None:
        self._url = httpx2.URL(endpoint.base_url.rstrip("/") + "/chat/completions")
        self.key = os.environ.get(endpoint.api_key_env, "").strip()
        headers = {"content-type": "application/json", "accept": "application/json", "user-agent": "workbench"}
        if self.key:
            headers["authorization"] = f"Bearer {self.key}"
        secure: ssl.SSLContext | bool = httpx2.create_ssl_context() if self._url.scheme == "https" else True
        unlimited = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
        self._clients = [
            httpx2.AsyncClient(headers=headers, verify=secure, limits=unlimited, timeout=None)
            for _ in range(math.ceil(concurrency / _PER_POOL))
        ]
        self._turn = 0

    async def post(self, body: bytes) -> Response:
        """Send one request. Raises `NotConnected` or `Dropped`; how long it may take is the caller's business."""
        self._turn = (self._turn + 1) % len(self._clients)
        try:
            response = await self._clients[self._turn].post(self._url, content=body)
        except (httpx2.ConnectError, httpx2.ProxyError) as error:
            raise NotConnected(str(error) or type(error).__name__) from error
        except httpx2.RequestError as error:
            raise Dropped(str(error) or type(error).__name__) from error
        return Response(response.status_code, dict(response.headers), response.content)

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients:
            await client.aclose()
