"""Figures of the notebooks: one template, colours that colour-blind readers can tell apart, intervals always drawn.

Every figure says in its title when its numbers come from the embedded world (`synthetic`), and carries them as text
(`workbench.figures.text`).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import plotly.graph_objects as go
import plotly.io as pio

from workbench.evaluation.results import Accuracy
from workbench.evaluation.statistics import Estimate
from workbench.figures.costs import CostAxis, label_spots
from workbench.figures.text import Alternative, ReadableRenderer, Row
from workbench.figures.theme import COLORS, GREY, LAYOUT, REFERENCE, SYMBOLS, plain, wrapped

_AGREEMENT = "agreement with people"
_TITLE = 68  # characters of a line of the title
_LABEL = 30  # and of a row's name


class Interval(Protocol):
    """A number with its 95% interval and the number of pairs behind it: an estimate or a paired difference."""

    @property
    def value(self) -> float | None: ...

    @property
    def ci95(self) -> tuple[float, float] | None: ...

    @property
    def n(self) -> int: ...


def use_template() -> None:
    """Make the workbench's template, and a renderer that adds a text alternative, the default for this session."""
    pio.templates["workbench"] = go.layout.Template(layout=go.Layout(**LAYOUT))
    pio.templates.default = "workbench"
    pio.renderers["workbench"] = ReadableRenderer()
    pio.renderers.default = "workbench"


def accuracy_figure(judges: Mapping[str, Accuracy], title: str, *, synthetic: bool) -> go.Figure:
    """Accuracy of several judges with intervals, a row each for forward, reverse, mean and resolved."""
    labels = ["forward", "reverse", "mean", "resolved"]
    figure = go.Figure()
    rows = []
    for i, (judge, accuracy) in enumerate(judges.items()):
        points = [getattr(accuracy, label) for label in labels]
        # Judges sit side by side within each row, the first on top; many of them closer together.
        offset = min(0.22, 0.8 / len(judges)) * ((len(judges) - 1) / 2 - i)
        heights = [len(points) - 1 - row + offset for row in range(len(points))]
        figure.add_trace(_points(judge, points, heights, i, "{:.1%}"))
        rows += [_row((judge, label), point) for label, point in zip(labels, points, strict=True)]
    figure.update_yaxes(tickvals=list(range(len(labels)))[::-1], ticktext=labels, range=[-0.6, len(labels) - 0.4])
    figure.update_xaxes(tickformat=".0%", title=f"{_AGREEMENT} (95% interval; dotted: chance)")
    figure.add_vline(x=0.5, line=REFERENCE)
    alternative = Alternative(_said(title, synthetic), ("judge", "order"), _AGREEMENT, rows, reference=0.5)
    # The legend may need a line for each judge.
    return _finished(figure, title, alternative, synthetic, plot=240 + 64 * len(judges), below=24 * len(judges))


def difference_figure(differences: Mapping[str, Interval], title: str, axis: str, *, synthetic: bool) -> go.Figure:
    """Paired differences with intervals, a row each, beside the line of no difference."""
    figure = _rows_figure(differences, "{:+.1%}")
    figure.update_xaxes(tickformat="+.0%", title=f"{wrapped(axis, _TITLE)} (95% interval)")
    figure.add_vline(x=0, line=REFERENCE)
    rows = [_row((name,), each) for name, each in differences.items()]
    alternative = Alternative(_said(title, synthetic), ("name",), axis, rows, "{:+.1%}", reference=0.0)
    return _finished(figure, title, alternative, synthetic, plot=_room(figure, 46))


def strata_figure(strata: Mapping[str, Interval], title: str, axis: str = _AGREEMENT, *, synthetic: bool) -> go.Figure:
    """A share with its interval within each group of pairs, the number of pairs beside the group's name.

    `axis` says what it is a share of, of which 50% is chance: agreement with people unless given.
    """
    figure = _rows_figure({f"{name} (n = {estimate.n})": estimate for name, estimate in strata.items()}, "{:.1%}")
    figure.update_xaxes(tickformat=".0%", title=f"{axis} (95% interval; dotted: chance)")
    figure.add_vline(x=0.5, line=REFERENCE)
    rows = [_row((name,), each) for name, each in strata.items()]
    alternative = Alternative(_said(title, synthetic), ("pairs",), axis, rows, reference=0.5)
    return _finished(figure, title, alternative, synthetic, plot=_room(figure, 36))


def spread_figure(groups: Mapping[str, Sequence[float]], title: str, axis: str, *, synthetic: bool) -> go.Figure:
    """Every value of each group as a dot in the group's row, with the mean and its 95% interval (Student's t)."""
    figure = go.Figure()
    heights = {name: len(groups) - 1 - i for i, name in enumerate(groups)}
    for name, values in groups.items():
        # Spread over the row's height, so that equal values stay apart.
        spread = [heights[name] - 0.22 + 0.16 * ((7 * i) % 5 - 2) / 2 for i in range(len(values))]
        dots = {"color": GREY, "size": 6, "opacity": 0.8, "symbol": SYMBOLS[0]}
        hover = [f"{plain(name)} {value:+.1%}" for value in values]
        figure.add_trace(
            go.Scatter(x=list(values), y=spread, mode="markers", marker=dots, hovertext=hover, hoverinfo="text")
        )
    means = {name: _mean_of(values) for name, values in groups.items()}
    figure.add_trace(_points("", list(means.values()), [heights[name] + 0.2 for name in groups], 0, "{:+.1%}"))
    names = [wrapped(name, _LABEL) for name in groups]
    figure.update_yaxes(tickvals=list(heights.values()), ticktext=names, range=[-0.7, len(groups) - 0.3])
    figure.update_xaxes(tickformat="+.0%", title=f"{wrapped(axis, _TITLE)} (dots: one each; mean with 95% interval)")
    figure.add_vline(x=0, line=REFERENCE)
    rows = [_row((name,), mean) for name, mean in means.items()]
    alternative = Alternative(_said(title, synthetic), ("name",), f"{axis}, mean", rows, "{:+.1%}", reference=0.0)
    return _finished(figure, title, alternative, synthetic, plot=46 * len(rows))


def _mean_of(values: Sequence[float]) -> Estimate:
    from scipy import stats

    n = len(values)
    if n < 2:
        return Estimate(values[0] if n else None, None, n)
    mean = sum(values) / n
    error = math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1) / n)
    half = float(stats.t.ppf(0.975, n - 1)) * error
    return Estimate(mean, (mean - half, mean + half), n)


def counts_figure(counts: Mapping[str, int], title: str, axis: str, *, synthetic: bool) -> go.Figure:
    """Counts as horizontal bars, the number beside each."""
    heights = [len(counts) - 1 - i for i in range(len(counts))]
    figure = go.Figure(
        go.Bar(
            x=list(counts.values()),
            y=heights,
            orientation="h",
            text=[f"{count:,}" for count in counts.values()],
            textposition="outside",
            cliponaxis=False,
            marker={"color": COLORS[0]},
            hovertext=[f"{plain(name)} {count:,}" for name, count in counts.items()],
            hoverinfo="text",
        )
    )
    names = [wrapped(name, _LABEL) for name in counts]
    figure.update_yaxes(tickvals=heights, ticktext=names, range=[-0.6, len(counts) - 0.4])
    figure.update_xaxes(title=wrapped(axis, _TITLE), tickformat=",d", rangemode="tozero")
    rows = [Row((name,), float(count)) for name, count in counts.items()]
    alternative = Alternative(_said(title, synthetic), ("name",), axis, rows, "{:,.0f}")
    return _finished(figure, title, alternative, synthetic, plot=_room(figure, 36))


def tradeoff_figure(
    points: Mapping[str, tuple[Interval, float]], title: str, axis: str, *, synthetic: bool
) -> go.Figure:
    """Accuracy with its interval against what it cost, a named point each; the costs' unit is said by `axis`.

    >>> runs = {"rubric-free": (Estimate(0.82, (0.80, 0.84), 1500), 3000.0)}
    >>> tradeoff_figure(runs, "Accuracy against cost", "calls", synthetic=True).layout.title.text
    'Accuracy against cost (synthetic)'

    Costs of more than a decade are on a logarithmic axis, zero a step to the left of the others.
    """
    known = {
        name: (p.value, *p.ci95, p.n, cost) for name, (p, cost) in points.items() if p.value is not None and p.ci95
    }
    costs = CostAxis([cost for *_, cost in known.values()])
    at, (x_low, x_high) = costs.positions, costs.range
    bounds = [bound for _, low, high, *_ in known.values() for bound in (low, high)] or [0.0, 1.0]
    margin = 0.06 * (max(bounds) - min(bounds)) or 0.05
    y_range, height = (min(bounds) - margin, max(bounds) + margin), max(320, 44 * len(known))
    labels = [wrapped(name, 24, lines=2) for name in known]
    values = [(value, low, high) for value, low, high, *_ in known.values()]
    figure = go.Figure()
    for i, (name, (value, low, high, n, cost)) in enumerate(known.items()):
        hover = f"{plain(name)} {value:.1%} ({low:.1%} to {high:.1%}), n = {n}, {cost:,g} {plain(axis)}"
        bars = error_bars([(value, low, high)])
        point = go.Scatter(x=[at[i]], y=[value], mode="markers", marker=marker(i), error_y=bars, hovertext=hover)
        figure.add_trace(point.update(hoverinfo="text", name=labels[i]))
    for i, spot in enumerate(label_spots(costs, values, labels, y_range, height)):
        figure.add_annotation(
            x=at[i], y=values[i][0], ax=spot.x, ay=spot.y, axref="x", ayref="y", text=labels[i], showarrow=True,
            arrowhead=0, arrowwidth=1, arrowcolor=GREY, xanchor="right" if spot.to_left else "left",
            align="right" if spot.to_left else "left", borderpad=2,
        )  # fmt: skip
    aside = " (points of equal cost are drawn side by side)" if costs.is_moved else ""
    figure.update_xaxes(title=wrapped(axis, _TITLE) + aside, range=[x_low, x_high], **costs.ticks)
    figure.update_yaxes(title=f"{_AGREEMENT} (95% interval)", tickformat=".0%", range=y_range)
    rows = [_row((name, f"{cost:,g}"), point) for name, (point, cost) in points.items()]
    alternative = Alternative(_said(title, synthetic), ("judge", axis), _AGREEMENT, rows)
    return _finished(figure, title, alternative, synthetic, plot=height)


def _rows_figure(points: Mapping[str, Interval], number: str) -> go.Figure:
    """One labelled row for each number, the first on top; `number` formats it."""
    heights = [float(len(points) - 1 - row) for row in range(len(points))]
    figure = go.Figure(_points("", list(points.values()), heights, 0, number))
    labels = [wrapped(name, _LABEL) for name in points]
    figure.update_yaxes(tickvals=heights, ticktext=labels, range=[-0.6, len(points) - 0.4])
    return figure


def _room(figure: go.Figure, least: int) -> int:
    """Pixels for the rows, `least` each, more where a name takes several lines."""
    labels = figure.layout.yaxis.ticktext
    lines = max((label.count("<br>") + 1 for label in labels), default=1)
    return len(labels) * max(least, 20 * lines)


def _points(name: str, points: Sequence[Interval], rows: Sequence[float], index: int, number: str) -> go.Scatter:
    """Markers with intervals; a number nobody could measure leaves its row empty."""
    known = [
        (p.value, *p.ci95, p.n, row) for p, row in zip(points, rows, strict=True) if p.value is not None and p.ci95
    ]
    return go.Scatter(
        name=wrapped(name, 2 * _LABEL, lines=2),
        x=[value for value, *_ in known],
        y=[row for *_, row in known],
        mode="markers",
        marker=marker(index),
        error_x=error_bars([(value, low, high) for value, low, high, *_ in known]),
        hovertext=[
            f"{plain(name)} {number.format(value)} ({number.format(low)} to {number.format(high)}), n = {n}"
            for value, low, high, n, _ in known
        ],
        hoverinfo="text",
    )


def marker(index: int) -> dict[str, object]:
    """Colour and symbol of the series `index`; the first 36 differ."""
    symbol = SYMBOLS[(index + index // len(COLORS)) % len(SYMBOLS)]
    return {"color": COLORS[index % len(COLORS)], "symbol": symbol, "size": 11, "line": {"color": GREY, "width": 1}}


def error_bars(known: Sequence[tuple[float, float, float]]) -> dict[str, object]:
    """Of (value, low, high)."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - value for value, _, high in known],
        "arrayminus": [value - low for value, low, _ in known],
        "thickness": 2,
        "color": GREY,
    }


def _row(names: Sequence[str], point: Interval) -> Row:
    return Row(names, point.value, point.ci95, point.n)


def _said(title: str, synthetic: bool) -> str:
    return f"{title} (synthetic)" if synthetic else title


def _finished(
    figure: go.Figure, title: str, alternative: Alternative, synthetic: bool, *, plot: int, below: int = 0
) -> go.Figure:
    """The figure with its title, its numbers as text, and room for both; `plot` and `below` are pixels."""
    lines = wrapped(title, _TITLE)
    shown = f"{lines} (synthetic)" if synthetic else lines
    top = 44 + 22 * (1 + lines.count("<br>"))
    figure.update_layout(
        title=shown,
        meta=alternative.to_json(),
        height=top + max(plot, 46) + 72 + below,
        margin_t=top,
        showlegend=below > 0,
    )
    return figure
