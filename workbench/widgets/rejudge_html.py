"""Re-judging as static HTML: accuracies, the sentence the numbers allow, and the pairs that flipped."""

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import Any

from workbench.evaluation.panel import SEEN
from workbench.evaluation.record import VerdictRecord
from workbench.evaluation.rejudging import State
from workbench.foreign import foreign_html
from workbench.html import FONT, html_table
from workbench.widgets.pair_grid import pair_grid
from workbench.widgets.rejudge_view import KINDS, KnownComparisons, changes, rows, worths_view

MOST_CARDS = 24


def static_html(state: State, compared: KnownComparisons, most_calls: int) -> str:
    """What the panel shows of `state`, fit for a page without script; images are previews, reasons are cut."""
    synthetic = bool(state.current and state.current.synthetic)
    found = rows(state)
    parts = [f"<b>{len(state.pairs)} pairs judged again{' (synthetic)' if synthetic else ''}</b>"]
    if found:
        parts.append(_accuracies(found))
    else:
        expected = state.outlook.line() if state.outlook else "not known yet"
        parts.append(
            _line(
                f"Nothing is judged yet; to judge: {escape(expected)}. At most {most_calls} calls are made "
                "without being told."
            )
        )
    if found and not state.judged:
        parts.append(_line("The rubric or the pairs have changed since; the numbers are of the version before."))
    change = changes(state.first, state.current, compared) if state.first is not state.current and state.first else None
    if change:
        parts += _changes(state, change)
    parts += _worths(worths_view(state))
    parts.append(_line(f'<span style="opacity:.75">{escape(SEEN)}</span>'))
    return f'<div style="{FONT}">{"".join(parts)}</div>'


def _accuracies(found: list[dict[str, Any]]) -> str:
    head = ("", "rubric", "accuracy, both orders' mean", "right in both orders", "verdicts", "invalid", "error")
    lines = [
        (
            escape(row["role"]),
            foreign_html(row["name"]),
            _told(row["mean"]),
            _told(row["resolved"]),
            f"{row['verdicts']} of {row['wanted']}{'' if row['verdicts'] == row['wanted'] else ' (partial)'}",
            str(row["invalid"]),
            str(row["error"]),
        )
        for row in found
    ]
    return html_table(head, lines)


def _changes(state: State, change: dict[str, Any]) -> list[str]:
    counts = ", ".join(f"{count} {kind}" for kind, count in change["counts"].items() if count) or "none"
    flips = sorted(change["flips"], key=lambda flip: KINDS.index(flip["kind"]))
    parts = [
        _line(
            f"Flips against the baseline among {change['n']} pairs: <b>{escape(counts)}</b>; {escape(change['test'])}."
        ),
        _line(escape(change["sentence"])),
    ]
    shown = [flip["id"] for flip in flips[:MOST_CARDS]]
    by_id = {pair.id: pair for pair in state.pairs}
    sides = {"before": state.first, "after": state.current}
    said = {name: {pair: _quiet(side.of(pair)) for pair in shown} for name, side in sides.items() if side}
    notes = {flip["id"]: flip["kind"] for flip in flips}
    parts.append(pair_grid([by_id[pair] for pair in shown if pair in by_id], said, notes=notes, side=112))
    if len(flips) > MOST_CARDS:
        parts.append(_line(f"and {len(flips) - MOST_CARDS} more"))
    return parts


def _quiet(records: Sequence[VerdictRecord]) -> list[VerdictRecord]:
    """Records without the messages of failures, which name addresses: a saved page is handed on."""
    return [replace(record, detail="no verdict came" if record.outcome == "error" else "") for record in records]


def _worths(found: dict[str, Any] | None) -> list[str]:
    if not found:
        return []
    head = ("criterion", "worth (accuracy with it minus without)", "", "right only with / without it")
    lines = [
        (
            f"{foreign_html(row['id'])}: {foreign_html(row['text'], 200)}",
            _told(row["difference"]),
            escape(", ".join(filter(None, (row["said"], row["failed"])))),
            f"{row['fixed']} / {row['broken']}",
        )
        for row in found["rows"]
    ]
    table = html_table(head, lines)
    return [_line("<b>What each criterion is worth</b>"), table, _line(escape(found["caution"]))]


def _told(number: dict[str, Any] | None) -> str:
    return str(number["text"]) if number else "no labelled pair in both orders"


def _line(html: str) -> str:
    return f'<div style="margin:4px 0;max-width:900px">{html}</div>'
