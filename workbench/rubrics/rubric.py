"""The rubric: themes of criteria, each with a weight, and the text of it that a judge sees."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from workbench.pairs.comparison import Task


class RubricError(ValueError):
    """A rubric that cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Level:
    """One grade of a criterion and what earns it; a higher score is better."""

    score: int
    text: str


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing to look at.

    - `id`: unique in its rubric; a judge sees it only when asked for a verdict on every criterion.
    - `weight`: its share within the theme, at least 0; a criterion of weight 0 is not shown, like one not `enabled`.
    - `levels`: graded descriptions, or none.
    - `source`: where it came from, such as the ids of the seed pairs that gave rise to it.
    """

    id: str
    text: str
    weight: float = 1.0
    levels: tuple[Level, ...] = ()
    enabled: bool = True
    source: str | None = None

    def __post_init__(self) -> None:
        if not self.id.strip() or len(self.id.split()) != 1:
            raise RubricError(f"criterion id {self.id!r} must be one word, such as c1")
        if not self.text.strip():
            raise RubricError(f"criterion {self.id} has no text: write what to look at, or remove it")
        _check_weight(self.weight, f"criterion {self.id}")
        scores = [level.score for level in self.levels]
        if len(scores) == 1 or len(set(scores)) != len(scores):
            raise RubricError(f"criterion {self.id} has levels {scores}: give none, or at least two different scores")


@dataclass(frozen=True, slots=True)
class Theme:
    """Criteria that belong together; an unnamed theme of weight 1 is shown without a heading."""

    name: str
    weight: float = 1.0
    criteria: tuple[Criterion, ...] = ()

    def __post_init__(self) -> None:
        _check_weight(self.weight, f"theme {self.name!r}")

    def enabled_criteria(self) -> tuple[Criterion, ...]:
        """The criteria that count; none if the theme itself has weight 0."""
        return tuple(c for c in self.criteria if c.enabled and c.weight > 0 and self.weight > 0)


@dataclass(frozen=True)
class Rubric:
    """What a judge is told to look at.

    - `name`: for people, such as `shapes_t2i_v2`.
    - `provenance`: seed-pair ids, dataset hash, model, settings, the parent rubric's hash; plain JSON values.
    """

    name: str
    task: Task
    themes: tuple[Theme, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        counts = Counter(criterion.id for theme in self.themes for criterion in theme.criteria)
        if doubled := [id for id, count in counts.items() if count > 1]:
            raise RubricError(f"criterion ids used more than once: {', '.join(doubled)}; give each its own")

    @cached_property
    def hash(self) -> str:
        """The rubric's identity: the SHA-256 of what counts of the themes and criteria a judge is shown.

        Their words, order, weights and levels are in it. Its name, task and provenance, and the criteria's ids and
        sources are not: renaming a criterion keeps the rubric, so a judge that shows ids adds them to its identity.
        """
        seen = [
            [
                _one_line(theme.name),
                float(theme.weight),
                [
                    [c.text, float(c.weight), [[level.score, level.text] for level in c.levels]]
                    for c in theme.enabled_criteria()
                ],
            ]
            for theme in self.themes
            if theme.enabled_criteria()
        ]
        return hashlib.sha256(json.dumps(seen, separators=(",", ":")).encode()).hexdigest()

    def enabled_criteria(self) -> tuple[Criterion, ...]:
        """The criteria a judge is shown, in order."""
        return tuple(criterion for theme in self.themes for criterion in theme.enabled_criteria())

    def render(self, *, ids: bool = False) -> str:
        """The text a judge sees; `ids` puts each criterion's id before it.

        A rubric of one unnamed theme with one plain criterion is free text and rendered verbatim. Raises `RubricError`
        if no criterion is enabled.
        """
        if not self.enabled_criteria():
            raise RubricError(f"rubric {self.name} has no enabled criterion: enable one, or judge without a rubric")
        if not ids and (text := free_text(self)) is not None:
            return text
        return "\n\n".join(_render_theme(theme, ids) for theme in self.themes if theme.enabled_criteria())


def free_text(rubric: Rubric) -> str | None:
    """The text of a rubric that is nothing but one text, None for any other."""
    if len(rubric.themes) != 1 or rubric.themes[0].name or len(rubric.themes[0].criteria) != 1:
        return None
    theme, only = rubric.themes[0], rubric.themes[0].criteria[0]
    plain = only.enabled and only.weight == theme.weight == 1 and not only.levels
    return only.text if plain else None


def _render_theme(theme: Theme, ids: bool) -> str:
    lines = []
    name = _one_line(theme.name)
    if name or theme.weight != 1:
        lines.append(f"## {name or 'Criteria'}{_weight(theme.weight)}")
    for criterion in theme.enabled_criteria():
        mark = f"- [{criterion.id}] " if ids else "- "
        lines.append(mark + _indent(criterion.text.strip(), 2) + _weight(criterion.weight))
        lines += [f"    {level.score}: {_indent(level.text.strip(), 6)}" for level in criterion.levels]
    return "\n".join(lines)


def _weight(weight: float) -> str:
    return "" if weight == 1 else f" (weight {weight:g})"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _indent(text: str, spaces: int) -> str:
    return text.replace("\n", "\n" + " " * spaces)


def _check_weight(weight: float, owner: str) -> None:
    if not math.isfinite(weight) or weight < 0:
        raise RubricError(f"{owner} has weight {weight}: give a number from 0 up; 1 is ordinary, 0 leaves it out")
