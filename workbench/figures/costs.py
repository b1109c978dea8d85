"""Where points of accuracy against cost and their labels stand, so that nothing hides behind anything."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import unescape
from typing import Any

_DECADE = 10.0
_NEAR = 0.03  # of the axis: points closer than this are drawn side by side
_LINE = 17  # pixels a label takes in height
_LETTER = 7.4  # and for each of its letters in width, at most
_NARROWEST = 480  # pixels of the narrowest plot that labels are laid out for


@dataclass(frozen=True, slots=True)
class CostAxis:
    """Costs as positions on an axis: themselves, or their logarithm when they span more than a decade.

    A logarithm has no place for nothing at all: a cost of zero stands a step to the left of the smallest other one.
    """

    costs: Sequence[float]

    @property
    def is_log(self) -> bool:
        known = [cost for cost in self.costs if cost > 0]
        return bool(known) and max(known) / min(known) > _DECADE

    @property
    def positions(self) -> list[float]:
        """In the order of the costs, those of equal ones moved apart."""
        moved = [self._position(cost) for cost in self.costs]
        for group in self.groups:
            for k, index in enumerate(group):
                moved[index] += self.near * (k - (len(group) - 1) / 2)
        return moved

    @property
    def near(self) -> float:
        """How far apart points are drawn at least."""
        return _NEAR * self._span([self._position(cost) for cost in self.costs])

    @property
    def groups(self) -> list[list[int]]:
        """Indices of costs that follow one another closer than `near`."""
        at = [self._position(cost) for cost in self.costs]
        groups: list[list[int]] = []
        last = -math.inf
        for index in sorted(range(len(at)), key=at.__getitem__):
            if at[index] - last < self.near:
                groups[-1].append(index)
            else:
                groups.append([index])
            last = at[index]
        return groups

    @property
    def range(self) -> tuple[float, float]:
        """With room for markers at both ends, and for labels beside points that all stand together."""
        at = self.positions
        low, high = min(at, default=0.0), max(at, default=1.0)
        margin = max(0.1 * (high - low), 2 * self.near)
        left = high - low + margin
        return low - margin, high + (0.8 * left if len(self.groups) == 1 else margin)

    @property
    def is_moved(self) -> bool:
        """Whether a point stands elsewhere than at its cost."""
        return len(self.groups) < len(self.costs)

    @property
    def ticks(self) -> dict[str, Any]:
        """What plotly's axis needs; nothing where its own ticks will do."""
        if len(self.groups) == 1:  # what lies between the points is no other cost
            return {"tickvals": [sum(self.positions) / len(self.costs)], "ticktext": [f"{self.costs[0]:,g}"]}
        if not self.is_log:
            return {"tickformat": ",~r"}
        known = [cost for cost in self.costs if cost > 0]
        first, last = math.floor(math.log10(min(known))), math.ceil(math.log10(max(known)))
        steps = (1, 3) if last - first <= 3 else (1,)
        values = [step * 10.0**power for power in range(first, last + 1) for step in steps]
        low, high = self.range
        zero = [0.0] if min(self.costs) == 0 else []
        shown = [value for value in values if low <= math.log10(value) <= high and not (zero and value < min(known))]
        values = [*zero, *shown]
        return {
            "tickvals": [self._position(value) for value in values],
            "ticktext": [f"{value:,g}" for value in values],
        }

    def _position(self, cost: float) -> float:
        if not self.is_log:
            return cost
        return math.log10(cost or min(each for each in self.costs if each > 0) / 4)

    def _span(self, at: Sequence[float]) -> float:
        return (max(at, default=1.0) - min(at, default=0.0)) or abs(max(at, default=1.0)) or 1.0


@dataclass(frozen=True, slots=True)
class Box:
    """A part of the plot that is taken, in pixels from its upper left corner."""

    left: float
    right: float
    top: float
    bottom: float

    def meets(self, other: "Box") -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


@dataclass(frozen=True, slots=True)
class LabelSpot:
    """Where a label stands on the axes; `to_left`: it ends there instead of beginning."""

    x: float
    y: float
    to_left: bool


def label_spots(
    axis: CostAxis,
    points: Sequence[tuple[float, float, float]],
    labels: Sequence[str],
    y_range: tuple[float, float],
    height: int,
) -> list[LabelSpot]:
    """A place for each label beside the points of its cost, off other labels and other points' intervals.

    - `points`: value, low and high of each cost of `axis`. - `labels`: lines parted by `<br>`.
    - `height`: the plot's, in pixels. Its width is not known, so that of the narrowest is taken.
    """
    x_range, at = axis.range, axis.positions
    plot, wider = Box(0, _NARROWEST, 0, height), Box(-_NARROWEST, 2 * _NARROWEST, 0, height)

    def across(x: float) -> float:
        return (x - x_range[0]) / (x_range[1] - x_range[0]) * _NARROWEST

    def down(y: float) -> float:
        return (y_range[1] - y) / (y_range[1] - y_range[0]) * height

    intervals = [
        Box(across(x) - 7, across(x) + 7, down(high) - 3, down(low) + 3)
        for x, (_, low, high) in zip(at, points, strict=True)
    ]
    taken: list[Box] = []
    spots = {}
    for group in axis.groups:
        edges = [(at[group[-1]] + axis.near, False), (at[group[0]] - axis.near, True)]
        edges.sort(key=lambda edge: edge[1] is (across(at[group[0]]) <= _NARROWEST / 2))
        below = plot  # labels in the order of their points, so that their lines do not cross
        for index in sorted(group, key=lambda i: -points[i][0]):
            lines = unescape(labels[index]).split("<br>")
            size = _LETTER * max(map(len, lines)), _LINE * len(lines)
            tried = (
                (_free_box(across(x), down(points[index][0]), size, to_left, [*taken, *blocking], inside), x, to_left)
                for blocking, inside in ((intervals, below), ([], below), ([], plot), ([], wider))
                for x, to_left in edges
            )
            no_room = (_box(across(edges[0][0]), down(points[index][0]), size, edges[0][1]), *edges[0])
            box, x, to_left = next(((box, x, to_left) for box, x, to_left in tried if box), no_room)
            taken.append(box)
            below = replace(plot, top=box.bottom)
            middle = (box.top + box.bottom) / 2
            spots[index] = LabelSpot(x, y_range[1] - middle / height * (y_range[1] - y_range[0]), to_left)
    return [spots[index] for index in range(len(points))]


def _box(x: float, y: float, size: tuple[float, float], to_left: bool) -> Box:
    width, height = size
    left = x - width if to_left else x
    return Box(left, left + width, y - height / 2, y + height / 2)


def _free_box(
    x: float, y: float, size: tuple[float, float], to_left: bool, taken: Sequence[Box], plot: Box
) -> Box | None:
    """The box nearest to the height `y` that is inside the plot and meets none that is taken."""
    for step in range(0, round(plot.bottom), 2):
        for moved in (y + step, y - step):
            box = _box(x, moved, size, to_left)
            inside = box.top >= plot.top and box.bottom <= plot.bottom and box.left >= plot.left
            if inside and box.right <= plot.right and not any(box.meets(other) for other in taken):
                return box
    return None
