"""Figures of the notebooks: one template, colours that colour-blind readers can tell apart, intervals always drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
import plotly.io as pio

# Okabe and Ito's palette, in the order that keeps neighbours apart; readable on white and on dark backgrounds.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "x")


@dataclass(frozen=True, slots=True)
class Point:
    """A number with its 95% interval and the number of pairs behind it."""

    value: float
    low: float
    high: float
    n: int


def use_template() -> None:
    """Make the workbench's template and a renderer that keeps notebooks small the default for this session."""
    pio.templates["workbench"] = go.layout.Template(
        layout=go.Layout(
            font={"family": "system-ui, sans-serif", "size": 14, "color": "#555"},
            paper_bgcolor="rgba(0,0,0,0)",
            plot_bgcolor="rgba(0,0,0,0)",
            colorway=COLORS,
            margin={"l": 16, "r": 16, "t": 64, "b": 48},
            title={"x": 0, "xanchor": "left", "font": {"size": 16}},
            xaxis={"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False, "automargin": True},
            yaxis={"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False, "automargin": True},
            legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
            hoverlabel={"font": {"family": "system-ui, sans-serif"}},
        )
    )
    pio.templates.default = "workbench"
    # plotly.js is left out of the notebook file (5 MB a figure otherwise); JupyterLab brings its own.
    pio.renderers.default = "plotly_mimetype"


def accuracy_figure(judges: Mapping[str, Mapping[str, Point]], title: str) -> go.Figure:
    """Accuracy of several judges, a row per quantity (such as forward, reverse, mean, resolved), with intervals.

    >>> accuracy_figure({"rubric-free": {"mean": Point(0.7, 0.6, 0.8, 60)}}, "Accuracy").data[0].x
    (0.7,)
    """
    figure = go.Figure()
    for i, (judge, points) in enumerate(judges.items()):
        # Judges sit side by side within each row, the first on top.
        offset = (len(judges) - 1) / 2 - i
        rows = [len(points) - 1 - row + 0.22 * offset for row in range(len(points))]
        figure.add_trace(_points(judge, list(points.values()), rows, i, "{:.1%}"))
    labels = list(next(iter(judges.values()))) if judges else []
    figure.update_yaxes(tickvals=list(range(len(labels)))[::-1], ticktext=labels, range=[-0.6, len(labels) - 0.4])
    figure.update_xaxes(tickformat=".0%", title="agreement with people (95% interval)")
    figure.add_vline(x=0.5, line={"dash": "dot", "color": "#888"}, annotation_text="chance", annotation_position="top")
    figure.update_layout(title=title, height=140 + 70 * max(len(labels), 1))
    return figure


def difference_figure(differences: Mapping[str, Point], title: str, axis: str = "difference") -> go.Figure:
    """Paired differences with intervals, a row each, beside the line of no difference."""
    figure = go.Figure()
    rows = [float(len(differences) - 1 - row) for row in range(len(differences))]
    figure.add_trace(_points("", list(differences.values()), rows, 0, "{:+.1%}"))
    figure.update_yaxes(tickvals=rows, ticktext=list(differences), range=[-0.6, len(differences) - 0.4])
    figure.update_xaxes(tickformat="+.0%", title=f"{axis} (95% interval)")
    figure.add_vline(x=0, line={"dash": "dot", "color": "#888"})
    figure.update_layout(title=title, height=150 + 46 * max(len(differences), 1), showlegend=False)
    return figure


def counts_figure(counts: Mapping[str, int], title: str, axis: str) -> go.Figure:
    """Counts as horizontal bars, the number beside each."""
    figure = go.Figure(
        go.Bar(
            x=list(counts.values()),
            y=list(counts),
            orientation="h",
            text=[str(count) for count in counts.values()],
            textposition="outside",
            cliponaxis=False,
            marker={"color": COLORS[0]},
        )
    )
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title=axis)
    figure.update_layout(title=title, height=150 + 36 * max(len(counts), 1))
    return figure


def _points(name: str, points: Sequence[Point], rows: Sequence[float], index: int, number: str) -> go.Scatter:
    values = [point.value for point in points]
    return go.Scatter(
        name=name,
        x=values,
        y=rows,
        mode="markers",
        marker={"color": COLORS[index % len(COLORS)], "symbol": SYMBOLS[index % len(SYMBOLS)], "size": 10},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [point.high - point.value for point in points],
            "arrayminus": [point.value - point.low for point in points],
            "thickness": 2,
        },
        hovertext=[
            f"{name} {number.format(p.value)} ({number.format(p.low)} to {number.format(p.high)}), n = {p.n}"
            for p in points
        ],
        hoverinfo="text",
    )
