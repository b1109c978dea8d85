"""ARR's rubric text: `Rubric i / Theme / Tip` blocks, numbered lists, or any text at all.

Rubric 1:                        1. The circle is round.
Theme: Count
- Tip1: Three circles.           2. The square is blue.
- Tip2: Nothing else.
"""

import re

from workbench.pairs.comparison import Task
from workbench.rubrics.rubric import Criterion, Rubric, RubricError, Theme, free_text

_BLOCK = re.compile(r"Rubric \d+:\s*")
_THEME = re.compile(r"Theme: ?(.*)", re.DOTALL)
_TIP = re.compile(r"- Tip ?\d*: ?(.*)", re.DOTALL)
_ITEM = re.compile(r"(\d+)\. (.*)", re.DOTALL)


def parse_arr_text(text: str, *, name: str, task: Task) -> Rubric:
    """Read a rubric that ARR wrote or would take; what has neither of its structures is kept verbatim as one criterion.

    Criteria get the ids c1, c2, ... Raises `RubricError` for blank text.
    """
    if not text.strip():
        raise RubricError(f"rubric {name} is empty: write what a judge should look at")
    lines = text.replace("\r\n", "\n").strip("\n").split("\n")
    for parse in (_parse_blocks, _parse_items):
        groups = parse(lines)
        if groups and all(tip.strip() for _, tips in groups for tip in tips):
            return Rubric(name=name, task=task, themes=_number(groups))
    return Rubric(name=name, task=task, themes=(Theme(name="", criteria=(Criterion(id="text", text=text),)),))


def to_arr_text(rubric: Rubric) -> str:
    """The rubric as ARR writes it, such that `parse_arr_text` gives back the same themes and criteria.

    Raises `RubricError` if it has what this text cannot hold; ARR takes any text, so `Rubric.render` serves there.
    """
    if (text := free_text(rubric)) is not None:
        return text
    groups = [(theme.name, [criterion.text for criterion in theme.criteria]) for theme in rubric.themes]
    criteria = [criterion for theme in rubric.themes for criterion in theme.criteria]
    plain = all(c.weight == 1 and not c.levels and c.enabled for c in criteria)
    if not plain or any(theme.weight != 1 for theme in rubric.themes):
        raise _cannot_hold(rubric, "weights, levels or disabled criteria")
    if len(groups) == 1 and not groups[0][0]:
        text = "\n\n".join(f"{i}. {tip}" for i, tip in enumerate(groups[0][1], start=1))
    else:
        text = "\n\n".join(_write_block(i, theme, tips) for i, (theme, tips) in enumerate(groups, start=1))
    lines = text.split("\n")
    if (
        not text
        or text != text.strip("\n")
        or "\r\n" in text
        or groups not in (_parse_blocks(lines), _parse_items(lines))
    ):
        raise _cannot_hold(rubric, "unnamed themes, blank lines, or lines that look like its own marks")
    return text


def _cannot_hold(rubric: Rubric, what: str) -> RubricError:
    return RubricError(f"rubric {rubric.name} has what ARR's text cannot hold ({what}): save its render() as .txt")


def _write_block(number: int, theme: str, tips: list[str]) -> str:
    return "\n".join([f"Rubric {number}:", f"Theme: {theme}", *(f"- Tip{i}: {tip}" for i, tip in enumerate(tips, 1))])


def _number(groups: list[tuple[str, list[str]]]) -> tuple[Theme, ...]:
    themes, number = [], 0
    for name, tips in groups:
        criteria = tuple(Criterion(id=f"c{number + i}", text=tip) for i, tip in enumerate(tips, start=1))
        themes.append(Theme(name=name, criteria=criteria))
        number += len(tips)
    return tuple(themes)


def _parse_blocks(lines: list[str]) -> list[tuple[str, list[str]]] | None:
    """Themes and their tips; None if any line fits nowhere. Further lines of a tip belong to it."""
    blocks: list[tuple[str, list[str]]] = []
    expects_theme = blank = False
    for line in lines:
        if _BLOCK.fullmatch(line) and not expects_theme:
            expects_theme = True
        elif expects_theme:
            if not (theme := _THEME.fullmatch(line)) or not theme[1].strip():
                return None
            blocks.append((theme[1], []))
            expects_theme = False
        elif blocks and (tip := _TIP.fullmatch(line)):
            blocks[-1][1].append(tip[1])
        elif line.strip():
            if blank or not blocks or not blocks[-1][1]:
                return None
            blocks[-1][1][-1] += "\n" + line
        blank = not line.strip()
    return None if expects_theme else blocks


def _parse_items(lines: list[str]) -> list[tuple[str, list[str]]] | None:
    """The items of a list numbered from 1, as one unnamed theme; None unless there are at least two."""
    items: list[str] = []
    blank = False
    for line in lines:
        item = _ITEM.fullmatch(line)
        if item and int(item[1][:9]) == len(items) + 1:
            items.append(item[2])
        elif line.strip():
            if blank or not items:
                return None
            items[-1] += "\n" + line
        blank = not line.strip()
    return [("", items)] if len(items) > 1 else None
