"""Scenes as pictures: anti-aliased signed distances, at any resolution."""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workbench.shapes.scene import COLORS, PlacedShape, Rgb, Scene, luma

Array = NDArray[np.float32]

SPECK_RADIUS = 0.0075
DARK_DUST: Rgb = (32, 32, 36)
LIGHT_DUST: Rgb = (250, 250, 246)


@lru_cache(maxsize=16)
def outline(shape: str) -> NDArray[np.float64]:
    """Corners `(n, 2)` of a shape of area pi around its centre of mass, y down; a circle has none.

    A shape of `PlacedShape.radius` r is this outline times r.
    """
    match shape:
        case "circle":
            return np.empty((0, 2))
        case "square":
            angles, radii = np.arange(4) * 90.0 + 45, np.ones(4)
        case "diamond":
            angles, radii = np.arange(4) * 90.0, np.array([0.78, 1.0] * 2)
        case "triangle":
            angles, radii = np.arange(3) * 120.0 - 90, np.ones(3)
        case _:
            angles, radii = np.arange(10) * 36.0 - 90, np.array([1.0, 0.45] * 5)
    corners = np.stack([radii * np.cos(np.radians(angles)), radii * np.sin(np.radians(angles))], axis=1)
    x, y = corners.T
    area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    return corners * math.sqrt(math.pi / area)


@lru_cache(maxsize=16)
def _reach(shape: str) -> tuple[float, float, float]:
    corners = outline(shape)
    if not len(corners):
        return 1.0, 1.0, 1.0
    return float(corners[:, 0].max()), float(-corners[:, 1].min()), float(corners[:, 1].max())


def half_extents(shape: str, radius: float) -> tuple[float, float, float]:
    """How far a shape reaches sideways, upwards and downwards from its centre of mass."""
    sideways, up, down = _reach(shape)
    return radius * sideways, radius * up, radius * down


def signed_distance(shape: str, x: Array, y: Array, radius: float) -> Array:
    """Distance to the shape's border at points around its centre of mass, negative inside; units of the arguments."""
    corners = (outline(shape) * radius).astype(np.float32)
    if not len(corners):
        from_centre: Array = np.hypot(x, y) - np.float32(radius)
        return from_centre
    points = np.broadcast_shapes(x.shape, y.shape)
    nearest, inside = np.full(points, np.inf, np.float32), np.zeros(points, bool)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        ex, ey = bx - ax, by - ay
        along = np.clip(((x - ax) * ex + (y - ay) * ey) / (ex * ex + ey * ey), 0, 1)
        nearest = np.minimum(nearest, (x - ax - along * ex) ** 2 + (y - ay - along * ey) ** 2)
        if ey != 0:
            inside ^= ((ay > y) != (by > y)) & (x < ax + (y - ay) * (ex / ey))
    distance: Array = np.sqrt(nearest)
    return np.where(inside, -distance, distance)


def render(scene: Scene, width: int) -> Image.Image:
    """The square RGB picture of a scene, `width` pixels wide: objects, then blur, then specks over everything."""
    canvas = np.empty((width, width, 3), np.float32)
    canvas[:] = scene.background
    for each in scene.objects:
        _draw(canvas, each)
    if scene.blur > 0:
        canvas = _blurred(canvas, scene.blur * width)
    if scene.specks > 0:
        _scatter(canvas, scene)
    return Image.fromarray((canvas + 0.5).astype(np.uint8))


def dust_color(background: Rgb) -> Rgb:
    """Dust is dark on a bright background and light on a dark one, so that it always shows."""
    return DARK_DUST if luma(background) > 0.55 else LIGHT_DUST


def _draw(canvas: Array, each: PlacedShape) -> None:
    width = canvas.shape[0]
    reach = int(1.9 * each.radius * width) + 3
    left, top = max(int(each.x * width) - reach, 0), max(int(each.y * width) - reach, 0)
    window = canvas[top : int(each.y * width) + reach, left : int(each.x * width) + reach]
    x = np.arange(left, left + window.shape[1], dtype=np.float32) + np.float32(0.5 - each.x * width)
    y = np.arange(top, top + window.shape[0], dtype=np.float32) + np.float32(0.5 - each.y * width)
    distance = signed_distance(each.shape, x[None, :], y[:, None], each.radius * width)
    cover = np.clip(0.5 - distance, 0, 1)[..., None]
    window += cover * (np.array(COLORS[each.color], np.float32) - window)


def _blurred(canvas: Array, sigma: float) -> Array:
    from scipy import ndimage

    blurred: Array = ndimage.gaussian_filter(canvas, (sigma, sigma, 0), mode="nearest")
    return blurred


def _scatter(canvas: Array, scene: Scene) -> None:
    """Draw round dust at positions, and of an area, that do not depend on the resolution."""
    width, radius = canvas.shape[0], SPECK_RADIUS * canvas.shape[0]
    rng = np.random.default_rng(scene.speck_seed)
    centres = rng.random((round(scene.specks / (math.pi * SPECK_RADIUS**2)), 2)) * width
    steps = np.arange(2 * math.ceil(radius) + 3) - math.ceil(radius) - 1
    rows, columns = (np.floor(centres[:, axis, None]).astype(int) + steps for axis in (0, 1))
    distance = np.hypot(
        (rows + 0.5 - centres[:, :1])[:, :, None],
        (columns + 0.5 - centres[:, 1:])[:, None, :],
    )
    cover = np.zeros((width + 2 * len(steps), width + 2 * len(steps)), np.float32)
    where = (rows[:, :, None] + len(steps), columns[:, None, :] + len(steps))
    # an anti-aliased disc covers pi (r^2 + 1/12) pixels
    opacity = radius**2 / (radius**2 + 1 / 12)
    discs = opacity * np.clip(0.5 + radius - distance, 0, 1)
    np.maximum.at(cover, tuple(np.broadcast_arrays(*where)), discs.astype(np.float32))
    inner = cover[len(steps) : -len(steps), len(steps) : -len(steps), None]
    canvas += inner * (np.array(dust_color(scene.background), np.float32) - canvas)
