"""How far a picture has each attribute a person may care about, from what was seen in it."""

import math
from collections.abc import Mapping, Sequence

from workbench.pairs.comparison import Task
from workbench.shapes.changes import change
from workbench.shapes.fidelity import fidelity
from workbench.shapes.grammar import parse_prompt
from workbench.shapes.instructions import parse_instruction
from workbench.shapes.scene import Observation, PlacedShape

FIDELITY: Mapping[Task, tuple[str, ...]] = {
    "t2i": ("count", "color", "shape", "presence", "relation", "size"),
    "edit": ("instruction", "preservation"),
}
"""What a prompt asks for."""
STYLE: tuple[str, ...] = ("sharpness", "cleanness", "brightness", "fill", "balance", "leftward")
ATTRIBUTES_T2I: tuple[str, ...] = (*FIDELITY["t2i"], *STYLE)
ATTRIBUTES_EDIT: tuple[str, ...] = (*FIDELITY["edit"], *STYLE)

MOST_BLUR = 0.02
MOST_SPECKS = 0.05
DARKEST, BRIGHTEST = 0.30, 0.97
FULL = 0.20
FARTHEST_CENTROID = 0.35


def attributes(task: Task) -> tuple[str, ...]:
    """The names of a task's attributes."""
    return ATTRIBUTES_T2I if task == "t2i" else ATTRIBUTES_EDIT


def satisfaction(task: Task, prompt: str, seen: Observation, source: Observation | None = None) -> dict[str, float]:
    """Every attribute of the task in [0, 1], 1 is more of it.

    `satisfaction(task, prompt, exact(scene), exact(source_scene))` is the truth, and with `observe(image)` in their
    place it is what a pair of eyes gets. Raises ValueError where the prompt is not of the shapes world, or an edit
    comes without its source.
    """
    if task == "t2i":
        return fidelity(parse_prompt(prompt), seen.objects) | _style(seen)
    if source is None:
        raise ValueError(f"source: the edit {prompt!r} is judged against its source image; none was given.")
    return change(parse_instruction(prompt), source, seen) | _style(seen)


def _style(seen: Observation) -> dict[str, float]:
    areas = [math.pi * each.radius**2 for each in seen.objects]
    return {
        "sharpness": 1 - _clip(seen.blur / MOST_BLUR),
        "cleanness": 1 - _clip(seen.specks / MOST_SPECKS),
        "brightness": _clip((seen.brightness - DARKEST) / (BRIGHTEST - DARKEST)),
        "fill": _clip(sum(areas) / FULL),
        "balance": _balance(seen.objects, areas),
        "leftward": _left_share(seen.objects, areas),
    }


def _balance(objects: Sequence[PlacedShape], areas: Sequence[float]) -> float:
    if not objects:
        return 0.0
    x = sum(area * each.x for area, each in zip(areas, objects, strict=True)) / sum(areas)
    y = sum(area * each.y for area, each in zip(areas, objects, strict=True)) / sum(areas)
    return 1 - _clip(math.hypot(x - 0.5, y - 0.5) / FARTHEST_CENTROID)


def _left_share(objects: Sequence[PlacedShape], areas: Sequence[float]) -> float:
    if not objects:
        return 0.5
    left = [_clip(0.5 + (0.5 - each.x) / (2 * each.radius)) for each in objects]
    return sum(area * share for area, share in zip(areas, left, strict=True)) / sum(areas)


def _clip(value: float) -> float:
    return min(max(value, 0.0), 1.0)
