"""Putting many criteria in order: grouped by what they are about, duplicates merged, the frequent first."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workbench.pairs.comparison import Task
from workbench.shapes.judge.reader import read_criterion
from workbench.shapes.judge.settings import Vocabulary
from workbench.shapes.judge.writer import theme_name, writer_words

MOST_TIPS = 4
ALIKE = 0.6
"""Criteria that share this part of their words say the same thing."""

DISTINCT = 0.3
"""A criterion that says less than this about any one attribute belongs to no theme of its own."""


@dataclass(frozen=True, slots=True)
class Category:
    """A theme and the criteria under it."""

    theme: str
    tips: tuple[str, ...]


def group_criteria(texts: Sequence[str], themes: int, task: Task, vocabulary: Vocabulary) -> tuple[Category, ...]:
    """At most `themes` categories, by the attribute each criterion mostly speaks of.

    Where criteria about one attribute want opposite things, the more frequent wish stands. What was not understood
    makes up a last theme, if there is room for it.
    """
    by_point: dict[tuple[str, int], list[str]] = {}
    vague: list[str] = []
    for text in texts:
        shares = read_criterion(text, task, vocabulary).shares
        if max(map(abs, shares.values()), default=0) >= DISTINCT:
            by_point.setdefault(_main_point(shares), []).append(text)
        else:
            vague.append(text)
    net = {(name, sign): len(said) - len(by_point.get((name, -sign), ())) for (name, sign), said in by_point.items()}
    wishes = sorted((point for point in by_point if net[point] > 0), key=lambda point: -net[point])
    found = [Category(theme_name(name), _merged(by_point[name, sign])) for name, sign in wishes][:themes]
    if vague and len(found) < themes:
        found.append(Category(str(writer_words()["vague"]["theme"]), _merged(vague)))
    # Wishes that all cancel out still need an answer.
    return tuple(found) or (Category(str(writer_words()["vague"]["theme"]), _merged(texts)),)


def _main_point(shares: Mapping[str, float]) -> tuple[str, int]:
    name = max(shares, key=lambda each: abs(shares[each]))
    return name, 1 if shares[name] > 0 else -1


def _merged(texts: Sequence[str]) -> tuple[str, ...]:
    """The most frequent wordings, those alike merged into the one that came first."""
    tips: Counter[str] = Counter()
    for text in texts:
        same = next((tip for tip in tips if _alike(tip, text)), text)
        tips[same] += 1
    return tuple(tip for tip, _ in tips.most_common(MOST_TIPS))


def _alike(one: str, other: str) -> bool:
    a, b = (set(re.findall(r"\w+", text.lower())) for text in (one, other))
    return bool(a | b) and len(a & b) / len(a | b) >= ALIKE
