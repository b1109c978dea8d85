"""The unit of human preference: one prompt, its candidate images, and how people ranked them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Task = Literal["t2i", "edit"]

ImageSource = str | bytes
"""An image: the path of a file, a `data:` or http(s) URL, or the bytes of an encoded image file."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`n >= 2` candidate images for one prompt; a preference pair is the case `n == 2`.

    - `images`: the candidates in the dataset's order; every order, rank and verdict refers to it.
    - `source_image`: for edits, the image the instruction was applied to.
    - `ranks`: the human label, one per candidate, 1 is best, equal ranks are ties; None when nobody judged.
    - `scores`: human scores, one per candidate, higher is better, where the label is pointwise.
    - `tags`: what results are split by, such as `{"defect": "count"}`.
    """

    id: str
    task: Task
    prompt: str
    images: tuple[ImageSource, ...]
    source_image: ImageSource | None = None
    ranks: tuple[int, ...] | None = None
    scores: tuple[float, ...] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def tied(self) -> bool:
        """Whether people ranked some candidates equal; False where nobody judged."""
        return self.ranks is not None and len(set(self.ranks)) < len(self.ranks)

    @property
    def label(self) -> str | None:
        """The human label as `winner` has it; None where nobody judged."""
        return None if self.ranks is None else winner(self.ranks)


def letter(index: int) -> str:
    """What the candidate at `index` of the dataset's order is called: `a`, `b`, ..."""
    return chr(ord("a") + index)


def best(ranks: Sequence[int]) -> list[int]:
    """The candidates that share the best rank."""
    return [index for index, rank in enumerate(ranks) if rank == min(ranks)]


def winner(ranks: Sequence[int]) -> str:
    """The letter of the one candidate ranked best, or `tie` where several are.

    >>> winner((2, 1)), winner((1, 1, 2))
    ('b', 'tie')
    """
    first, *others = best(ranks)
    return "tie" if others else letter(first)
