"""Getting the bytes of an image from wherever it is: a file, a `data:` URL, an http(s) URL, or memory."""

import base64
import binascii
import stat
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import unquote_to_bytes

from workbench.pairs.comparison import ImageSource

MAX_BYTES = 64 * 2**20
"""Bytes of one encoded image."""

FETCH_SECONDS = 30.0
"""Time one image may take to come over http."""

_SHORT = 80


class ImageError(ValueError):
    """An image that cannot be read or must not be used: the problem, and what to do about it."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}: {self.remedy}" if self.remedy else self.problem


def is_url(source: ImageSource) -> bool:
    """Whether reading the image needs the network."""
    return isinstance(source, str) and source[:8].lower().startswith(("http://", "https://"))


def is_data_url(source: ImageSource) -> bool:
    """Whether the image is written out in the string itself."""
    return isinstance(source, str) and source[:5].lower() == "data:"


def shown(source: ImageSource) -> str:
    """A short name for messages: the path, the start of a URL, or the number of bytes."""
    if isinstance(source, bytes):
        return f"<{len(source)} bytes>"
    return source if len(source) <= _SHORT or not is_data_url(source) else source[:_SHORT] + "..."


def within_limit(data: bytes, source: ImageSource) -> bytes:
    """The data itself, unless it is empty or over `MAX_BYTES`."""
    if not data:
        raise ImageError(f"{shown(source)} is empty", "get it again from its source")
    if len(data) > MAX_BYTES:
        raise ImageError(
            f"{shown(source)} has {len(data):,} bytes, at most {MAX_BYTES:,} are allowed", "make it smaller"
        )
    return data


def read_bytes(source: ImageSource, *, allow_urls: bool = False) -> bytes:
    """The encoded image behind a path, a `data:` URL or, where allowed, an http(s) URL; bytes are returned as they are.

    Raises `ImageError` for a missing or oversized file, a malformed URL, or a URL that is not allowed.
    """
    if isinstance(source, bytes):
        return within_limit(source, source)
    if is_data_url(source):
        return within_limit(_read_data_url(source), source)
    if is_url(source):
        if not allow_urls:
            raise ImageError(f"{shown(source)} is a URL", "download it, or allow URLs (--allow-urls)")
        return _fetch(source)
    return _read_file(source)


def _read_file(source: str) -> bytes:
    path = Path(source)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{source} is not a file", "give the path of an image file")
        if status.st_size > MAX_BYTES:
            raise ImageError(
                f"{source} has {status.st_size:,} bytes, at most {MAX_BYTES:,} are allowed", "make it smaller"
            )
        return within_limit(path.read_bytes(), source)
    except FileNotFoundError as error:
        raise ImageError(f"{source} does not exist", "add the file, or correct the path") from error
    except ImageError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        raise ImageError(f"{source!r} cannot be read ({error})", "check the path and its permissions") from error


def _read_data_url(url: str) -> bytes:
    head, comma, body = url.partition(",")
    if not comma:
        raise ImageError(f"{shown(url)} is no data URL", "write data:image/png;base64,...")
    if not head.lower().endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError(f"{shown(url)} is not valid base64 ({error})", "encode the image again") from error


def _fetch(url: str) -> bytes:
    deadline = time.monotonic() + FETCH_SECONDS
    received = bytearray()
    try:
        with urllib.request.urlopen(url, timeout=FETCH_SECONDS) as response:
            while chunk := response.read1(2**16):
                received += chunk
                if len(received) > MAX_BYTES:
                    raise ImageError(f"{url} has more than {MAX_BYTES:,} bytes", "make it smaller")
                if time.monotonic() > deadline:
                    raise ImageError(f"{url} took longer than {FETCH_SECONDS:g} s", "download it once and use the file")
            missing = response.length
    except ImageError:
        raise
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise ImageError(f"{url} cannot be fetched ({error})", "check the address, or download it") from error
    if missing:
        raise ImageError(f"{url} broke off {missing:,} bytes early", "try again, or download it")
    return within_limit(bytes(received), url)
