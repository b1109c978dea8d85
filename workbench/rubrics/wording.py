"""Two wordings of one thing: how far they are alike, and what was changed, word by word."""

import re
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

Sign = Literal["same", "removed", "added"]

LONGEST_COMPARED = 4_000
"""Characters of a text that are compared word by word; of longer ones only that they differ is said."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of words of a text: in both versions, only in the old, or only in the new."""

    sign: Sign
    text: str


def words(before: str, after: str) -> tuple[Piece, ...]:
    """The longest runs of words two texts share, and what each has between them.

    >>> [(piece.sign, piece.text) for piece in words("Three circles.", "Four circles.")]
    [('removed', 'Three'), ('added', 'Four'), ('same', ' circles.')]
    """
    if before == after:
        return (Piece("same", before),)
    if max(len(before), len(after)) > LONGEST_COMPARED:
        return (Piece("removed", before), Piece("added", after))
    a, b = _tokens(before), _tokens(after)
    opcodes = SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    pieces: list[Piece] = []
    old = new = ""
    for number, (what, i, j, k, m) in enumerate(opcodes):
        # A mere gap between two changes is read with them: word by word in turn nobody can read.
        gap = 0 < number < len(opcodes) - 1 and not re.search(r"\w", "".join(a[i:j]))
        if what != "equal" or gap:
            old, new = old + "".join(a[i:j]), new + "".join(b[k:m])
        else:
            pieces += [*_changed(old, new), Piece("same", "".join(a[i:j]))]
            old = new = ""
    return (*pieces, *_changed(old, new))


def _changed(old: str, new: str) -> list[Piece]:
    return [Piece("removed", old)] * bool(old) + [Piece("added", new)] * bool(new)


def likeness(a: str, b: str) -> float:
    """How far two texts share their words, in [0, 1], case and order aside."""
    first, second = (
        Counter(t for t in _tokens(text[:LONGEST_COMPARED].lower()) if t.strip(" \n\t.,;:")) for text in (a, b)
    )
    shared = sum((first & second).values())
    return 2 * shared / max(1, first.total() + second.total())


def _tokens(text: str) -> list[str]:
    """Words, gaps and signs; of scripts without spaces every character on its own."""
    return re.findall(r"[぀-鿿가-힣]|[^\W_぀-鿿가-힣]+|\s+|[\W_]", text)
