"""Figures of the notebooks: one template, colours that colour-blind readers can tell apart, intervals always drawn.

Every figure says in its title when its numbers come from the embedded world (`synthetic`).
"""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Protocol

import plotly.graph_objects as go
import plotly.io as pio

from workbench.evaluation.results import Accuracy
from workbench.evaluation.statistics import Estimate

# Okabe and Ito's palette, in the order that keeps neighbours apart; readable on white and on dark backgrounds.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "x")

_AXIS = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False, "automargin": True}
_REFERENCE = {"dash": "dot", "color": "#888"}
_AGREEMENT = "agreement with people (95% interval; dotted: chance)"


class Interval(Protocol):
    """A number with its 95% interval and the number of pairs behind it: an estimate or a paired difference."""

    @property
    def value(self) -> float | None: ...

    @property
    def ci95(self) -> tuple[float, float] | None: ...

    @property
    def n(self) -> int: ...


def use_template() -> None:
    """Make the workbench's template and a renderer that keeps notebooks small the default for this session."""
    pio.templates["workbench"] = go.layout.Template(
        layout=go.Layout(
            font={"family": "system-ui, sans-serif", "size": 14, "color": "#808080"},
            paper_bgcolor="rgba(0,0,0,0)",
            plot_bgcolor="rgba(0,0,0,0)",
            colorway=COLORS,
            margin={"l": 16, "r": 16, "t": 64, "b": 48},
            title={"x": 0, "xanchor": "left", "font": {"size": 16}},
            xaxis={"title": {"font": {"size": 13}}, **_AXIS},
            yaxis=_AXIS,
            legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
            hoverlabel={"font": {"family": "system-ui, sans-serif"}},
        )
    )
    pio.templates.default = "workbench"
    # plotly.js is left out of the notebook file (5 MB a figure otherwise); JupyterLab brings its own.
    pio.renderers.default = "plotly_mimetype"


def accuracy_figure(judges: Mapping[str, Accuracy], title: str, *, synthetic: bool) -> go.Figure:
    """Accuracy of several judges with intervals, a row each for forward, reverse, mean and resolved."""
    labels = ["forward", "reverse", "mean", "resolved"]
    figure = go.Figure()
    for i, (judge, accuracy) in enumerate(judges.items()):
        points = [getattr(accuracy, label) for label in labels]
        # Judges sit side by side within each row, the first on top; many of them closer together.
        offset = min(0.22, 0.8 / len(judges)) * ((len(judges) - 1) / 2 - i)
        rows = [len(points) - 1 - row + offset for row in range(len(points))]
        figure.add_trace(_points(judge, points, rows, i, "{:.1%}"))
    figure.update_yaxes(tickvals=list(range(len(labels)))[::-1], ticktext=labels, range=[-0.6, len(labels) - 0.4])
    figure.update_xaxes(tickformat=".0%", title=_AGREEMENT)
    figure.add_vline(x=0.5, line=_REFERENCE)
    figure.update_layout(title=_title(title, synthetic), height=max(420, 120 + 80 * len(judges)))
    return figure


def difference_figure(differences: Mapping[str, Interval], title: str, axis: str, *, synthetic: bool) -> go.Figure:
    """Paired differences with intervals, a row each, beside the line of no difference."""
    figure = _rows_figure(differences, "{:+.1%}", row_height=46)
    figure.update_xaxes(tickformat="+.0%", title=f"{_plain(axis)} (95% interval)")
    figure.add_vline(x=0, line=_REFERENCE)
    figure.update_layout(title=_title(title, synthetic))
    return figure


def strata_figure(strata: Mapping[str, Interval], title: str, *, synthetic: bool) -> go.Figure:
    """Accuracy with its interval within each group of pairs, the number of pairs beside the group's name."""
    named = {f"{name} (n = {estimate.n})": estimate for name, estimate in strata.items()}
    figure = _rows_figure(named, "{:.1%}", row_height=34)
    figure.update_xaxes(tickformat=".0%", title=_AGREEMENT)
    figure.add_vline(x=0.5, line=_REFERENCE)
    figure.update_layout(title=_title(title, synthetic))
    return figure


def spread_figure(groups: Mapping[str, Sequence[float]], title: str, axis: str, *, synthetic: bool) -> go.Figure:
    """Every value of each group as a dot in the group's row, with the mean and its 95% interval (Student's t)."""
    figure = go.Figure()
    rows = {name: len(groups) - 1 - i for i, name in enumerate(groups)}
    for name, values in groups.items():
        # Spread over the row's height, so that equal values stay apart.
        heights = [rows[name] - 0.22 + 0.16 * ((7 * i) % 5 - 2) / 2 for i in range(len(values))]
        dots = {"color": COLORS[4], "size": 6, "opacity": 0.7}
        hover = [f"{_plain(name)} {value:+.1%}" for value in values]
        figure.add_trace(
            go.Scatter(x=list(values), y=heights, mode="markers", marker=dots, hovertext=hover, hoverinfo="text")
        )
    means = {name: _mean_of(values) for name, values in groups.items()}
    figure.add_trace(_points("", list(means.values()), [rows[name] + 0.2 for name in groups], 0, "{:+.1%}"))
    figure.update_yaxes(
        tickvals=list(rows.values()), ticktext=[_plain(name) for name in groups], range=[-0.7, len(rows) - 0.3]
    )
    figure.update_xaxes(tickformat="+.0%", title=f"{_plain(axis)} (dots: one each; mean with 95% interval)")
    figure.add_vline(x=0, line=_REFERENCE)
    figure.update_layout(title=_title(title, synthetic), height=150 + 46 * max(len(groups), 1), showlegend=False)
    return figure


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
    figure = go.Figure(
        go.Bar(
            x=list(counts.values()),
            y=[_plain(name) for name in counts],
            orientation="h",
            text=[str(count) for count in counts.values()],
            textposition="outside",
            cliponaxis=False,
            marker={"color": COLORS[0]},
        )
    )
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title=_plain(axis))
    figure.update_layout(title=_title(title, synthetic), height=150 + 36 * max(len(counts), 1))
    return figure


def _title(title: str, synthetic: bool) -> str:
    return f"{_plain(title)} (synthetic)" if synthetic else _plain(title)


def _plain(text: str) -> str:
    """Plotly draws a few tags, links among them; names come from files."""
    return escape(text, quote=False)


def _rows_figure(points: Mapping[str, Interval], number: str, row_height: int) -> go.Figure:
    """One labelled row for each number, the first on top; `number` formats it."""
    rows = [float(len(points) - 1 - row) for row in range(len(points))]
    figure = go.Figure(_points("", list(points.values()), rows, 0, number))
    labels = [_plain(name) for name in points]
    figure.update_yaxes(tickvals=rows, ticktext=labels, range=[-0.6, len(points) - 0.4])
    figure.update_layout(height=150 + row_height * max(len(points), 1), showlegend=False)
    return figure


def _points(name: str, points: Sequence[Interval], rows: Sequence[float], index: int, number: str) -> go.Scatter:
    """Markers with intervals; a number nobody could measure leaves its row empty."""
    known = [
        (p.value, *p.ci95, p.n, row) for p, row in zip(points, rows, strict=True) if p.value is not None and p.ci95
    ]
    return go.Scatter(
        name=_plain(name),
        x=[value for value, *_ in known],
        y=[row for *_, row in known],
        mode="markers",
        marker={"color": COLORS[index % len(COLORS)], "symbol": SYMBOLS[index % len(SYMBOLS)], "size": 10},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [high - value for value, _, high, *_ in known],
            "arrayminus": [value - low for value, low, *_ in known],
            "thickness": 2,
        },
        hovertext=[
            f"{_plain(name)} {number.format(value)} ({number.format(low)} to {number.format(high)}), n = {n}"
            for value, low, high, n, _ in known
        ],
        hoverinfo="text",
    )
