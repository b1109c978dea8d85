"""A second pair of eyes for the shapes world, to check what a policy learned from the first.

Nothing here is shared with `measure`, `fidelity` and `changes`: seeds of pure colour grow into objects, forms are told
apart by the overlap with drawn outlines, and every answer is yes or no.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workbench.pairs.images import decode
from workbench.pairs.sources import read_bytes
from workbench.shapes.grammar import Group, parse_prompt
from workbench.shapes.instructions import Edit, parse_instruction
from workbench.shapes.render import signed_distance
from workbench.shapes.scene import COLORS, SHAPES

if TYPE_CHECKING:
    from workbench.rpo.policy import Prompt

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

INKS = np.array(list(COLORS.values()), np.float32)  # (6, 3)
PURE = 62.0
"""How far a pixel of an ink may be from it, in RGB units; inks are at least 85 apart."""
STRANGE = 70.0
"""A pixel this far from the background belongs to something, whatever its colour."""
SMALLEST = 0.0035
"""Smaller things are no objects; a fraction of the picture."""
NOISY = 3.0
"""From this standard deviation on a picture is smoothed before it is looked at."""
SMOOTHING = 0.8
LEAST_FIT = 0.7
"""An object that overlaps no outline better than this (intersection over union) has no shape."""
FRAME, REACH = 23, 1.85
"""Objects are compared in a frame of so many points a side, so many radii from the middle to the rim."""

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


@dataclass(frozen=True, slots=True)
class Seen:
    """An object: middle and radius of the circle of its area as fractions of the width.

    - `color`, `shape`: None where it has no colour of the world, or no form of it.
    """

    color: str | None
    shape: str | None
    x: float
    y: float
    radius: float


@dataclass(frozen=True, slots=True)
class View:
    """What is in a picture: objects, and the background's colour as red, green, blue from 0 to 255."""

    objects: tuple[Seen, ...]
    background: tuple[float, float, float]


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


def inspect_prompt(prompt: "Prompt", image: Image.Image) -> dict[str, bool | None]:
    """`inspect_edit` for a prompt with a source, `inspect` for one without."""
    if prompt.source is None:
        return inspect(prompt.text, image)
    return inspect_edit(prompt.text, decode(read_bytes(prompt.source)), image)


def look(image: Image.Image) -> View:
    """The objects of a square picture of 32 to 160 pixels a side, from the top left down."""
    from scipy import ndimage

    pixels = np.asarray(image.convert("RGB"), np.float32)
    noisy = _noise(pixels) > NOISY
    if noisy:
        pixels = ndimage.gaussian_filter(pixels, (SMOOTHING, SMOOTHING, 0))
    background = _background(pixels)
    ink, nearest = _nearest_ink(pixels)
    offset = pixels - background
    far = np.sqrt(np.einsum("yxc,yxc->yx", offset, offset))
    seeds = _seeds(ink, (nearest < PURE) & (nearest < far), far > STRANGE)
    if not seeds.any():
        return View((), _rgb(background))
    # every pixel belongs to the seed that is nearest to it
    away, (rows, columns) = ndimage.distance_transform_edt(seeds == 0, return_indices=True)
    owner = np.where(away < 3, seeds[rows, columns], 0)
    found = [
        each
        for number in range(1, int(seeds.max()) + 1)
        if (each := _object(pixels, background, seeds == number, owner == number, noisy)) is not None
    ]
    return View(tuple(sorted(found, key=lambda each: (each.y, each.x))), _rgb(background))


def _rgb(color: Array) -> tuple[float, float, float]:
    red, green, blue = (float(each) for each in color)
    return red, green, blue


def _noise(pixels: Array) -> float:
    """Standard deviation of pixel noise, from the steps between neighbours in a row."""
    steps = np.abs(np.diff(pixels[..., 1], axis=1))
    return float(np.median(steps)) * 1.4826 / 2**0.5


def _background(pixels: Array) -> Array:
    """The middle of all pixels that are about grey; of the rim where there are hardly any."""
    red, green, blue = np.moveaxis(pixels, 2, 0)
    chroma = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    grey = pixels[chroma < 45]
    if len(grey) < chroma.size / 10:
        grey = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    middle: Array = np.median(grey, axis=0).astype(np.float32)
    return middle


def _nearest_ink(pixels: Array) -> tuple[NDArray[np.intp], Array]:
    """For every pixel the ink nearest in RGB, and how far it is."""
    flat = pixels.reshape(-1, 3)
    part = (INKS**2).sum(axis=1)[:, None] - 2 * INKS @ flat.T  # (6, N), without the |pixel|^2 all inks share
    ink = part.argmin(axis=0)
    squared = np.take_along_axis(part, ink[None], axis=0)[0] + np.einsum("nc,nc->n", flat, flat)
    shape = pixels.shape[:2]
    return ink.reshape(shape), np.sqrt(np.maximum(squared, 0)).reshape(shape)


def _seeds(ink: NDArray[np.intp], pure: Mask, strange: Mask) -> NDArray[np.intp]:
    """Connected sets of pure pixels of one ink, numbered from 1; then what is something, but of no ink.

    Odd colours right beside a pure seed are its own rim, mixed with the background.
    """
    from scipy import ndimage

    seeds = np.zeros(ink.shape, np.intp)
    least = SMALLEST * ink.size / 2
    for number in np.unique(ink[pure]):
        _add(seeds, pure & (ink == number), least)
    rims = ndimage.binary_dilation(seeds > 0, np.ones((3, 3)), 2)
    _add(seeds, strange & ~rims, least)
    return seeds


def _add(seeds: NDArray[np.intp], mask: Mask, least: float) -> None:
    from scipy import ndimage

    labels, count = ndimage.label(mask)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    for label in range(1, count + 1):
        if sizes[label] >= least:
            seeds[labels == label] = seeds.max() + 1


def _object(pixels: Array, background: Array, seed: Mask, own: Mask, noisy: bool) -> Seen | None:
    """What grew from a seed: its share of every pixel, from there place and size, from there its form."""
    width = len(pixels)
    core = np.median(pixels[seed], axis=0)
    distance = np.sqrt(((INKS - core) ** 2).sum(axis=1))
    color = list(COLORS)[distance.argmin()] if distance.min() < PURE else None
    paint = (INKS[distance.argmin()] if color else core) - background
    share = np.clip((pixels[own] - background) @ paint / max(float(paint @ paint), 1.0), 0, 1)
    cover = np.zeros(own.shape, np.float32)
    cover[own] = np.where(share > 0.15, share, 0)
    area = float(cover.sum())
    if area < SMALLEST * cover.size:
        return None
    x, y = (float((cover.sum(axis=axis) * (np.arange(width) + 0.5)).sum()) / area for axis in (0, 1))
    radius = (area / np.pi) ** 0.5
    return Seen(color, _form(cover, x, y, radius, noisy), x / width, y / width, radius / width)


def _form(cover: Array, x: float, y: float, radius: float, noisy: bool) -> str | None:
    """The shape whose outline, a little moved and resized, overlaps most; None where none does well."""
    from scipy import ndimage

    points = np.linspace(-REACH, REACH, FRAME) * radius
    where = np.meshgrid(y - 0.5 + points, x - 0.5 + points, indexing="ij")
    seen = ndimage.map_coordinates(cover, where, order=1, mode="constant").astype(np.float32).ravel()
    blurred = (0.3 + SMOOTHING**2 * noisy) ** 0.5
    outlines, areas = _outlines(round(blurred / radius, 1))
    shared = np.minimum(outlines, seen).sum(axis=1)
    fits = (shared / (areas + seen.sum() - shared)).reshape(len(SHAPES), -1).max(axis=1)
    return SHAPES[fits.argmax()] if fits.max() > LEAST_FIT else None


@lru_cache(maxsize=32)
def _outlines(soft: float) -> tuple[Array, Array]:
    """Every shape of radius 1 in the frame, its rim blurred by `soft` radii, in 27 places and sizes; and their areas.

    `(5 * 27, FRAME**2)` and `(5 * 27,)`, in units of the frame's points.
    """
    from scipy import ndimage

    step = 2 * REACH / (FRAME - 1)
    points = np.linspace(-REACH, REACH, FRAME, dtype=np.float32)
    drawn = []
    for shape in SHAPES:
        for scale in (0.94, 1.0, 1.06):
            for dx in (-0.08, 0.0, 0.08):
                for dy in (-0.08, 0.0, 0.08):
                    distance = signed_distance(shape, points[None] - dx, points[:, None] - dy, scale)
                    drawn.append(ndimage.gaussian_filter(np.clip(0.5 - distance / step, 0, 1), soft / step).ravel())
    outlines = np.array(drawn, np.float32)
    return outlines, outlines.sum(axis=1)


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
