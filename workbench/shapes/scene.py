"""Scenes of coloured shapes: what is drawn, and what anybody who looks at the picture can say about it.

Coordinates are fractions of the picture's width: (0, 0) is the top left corner, (1, 1) the bottom right.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

Rgb = tuple[int, int, int]

COLORS: Mapping[str, Rgb] = MappingProxyType(
    {
        "red": (214, 40, 57),
        "orange": (245, 124, 20),
        "yellow": (250, 209, 20),
        "green": (36, 160, 84),
        "blue": (44, 110, 226),
        "purple": (138, 62, 200),
    }
)
SHAPES: tuple[str, ...] = ("circle", "square", "triangle", "star", "diamond")
SIZES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"small": (0.052, 0.062), "medium": (0.080, 0.104), "large": (0.128, 0.145)}
)
"""Radius of the circle of equal area, from and to, as a fraction of the width."""


@dataclass(frozen=True, slots=True)
class PlacedShape:
    """One object: its centre of mass (`x`, `y`) and the `radius` of the circle that has its area."""

    color: str
    shape: str
    x: float
    y: float
    radius: float

    @property
    def size(self) -> str:
        """`small`, `medium` or `large`."""
        if self.radius < 0.071:
            return "small"
        return "large" if self.radius > 0.113 else "medium"


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that decides a picture, at any resolution.

    - `blur`: standard deviation of the Gaussian, as a fraction of the width.
    - `specks`: area of the dust on the picture, as a fraction of the canvas; `speck_seed` says where it lies.
    """

    objects: tuple[PlacedShape, ...]
    background: Rgb
    blur: float = 0.0
    specks: float = 0.0
    speck_seed: int = 0


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen in a picture.

    - `blur`, `specks`: as in `Scene`.
    - `brightness`: luma of the background, 0 is black, 1 is white.
    """

    objects: tuple[PlacedShape, ...]
    blur: float
    specks: float
    brightness: float


def luma(color: Rgb) -> float:
    """Brightness of a colour to the eye, 0 is black, 1 is white."""
    red, green, blue = color
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255


def exact(scene: Scene) -> Observation:
    """What a perfect observer would see."""
    return Observation(scene.objects, scene.blur, scene.specks, luma(scene.background))
