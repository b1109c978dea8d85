"""Choosing an edit for a picture, and carrying it out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

from numpy.random import Generator

from workbench.shapes.changes import EDGE, RESIZE, edge_distance
from workbench.shapes.instructions import EDGES, RESIZES, Action, Edit
from workbench.shapes.layout import CANVAS, Area, Item, clear, free_place
from workbench.shapes.scene import COLORS, SHAPES, PlacedShape, Scene


def random_edit(source: Scene, rng: Generator) -> Edit:
    """An edit about a kind of object the source has; what it makes, the source does not have yet."""
    kinds = Counter((each.color, each.shape) for each in source.objects)
    action: Action = get_args(Action)[rng.integers(len(get_args(Action)))]
    color, shape = sorted(kinds)[rng.integers(len(kinds))]
    plural = kinds[color, shape] > 1
    match action:
        case "recolor":
            values = [value for value in COLORS if (value, shape) not in kinds]
        case "reshape":
            values = [value for value in SHAPES if (color, value) not in kinds]
        case "resize":
            values = list(RESIZES)
        case "move":
            values = list(EDGES)
        case "add":
            new = [(c, s) for c in COLORS for s in SHAPES if (c, s) not in kinds]
            return Edit("add", *new[rng.integers(len(new))])
        case "remove":
            values = [""]
    return Edit(action, color, shape, values[rng.integers(len(values))], plural)


def carry_out(edit: Edit, source: Scene, rng: Generator) -> Scene | None:
    """The source after the edit; None where there is no room for it or it would hardly show."""
    if edit.action == "add":
        new = free_place(Item(edit.color, edit.shape), CANVAS, source.objects, float(rng.random()), rng)
        return replace(source, objects=(*source.objects, new)) if new else None
    objects: list[PlacedShape] = []
    for i, each in enumerate(source.objects):
        if not edit.names(each):
            objects.append(each)
        elif edit.action != "remove":
            others = [*objects, *source.objects[i + 1 :]]
            edited = moved(each, edit.value, others, rng) if edit.action == "move" else _altered(edit, each)
            if edited is None or not clear(edited, others):
                return None
            objects.append(edited)
    return replace(source, objects=tuple(objects)) if objects else None


def moved(each: PlacedShape, edge: str, others: Sequence[PlacedShape], rng: Generator) -> PlacedShape | None:
    """The object in a free place near an edge that it is far from; None where there is none."""
    if edge_distance(each, edge) < 0.45:
        return None
    strips: dict[str, Area] = {
        "left": (0, each.y - 0.2, EDGE, each.y + 0.2),
        "right": (1 - EDGE, each.y - 0.2, 1, each.y + 0.2),
        "top": (each.x - 0.2, 0, each.x + 0.2, EDGE),
        "bottom": (each.x - 0.2, 1 - EDGE, each.x + 0.2, 1),
    }
    left, top, right, bottom = strips[edge]
    for _ in range(40):
        x, y = rng.uniform((left, top), (right, bottom)).round(4).tolist()
        candidate = replace(each, x=x, y=y)
        if clear(candidate, others):
            return candidate
    return None


def _altered(edit: Edit, each: PlacedShape) -> PlacedShape | None:
    if edit.action == "recolor":
        return replace(each, color=edit.value)
    if edit.action == "reshape":
        return replace(each, shape=edit.value)
    radius = round(each.radius * (1.05 * RESIZE if edit.value == "larger" else 0.95 / RESIZE), 4)
    return replace(each, radius=radius) if 0.045 < radius < 0.2 else None
