"""How far the objects of a picture are those its prompt asks for."""

from collections.abc import Sequence
from statistics import fmean

from workbench.shapes.grammar import Group, SceneSpec
from workbench.shapes.scene import PlacedShape

RELATION_MARGIN = 0.02


def fidelity(spec: SceneSpec, objects: Sequence[PlacedShape]) -> dict[str, float]:
    """Count, colour, shape, presence, relation and size, each in [0, 1].

    Every object is taken for a member of the group it resembles most, so that a red circle drawn blue is a fault of
    colour and not one of count.
    """
    members = assign(spec.groups, objects)
    drawn = [(group, each) for group, found in zip(spec.groups, members, strict=True) for each in found]
    sized = [(group, each) for group, each in drawn if group.size]
    asked_size = any(group.size for group in spec.groups)
    return {
        "count": fmean(_closeness(group.count, len(found)) for group, found in zip(spec.groups, members, strict=True)),
        "color": _share([each.color == group.color for group, each in drawn]),
        "shape": _share([each.shape == group.shape for group, each in drawn]),
        "presence": _share([any(_likeness(group, each) == 2 for each in objects) for group in spec.groups]),
        "relation": _related(spec.relation, members[0], members[1]) if spec.relation else 1.0,
        "size": _share([each.size == group.size for group, each in sized]) if asked_size else 1.0,
    }


def assign(groups: Sequence[Group], objects: Sequence[PlacedShape]) -> list[list[PlacedShape]]:
    """The objects of each group: the likest pairs first, up to each group's count, then what is left over."""
    members: list[list[PlacedShape]] = [[] for _ in groups]
    left = sorted(objects, key=lambda each: (each.color, each.shape, each.x, each.y))
    for likeness in (2, 1, 0):
        for i, group in enumerate(groups):
            fitting = [each for each in left if _likeness(group, each) >= likeness]
            taken = fitting[: group.count - len(members[i])]
            members[i] += taken
            left = [each for each in left if each not in taken]
    for each in left:
        members[max(range(len(groups)), key=lambda i: _likeness(groups[i], each))].append(each)
    return members


def _likeness(group: Group, each: PlacedShape) -> int:
    return (each.color == group.color) + (each.shape == group.shape)


def _closeness(wanted: int, found: int) -> float:
    return 1 - abs(found - wanted) / max(found, wanted)


def _share(right: Sequence[bool]) -> float:
    return fmean(right) if right else 0.0


def _related(relation: str, first: Sequence[PlacedShape], second: Sequence[PlacedShape]) -> float:
    offsets = [(b.x - a.x, b.y - a.y) for a in first for b in second]
    match relation:
        case "left of":
            return _share([dx > RELATION_MARGIN for dx, _ in offsets])
        case "right of":
            return _share([-dx > RELATION_MARGIN for dx, _ in offsets])
        case "above":
            return _share([dy > RELATION_MARGIN for _, dy in offsets])
        case _:
            return _share([-dy > RELATION_MARGIN for _, dy in offsets])
