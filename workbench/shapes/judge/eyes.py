"""How the server sees images: bytes out of a URL, looked at once, remembered by their hash."""

import base64
import binascii
import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from workbench.pairs.comparison import Task
from workbench.pairs.images import decode
from workbench.pairs.sources import ImageError
from workbench.shapes.attributes import STYLE, attributes, satisfaction
from workbench.shapes.judge.captions import caption_top
from workbench.shapes.judge.chat import RequestRefused
from workbench.shapes.measure import observe
from workbench.shapes.scene import Observation

MOST_REMEMBERED = 20_000

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Seen:
    """An image that was looked at; `name` is the hash of its bytes, `captioned` whether text stands below the scene."""

    name: str
    width: int
    height: int
    observation: Observation
    captioned: bool = False

    @property
    def tokens(self) -> int:
        """What it counts in the prompt: one token for every 28 x 28 pixels begun."""
        return -(-self.width // 28) * -(-self.height // 28)


class Eyes:
    """Looks at images, and remembers the last `MOST_REMEMBERED` of them.

    - `root`: the folder under which `file://` URLs are read; None refuses them all.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root.resolve() if root else None
        self._seen: OrderedDict[str, Seen] = OrderedDict()
        self._satisfied: OrderedDict[tuple[str, ...], dict[str, float]] = OrderedDict()

    def look(self, url: str) -> Seen:
        """The image at a `data:` or `file://` URL; raises `RequestRefused` where there is none that can be read."""
        data = self._bytes(url)
        name = hashlib.blake2b(data, digest_size=16).hexdigest()
        if name not in self._seen:
            try:
                image = decode(data)
            except ImageError as error:
                raise RequestRefused(400, f"image_url: not an image that can be read: {error}", "messages") from error
            top = caption_top(image)
            # A caption may be wider than a small picture; scenes are square.
            scene = image if top is None else image.crop((0, 0, min(image.width, top), top))
            _remember(self._seen, name, Seen(name, image.width, image.height, observe(scene), top is not None))
        return self._seen[name]

    def satisfied(self, task: Task, prompt: str, seen: Seen, source: Seen | None) -> dict[str, float]:
        """The image's attributes; what a prompt of another world asks for is neither met nor missed."""
        key = (task, prompt, seen.name, source.name if source else "")
        if key not in self._satisfied:
            _remember(self._satisfied, key, _satisfied(task, prompt, seen, source))
        return self._satisfied[key]

    def _bytes(self, url: str) -> bytes:
        if url.startswith("data:"):
            head, _, payload = url.partition(",")
            if not head.endswith(";base64"):
                raise RequestRefused(400, f"image_url: data URL {head[:40]!r} is not base64", "messages")
            try:
                return base64.b64decode(payload, validate=True)
            except binascii.Error as error:
                raise RequestRefused(400, f"image_url: data URL is not valid base64: {error}", "messages") from error
        if not url.startswith("file://"):
            raise RequestRefused(
                400, f"image_url: {url[:60]!r} is not a data: URL; this server fetches none", "messages"
            )
        if self.root is None:
            raise RequestRefused(400, "image_url: file:// is not allowed; start the server with a folder", "messages")
        path = Path(unquote(urlsplit(url).path)).resolve()
        if not path.is_relative_to(self.root):
            raise RequestRefused(400, "image_url: file:// path is outside the allowed folder", "messages")
        try:
            return path.read_bytes()
        except OSError as error:
            raise RequestRefused(400, f"image_url: file cannot be read: {error.strerror}", "messages") from error


def _satisfied(task: Task, prompt: str, seen: Seen, source: Seen | None) -> dict[str, float]:
    try:
        return satisfaction(task, prompt, seen.observation, source.observation if source else None)
    except ValueError:
        stand_in = satisfaction("t2i", "a red circle", seen.observation)
        return {name: stand_in[name] if name in STYLE else 0.5 for name in attributes(task)}


def _remember(memory: OrderedDict[Key, Value], key: Key, value: Value) -> None:
    memory[key] = value
    if len(memory) > MOST_REMEMBERED:
        memory.popitem(last=False)
