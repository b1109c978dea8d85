"""Pairs, rubrics and a server whose judge prefers red where the rubric says so, else the image shown first."""

import base64
import io
from dataclasses import replace
from pathlib import Path

from faulty_server import Received, Step, answer
from PIL import Image

from workbench.pairs.comparison import Comparison
from workbench.rubrics.rubric import Criterion, Rubric, Theme
from workbench.vlm.client import VlmClient
from workbench.vlm.settings import Endpoint, Limits

RED, BLUE = (200, 10, 10), (10, 10, 200)


def png(color: tuple[int, int, int], mark: int) -> bytes:
    """A small image; `mark` makes each another file."""
    buffer = io.BytesIO()
    image = Image.new("RGB", (8, 8), color)
    image.putpixel((0, 0), (mark % 256, mark // 256, 0))
    image.save(buffer, "PNG")
    return buffer.getvalue()


def pairs(n: int, *, labelled: bool = True, start: int = 0) -> list[Comparison]:
    """People prefer the red one, which is candidate a in even pairs."""
    made = []
    for i in range(start, start + n):
        red, blue = png(RED, 2 * i), png(BLUE, 2 * i + 1)
        images, ranks = ((red, blue), (1, 2)) if i % 2 == 0 else ((blue, red), (2, 1))
        made.append(Comparison(f"p{i}", "t2i", f"prompt {i}", images, ranks=ranks if labelled else None))
    return made


def rubric(*texts: str, name: str = "mine") -> Rubric:
    """One criterion, c0, c1, ..., a text; a text that begins with `-` is of one not enabled."""
    criteria = tuple(
        Criterion(f"c{i}", text.removeprefix("-"), enabled=not text.startswith("-")) for i, text in enumerate(texts)
    )
    return Rubric(name, "t2i", (Theme("Looks", criteria=criteria),))


def renamed(given: Rubric) -> Rubric:
    """The same for a judge: other names, ids, provenance and another criterion that is off."""
    theme = given.themes[0]
    own = tuple(replace(each, id=f"x{each.id}", source="a seed") for each in theme.criteria)
    themes = (replace(theme, criteria=(*own, Criterion("off", "never shown", enabled=False))),)
    return replace(given, name="another name", themes=themes, provenance={"recipe": "by hand"})


def judge(_: int, request: Received) -> Step:
    """The server's answer: red if the rubric says RED, else the image shown first."""
    return answer(verdict(request))


def verdict(request: Received) -> str:
    system = request.body["messages"][0]["content"]
    first = _is_red(request.urls[0]) if "RED" in system else True
    return f'{{"reason": "seen as asked", "rank": {"[1, 2]" if first else "[2, 1]"}}}'


def _is_red(url: str) -> bool:
    pixel = Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB").getpixel((4, 4))
    assert isinstance(pixel, tuple)
    return pixel[0] > pixel[2]


def client_of(url: str, cache: Path, model: str = "judge", **limits: float) -> VlmClient:
    """A client that hardly waits between attempts."""
    settings = {"backoff_s": 0.001, "concurrency": 8} | limits
    return VlmClient(Endpoint(url, model), limits=Limits(**settings), cache=cache)  # type: ignore[arg-type]
