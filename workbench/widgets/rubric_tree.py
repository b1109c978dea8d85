"""A rubric, or the difference of two, as plain HTML: readable on light and dark pages, without script or kernel."""

from collections.abc import Iterable
from html import escape

from workbench.rubrics.diff import CriterionDiff, RubricDiff
from workbench.rubrics.lint import Finding, lint
from workbench.rubrics.rubric import Criterion, Rubric, Theme
from workbench.widgets.foreign import foreign_html
from workbench.widgets.rubric_views import provenance_line

LONGEST = 2_000
"""Characters of a criterion."""
_PAGE = "font:13px/1.45 system-ui,sans-serif;max-width:860px"
_FAINT = "opacity:.7;font-size:12px"
_ROW = "margin:0;padding:5px 0 5px 10px;border-left:2px solid #8885"
# Readable on white and on black alike; the words say it too.
_WARN = "color:#b8860b"
_REMOVED = "background:#d55e0033"
_ADDED = "background:#009e7333;text-decoration:none;border-bottom:2px solid #009e73"


def rubric_html(rubric: Rubric, *, findings: bool = True) -> str:
    """The rubric as a tree with weights, levels and where it comes from; `findings` adds what lint says."""
    found = lint(rubric) if findings else ()
    enabled = len(rubric.enabled_criteria())
    total = sum(len(theme.criteria) for theme in rubric.themes)
    plural = "criterion" if total == 1 else "criteria"
    counted = f"{total} {plural}" if enabled == total else f"{enabled} of {total} {plural} enabled"
    head = (
        f'<div><b>{foreign_html(rubric.name, 300)}</b> <span style="{_FAINT}">{rubric.task} · {counted} · '
        f"{rubric.hash[:12]}</span></div>"
    )
    line = provenance_line(rubric)
    told = f'<div style="{_FAINT}">{foreign_html(line)}</div>' if line else ""
    whole = "".join(_finding(finding) for finding in found if not finding.criterion)
    themes = "".join(_theme(theme, found) for theme in rubric.themes)
    empty = "" if total else f'<div style="{_FAINT};margin-top:8px">No criteria yet.</div>'
    return f'<div style="{_PAGE}">{head}{told}{whole}{themes}{empty}</div>'


def diff_html(found: RubricDiff) -> str:
    """What changed from one rubric to the other, word by word."""
    names = f"{foreign_html(found.before.name, 300)} → {foreign_html(found.after.name, 300)}"
    head = f'<div><b>{names}</b> <span style="{_FAINT}">{escape(found.sentence())}</span></div>'
    themes = "".join(f'<div style="{_FAINT}">{foreign_html(line, 600)}</div>' for line in found.themes)
    rows = "".join(_changed(each) for each in found.changed())
    return f'<div style="{_PAGE}">{head}{themes}{rows}</div>'


def _theme(theme: Theme, findings: Iterable[Finding]) -> str:
    name = foreign_html(theme.name, 300) if theme.name.strip() else ""
    weight = _weight(theme.weight)
    head = f'<div style="margin-top:10px"><b>{name or "Criteria"}</b>{weight}</div>' if name or weight else ""
    criteria = "".join(
        _criterion(criterion, [f for f in findings if f.criterion == criterion.id]) for criterion in theme.criteria
    )
    return f'{head}<ul style="list-style:none;margin:4px 0 0;padding:0">{criteria}</ul>'


def _criterion(criterion: Criterion, findings: Iterable[Finding]) -> str:
    off = "" if criterion.enabled else f' <span style="{_FAINT}">(disabled)</span>'
    dim = "" if criterion.enabled and criterion.weight > 0 else ";opacity:.6"
    levels = "".join(
        f'<div style="margin-left:14px;{_FAINT}">{level.score}: {foreign_html(level.text, LONGEST)}</div>'
        for level in criterion.levels
    )
    return (
        f'<li style="{_ROW}{dim}"><span style="{_FAINT};font-family:monospace">{foreign_html(criterion.id, 60)}</span> '
        f"{_block(criterion.text)}{_weight(criterion.weight)}{off}{levels}"
        f"{''.join(_finding(finding) for finding in findings)}</li>"
    )


def _block(text: str) -> str:
    return f'<span style="white-space:pre-wrap;overflow-wrap:anywhere">{foreign_html(text, LONGEST)}</span>'


def _weight(weight: float) -> str:
    return "" if weight == 1 else f' <span style="{_FAINT}">weight {weight:g}</span>'


def _finding(finding: Finding) -> str:
    return (
        f'<div style="font-size:12px"><span style="{_WARN};font-weight:600">⚠ {escape(finding.kind)}</span> '
        f'<span style="opacity:.8">{foreign_html(finding.message, 600)}</span></div>'
    )


def _changed(each: CriterionDiff) -> str:
    sign = {"added": "+", "removed": "−"}.get(each.kind, "~")
    pieces = []
    for piece in each.pieces:
        text = _block(piece.text)
        if piece.sign == "added":
            text = f'<ins style="{_ADDED}">{text}</ins>'
        elif piece.sign == "removed":
            text = f'<del style="{_REMOVED}">{text}</del>'
        pieces.append(text)
    notes = "".join(f'<div style="{_FAINT}">{foreign_html(note, LONGEST)}</div>' for note in each.notes())
    return (
        f'<div style="{_ROW};margin-top:6px"><span style="{_FAINT};font-family:monospace">{sign} '
        f"{foreign_html(each.id, 60)} {each.kind}</span><div>{''.join(pieces)}</div>{notes}</div>"
    )
