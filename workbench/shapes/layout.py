"""Placing objects: nothing overlaps, nothing is cut off, and relations hold with room to spare."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from numpy.random import Generator

from workbench.shapes.grammar import SceneSpec
from workbench.shapes.render import half_extents
from workbench.shapes.scene import SIZES, PlacedShape, Rgb

GAP = 0.035
BORDER = 0.02

Side = Literal["first", "second"]
Area = tuple[float, float, float, float]
"""Left, top, right, bottom."""

CANVAS: Area = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Item:
    """An object still to be placed; `side` says which end of the relation it belongs to, None for neither."""

    color: str
    shape: str
    size: str = "medium"
    side: Side | None = None


def items(spec: SceneSpec) -> list[Item]:
    """The objects a prompt asks for; what has no size word is of medium size."""
    sides: list[Side | None] = ["first", "second"] if spec.relation else [None, None]
    return [
        Item(group.color, group.shape, group.size or "medium", side)
        for group, side in zip(spec.groups, [*sides, None, None], strict=False)
        for _ in range(group.count)
    ]


def place(wanted: Sequence[Item], relation: str | None, rng: Generator) -> tuple[PlacedShape, ...] | None:
    """Random places for the items, the first side of `relation` wholly on its side; None where they do not fit.

    Objects of one size word are about equally large in one picture, but not in the next.
    """
    for _ in range(30):
        split, scale = rng.uniform(0.35, 0.65), float(rng.uniform(0.1, 0.9))
        placed: list[PlacedShape] = []
        # the large ones first, while there is room
        for item in sorted(wanted, key=lambda item: -SIZES[item.size][0]):
            found = free_place(item, _half(item.side, relation, split), placed, scale, rng)
            if found is None:
                break
            placed.append(found)
        else:
            return tuple(placed)
    return None


def clear(candidate: PlacedShape, others: Sequence[PlacedShape]) -> bool:
    """Whether a shape lies within the canvas and apart from all others."""
    left, top, right, bottom = _box(candidate)
    if min(left, top) < BORDER or max(right, bottom) > 1 - BORDER:
        return False
    return all(
        left > b[2] + GAP or right < b[0] - GAP or top > b[3] + GAP or bottom < b[1] - GAP for b in map(_box, others)
    )


def _box(each: PlacedShape) -> Area:
    sideways, up, down = half_extents(each.shape, each.radius)
    return each.x - sideways, each.y - up, each.x + sideways, each.y + down


def _half(side: Side | None, relation: str | None, split: float) -> Area:
    """The part of the canvas an item may lie in."""
    if side is None or relation is None:
        return CANVAS
    if relation in ("left of", "right of"):
        return (0, 0, split, 1) if (side == "first") == (relation == "left of") else (split, 0, 1, 1)
    return (0, 0, 1, split) if (side == "first") == (relation == "above") else (0, split, 1, 1)


def free_place(
    item: Item, area: Area, placed: Sequence[PlacedShape], scale: float, rng: Generator
) -> PlacedShape | None:
    """A random free place within an area; `scale` from 0 to 1 is where its radius lies between those of its size."""
    low, high = SIZES[item.size]
    left, top, right, bottom = area
    for u, v, w in rng.random((40, 3)).tolist():
        radius = low + (high - low) * min(max(scale + 0.2 * w - 0.1, 0.0), 1.0)
        sideways, up, down = half_extents(item.shape, radius)
        if sideways + BORDER > (right - left) / 2 or up + down + 2 * BORDER > bottom - top:
            return None
        x = left + sideways + u * (right - left - 2 * sideways)
        y = top + up + v * (bottom - top - up - down)
        each = PlacedShape(item.color, item.shape, round(x, 4), round(y, 4), round(radius, 4))
        if clear(each, placed):
            return each
    return None


def random_background(rng: Generator) -> Rgb:
    """A pale to dark grey, somewhat warm or cool, on which every colour stands out."""
    return background_of(float(rng.uniform(0.32, 0.95)), float(rng.uniform(-1, 1)))


def background_of(brightness: float, warmth: float = 0.0) -> Rgb:
    """The background of a brightness from 0 to 1 and a warmth from -1 (bluish) to 1 (sandy)."""
    red, green, blue = (round(min(255 * brightness + warmth * shift, 255)) for shift in (9, 1, -10))
    return red, green, blue
