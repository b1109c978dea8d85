"""Text that a model, a dataset or a colleague wrote, made fit to be shown: whole, cut, and free of hidden signs."""

import re
from html import escape

LONGEST = 20_000
"""Characters of one text that are shown."""

# Signs that reorder or hide text around them (Unicode's bidirectional controls, zero-width and tag characters), and
# control characters other than tab and line feed.
_HIDDEN = re.compile(
    "[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]"
)


def displayable(text: str, limit: int = LONGEST) -> str:
    """The text as it is shown: hidden signs by their code point, the rest behind `limit` characters counted.

    >>> displayable("a\\u202eb"), displayable("x" * 30, limit=10)
    ('a⟨U+202E⟩b', 'xxxxxxxxxx … (cut: 20 more characters)')
    """
    cut = text if len(text) <= limit else f"{text[:limit]} … (cut: {len(text) - limit:,} more characters)"
    # Half of a surrogate pair, which JSON can hold and no file of text can, would keep a notebook from being saved.
    whole = cut.encode("utf-8", "replace").decode("utf-8").replace("\r\n", "\n")
    return _HIDDEN.sub(lambda sign: f"⟨U+{ord(sign.group()):04X}⟩", whole)


def foreign_html(text: str, limit: int = LONGEST) -> str:
    """The same as HTML, with a direction of its own."""
    return f'<bdi dir="auto">{escape(displayable(text, limit))}</bdi>'
