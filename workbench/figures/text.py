"""The numbers of a figure as text: for readers who cannot see it, and for places that show no plotly.

A figure carries its `Alternative` in `layout.meta`. JupyterLab draws the figure; nbconvert, GitHub and mail show the
table; terminals and screen readers get the lines.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from plotly.io.base_renderers import PlotlyRenderer

from workbench.figures.theme import COLORS, GREY, follow_page
from workbench.foreign import displayable, foreign_html

_CELL = "text-align:left;vertical-align:top;padding:3px 14px 3px 0"
_WIDTH = 220  # pixels of the drawing in each row
_MARKER = 9


@dataclass(frozen=True, slots=True)
class Row:
    """One number: what it is of (a cell each), its 95% interval where it has one, and the n it rests on."""

    names: Sequence[str]
    value: float | None
    ci95: Sequence[float] | None = None
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Alternative:
    """A figure as a table.

    - `columns`: the heads of a row's names. - `measure`: the head of the numbers. - `number`: how they are written.
    - `reference`: the value of the figure's dotted line.
    """

    title: str
    columns: Sequence[str]
    measure: str
    rows: Sequence[Row]
    number: str = "{:.1%}"
    reference: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, figure: Mapping[str, Any]) -> "Alternative | None":
        """What a figure's JSON carries; none for a figure that is not of `workbench.plots`."""
        meta = figure.get("layout", {}).get("meta")
        if not isinstance(meta, Mapping) or "rows" not in meta:
            return None
        return cls(**{**meta, "rows": [Row(**row) for row in meta["rows"]]})

    def to_text(self) -> str:
        """The title and a line a number, such as `judge, forward: 70.0% (95% interval 60.0% to 80.0%), n = 40`."""
        lines = [f"{displayable(', '.join(row.names), 300)}: {self._in_words(row)}" for row in self.rows]
        return "\n".join([displayable(self.title, 300), *lines])

    def to_html(self) -> str:
        """A table without script, each interval drawn in it; complete without styles, which some sites take away."""
        with_interval = any(row.ci95 for row in self.rows)
        with_n = any(row.n is not None for row in self.rows)
        heads = [*map(foreign_html, self.columns), foreign_html(self.measure)]
        heads += ["95% interval"] * with_interval + ["n"] * with_n
        head = "".join(f'<th scope="col" style="{_CELL}">{each}</th>' for each in heads)
        lines = "".join(self._line(row, with_interval, with_n) for row in self.rows)
        note = "" if self.reference is None else f" (thin line: {self.number.format(self.reference)})"
        return (
            f'<table style="border-collapse:collapse;text-align:left"><caption style="text-align:left;padding:4px 0">'
            f"<b>{foreign_html(self.title, 300)}</b>{note}</caption>"
            f'<thead><tr>{head}<td aria-hidden="true"></td></tr></thead><tbody>{lines}</tbody></table>'
        )

    def _in_words(self, row: Row) -> str:
        if row.value is None:
            return "not measured"
        interval = f" (95% interval {self._number(row.ci95[0])} to {self._number(row.ci95[1])})" if row.ci95 else ""
        return self._number(row.value) + interval + ("" if row.n is None else f", n = {row.n:,}")

    def _number(self, value: float) -> str:
        return self.number.format(value)

    def _line(self, row: Row, with_interval: bool, with_n: bool) -> str:
        cells = [f'<th scope="row" style="{_CELL};font-weight:normal">{foreign_html(row.names[0], 300)}</th>']
        cells += [f'<td style="{_CELL}">{foreign_html(name, 300)}</td>' for name in row.names[1:]]
        shown = ["not measured" if row.value is None else self._number(row.value)]
        if with_interval:
            shown.append(f"{self._number(row.ci95[0])} to {self._number(row.ci95[1])}" if row.ci95 else "")
        if with_n:
            shown.append("" if row.n is None else f"{row.n:,}")
        cells += [f'<td style="{_CELL};white-space:nowrap">{each}</td>' for each in shown]
        cells.append(f'<td aria-hidden="true" style="text-align:left;padding:3px 0">{self._drawing(row)}</td>')
        return f"<tr>{''.join(cells)}</tr>"

    def _drawing(self, row: Row) -> str:
        """A dot and its interval, or a bar where there are only counts, out of plain boxes."""
        if row.value is None:
            return ""
        low, high = self._ends()
        at = [_WIDTH * (value - low) / (high - low) for value in (row.value, *(row.ci95 or ()))]
        if not any(each.ci95 for each in self.rows):
            return _box(at[0], f"height:10px;background:{COLORS[0]}")
        left, right = (at[1], at[2]) if row.ci95 else (at[0], at[0])
        left, right = min(left, at[0] - _MARKER / 2), max(right, at[0] + _MARKER / 2)
        line = f"height:2px;background:{GREY};vertical-align:middle"
        dot = f"height:{_MARKER}px;background:{COLORS[0]};border-radius:50%;vertical-align:middle"
        boxes = [_box(left, "height:1px"), _box(at[0] - _MARKER / 2 - left, line), _box(_MARKER, dot)]
        boxes.append(_box(right - at[0] - _MARKER / 2, line))
        rule = ""
        if self.reference is not None:
            where = _WIDTH * (self.reference - low) / (high - low)
            rule = f"background:linear-gradient({GREY},{GREY}) {where:.0f}px 0/1px 100% no-repeat;"
        style = f"{rule}width:{_WIDTH}px;white-space:nowrap;font-size:0;line-height:18px"
        return f'<div style="{style}">{"".join(boxes)}</div>'

    def _ends(self) -> tuple[float, float]:
        known = [0.0] if not any(row.ci95 for row in self.rows) else []
        known += [] if self.reference is None else [self.reference]
        for row in self.rows:
            known += [] if row.value is None else [row.value, *(row.ci95 or ())]
        low, high = min(known, default=0.0), max(known, default=1.0)
        margin = (high - low) * _MARKER / _WIDTH or 1.0
        return (low if low == 0 and not any(row.ci95 for row in self.rows) else low - margin), high + margin


def _box(width: float, style: str) -> str:
    return f'<span style="display:inline-block;width:{max(width, 0):.1f}px;{style}"></span>'


class ReadableRenderer(PlotlyRenderer):  # type: ignore[misc]  # plotly has no types
    """Plotly's own renderer for JupyterLab, with the figure's numbers as HTML and text beside it.

    plotly.js itself is left out of the notebook (5 MB a figure otherwise): JupyterLab brings its own.
    """

    def to_mimebundle(self, fig_dict: dict[str, Any]) -> dict[str, Any]:
        alternative = Alternative.of(fig_dict)
        bundle = dict(super().to_mimebundle(follow_page(fig_dict)))
        if alternative is None:
            title = (fig_dict.get("layout", {}).get("title") or {}).get("text") or "A figure"
            note = f"{displayable(str(title), 300)}: a plotly figure without a table of its numbers"
            return {**bundle, "text/html": f"<p>{escape(note)}</p>", "text/plain": note}
        return {**bundle, "text/html": alternative.to_html(), "text/plain": alternative.to_text()}
