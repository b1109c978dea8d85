"""What a page tells, in order: words, tables and figures, each with the place it came from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a narrative.

    - `place`: where it comes from, for messages: `cell 3 of the notebook`. - `html`: fit for a page already.
    - `figure`: a plotly figure's JSON; `html` is then its numbers as text.
    - `hidden`: words of a picture that is drawn from text, which a search of `html` would not see.
    """

    place: str
    html: str
    figure: Mapping[str, Any] | None = None
    hidden: str = ""


@dataclass(frozen=True, slots=True)
class Narrative:
    """A title, the question asked, and what was found."""

    title: str
    question: str
    blocks: tuple[Block, ...]
