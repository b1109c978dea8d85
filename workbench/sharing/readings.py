"""A text as it would be read once somebody undoes its escapes: what hides in one is no safer for it."""

import base64
import binascii
import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import unquote

_JSON = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([\"\\/bfnrt]))")
_SIGNS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}")


def readings(text: str) -> Iterator[str]:
    """The text, then without terminals' colours and escapes of JSON, HTML and URLs, and what base64 in it says.

    >>> list(readings(r"a\\n%2Fhome"))
    ['a\\\\n%2Fhome', 'a\\n%2Fhome', 'a\\n/home']
    """
    yield text
    for undo in (_json_undone, _json_undone, lambda each: _COLOURS.sub("", each), unescape, unquote):
        undone = undo(text)
        if undone != text:
            yield undone
        text = undone
    if decoded := "\n".join(_decoded(match.group()) for match in _BASE64.finditer(text)).strip():
        yield decoded


def _json_undone(text: str) -> str:
    if "\\" not in text:
        return text
    plain = _JSON.sub(lambda sign: chr(int(sign[1], 16)) if sign[1] else _SIGNS.get(sign[2], sign[2]), text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # halves of one sign become it


def _decoded(token: str) -> str:
    """What a word of base64 says; nothing where that is no text."""
    try:
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_" if set("-_") & set(token) else None)
        text = data.decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return text if "".join(text.split()).isprintable() else ""
