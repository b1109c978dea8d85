"""The difference of two rubrics as plain HTML: readable on light and dark pages, without script or kernel."""

from html import escape

from workbench.foreign import foreign_html
from workbench.rubrics.diff import CriterionDiff, RubricDiff
from workbench.widgets.rubric_html import FAINT, LONGEST, PAGE, ROW, text_html

# Readable on white and on black alike; the sign before a criterion, and the line under what is new, say it too.
_REMOVED = "background:#d55e0033"
_ADDED = "background:#009e7333;text-decoration:none;border-bottom:2px solid #009e73"


def diff_html(found: RubricDiff) -> str:
    """What changed from one rubric to the other, word by word."""
    hashed = found.before.name == found.after.name  # an edit that is not saved yet is called like its parent
    names = " → ".join(
        foreign_html(each.name, 300) + (f" ({each.hash[:8]})" if hashed else "") for each in (found.before, found.after)
    )
    head = f'<div><b>{names}</b> <span style="{FAINT}">{escape(found.sentence())}</span></div>'
    themes = "".join(f'<div style="{FAINT}">{foreign_html(line, 600)}</div>' for line in found.themes)
    rows = "".join(_changed(each) for each in found.changed())
    return f'<div style="{PAGE}">{head}{themes}{rows}</div>'


def _changed(each: CriterionDiff) -> str:
    sign = {"added": "+", "removed": "−"}.get(each.kind, "~")
    pieces = []
    for piece in each.pieces:
        text = text_html(piece.text)
        if piece.sign == "added":
            text = f'<ins style="{_ADDED}">{text}</ins>'
        elif piece.sign == "removed":
            text = f'<del style="{_REMOVED}">{text}</del>'
        pieces.append(text)
    notes = "".join(f'<div style="{FAINT}">{foreign_html(note, LONGEST)}</div>' for note in each.notes())
    return (
        f'<div style="{ROW};margin-top:6px"><span style="{FAINT};font-family:monospace">{sign} '
        f"{foreign_html(each.id, 60)} {each.kind}</span><div>{''.join(pieces)}</div>{notes}</div>"
    )
