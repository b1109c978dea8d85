"""A rubric as plain HTML: readable on light and dark pages, without script or kernel."""

from collections.abc import Iterable
from html import escape

from workbench.foreign import foreign_html
from workbench.html import FONT
from workbench.rubrics.lint import Finding, lint
from workbench.rubrics.rubric import Criterion, Rubric, Theme
from workbench.widgets.rubric_views import provenance_line

LONGEST = 2_000
"""Characters of a criterion."""
PAGE = f"{FONT};line-height:1.45;max-width:860px"
FAINT = "opacity:.7;font-size:12px"
ROW = "margin:0;padding:5px 0 5px 10px;border-left:2px solid #8885"
# Readable on white and on black alike; the words say it too.
_WARN = "color:#b8860b"


def rubric_html(rubric: Rubric, *, findings: bool = True) -> str:
    """The rubric as a tree with weights, levels and where it comes from; `findings` adds what lint says."""
    found = lint(rubric) if findings else ()
    enabled = len(rubric.enabled_criteria())
    total = sum(len(theme.criteria) for theme in rubric.themes)
    plural = "criterion" if total == 1 else "criteria"
    counted = f"{total} {plural}" if enabled == total else f"{enabled} of {total} {plural} enabled"
    head = (
        f'<div><b>{foreign_html(rubric.name, 300)}</b> <span style="{FAINT}">{rubric.task} · {counted} · '
        f"{rubric.hash[:12]}</span></div>"
    )
    line = provenance_line(rubric)
    told = f'<div style="{FAINT}">{foreign_html(line)}</div>' if line else ""
    whole = "".join(_finding(finding) for finding in found if not finding.criterion)
    themes = "".join(_theme(theme, found) for theme in rubric.themes)
    empty = "" if total else f'<div style="{FAINT};margin-top:8px">No criteria yet.</div>'
    return f'<div style="{PAGE}">{head}{told}{whole}{themes}{empty}</div>'


def _theme(theme: Theme, findings: Iterable[Finding]) -> str:
    name = foreign_html(theme.name, 300) if theme.name.strip() else ""
    weight = _weight(theme.weight)
    head = f'<div style="margin-top:10px"><b>{name or "Criteria"}</b>{weight}</div>' if name or weight else ""
    criteria = "".join(
        _criterion(criterion, [f for f in findings if f.criterion == criterion.id]) for criterion in theme.criteria
    )
    return f'{head}<ul style="list-style:none;margin:4px 0 0;padding:0">{criteria}</ul>'


def _criterion(criterion: Criterion, findings: Iterable[Finding]) -> str:
    off = "" if criterion.enabled else f' <span style="{FAINT}">(disabled)</span>'
    dim = "" if criterion.enabled and criterion.weight > 0 else ";opacity:.6"
    levels = "".join(
        f'<div style="margin-left:14px;{FAINT}">{level.score}: {foreign_html(level.text, LONGEST)}</div>'
        for level in criterion.levels
    )
    return (
        f'<li style="{ROW}{dim}"><span style="{FAINT};font-family:monospace">{foreign_html(criterion.id, 60)}</span> '
        f"{text_html(criterion.text)}{_weight(criterion.weight)}{off}{levels}"
        f"{''.join(_finding(finding) for finding in findings)}</li>"
    )


def text_html(text: str) -> str:
    """A text of a rubric with its line breaks, cut where it is too long."""
    return f'<span style="white-space:pre-wrap;overflow-wrap:anywhere">{foreign_html(text, LONGEST)}</span>'


def _weight(weight: float) -> str:
    return "" if weight == 1 else f' <span style="{FAINT}">weight {weight:g}</span>'


def _finding(finding: Finding) -> str:
    return (
        f'<div style="font-size:12px"><span style="{_WARN};font-weight:600">⚠ {escape(finding.kind)}</span> '
        f'<span style="opacity:.8">{foreign_html(finding.message, 600)}</span></div>'
    )
