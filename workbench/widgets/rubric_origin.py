"""Where a criterion came from: its seed pairs, what its induction did with it, what it was found to be worth, by whom
it was edited. Plain functions that give JSON whose texts are fit to be shown."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.evaluation.statistics import Estimate
from workbench.foreign import displayable
from workbench.induction.events import Event, read_events
from workbench.pairs.comparison import Comparison, ImageSource, best, letter
from workbench.pairs.sources import ImageError
from workbench.rubrics.rubric import Criterion, Rubric
from workbench.rubrics.versions import edits_of
from workbench.vlm.settings import is_synthetic
from workbench.widgets.pair_grid import preview

MOST_PAIRS, MOST_EVENTS = 8, 80
SIDE = 96
"""Pixels of a thumbnail's longer side."""
_LONGEST = 600


def origin(id: str, lineage: Sequence[Rubric], seeds: Mapping[str, Comparison], events: Path | None) -> dict[str, Any]:
    """Everything known about where criterion `id` came from.

    - `lineage`: the current rubric, then what it was made from, the nearest first.

    A broken event log or image is told in the answer, not raised.
    """
    current = _criterion(lineage[0], id)
    first = next((found for rubric in reversed(lineage) if (found := _criterion(rubric, id))), None)
    named = _named_pairs(first.source if first else None, lineage, seeds)
    steps, problem = _events(first, named, events)
    return {
        "criterion": displayable(id, 60),
        "source": displayable(first.source, _LONGEST) if first and first.source and not named else "",
        "measured": _measured(id, current, lineage),
        "pairs": [_pair(name, seeds.get(name)) for name in named[:MOST_PAIRS]],
        "more_pairs": [displayable(name, 80) for name in named[MOST_PAIRS : MOST_PAIRS + 100]],
        "events": steps,
        "events_known": events is not None,
        "problem": displayable(problem, _LONGEST),
        "edits": _edits(id, lineage),
    }


def _criterion(rubric: Rubric, id: str) -> Criterion | None:
    return next((c for theme in rubric.themes for c in theme.criteria if c.id == id), None)


def _named_pairs(source: str | None, lineage: Sequence[Rubric], seeds: Mapping[str, Comparison]) -> list[str]:
    """The seed pairs that `source` names; it may say anything else instead."""
    known: set[str] = set(seeds)
    for rubric in lineage:
        pairs = rubric.provenance.get("seed_pairs")
        known.update(str(pair) for pair in pairs) if isinstance(pairs, list) else None
    return [name for name in (source or "").split(", ") if name in known]


def _measured(id: str, current: Criterion | None, lineage: Sequence[Rubric]) -> dict[str, Any] | None:
    """Weight, stability and worth as the nearest rubric in the lineage that was measured tells them."""
    for rubric in lineage:
        selection = rubric.provenance.get("selection")
        chosen = selection.get("criteria") if isinstance(selection, Mapping) else None
        row = chosen.get(id) if isinstance(chosen, Mapping) else None
        then = _criterion(rubric, id)
        if not isinstance(row, Mapping) or then is None:
            continue
        earlier = current is None or current.text != then.text
        return {
            "rubric": displayable(rubric.name, 80),
            "weight": _number(row.get("weight"), "{:g}"),
            "stability": _number(row.get("stability"), "{:.0%}"),
            "worth": _worth(row.get("worth")),
            "synthetic": _synthetic(rubric),
            "others_changed": rubric.hash != lineage[0].hash,
            "earlier": displayable(then.text, _LONGEST) if earlier else "",
        }
    return None


def _worth(worth: Any) -> str:
    """As `+21.7 points [+11.2, +32.0], n = 60`; empty for what is no estimate."""
    try:
        low, high = worth["ci95"]
        return Estimate(float(worth["value"]), (float(low), float(high)), int(worth["n"])).points()
    except (KeyError, TypeError, ValueError, OverflowError):
        return ""


def _number(value: Any, form: str) -> str:
    return form.format(value) if isinstance(value, int | float) else ""


def _synthetic(rubric: Rubric) -> bool:
    judge = rubric.provenance.get("judge")
    return isinstance(judge, Mapping) and is_synthetic(str(judge.get("model", "")))


def _pair(name: str, seed: Comparison | None) -> dict[str, Any]:
    if seed is None:
        return {"id": displayable(name, 80), "problem": "not among the seeds given to the editor"}
    pictures = []
    if seed.source_image is not None:
        pictures.append(_picture(seed.source_image, "source", False))
    chosen = best(seed.ranks) if seed.ranks else []
    pictures += [_picture(image, letter(i), i in chosen) for i, image in enumerate(seed.images)]
    return {
        "id": displayable(name, 80),
        "prompt": displayable(seed.prompt, _LONGEST),
        "label": _label(seed),
        "images": pictures,
    }


def _picture(source: ImageSource, name: str, chosen: bool) -> dict[str, Any]:
    try:
        return {"name": name, "chosen": chosen, "url": preview(source, SIDE)}
    except (ImageError, OSError, ValueError) as error:  # an image may vanish while people look
        return {"name": name, "chosen": chosen, "problem": displayable(str(error), 200)}


def _label(seed: Comparison) -> str:
    if seed.ranks is None:
        return "no human label"
    chosen = [letter(i) for i in best(seed.ranks)]
    return f"people prefer {chosen[0]}" if len(chosen) == 1 else f"people see a tie of {', '.join(chosen)}"


def _events(first: Criterion | None, pairs: Sequence[str], path: Path | None) -> tuple[list[dict[str, Any]], str]:
    """The steps that name the criterion as it was induced, or verify its pairs, and what is wrong with the log."""
    if path is None or first is None:
        return [], ""
    steps: list[dict[str, Any]] = []
    try:
        for event in read_events(path):
            if len(steps) < MOST_EVENTS and _concerns(event, first.text, pairs):
                steps.append(_step(event, first.text))
    except (OSError, ValueError) as error:
        return steps, str(error)
    return steps, ""


def _concerns(event: Event, text: str, pairs: Sequence[str]) -> bool:
    if text in event.rubrics:
        return True
    return event.pair_id in pairs and event.step in ("verified", "revised", "dropped", "failed", "kept")


def _step(event: Event, text: str) -> dict[str, Any]:
    others = len(event.rubrics) - (text in event.rubrics)
    return {
        "step": event.step,
        "epoch": event.epoch,
        "pair": displayable(event.pair_id, 80),
        "passed": event.passed,
        "itself": text in event.rubrics,
        "others": others,
        "detail": displayable(event.detail, _LONGEST),
        "reason": displayable(event.reason, _LONGEST),
    }


def _edits(id: str, lineage: Sequence[Rubric]) -> list[dict[str, str]]:
    """The hand edits that concern a criterion, the oldest first."""
    edits = [edit for rubric in reversed(lineage) for edit in edits_of(rubric)]
    own = [edit for edit in edits if edit["what"].startswith((f"{id}: ", f"{id} "))]
    return [{name: displayable(value, 200) for name, value in edit.items()} for edit in own]
