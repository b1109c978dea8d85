"""A second measurer of the shapes world, to check what a policy learned from the first.

Nothing here, and nothing it looks through, is shared with `measure`, `fidelity` and `changes`; every answer is yes or
no.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from workbench.shapes.grammar import Group, parse_prompt
from workbench.shapes.instructions import Edit, parse_instruction
from workbench.shapes.sight import Seen, look

ASIDE = 0.02
"""How far, in widths, all of one group must be beyond all of the other."""
STAYED, SAME_SIZE = 0.06, 1.17
RESIZED = 1.19
"""Least factor by which a resized object must have grown or shrunk; carried out edits change it by 1.42."""
AT_EDGE = 0.3
SAME_BACKGROUND = 14.0
"""How far two backgrounds may be apart, mean of the channels in [0, 255]."""
TRAIT, FARTHEST = 0.25, 0.45
"""A colour or shape nobody asked for counts as this distance, and beyond the other nobody is the same object."""


def inspect(prompt: str, image: Image.Image) -> dict[str, bool | None]:
    """What of a prompt a picture does: presence, color, shape, count, relation (None where none is asked for).

    Raises `ValueError` for a prompt that is not of the shapes world.
    """
    spec = parse_prompt(prompt)
    seen = look(image).objects
    members = _members(spec.groups, seen)
    drawn = [(group, each) for group, some in zip(spec.groups, members, strict=True) for each in some]
    wanted = sum(group.count for group in spec.groups)
    kinds = {(each.color, each.shape) for each in seen}
    return {
        "presence": all((group.color, group.shape) in kinds for group in spec.groups),
        "color": bool(drawn) and all(each.color == group.color for group, each in drawn),
        "shape": bool(drawn) and all(each.shape == group.shape for group, each in drawn),
        "count": len(drawn) == wanted == len(seen),
        "relation": _beyond(spec.relation, members[0], members[1]) if spec.relation else None,
    }


def inspect_edit(instruction: str, source: Image.Image, image: Image.Image) -> dict[str, bool | None]:
    """Whether an edited picture has the asked change (`instruction`) and all else of its source (`preservation`).

    Raises `ValueError` for an instruction that is not of the shapes world.
    """
    edit = parse_instruction(instruction)
    before, after = look(source), look(image)
    pairs, new = _successors(edit, before.objects, after.objects)
    named = [(a, b) for a, b in pairs if _names(edit, a)]
    added = [each for each in new if (each.color, each.shape) == (edit.color, edit.shape)]
    done = len(added) == 1 if edit.action == "add" else bool(named) and all(_done(edit, a, b) for a, b in named)
    kept = all(_kept(edit, a, b) for a, b in pairs)
    intruders = len(new) - (edit.action == "add" and bool(new))
    apart = np.abs(np.subtract(before.background, after.background)).mean()
    return {"instruction": done, "preservation": bool(kept and not intruders and apart < SAME_BACKGROUND)}


def _members(groups: Sequence[Group], seen: Sequence[Seen]) -> list[list[Seen]]:
    """Which object is meant to be of which group: the assignment with the fewest wrong colours and shapes."""
    from scipy.optimize import linear_sum_assignment

    wanted = [i for i, group in enumerate(groups) for _ in range(group.count)]
    wrong = np.array(
        [[(each.color != groups[i].color) + (each.shape != groups[i].shape) for each in seen] for i in wanted]
    ).reshape(len(wanted), len(seen))
    members: list[list[Seen]] = [[] for _ in groups]
    for row, column in zip(*linear_sum_assignment(wrong), strict=True):
        members[wanted[row]].append(seen[column])
    return members


def _beyond(relation: str, first: Sequence[Seen], second: Sequence[Seen]) -> bool:
    """Whether all of the first group lie on the asked side of all of the second."""
    if not first or not second:
        return False
    a = [each.x if relation in ("left of", "right of") else each.y for each in first]
    b = [each.x if relation in ("left of", "right of") else each.y for each in second]
    return min(b) - max(a) > ASIDE if relation in ("left of", "above") else min(a) - max(b) > ASIDE


def _names(edit: Edit, each: Seen) -> bool:
    return edit.action != "add" and (each.color, each.shape) == (edit.color, edit.shape)


def _successors(
    edit: Edit, before: Sequence[Seen], after: Sequence[Seen]
) -> tuple[list[tuple[Seen, Seen | None]], list[Seen]]:
    """Who became whom (None: gone), and who is new: the assignment of least way and strangeness together."""
    from scipy.optimize import linear_sum_assignment

    cost = np.array([[_way(edit, a, b) for b in after] for a in before]).reshape(len(before), len(after))
    # one column more for every object, to be gone
    full = np.concatenate([np.minimum(cost, 9), np.full((len(before), len(before)), FARTHEST)], axis=1)
    rows, columns = linear_sum_assignment(full)
    became = {int(i): int(j) for i, j in zip(rows, columns, strict=True) if j < len(after)}
    pairs = [(each, after[became[i]] if i in became else None) for i, each in enumerate(before)]
    return pairs, [each for j, each in enumerate(after) if j not in became.values()]


def _way(edit: Edit, a: Seen, b: Seen) -> float:
    asked = edit.value if _names(edit, a) else None
    strange = (b.color not in (a.color, asked)) + (b.shape not in (a.shape, asked))
    moves = edit.action == "move" and _names(edit, a) and not strange
    return float(np.hypot(a.x - b.x, a.y - b.y)) * (0.3 if moves else 1.0) + TRAIT * strange


def _done(edit: Edit, a: Seen, b: Seen | None) -> bool:
    if b is None or edit.action == "remove":
        return b is None and edit.action == "remove"
    match edit.action:
        case "recolor":
            return b.color == edit.value
        case "reshape":
            return b.shape == edit.value
        case "resize":
            return (b.radius / a.radius if edit.value == "larger" else a.radius / b.radius) > RESIZED
        case _:
            return {"left": b.x, "right": 1 - b.x, "top": b.y, "bottom": 1 - b.y}[edit.value] < AT_EDGE


def _kept(edit: Edit, a: Seen, b: Seen | None) -> bool:
    """Whether all of an object is as before that the edit does not ask to change."""
    asked = edit.action if _names(edit, a) else None
    if b is None:
        return asked == "remove"
    return (
        (b.color == a.color or asked == "recolor")
        and (b.shape == a.shape or asked == "reshape")
        and (np.hypot(a.x - b.x, a.y - b.y) < STAYED or asked == "move")
        and (1 / SAME_SIZE < b.radius / a.radius < SAME_SIZE or asked == "resize")
    )
