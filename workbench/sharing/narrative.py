"""What a page tells, in order: words, tables and figures, each with the place it came from."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any

_TOP = 16
"""Pixels over a figure without a title."""


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a narrative.

    - `place`: where it comes from, for messages: `cell 3 of the notebook`. - `html`: fit for a page already.
    - `figure`: a plotly figure's JSON; `html` is then its numbers as text, `title` stands over it.
    - `hidden`: words of a picture that is drawn from text, which a search of `html` would not see.
    """

    place: str
    html: str
    figure: Mapping[str, Any] | None = None
    title: str = ""
    hidden: str = ""


@dataclass(frozen=True, slots=True)
class Narrative:
    """A title, the question asked, and what was found."""

    title: str
    question: str
    blocks: tuple[Block, ...]


def figure_block(place: str, numbers: str, figure: Mapping[str, Any]) -> Block:
    """A figure without what it would fetch; its title becomes a caption of the page, where it wraps."""
    layout = dict(figure["layout"]) if isinstance(figure.get("layout"), Mapping) else {}
    meta, title, margin = layout.get("meta"), layout.pop("title", None), layout.get("margin")
    told = title.get("text") if isinstance(title, Mapping) else title
    said = meta.get("title") if isinstance(meta, Mapping) else None
    top = margin.get("t") if isinstance(margin, Mapping) else None
    if told and isinstance(top, int | float) and isinstance(layout.get("height"), int | float):
        layout["height"] -= top - _TOP
        layout["margin"] = {**layout["margin"], "t": _TOP}
    words = str(said or unescape(re.sub(r"<[^>]*>", " ", str(told or ""))))
    drawn = _local({"data": figure["data"], "layout": layout})
    return Block(place, numbers, drawn, title=" ".join(words.split()))


def _local(part: Any) -> Any:
    """A part of a figure without pictures it would fetch, and as JSON, which knows no infinity."""
    if isinstance(part, list):
        return [_local(each) for each in part]
    if not isinstance(part, dict):
        return None if isinstance(part, float) and not math.isfinite(part) else part
    remote = isinstance(part.get("source"), str) and not part["source"].startswith("data:image/")
    return {name: _local(value) for name, value in part.items() if not (remote and name == "source")}
