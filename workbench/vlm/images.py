"""Images on their way to a server: hashed without decoding, encoded once, kept while there is room."""

import asyncio
import base64
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypeGuard, TypeVar

from workbench.pairs.comparison import ImageSource
from workbench.pairs.images import plan, prepare
from workbench.pairs.sources import ImageError, is_data_url, is_url, read_bytes, shown
from workbench.vlm.settings import ImagePolicy

_REMEMBERED = 65_536

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What identifies an image as a model sees it, and its size in pixels.

    - `sha256`: of the source's bytes; `transform`: what is done to them, `none` if nothing is.
    """

    sha256: str
    transform: str
    size: tuple[int, int]


class Images:
    """Fingerprints and URLs of images, for one event loop.

    A file is hashed again only when its size, time or inode has changed. Encoding happens in threads, once for an
    image however many requests want it, and is remembered within `policy.cache_bytes`.
    """

    def __init__(self, policy: ImagePolicy) -> None:
        self.policy = policy
        self._known: dict[tuple[str, int, int, int], Fingerprint] = {}
        self._urls: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._bytes = 0
        self._under_way: dict[tuple[str, str], asyncio.Future[bytes]] = {}
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="images")

    async def fingerprint(self, source: ImageSource) -> Fingerprint:
        """Hash the image and plan its transform. Raises `ImageError`."""
        mark = _mark(source)
        if mark and (known := self._known.get(mark)):
            return known
        found = await self._in_thread(lambda: inspect(source, self.policy))
        if mark:
            if len(self._known) >= _REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[mark] = found
        return found

    async def url(self, source: ImageSource, fingerprint: Fingerprint) -> bytes:
        """The URL to send, a `data:` or `file://` URL in ASCII that JSON need not escape. Raises `ImageError`."""
        if self.policy.transport == "file" and fingerprint.transform == "none" and _is_file(source):
            return Path(source).resolve().as_uri().encode()
        name = (fingerprint.sha256, fingerprint.transform)
        if name in self._urls:
            self._urls.move_to_end(name)
            return self._urls[name]
        if name not in self._under_way:
            self._under_way[name] = asyncio.ensure_future(self._encode_once(source, name))
        return await asyncio.shield(self._under_way[name])

    def close(self) -> None:
        """Drop everything and end the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._urls.clear()
        self._bytes = 0

    async def _encode_once(self, source: ImageSource, name: tuple[str, str]) -> bytes:
        try:
            url = await self._in_thread(lambda: self._encode(source, name[0]))
        finally:
            del self._under_way[name]
        self._urls[name] = url
        self._bytes += len(url)
        while self._bytes > self.policy.cache_bytes and len(self._urls) > 1:
            self._bytes -= len(self._urls.popitem(last=False)[1])
        return url

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _encode(self, source: ImageSource, digest: str) -> bytes:
        data = read_bytes(source, allow_urls=self.policy.allow_urls)
        if sha256(data).hexdigest() != digest:
            raise ImageError(f"{shown(source)} changed while it was being sent: run again")
        with _naming(source):
            prepared = prepare(data, self.policy.max_side)
        return f"data:{prepared.mime};base64,".encode() + base64.b64encode(prepared.data)


def inspect(source: ImageSource, policy: ImagePolicy) -> Fingerprint:
    """Read and hash one image, and plan its transform from its header. Raises `ImageError`."""
    data = read_bytes(source, allow_urls=policy.allow_urls)
    with _naming(source):
        planned = plan(data, policy.max_side)
    return Fingerprint(sha256(data).hexdigest(), planned.transform, planned.size)


@contextmanager
def _naming(source: ImageSource) -> Iterator[None]:
    try:
        yield
    except ImageError as error:
        raise ImageError(f"{shown(source)}: {error}") from error


def _is_file(source: ImageSource) -> TypeGuard[str]:
    return isinstance(source, str) and not is_url(source) and not is_data_url(source)


def _mark(source: ImageSource) -> tuple[str, int, int, int] | None:
    """What changes when a file does; None for what is no file."""
    if not _is_file(source):
        return None
    try:
        status = os.stat(source)
    except (OSError, ValueError):
        return None  # reading it explains what is wrong
    return source, status.st_size, status.st_mtime_ns, status.st_ino
