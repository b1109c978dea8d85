"""The viewer's images on their way to the browser: thumbnails, and one file in full resolution at a time."""

import threading
from collections import OrderedDict

from workbench.pairs.comparison import ImageSource
from workbench.pairs.images import prepare
from workbench.pairs.sources import read_bytes
from workbench.widgets.pair_grid import preview_bytes

THUMB_SIDE = 96
LONGEST_SIDE = 8192
"""Pixels: what a browser can still draw on a canvas."""

_REMEMBERED = 1024
_AT_ONCE = 2


class ViewerImages:
    """Encodes at most two images at once, whatever number is asked for, and remembers the last thousand thumbnails."""

    def __init__(self, *, allow_urls: bool = False) -> None:
        self._allow_urls = allow_urls
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._lock = threading.Lock()
        self._thumbs: OrderedDict[str, bytes] = OrderedDict()

    def thumb(self, key: str, source: ImageSource) -> tuple[str, bytes]:
        """MIME type and data of a preview, remembered by `key`. Raises `ImageError`."""
        with self._lock:
            if key in self._thumbs:
                self._thumbs.move_to_end(key)
                return "image/webp", self._thumbs[key]
        with self._turns:
            data = preview_bytes(source, THUMB_SIDE, allow_urls=self._allow_urls)
        with self._lock:
            self._thumbs[key] = data
            if len(self._thumbs) > _REMEMBERED:
                self._thumbs.popitem(last=False)
        return "image/webp", data

    def full(self, source: ImageSource) -> tuple[str, bytes]:
        """MIME type and data as a judge would see it: the file itself where it is fit. Raises `ImageError`."""
        with self._turns:
            prepared = prepare(read_bytes(source, allow_urls=self._allow_urls), LONGEST_SIDE)
        return prepared.mime, prepared.data
