"""Finding the one JSON object in what a model wrote."""

import json
import re
from typing import Any, NoReturn

_MAX_BROKEN = 100
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def find_object(text: str) -> dict[str, Any]:
    """The JSON object `text` is, or the only one inside its prose or code fences.

    >>> find_object('Sure: ```json {"rank": [2, 1]} ```')
    {'rank': [2, 1]}

    Raises `ValueError` if there is none, or several that differ; nothing is ever evaluated or guessed.
    """
    found = _decode_whole(text)
    if found is None:
        found = _search(text.rpartition("</think>")[2])
    return _without_surrogates(found) if _SURROGATE.search(text) else found


def clean_text(text: str) -> str:
    """Text without lone surrogates, which JSON can carry and UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _decode_whole(text: str) -> dict[str, Any] | None:
    try:
        value = _DECODER.decode(text.strip())
    except (json.JSONDecodeError, RecursionError):
        return None
    if not isinstance(value, dict):
        raise ValueError(f"the answer is a JSON {type(value).__name__}, not an object")
    return value


def _search(text: str) -> dict[str, Any]:
    objects: list[dict[str, Any]] = []
    at = depth = broken = 0
    while match := _BRACE.search(text, at):
        at = match.end()
        if match.group() == "}":
            depth = max(0, depth - 1)
            continue
        try:
            value, end = _DECODER.raw_decode(text, match.start())
        except (json.JSONDecodeError, RecursionError):
            depth += 1
            broken += 1
            if broken > _MAX_BROKEN:
                raise ValueError("the answer has too many unreadable braces") from None
            continue
        at = end
        if depth == 0 and value not in objects:  # an object inside a broken one is a part, not the answer
            objects.append(value)
    if not objects:
        raise ValueError("the answer contains no JSON object")
    if len(objects) > 1:
        raise ValueError(f"the answer contains {len(objects)} different JSON objects; exactly one is needed")
    return objects[0]


def _without_surrogates(value: dict[str, Any]) -> dict[str, Any]:
    cleaned: dict[str, Any] = json.loads(clean_text(json.dumps(value, ensure_ascii=False)))
    return cleaned


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("the answer's JSON object names a field twice")
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"the answer contains {constant}, which is not JSON")


_BRACE = re.compile(r"[{}]")
_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)
