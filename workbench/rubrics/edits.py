"""Edits of a rubric: every one takes a rubric, which it leaves as it is, and gives a new one and a line that tells it.

>>> from workbench.rubrics.rubric import Criterion, Rubric, Theme
>>> rubric = Rubric("mine", "t2i", (Theme("", criteria=(Criterion("c1", "Three circles."),)),))
>>> set_weight(rubric, "c1", 2).what
'c1: weight 1 to 2'
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from workbench.rubrics.rubric import Criterion, Level, Rubric, RubricError, Theme

_QUOTED = 60


@dataclass(frozen=True, slots=True)
class Edited:
    """A rubric after an edit; `what` was done, in one line, and `criterion` is the id it concerned, or empty."""

    rubric: Rubric
    what: str
    criterion: str = ""


def find(rubric: Rubric, id: str) -> Criterion:
    """The criterion with this id. Raises `RubricError` naming the ids there are."""
    theme, index = _place(rubric, id)
    return rubric.themes[theme].criteria[index]


def theme_of(rubric: Rubric, id: str) -> int:
    """The index of the theme a criterion is in. Raises `RubricError` naming the ids there are."""
    return _place(rubric, id)[0]


def set_text(rubric: Rubric, id: str, text: str) -> Edited:
    """Reword a criterion. Raises `RubricError` for a blank text."""
    return Edited(_with(rubric, id, lambda c: replace(c, text=text)), f"{id}: text now {_quoted(text)}", id)


def set_weight(rubric: Rubric, id: str, weight: float) -> Edited:
    """Weigh a criterion. Raises `RubricError` for a weight below 0, or one that is no number."""
    before = find(rubric, id).weight
    changed = _with(rubric, id, lambda c: replace(c, weight=float(weight)))
    return Edited(changed, f"{id}: weight {before:g} to {weight:g}", id)


def set_levels(rubric: Rubric, id: str, levels: Sequence[Level]) -> Edited:
    """Grade a criterion; no levels make it ungraded. Raises `RubricError` for a single level or a score given twice."""
    scores = ", ".join(str(level.score) for level in levels)
    what = f"{id}: levels {scores}" if levels else f"{id}: no levels"
    return Edited(_with(rubric, id, lambda c: replace(c, levels=tuple(levels))), what, id)


def enable(rubric: Rubric, id: str, enabled: bool) -> Edited:
    """Show a criterion to the judge, or keep it from it without losing it."""
    changed = _with(rubric, id, lambda c: replace(c, enabled=bool(enabled)))
    return Edited(changed, f"{id}: {'enabled' if enabled else 'disabled'}", id)


def add(rubric: Rubric, text: str, *, theme: int, index: int | None = None, taken: Iterable[str] = ()) -> Edited:
    """Add a criterion to a theme, at its end unless `index` says where; a rubric without themes gets an unnamed one.

    - `taken`: ids it must not get beside those of the rubric, such as those of criteria that were removed.
    """
    if not rubric.themes and theme == 0:
        rubric = replace(rubric, themes=(Theme(""),))
    _check_theme(rubric, theme)
    criterion = Criterion(new_id(rubric, taken), text)
    criteria = rubric.themes[theme].criteria
    at = len(criteria) if index is None else max(0, min(index, len(criteria)))
    changed = _with_criteria(rubric, theme, (*criteria[:at], criterion, *criteria[at:]))
    return Edited(changed, f"{criterion.id} added: {_quoted(text)}", criterion.id)


def new_id(rubric: Rubric, taken: Iterable[str] = ()) -> str:
    """An id c1, c2, ... above all that the rubric has and all that are `taken`."""
    ids = [*taken, *(criterion.id for theme in rubric.themes for criterion in theme.criteria)]
    numbers = [int(match[1]) for id in ids if (match := re.fullmatch(r"c(\d{1,9})", id))]
    return f"c{max(numbers, default=0) + 1}"


def remove(rubric: Rubric, id: str) -> Edited:
    """Take a criterion out; its theme stays."""
    theme, index = _place(rubric, id)
    criteria = rubric.themes[theme].criteria
    changed = _with_criteria(rubric, theme, criteria[:index] + criteria[index + 1 :])
    return Edited(changed, f"{id} removed: {_quoted(criteria[index].text)}", id)


def shift(rubric: Rubric, id: str, by: int) -> Edited:
    """Move a criterion one place up (-1) or down (1); over the edge of its theme it goes to the next theme.

    Raises `RubricError` at the first or last place.
    """
    theme, index = _place(rubric, id)
    if 0 <= index + by < len(rubric.themes[theme].criteria):
        return move(rubric, id, theme, index + by)
    if not 0 <= theme + by < len(rubric.themes):
        raise RubricError(f"criterion {id} is {'first' if by < 0 else 'last'} already: it cannot move further")
    return move(rubric, id, theme + by, len(rubric.themes[theme + by].criteria) if by < 0 else 0)


def move(rubric: Rubric, id: str, theme: int, index: int) -> Edited:
    """Move a criterion to a place of a theme, counted without the criterion itself."""
    _check_theme(rubric, theme)
    criterion = find(rubric, id)
    source = theme_of(rubric, id)
    rest = remove(rubric, id).rubric
    criteria = rest.themes[theme].criteria
    at = max(0, min(index, len(criteria)))
    changed = _with_criteria(rest, theme, (*criteria[:at], criterion, *criteria[at:]))
    where = f" of {_theme_name(rubric, theme)}" if theme != source else ""
    return Edited(changed, f"{id}: moved to place {at + 1}{where}", id)


def add_theme(rubric: Rubric, name: str) -> Edited:
    """Add an empty theme at the end."""
    return Edited(replace(rubric, themes=(*rubric.themes, Theme(name))), f"theme {_quoted(name)} added")


def rename_theme(rubric: Rubric, theme: int, name: str) -> Edited:
    """Name a theme; unnamed, its criteria are shown without a heading."""
    before = _theme_name(rubric, theme)
    return Edited(_with_theme(rubric, theme, lambda t: replace(t, name=name)), f"{before}: now called {_quoted(name)}")


def set_theme_weight(rubric: Rubric, theme: int, weight: float) -> Edited:
    """Weigh a theme; at 0 none of its criteria count. Raises `RubricError` for a weight below 0."""
    name = _theme_name(rubric, theme)
    before = rubric.themes[theme].weight
    changed = _with_theme(rubric, theme, lambda t: replace(t, weight=float(weight)))
    return Edited(changed, f"{name}: weight {before:g} to {weight:g}")


def remove_theme(rubric: Rubric, theme: int) -> Edited:
    """Take a theme out, with the criteria in it."""
    name = _theme_name(rubric, theme)
    ids = [criterion.id for criterion in rubric.themes[theme].criteria]
    changed = replace(rubric, themes=rubric.themes[:theme] + rubric.themes[theme + 1 :])
    return Edited(changed, f"{name} removed" + (f" with {', '.join(ids)}" if ids else ""))


def shift_theme(rubric: Rubric, theme: int, by: int) -> Edited:
    """Move a theme one place up (-1) or down (1). Raises `RubricError` at the first or last place."""
    name = _theme_name(rubric, theme)
    to = theme + by
    if not 0 <= to < len(rubric.themes):
        raise RubricError(f"{name} is {'first' if by < 0 else 'last'} already: it cannot move further")
    themes = list(rubric.themes)
    themes.insert(to, themes.pop(theme))
    return Edited(replace(rubric, themes=tuple(themes)), f"{name}: moved to place {to + 1}")


def parse_levels(text: str) -> tuple[Level, ...]:
    """Levels as people type them, a score and its text a line; an indented line goes on with the one above.

    >>> [level.score for level in parse_levels("0: one is missing\\n1: all are there")]
    [0, 1]

    Raises `RubricError` naming the line.
    """
    levels: list[Level] = []
    for number, line in enumerate(text.splitlines(), start=1):
        match = re.fullmatch(r"\s*([+-]?\d{1,9})\s*:\s*(.*)", line)
        if match:
            levels.append(Level(int(match[1]), match[2].rstrip()))
        elif line.strip() and levels and line[0].isspace():
            levels[-1] = replace(levels[-1], text=f"{levels[-1].text}\n{line.strip()}")
        elif line.strip():
            raise RubricError(f"levels, line {number}: {_quoted(line)} has no score: write it as '2: all are there'")
    return tuple(levels)


def levels_text(levels: Iterable[Level]) -> str:
    """Levels as `parse_levels` reads them."""
    return "\n".join(f"{level.score}: " + level.text.replace("\n", "\n  ") for level in levels)


def _place(rubric: Rubric, id: str) -> tuple[int, int]:
    for t, theme in enumerate(rubric.themes):
        for i, criterion in enumerate(theme.criteria):
            if criterion.id == id:
                return t, i
    ids = ", ".join(criterion.id for theme in rubric.themes for criterion in theme.criteria)
    raise RubricError(f"criterion {_quoted(id)} is not in rubric {rubric.name}; there are: {ids or 'none'}")


def _with(rubric: Rubric, id: str, change: Callable[[Criterion], Criterion]) -> Rubric:
    theme, index = _place(rubric, id)
    criteria = list(rubric.themes[theme].criteria)
    criteria[index] = change(criteria[index])
    return _with_criteria(rubric, theme, criteria)


def _with_criteria(rubric: Rubric, theme: int, criteria: Iterable[Criterion]) -> Rubric:
    return _with_theme(rubric, theme, lambda t: replace(t, criteria=tuple(criteria)))


def _with_theme(rubric: Rubric, theme: int, change: Callable[[Theme], Theme]) -> Rubric:
    themes = list(rubric.themes)
    themes[theme] = change(themes[theme])
    return replace(rubric, themes=tuple(themes))


def _check_theme(rubric: Rubric, theme: int) -> None:
    if not 0 <= theme < len(rubric.themes):
        raise RubricError(f"theme {theme} is not in rubric {rubric.name}: it has {len(rubric.themes)}, counted from 0")


def _theme_name(rubric: Rubric, theme: int) -> str:
    _check_theme(rubric, theme)
    return f"theme {_quoted(rubric.themes[theme].name)}" if rubric.themes[theme].name.strip() else f"theme {theme + 1}"


def _quoted(text: str) -> str:
    line = " ".join(text.split())
    return f"“{line if len(line) <= _QUOTED else line[:_QUOTED] + '…'}”"
