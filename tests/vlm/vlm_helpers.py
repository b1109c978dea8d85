"""Requests, images and clients shared by the tests of talking to a server."""

import io
from pathlib import Path
from typing import Any

from PIL import Image

from workbench.pairs.comparison import ImageSource
from workbench.vlm.client import VlmClient
from workbench.vlm.request import AnswerFormat, ChatRequest, Picture
from workbench.vlm.settings import Endpoint, Limits

SCHEMA = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "rank": {"type": "array", "items": {"type": "integer"}}},
    "required": ["reason", "rank"],
    "additionalProperties": False,
}


def parse_rank(data: dict[str, Any]) -> list[int]:
    """A permutation of 1 and 2, or `ValueError`."""
    if sorted(data.get("rank", [])) != [1, 2]:
        raise ValueError(f'"rank" is {data.get("rank")}, it must be [1, 2] or [2, 1]')
    return list(data["rank"])


RANKING = AnswerFormat("ranking", SCHEMA, parse_rank)


def png(color: str = "red", size: tuple[int, int] = (16, 16)) -> bytes:
    """A small image file."""
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "PNG")
    return buffer.getvalue()


PIXEL = png()


def question(text: str = "which?", *images: ImageSource, **changes: Any) -> ChatRequest:
    """A request with two images unless others are given."""
    pictures = tuple(Picture(image) for image in images or (PIXEL, png("blue")))
    return ChatRequest("You judge images.", (text, *pictures), RANKING, **changes)


def client_of(url: str, cache: Path | None = None, **settings: Any) -> VlmClient:
    """A client that hardly waits between attempts."""
    fields = {"backoff_s": 0.001, "concurrency": 8} | {
        name: settings.pop(name) for name in list(settings) if name in Limits.__slots__
    }
    model = settings.pop("model", "judge")
    return VlmClient(Endpoint(url, model), limits=Limits(**fields), cache=cache, **settings)
