"""What a rubric writer must answer: lists of criteria, and criteria grouped into themes."""

from dataclasses import dataclass
from typing import Any

from workbench.vlm.request import AnswerFormat, object_schema

_TEXTS = {"type": "array", "items": {"type": "string"}}


@dataclass(frozen=True, slots=True)
class Criteria:
    """Criteria for one seed pair, and the writer's explanation."""

    texts: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Group:
    """A theme and its criteria."""

    theme: str
    tips: tuple[str, ...]


def criteria_answer() -> AnswerFormat:
    """`{"rubrics": [str], "reason": str}`; as published, any number of criteria but none is accepted."""

    def parse(data: dict[str, Any]) -> Criteria:
        texts = _texts(data.get("rubrics"), "rubrics")
        if not texts:
            raise ValueError('"rubrics" is empty; it must hold at least one criterion')
        return Criteria(texts, str(data.get("reason", "")))

    properties = {"rubrics": _TEXTS, "reason": {"type": "string"}}
    return AnswerFormat("criteria", object_schema(properties), parse)


def groups_answer(themes: int) -> AnswerFormat:
    """`{"categories": [{"theme": str, "tips": [str]}], "reason": str}`, at most `themes` of them."""
    group = object_schema({"theme": {"type": "string"}, "tips": _TEXTS})

    def parse(data: dict[str, Any]) -> tuple[Group, ...]:
        entries = data.get("categories")
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError('"categories" must be a list of {"theme", "tips"} objects')
        groups = [Group(str(entry.get("theme", "")).strip(), _texts(entry.get("tips"), "tips")) for entry in entries]
        groups = [group for group in groups if group.tips]
        if not 1 <= len(groups) <= themes:
            raise ValueError(f'"categories" has {len(groups)} themes with tips; it must have 1 to {themes}')
        return tuple(groups)

    properties = {"categories": {"type": "array", "items": group}, "reason": {"type": "string"}}
    return AnswerFormat("categories", object_schema(properties), parse)


def _texts(value: object, key: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError(f'"{key}" is {value!r}; it must be a list of strings')
    # A criterion is one line: line breaks would read as further criteria where rubrics are written as lines.
    texts = (" ".join(text.split()) for text in value)
    return tuple(text for text in texts if text)
