"""What can be seen in a picture of the shapes world, from its pixels alone."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workbench.shapes.render import dust_color, signed_distance
from workbench.shapes.scene import COLORS, SHAPES, Observation, PlacedShape, Rgb, luma

Array = NDArray[np.float32]
Floats = NDArray[np.floating]

LARGEST = 160
"""Larger pictures are averaged down to at most this many pixels a side; all that is measured survives it."""
SMALLEST_AREA = 0.0022
"""Smaller blots are not objects; a fraction of the canvas."""
PIXEL_BLUR = 0.66
"""Blur, in pixels, that anti-aliasing and differencing alone seem to add."""
HARMONICS = (3, 4, 5)
"""The symmetries by which shapes are told apart."""
BLUR_STEP, BLUR_LEVELS = 0.05, 13
"""Templates are blurred by 0, 0.05, 0.1, ... radii."""


@dataclass(frozen=True, slots=True)
class Paint:
    """Every pixel as background mixed with one ink.

    - `ink`: index into the palette, `len(COLORS)` for dust.
    - `amount`: share of ink in the mix, 0 is bare background.
    """

    ink: NDArray[np.intp]
    amount: Array


@dataclass(frozen=True, slots=True)
class Blot:
    """A connected set of pixels: its middle, the radius of the circle of its area, and its form.

    `features`: second moment and three-, four- and fivefold symmetry about the upright axis, free of scale; `(4,)`.
    """

    x: float
    y: float
    radius: float
    features: Floats


@dataclass(frozen=True, slots=True)
class Template:
    """What a shape of radius 1 looks like once it is blurred: its radius then, and its features."""

    shape: str
    radius: float
    features: Floats


def observe(image: Image.Image) -> Observation:
    """The objects, blur, specks and background of a picture of any size and mode; it is taken for square."""
    small = image.convert("RGB")
    if small.width > LARGEST:
        small = small.reduce(math.ceil(small.width / LARGEST))
    pixels = np.asarray(small, np.float32)
    background = _background(np.asarray(small))
    paint = _unmix(pixels, background)
    blur, specks = _blur(paint), _specks(paint)
    return Observation(
        objects=_objects(paint, blur, specks),
        blur=blur / small.width,
        specks=specks,
        brightness=luma(background),
    )


def _background(pixels: NDArray[np.uint8]) -> Rgb:
    """The commonest colour, to within a few steps: scenes are mostly background."""
    coarse = (pixels >> 3).astype(np.intp)
    box = (coarse[..., 0] << 10) | (coarse[..., 1] << 5) | coarse[..., 2]
    members = pixels[box == np.bincount(box.ravel()).argmax()]
    red, green, blue = (int(value) for value in np.median(members, axis=0))
    return red, green, blue


def _unmix(pixels: Array, background: Rgb) -> Paint:
    """Explain each pixel by the ink whose line from the background passes nearest."""
    ground = np.array(background, np.float32)
    inks = np.array([*COLORS.values(), dust_color(background)], np.float32) - ground  # (7, 3)
    lengths = (inks**2).sum(axis=1, keepdims=True)  # (7, 1)
    offset = (pixels - ground).reshape(-1, 3)  # (N, 3)
    along = inks @ offset.T  # (7, N)
    amount = np.clip(along / lengths, 0, 1)
    # squared distance to the line, without the |offset|^2 all inks share
    miss = amount * (amount * lengths - 2 * along)
    ink = miss.argmin(axis=0)
    chosen = np.take_along_axis(amount, ink[None], axis=0)[0]
    shape = pixels.shape[:2]
    return Paint(ink.reshape(shape), chosen.reshape(shape))


def _specks(paint: Paint) -> float:
    """Area of dust as a fraction of the canvas; where specks overlap, less is seen than there is."""
    dust = (paint.ink == len(COLORS)) & (paint.amount > 0.1)
    covered = float(paint.amount[dust].sum()) / dust.size
    return -math.log1p(-min(covered, 0.9))


def _blur(paint: Paint) -> float:
    """Standard deviation of the blur in pixels.

    Across an edge blurred by sigma, integral(slope^2) / integral(slope) is 1 / (2 sigma sqrt(pi)).
    """
    from scipy import ndimage

    dust = paint.ink == len(COLORS)
    amount = np.where(dust, 0, paint.amount)
    down = amount[2:, 1:-1] - amount[:-2, 1:-1]
    across = amount[1:-1, 2:] - amount[1:-1, :-2]
    slope = np.hypot(down, across) / 2
    slope = slope[~ndimage.binary_dilation(dust & (paint.amount > 0.1), np.ones((3, 3)))[1:-1, 1:-1]]
    total, squared = float(slope.sum()), float((slope**2).sum())
    if squared == 0:
        return 0.0
    sigma = total / (2 * math.sqrt(math.pi) * squared)
    return math.sqrt(max(sigma**2 - PIXEL_BLUR**2, 0.0))


def _objects(paint: Paint, blur: float, specks: float) -> tuple[PlacedShape, ...]:
    """Connected blots of colour, each with its commonest ink and the likest shape; from the top left down."""
    from scipy import ndimage

    mask = (paint.ink < len(COLORS)) & (paint.amount > 0.5)
    if specks > 0.002:
        mask = ndimage.binary_closing(mask)
    labels, count = ndimage.label(mask)
    rows, columns = np.nonzero(labels)
    label = labels[rows, columns] - 1
    blots = _blots(columns + 0.5, rows + 0.5, label, count)
    inks = np.bincount(label * 8 + paint.ink[rows, columns], minlength=8 * count).reshape(count, 8)[:, : len(COLORS)]
    width = mask.shape[1]
    found = []
    for blot, votes in zip(blots, inks, strict=True):
        if math.pi * blot.radius**2 < SMALLEST_AREA * mask.size:
            continue
        template = _likest(blot, blur)
        radius = blot.radius / template.radius
        color = list(COLORS)[votes.argmax()]
        found.append(PlacedShape(color, template.shape, blot.x / width, blot.y / width, radius / width))
    return tuple(sorted(found, key=lambda each: (each.y, each.x)))


def _blots(x: Floats, y: Floats, label: NDArray[np.intp], count: int) -> list[Blot]:
    """Describe each labelled set of pixels by moments, which blur and dust hardly change."""
    area = np.bincount(label, minlength=count)
    middle = np.stack([np.bincount(label, x, count), np.bincount(label, y, count)]) / area  # (2, count)
    radius = np.sqrt(area / math.pi)
    across, up = (x - middle[0, label]) / radius[label], (middle[1, label] - y) / radius[label]
    squared = across**2 + up**2
    direction = (up + 1j * across) / np.maximum(np.sqrt(squared), 1e-6)
    columns = [squared - 0.5] + [squared * (direction**k).real for k in HARMONICS]
    features = np.stack([np.bincount(label, column, count) / area for column in columns], axis=1)  # (count, 4)
    return [Blot(float(middle[0, i]), float(middle[1, i]), float(radius[i]), features[i]) for i in range(count)]


def _likest(blot: Blot, blur: float) -> Template:
    """The shape whose template, blurred as much, has the nearest moments."""
    level = min(round(blur / blot.radius / BLUR_STEP), BLUR_LEVELS - 1)
    return min(_templates()[level], key=lambda each: float(((each.features - blot.features) ** 2).sum()))


@lru_cache(maxsize=1)
def _templates() -> tuple[tuple[Template, ...], ...]:
    """Every shape, drawn large with unit radius, at every level of blur."""
    from scipy import ndimage

    drawn = 30.0  # radius in pixels
    x, y = np.meshgrid(*[np.arange(-90, 91, dtype=np.float32)] * 2)
    levels = []
    for level in range(BLUR_LEVELS):
        templates = []
        for shape in SHAPES:
            cover = np.clip(0.5 - signed_distance(shape, x, y, drawn), 0, 1)
            inside = ndimage.gaussian_filter(cover, level * BLUR_STEP * drawn) > 0.5
            (blot,) = _blots(x[inside].astype(float), y[inside].astype(float), np.zeros(int(inside.sum()), np.intp), 1)
            templates.append(Template(shape, blot.radius / drawn, blot.features))
        levels.append(tuple(templates))
    return tuple(levels)
