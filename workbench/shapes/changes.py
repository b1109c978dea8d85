"""How far an edited picture has the change its instruction asks for, and no other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from workbench.shapes.instructions import Edit
from workbench.shapes.scene import Observation, PlacedShape

RESIZE = 1.35
"""How many times larger (or smaller) an object should be made."""
EDGE = 0.27
"""How near its middle should come to the edge an object is moved to."""
SAME_PLACE = 0.05
SAME_SIZE = 1.15
OTHER_BACKGROUND = 0.4
OTHER_TRAIT = 0.25
FARTHEST_MATCH = 0.4


@dataclass(frozen=True, slots=True)
class Match:
    """An object of the source and what became of it; None where it is gone."""

    before: PlacedShape
    after: PlacedShape | None


def change(edit: Edit, source: Observation, seen: Observation) -> dict[str, float]:
    """`instruction` (the asked change is there) and `preservation` (all else is as it was), each in [0, 1]."""
    matches = match_objects(edit, source.objects, seen.objects)
    kept = {match.after for match in matches}
    new = [each for each in seen.objects if each not in kept]
    return {
        "instruction": _instruction(edit, matches, new),
        "preservation": _objects_kept(edit, matches, new) * _background_kept(source, seen),
    }


def match_objects(edit: Edit, before: Sequence[PlacedShape], after: Sequence[PlacedShape]) -> list[Match]:
    """Who became whom: the nearest pairs first, where a colour or shape nobody asked for counts as distance.

    An object that looks as before, or as the edit wants it, may have gone anywhere; any other must be about where it
    was.
    """
    distances = sorted(
        (_offset(a, b) + OTHER_TRAIT * strange, i, j)
        for i, a in enumerate(before)
        for j, b in enumerate(after)
        if (strange := _strangeness(edit, a, b)) == 0 or _offset(a, b) + OTHER_TRAIT * strange < FARTHEST_MATCH
    )
    became: dict[int, int] = {}
    for _, i, j in distances:
        if i not in became and j not in became.values():
            became[i] = j
    return [Match(each, after[became[i]] if i in became else None) for i, each in enumerate(before)]


def _offset(a: PlacedShape, b: PlacedShape) -> float:
    return math.hypot(a.x - b.x, a.y - b.y)


def _strangeness(edit: Edit, before: PlacedShape, after: PlacedShape) -> int:
    """How many of colour and shape are neither what they were nor what the edit makes them."""
    asked = edit.value if edit.names(before) else None
    return (after.color not in (before.color, asked)) + (after.shape not in (before.shape, asked))


def _instruction(edit: Edit, matches: Sequence[Match], new: Sequence[PlacedShape]) -> float:
    if edit.action == "add":
        return max(((each.color == edit.color) + (each.shape == edit.shape) for each in new), default=0) / 2
    named = [match for match in matches if edit.names(match.before)]
    return fmean(_done(edit, match) for match in named) if named else 0.0


def _done(edit: Edit, match: Match) -> float:
    before, after = match.before, match.after
    if edit.action == "remove" or after is None:
        return float(edit.action == "remove" and after is None)
    match edit.action:
        case "recolor":
            return float(after.color == edit.value)
        case "reshape":
            return float(after.shape == edit.value)
        case "resize":
            growth = math.log(after.radius / before.radius) / math.log(RESIZE)
            return min(max(growth if edit.value == "larger" else -growth, 0.0), 1.0)
        case _:
            start, end = edge_distance(before, edit.value), edge_distance(after, edit.value)
            return 1.0 if end <= EDGE else min(max((start - end) / (start - EDGE), 0.0), 1.0)


def edge_distance(shape: PlacedShape, edge: str) -> float:
    """How far an object's middle is from the `left`, `right`, `top` or `bottom` edge."""
    return {"left": shape.x, "right": 1 - shape.x, "top": shape.y, "bottom": 1 - shape.y}[edge]


def _objects_kept(edit: Edit, matches: Sequence[Match], new: Sequence[PlacedShape]) -> float:
    kept = [
        match.after is not None and _unchanged(edit, match.before, match.after)
        for match in matches
        if not (edit.action == "remove" and edit.names(match.before))
    ]
    intruders = max(len(new) - (edit.action == "add"), 0)
    return sum(kept) / (len(kept) + intruders) if kept or intruders else 1.0


def _unchanged(edit: Edit, before: PlacedShape, after: PlacedShape) -> bool:
    """Whether everything but what the edit asks to change is as it was."""
    asked = edit.action if edit.names(before) else None
    return (
        (after.color == before.color or asked == "recolor")
        and (after.shape == before.shape or asked == "reshape")
        and (_offset(before, after) < SAME_PLACE or asked == "move")
        and (1 / SAME_SIZE < after.radius / before.radius < SAME_SIZE or asked == "resize")
    )


def _background_kept(source: Observation, seen: Observation) -> float:
    return max(1 - abs(seen.brightness - source.brightness) / OTHER_BACKGROUND, 0.0)
