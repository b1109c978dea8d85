"""Objects in a picture of the shapes world, seen another way than `measure` does.

Seeds of pure colour grow into objects, and forms are told apart by their overlap with drawn outlines.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workbench.shapes.render import signed_distance
from workbench.shapes.scene import COLORS, SHAPES

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
