"""Curves of a training run, drawn and as a table, from the lines of its `metrics.jsonl`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.evaluation.statistics import Estimate
from workbench.figures.theme import COLORS, GREY, LAYOUT, REFERENCE, SYMBOLS
from workbench.html import html_table
from workbench.rpo.running.journal import estimate_of

_COLUMNS = 2
_ROW = 230  # pixels
_LEGEND = 22  # pixels a legend takes below its panel's title


@dataclass(frozen=True, slots=True)
class Series:
    """One number of every update that has it; `key` is its name in the metrics."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One small figure; `reference` is where its dotted line is."""

    title: str
    series: tuple[Series, ...]
    form: str = ".3g"
    reference: float | None = None

    @property
    def ticks(self) -> str:
        """As d3 wants it."""
        return ".0%" if self.form.endswith("%") else "~r" if self.form.endswith("g") else self.form

    @property
    def range(self) -> str:
        """Of the axis, as plotly wants it: from 0, unless a reference says where to look."""
        return "tozero" if self.reference is None else "normal"


@dataclass(frozen=True, slots=True)
class Point:
    """A number of an update; a share among n with its 95% interval is an `estimate`, too."""

    update: int
    value: float
    estimate: Estimate | None = None

    @property
    def ci95(self) -> tuple[float, float] | None:
        """Of the estimate, where it is one."""
        return self.estimate.ci95 if self.estimate else None

    def shown(self, form: str) -> str:
        """In words: `0.5`, or `55.0% [40.0%, 70.0%], n = 64`."""
        return self.estimate.percent() if self.estimate else f"{self.value:{form}}"


PANELS = (
    Panel(
        "win rate against the frozen base",
        (Series("training judge", "win_rate_base"), Series("gold judge", "gold_win_rate_base")),
        ".1%",
        reference=0.5,
    ),
    Panel("mean reward", (Series("reward", "reward"),)),
    Panel("KL to the base, nats a step", (Series("KL", "kl"),)),
    Panel("ratio", (Series("mean of |ratio - 1|", "ratio_dev"), Series("share clipped", "clip_fraction"))),
    Panel("gradient norm before clipping", (Series("gradient norm", "grad_norm"),)),
    Panel("groups", (Series("decided", "decided"), Series("tied", "tied"), Series("failed", "failed")), ",.0f"),
)


def curve(metrics: Sequence[Mapping[str, Any]], series: Series) -> list[Point]:
    """The points of a series: plain numbers, or `{"value", "ci95", "n"}`; updates without it are left out."""
    points = []
    for line in metrics:
        found: Any = line.get(series.key)
        if isinstance(found, Mapping):
            estimate = estimate_of(found)
            if estimate.value is not None:
                points.append(Point(line["update"], estimate.value, estimate))
        elif found is not None:
            points.append(Point(line["update"], found))
    return points


def curves_figure(metrics: Sequence[Mapping[str, Any]], title: str, *, synthetic: bool) -> go.Figure:
    """Small multiples over updates, one panel each; intervals are drawn where there are some."""
    rows = -(-len(PANELS) // _COLUMNS)
    figure = make_subplots(
        rows=rows,
        cols=_COLUMNS,
        subplot_titles=[panel.title for panel in PANELS],
        vertical_spacing=0.15,
        horizontal_spacing=0.1,
    )
    for i, panel in enumerate(PANELS):
        place = {"row": i // _COLUMNS + 1, "col": i % _COLUMNS + 1}
        legend = f"legend{i + 1}" if i else "legend"
        for k, series in enumerate(panel.series):
            trace = _trace(curve(metrics, series), panel, series, k)
            figure.add_trace(trace.update(legend=legend), **place)
        across, down = figure.get_subplot(**place)
        above = {"x": across.domain[0], "y": down.domain[1], "xanchor": "left", "yanchor": "bottom", "yref": "paper"}
        figure.update_layout({legend: {**above, "orientation": "h", "font": {"size": 12}}})
        figure.layout.annotations[i].update(x=across.domain[0], xanchor="left", yshift=_LEGEND, font={"size": 14})
        if panel.reference is not None:
            figure.add_hline(y=panel.reference, line=REFERENCE, **place)
        figure.update_yaxes(tickformat=panel.ticks, rangemode=panel.range, **place)
    figure.update_xaxes(title_text="update", tickformat=",d", row=rows)
    title = f"{title} (synthetic)" if synthetic else title
    figure.update_layout(
        template={"layout": dict(LAYOUT)},
        title=title,
        meta={"title": title},  # as it is, whatever becomes of the colours in the other
        height=rows * _ROW + 140,
        margin_t=96,
    )
    return figure


def curves_table(metrics: Sequence[Mapping[str, Any]]) -> str:
    """The first and the latest number of every curve as an HTML table."""
    cells = [
        (f"{panel.title}: {series.name}", points[0], points[-1], panel.form)
        for panel in PANELS
        for series in panel.series
        if (points := curve(metrics, series))
    ]
    rows = [(name, *(f"{each.shown(form)} (update {each.update})" for each in ends)) for name, *ends, form in cells]
    return html_table(("", "first", "latest"), rows)


def _trace(points: Sequence[Point], panel: Panel, series: Series, index: int) -> go.Scatter:
    with_interval = bool(points) and points[0].ci95 is not None
    trace = go.Scatter(
        name=series.name,
        x=[each.update for each in points],
        y=[each.value for each in points],
        mode="lines+markers" if with_interval or len(points) < 30 else "lines",
        line={"color": COLORS[index], "width": 1.5},
        marker={"color": COLORS[index], "symbol": SYMBOLS[index], "size": 6, "line": {"color": GREY, "width": 1}},
        showlegend=len(panel.series) > 1,
        hovertext=[f"{series.name}, update {each.update}: {each.shown(panel.form)}" for each in points],
        hoverinfo="text",
    )
    if with_interval:
        low, high = ([each.ci95[end] if each.ci95 else each.value for each in points] for end in (0, 1))
        trace.error_y = {
            "type": "data",
            "symmetric": False,
            "array": [above - each.value for above, each in zip(high, points, strict=True)],
            "arrayminus": [each.value - below for below, each in zip(low, points, strict=True)],
            "thickness": 1.5,
            "width": 2,
            "color": COLORS[index],
        }
    return trace
