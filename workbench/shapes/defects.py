"""Candidates with known defects: what generators get wrong, put in on purpose."""

from collections.abc import Sequence
from dataclasses import replace

from numpy.random import Generator

from workbench.shapes.editing import carry_out, moved
from workbench.shapes.grammar import SceneSpec
from workbench.shapes.instructions import EDGES, Edit
from workbench.shapes.layout import CANVAS, Item, background_of, clear, free_place, items, place, random_background
from workbench.shapes.scene import COLORS, SHAPES, PlacedShape, Scene, luma

OPPOSITES = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
DEFECTS_EDIT = ("unmet", "over", "background", "blur", "noise")
DEFECT_SHARE = 0.3
"""Chance of each defect in each candidate."""

OVER_EDITS = ("recolor", "reshape", "remove", "move", "add")


def defects_t2i(spec: SceneSpec) -> list[str]:
    """The defects a picture of this prompt can have."""
    return [
        "count",
        "color",
        "shape",
        "blur",
        "noise",
        *(["missing"] if len(spec.groups) > 1 else []),
        *(["relation"] if spec.relation else []),
        *(["size"] if any(group.size for group in spec.groups) else []),
    ]


def draw_defects(possible: Sequence[str], rng: Generator) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The defects of two candidates, each with a chance of its own; the two never have the same ones.

    They are drawn independently: were they dealt out between the two, whatever does not matter in a world would speak
    against the winner, and a judge without a rubric would do worse than one that guesses.
    """
    while True:
        first, second = (tuple(each for each in possible if rng.random() < DEFECT_SHARE) for _ in range(2))
        if first != second:
            return first, second


def draw_candidate(spec: SceneSpec, defects: Sequence[str], rng: Generator) -> Scene | None:
    """A picture of the prompt with these defects; layout, sizes and background vary freely. None where it fails."""
    wanted = items(spec)
    for defect in defects:
        wanted = _spoilt(wanted, spec, defect, rng)
    relation = OPPOSITES[spec.relation] if spec.relation and "relation" in defects else spec.relation
    objects = place(wanted, relation, rng)
    if objects is None:
        return None
    return _degraded(Scene(objects, random_background(rng)), defects, rng)


def _spoilt(wanted: list[Item], spec: SceneSpec, defect: str, rng: Generator) -> list[Item]:
    """The items with one defect of content, in one of the prompt's groups."""
    sized = [group for group in spec.groups if group.size]
    groups = sized if defect == "size" else spec.groups
    group = groups[rng.integers(len(groups))]
    members = [item for item in wanted if (item.color, item.shape) == (group.color, group.shape)]
    others = [item for item in wanted if item not in members]
    if not members:
        return wanted
    kinds = {(each.color, each.shape) for each in spec.groups}
    hit = len(members) if rng.random() < 0.5 else int(rng.integers(1, len(members) + 1))
    match defect:
        case "missing":
            return others
        case "count":
            more = len(members) == 1 or (len(members) < 4 and rng.random() < 0.5)
            return [*others, *members, members[0]] if more else [*others, *members[1:]]
        case "color":
            free = [color for color in COLORS if (color, group.shape) not in kinds]
            changed = free[rng.integers(len(free))]
            return [*others, *(replace(item, color=changed) for item in members[:hit]), *members[hit:]]
        case "shape":
            free = [shape for shape in SHAPES if (group.color, shape) not in kinds]
            changed = free[rng.integers(len(free))]
            return [*others, *(replace(item, shape=changed) for item in members[:hit]), *members[hit:]]
        case "size":
            wrong = "small" if group.size == "large" else "large"
            return [*others, *(replace(item, size=wrong) for item in members)]
    return wanted


def edit_candidate(edit: Edit, source: Scene, defects: Sequence[str], rng: Generator) -> Scene | None:
    """The source after the edit, with these defects and a slightly different background. None where it fails."""
    scene = _failed(edit, source, rng) if "unmet" in defects else carry_out(edit, source, rng)
    if scene is not None and "over" in defects:
        scene = _over_edited(edit, scene, rng)
    if scene is None or not scene.objects:
        return None
    drift = float(rng.uniform(0.15, 0.35) if "background" in defects else rng.uniform(0.0, 0.06))
    darker = luma(scene.background) > 0.6 if "background" in defects else rng.random() < 0.5
    return _degraded(_relit(scene, -drift if darker else drift), defects, rng)


def _failed(edit: Edit, source: Scene, rng: Generator) -> Scene | None:
    """The source with nothing done, or with another value than the one asked for."""
    if edit.action in ("remove", "add", "move") or rng.random() < 0.4:
        return source
    values = {"recolor": list(COLORS), "reshape": list(SHAPES), "resize": ["larger", "smaller"]}[edit.action]
    kinds = {(each.color, each.shape) for each in source.objects}
    wrong = [
        value for value in values if value != edit.value and not kinds & {(value, edit.shape), (edit.color, value)}
    ]
    return carry_out(replace(edit, value=wrong[rng.integers(len(wrong))]), source, rng) if wrong else source


def _over_edited(edit: Edit, scene: Scene, rng: Generator) -> Scene | None:
    """The scene with something changed that the edit does not name."""
    spared = [each for each in scene.objects if not edit.names(each) and (each.color, each.shape) != _made(edit)]
    way = OVER_EDITS[rng.integers(len(OVER_EDITS))]
    if way == "add":
        extra = Item(list(COLORS)[rng.integers(len(COLORS))], SHAPES[rng.integers(len(SHAPES))])
        new = free_place(extra, CANVAS, scene.objects, 0.5, rng)
        return replace(scene, objects=(*scene.objects, new)) if new else None
    if not spared:
        return None
    victim = spared[rng.integers(len(spared))]
    others = tuple(each for each in scene.objects if each is not victim)
    changed = _disturbed(victim, way, others, rng)
    if way != "remove" and (changed is None or not clear(changed, others)):
        return None
    return replace(scene, objects=(*others, changed) if changed else others)


def _disturbed(victim: PlacedShape, way: str, others: Sequence[PlacedShape], rng: Generator) -> PlacedShape | None:
    match way:
        case "recolor":
            return replace(
                victim, color=[each for each in COLORS if each != victim.color][rng.integers(len(COLORS) - 1)]
            )
        case "reshape":
            return replace(
                victim, shape=[each for each in SHAPES if each != victim.shape][rng.integers(len(SHAPES) - 1)]
            )
        case "move":
            return moved(victim, EDGES[rng.integers(len(EDGES))], others, rng)
    return None


def _made(edit: Edit) -> tuple[str, str]:
    """The colour and shape of what the edit leaves behind."""
    return (
        edit.value if edit.action == "recolor" else edit.color,
        edit.value if edit.action == "reshape" else edit.shape,
    )


def _relit(scene: Scene, shift: float) -> Scene:
    red, _, blue = scene.background
    brightness = min(max(luma(scene.background) + shift, 0.32), 0.95)
    return replace(scene, background=background_of(brightness, (red - blue) / 19))


def _degraded(scene: Scene, defects: Sequence[str], rng: Generator) -> Scene:
    return replace(
        scene,
        blur=round(float(rng.uniform(0.006, 0.018)), 4) if "blur" in defects else 0.0,
        specks=round(float(rng.uniform(0.008, 0.045)), 4) if "noise" in defects else 0.0,
        speck_seed=int(rng.integers(2**31)),
    )
