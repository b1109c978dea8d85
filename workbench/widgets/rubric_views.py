"""What the rubric editor shows, as JSON whose texts are fit to be shown, and how what was typed becomes text again."""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from workbench.foreign import LONGEST, displayable
from workbench.rubrics.diff import RubricDiff
from workbench.rubrics.edits import levels_text
from workbench.rubrics.lint import Finding, lint
from workbench.rubrics.rubric import Criterion, Rubric, free_text
from workbench.rubrics.session import Snapshot
from workbench.rubrics.versions import Version, edits_of, parent_file

LONGEST_NAME = 300
_CODE = re.compile(r"⟨U\+([0-9A-F]{4,6})⟩")


def rubric_view(now: Snapshot) -> dict[str, Any]:
    """The whole editor at one moment."""
    rubric = now.rubric
    findings: dict[str, list[Finding]] = {}
    for finding in lint(rubric):
        findings.setdefault(finding.criterion, []).append(finding)
    base = _base(now)
    return {
        "revision": now.revision,
        "name": displayable(rubric.name, LONGEST_NAME),
        "task": rubric.task,
        "hash": rubric.hash[:12],
        "file": displayable(now.path.name, LONGEST_NAME) if now.path else "",
        "parent": displayable(parent_file(rubric), LONGEST_NAME),
        "unsaved": now.unsaved,
        "edits": len(edits_of(rubric)) if now.unsaved else 0,
        "author": displayable(now.author, 80),
        "undoes": displayable(now.history.undoes, 120),
        "redoes": displayable(now.history.redoes, 120),
        "news": {"kind": now.news.kind, "message": displayable(now.news.message, 600)} if now.news else None,
        "enabled": len(rubric.enabled_criteria()),
        "free_text": free_text(rubric) is not None,
        "provenance": provenance_line(rubric),
        "findings": [_finding(finding) for finding in findings.get("", ())],
        "themes": [
            {
                "name": displayable(theme.name, LONGEST_NAME),
                "locked": locked(theme.name, LONGEST_NAME),
                "weight": theme.weight,
                "criteria": [_criterion_view(c, findings.get(c.id, ()), base.get(c.id)) for c in theme.criteria],
            }
            for theme in rubric.themes
        ],
    }


def key_of(id: str) -> str:
    """What the browser calls a criterion, and shows as its id."""
    shown = displayable(id, 60)
    return id if shown == id else f"{shown} #{hashlib.sha256(id.encode('utf-8', 'replace')).hexdigest()[:8]}"


def id_of(rubrics: Iterable[Rubric], key: str) -> str:
    """The id behind a key; the key itself if there is none, for the message that says so."""
    ids = (criterion.id for rubric in rubrics for theme in rubric.themes for criterion in theme.criteria)
    return next((id for id in ids if key_of(id) == key), key)


def locked(text: str, limit: int = LONGEST) -> str:
    """Why a text cannot be edited where it is shown; empty where it can."""
    if len(text) > limit:
        return f"shown in part: a text of {len(text):,} characters is edited in its file"
    if restored(displayable(text, limit), text) != text:
        return "holds signs that cannot be typed: edit it in its file"
    return ""


def restored(typed: str, stored: str) -> str:
    """Typed text, in which codes such as ⟨U+200F⟩ stand for the hidden signs of the stored text, with those signs.

    >>> restored("a⟨U+200F⟩c", "a\\u200fb") == "a\\u200fc", restored("⟨U+200F⟩", "plain")
    (True, '⟨U+200F⟩')
    """

    def sign(match: re.Match[str]) -> str:
        point = int(match[1], 16)
        return chr(point) if point < 0x110000 and chr(point) in stored else match[0]

    return _CODE.sub(sign, typed)


def provenance_line(rubric: Rubric) -> str:
    """Where a rubric comes from, in one line; empty where it does not say."""
    told = rubric.provenance
    parts = []
    parent = told.get("parent")
    if isinstance(parent, dict) and parent.get("name"):
        parts.append(f"from {parent['name']}" + (f" ({parent['recipe']})" if parent.get("recipe") else ""))
    elif told.get("recipe") and told["recipe"] != "edit":
        parts.append(f"recipe {told['recipe']}")
    if isinstance(pairs := told.get("seed_pairs"), list) and pairs:
        parts.append(f"{len(pairs)} seed pairs")
    if edits := edits_of(rubric):
        people = ", ".join(dict.fromkeys(edit["author"] or "somebody" for edit in edits))
        parts.append(
            f"{len(edits)} edit{'s' * (len(edits) > 1)} by {people}, last {edits[-1]['time'][:16].replace('T', ' ')}"
        )
    if told.get("partial"):
        parts.append("unfinished induction")
    return displayable(" · ".join(str(part) for part in parts), 400)


def versions_view(versions: Iterable[Version]) -> list[dict[str, Any]]:
    """The versions on disk, to choose from."""
    rows = []
    for version in versions:
        edits = version.edits
        rows.append(
            {
                "file": displayable(version.path.name, LONGEST_NAME),
                "hash": version.rubric.hash[:12] if version.rubric else "",
                "edits": len(edits),
                "author": displayable(edits[-1]["author"], 80) if edits else "",
                "time": displayable(edits[-1]["time"], 40) if edits else "",
                "problem": displayable(version.problem, 300),
            }
        )
    return rows


def diff_view(found: RubricDiff) -> dict[str, Any]:
    """A comparison of two rubrics."""

    def shown(value: Any) -> Any:
        if isinstance(value, str):
            return displayable(value, LONGEST)
        if isinstance(value, list):
            return [shown(each) for each in value]
        return {name: shown(each) for name, each in value.items()} if isinstance(value, dict) else value

    view: dict[str, Any] = shown(found.to_json())
    return view


def _base(now: Snapshot) -> dict[str, Criterion]:
    """The criteria as they were when the rubric was last read from a file, or saved."""
    states = now.history.states[: now.history.at + 1]
    saved = next((state for state in reversed(states) if state.file), states[0])
    return {criterion.id: criterion for theme in saved.rubric.themes for criterion in theme.criteria}


def _criterion_view(criterion: Criterion, findings: Iterable[Finding], before: Criterion | None) -> dict[str, Any]:
    levels = levels_text(criterion.levels)
    return {
        "key": key_of(criterion.id),
        "text": displayable(criterion.text),
        "locked": locked(criterion.text),
        "weight": criterion.weight,
        "enabled": criterion.enabled,
        "levels": [{"score": level.score, "text": displayable(level.text, 2_000)} for level in criterion.levels],
        "levels_text": displayable(levels),
        "levels_locked": locked(levels),
        "pairs": len((criterion.source or "").split(", ")) if criterion.source else 0,
        "edited": before != criterion,
        "findings": [_finding(finding) for finding in findings],
    }


def _finding(finding: Finding) -> dict[str, str]:
    return {"kind": finding.kind, "message": displayable(finding.message, 600)}
