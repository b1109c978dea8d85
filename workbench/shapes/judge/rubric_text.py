"""Finding the criteria and their weights in the text of a request, however they are written down."""

import re
from dataclasses import dataclass, replace
from functools import lru_cache

_TAGGED = re.compile(r"<rubric>(.*?)</rubric>", re.DOTALL | re.IGNORECASE)
_HEADING = re.compile(r"\b(?:rubrics?|criteri(?:a|on)|guidelines?|checklist|judge by|principles?)\b", re.IGNORECASE)
_THEME = re.compile(r"^(?:[-*•]\s+)?(?:theme\s*\d*\s*[:.]\s*|#+\s+)(?P<name>\S.*)$", re.IGNORECASE)
_RUBRIC_NUMBER = re.compile(r"^(?:#+\s*)?rubric\s*\d*\s*:?$", re.IGNORECASE)
_ITEM = re.compile(r"^(?:[-*•]\s+|\(?\d+[.)]\s+)(?P<text>\S.*)$")
_TIP = re.compile(r"^tip\s*\d*\s*:\s*", re.IGNORECASE)
_ID = re.compile(r"^\[(?P<id>[^\]\s]+)\]\s*")
_WEIGHT = re.compile(r"\s*[(\[]\s*weight\s*[:=]?\s*(?P<weight>\d+(?:\.\d+)?)\s*%?\s*[)\]]", re.IGNORECASE)
_LEVEL = re.compile(r"^(?:[-*•]\s+)?(?:level\s*)?\d+\s*(?:points?\s*)?[:=]\s*\S", re.IGNORECASE)
_LEVELS = re.compile(r"\s*[(\[]?\s*levels?\b[^:]*:.*$", re.IGNORECASE)
_ABOUT_THE_ANSWER = re.compile(
    r"\bjson\b|\banswer with\b|\brespond\b|\boutput\b|\btie[sd]?\b|\binstructions to you\b", re.I
)


@dataclass(frozen=True, slots=True)
class WrittenCriterion:
    """One criterion as written; `weight` is its own times its theme's, and 1 where none is stated."""

    id: str
    text: str
    weight: float = 1.0


def tagged_rubric(text: str) -> str | None:
    """What stands between the last `<rubric>` and `</rubric>`."""
    found = _TAGGED.findall(text)
    return str(found[-1]) if found else None


def without_rubric(text: str) -> str:
    """What stands outside `<rubric>` and `</rubric>`."""
    return _TAGGED.sub("", text)


@lru_cache(maxsize=1000)
def find_criteria(text: str) -> tuple[WrittenCriterion, ...]:
    """The criteria of the rubric in a longer text: tagged, or listed under a heading that speaks of criteria.

    >>> [each.text for each in find_criteria("<rubric>\\n- [c1] Edges are crisp. (weight 2)\\n</rubric>")]
    ['Edges are crisp.']
    """
    tagged = tagged_rubric(text)
    lines = tagged.splitlines() if tagged is not None else _listed(text)
    return parse_criteria(lines)


def parse_criteria(lines: list[str]) -> tuple[WrittenCriterion, ...]:
    """Criteria from the lines of a rubric: `- [id] text (weight 2)`, `- Tip1: text`, `1. text`, or plain sentences.

    `Theme: name (weight 2)` weighs what follows it, and is itself the criterion where nothing does.
    """
    criteria: list[WrittenCriterion] = []
    theme, theme_weight, theme_is_empty = "", 1.0, False
    for line in _joined(lines):
        heading = _THEME.match(line)
        if heading or _RUBRIC_NUMBER.match(line) or (line.endswith(":") and not _ITEM.match(line)):
            if theme_is_empty:
                criteria.append(_criterion(theme, theme_weight, len(criteria)))
            weight = _WEIGHT.search(line)
            theme_weight = float(weight["weight"]) if weight else 1.0
            theme_is_empty = heading is not None and not _RUBRIC_NUMBER.match(line)
            theme = _WEIGHT.sub("", heading["name"]) if heading else ""
            continue
        theme_is_empty = False
        item = _ITEM.match(line)
        sentences = [item["text"]] if item else re.split(r"(?<=[.!?])\s+(?=[A-Z])", line)
        criteria += [_criterion(each, theme_weight, len(criteria) + i) for i, each in enumerate(sentences)]
    if theme_is_empty:
        criteria.append(_criterion(theme, theme_weight, len(criteria)))
    return tuple(each for each in criteria if each.text and each.weight > 0)


def _joined(lines: list[str]) -> list[str]:
    """Lines with those that go on with a listed criterion joined to it, and graded levels left out."""
    joined: list[str] = []
    open_item = False
    for line in lines:
        plain = line.strip()
        if _LEVEL.match(plain):
            open_item = False
        elif plain and open_item and line[0].isspace() and not (_ITEM.match(plain) or _THEME.match(plain)):
            joined[-1] += f" {plain}"
        elif plain:
            joined.append(plain)
            open_item = bool(_ITEM.match(plain)) and not _THEME.match(plain)
    return joined


def numbered_criteria(text: str) -> tuple[WrittenCriterion, ...]:
    """Every listed line of a text, wherever it stands."""
    items = (_ITEM.match(line.strip()) for line in text.splitlines())
    return tuple(_criterion(item["text"], 1.0, i) for i, item in enumerate(item for item in items if item))


def _criterion(text: str, theme_weight: float, index: int) -> WrittenCriterion:
    plain = _TIP.sub("", text.strip())
    criterion = WrittenCriterion(f"c{index + 1}", "", theme_weight)
    if named := _ID.match(plain):
        criterion = replace(criterion, id=named["id"])
        plain = plain[named.end() :]
    if weight := _WEIGHT.search(plain):
        criterion = replace(criterion, weight=theme_weight * float(weight["weight"]))
        plain = _WEIGHT.sub("", plain)
    return replace(criterion, text=_LEVELS.sub("", plain).strip())


def _listed(text: str) -> list[str]:
    """The lines of the list under the first heading that speaks of criteria; a line of another kind ends it."""
    found: list[str] = []
    inside = False
    for line in text.splitlines():
        plain = line.strip()
        listed = bool(_ITEM.match(plain) or _THEME.match(plain) or _RUBRIC_NUMBER.match(plain))
        if inside and listed:
            found.append(line)
        elif inside and plain and not _LEVEL.match(plain):
            inside = bool(_HEADING.search(plain)) and plain.endswith(":")
        if not inside and plain:
            inside = bool(_THEME.match(plain) or _RUBRIC_NUMBER.match(plain))
            if inside:
                found.append(line)
            inside = inside or bool(_HEADING.search(plain) and not listed)
    return [line for line in found if not _ABOUT_THE_ANSWER.search(line)]
