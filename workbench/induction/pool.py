"""Themes of criteria among which some are chosen."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from workbench.induction.answers import Group
from workbench.induction.screen import screen_each
from workbench.induction.selection import Selection
from workbench.rubrics.rubric import Criterion, Theme


def screened(groups: Iterable[Group], known: Sequence[str], refused: Callable[[str, str], None]) -> list[Group]:
    """Groups of criteria that pass the screen and are not nearly `known`; `refused` is told which were not, and why."""
    seen = list(known)
    kept = []
    for group in groups:
        tips = []
        for tip, reason in screen_each(group.tips, seen):
            if reason:
                refused(tip, reason)
            else:
                tips.append(tip)
        if tips:
            seen += tips
            kept.append(Group(group.theme, tuple(tips)))
    return kept


def capped(themes: Sequence[Theme], most: int) -> tuple[Theme, ...]:
    """At most `most` criteria: the first of every theme, then the second of every theme, and so on."""
    places = sorted((i, t) for t, theme in enumerate(themes) for i in range(len(theme.criteria)))
    kept = set(places[:most])
    cut = [
        replace(theme, criteria=tuple(c for i, c in enumerate(theme.criteria) if (i, t) in kept))
        for t, theme in enumerate(themes)
    ]
    return tuple(theme for theme in cut if theme.criteria)


def weighted(themes: Sequence[Theme], selection: Selection) -> tuple[tuple[Theme, ...], Selection]:
    """The chosen criteria with their weights, the weightiest first, numbered anew."""
    weights = selection.weights
    ranked = sorted(
        (
            replace(
                theme,
                criteria=tuple(
                    sorted(
                        (replace(c, weight=weights[c.id]) for c in theme.criteria if c.id in weights),
                        key=lambda c: -c.weight,
                    )
                ),
            )
            for theme in themes
        ),
        key=lambda theme: -max((c.weight for c in theme.criteria), default=0.0),
    )
    kept = [theme for theme in ranked if theme.criteria]
    renamed = {c.id: f"c{i}" for i, c in enumerate(criteria_of(kept), start=1)}
    return renumbered(kept), selection.renamed(renamed)


def renumbered(themes: Iterable[Theme]) -> tuple[Theme, ...]:
    """The same criteria with the ids c1, c2, ..."""
    number = iter(range(1, 10_000))
    return tuple(
        replace(theme, criteria=tuple(replace(c, id=f"c{next(number)}") for c in theme.criteria)) for theme in themes
    )


def criteria_of(themes: Iterable[Theme]) -> list[Criterion]:
    """All criteria, theme by theme."""
    return [criterion for theme in themes for criterion in theme.criteria]
