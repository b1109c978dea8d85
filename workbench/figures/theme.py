"""How figures look: colours that colour-blind readers can tell apart, and text that follows a light or dark page.

A figure of a notebook cannot know the theme it will be read in. Its text therefore takes the colour of the text around
it (`follow_page`), and its lines and the edges of its markers are of one grey that is as far from white as from #111.
"""

import textwrap
from collections.abc import Mapping
from html import escape
from typing import Any

from workbench.foreign import displayable

# Okabe and Ito's palette, in the order that keeps neighbours apart. Two of them are pale on white, so every marker has
# a symbol of its own and a grey edge, and intervals are grey.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "x")

GREY = "#797979"
"""Contrast 4.35 to #ffffff and 4.34 to #111111: no grey reaches 4.5 on both (lines and edges need 3)."""

REFERENCE = {"dash": "dot", "color": GREY, "width": 1.5}
_GRID = "rgba(128,128,128,0.25)"
_FONT = "system-ui, sans-serif"
_AXIS = {"gridcolor": _GRID, "zeroline": False, "automargin": True, "title": {"font": {"size": 13}}}
# Plotly hands the style of a span on to the SVG, where it makes this colour the text's fill.
_FOLLOWS, _END = '<span style="color:currentcolor">', "</span>"

LAYOUT: Mapping[str, Any] = {
    "font": {"family": _FONT, "size": 14, "color": GREY},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "colorway": COLORS,
    "margin": {"l": 16, "r": 24, "t": 64, "b": 48},
    "title": {
        "font": {"size": 16},
        "x": 0,
        "xanchor": "left",
        "y": 1,
        "yref": "container",
        "yanchor": "top",
        "pad": {"t": 14, "l": 4},
    },
    "xaxis": _AXIS,
    "yaxis": _AXIS,
    # Below everything else, where it may take as many lines as it needs.
    "legend": {"orientation": "h", "xanchor": "left", "x": 0, "yref": "container", "yanchor": "bottom", "y": 0},
    "hoverlabel": {"font": {"family": _FONT}},
}


def follow_page(figure: Mapping[str, Any]) -> dict[str, Any]:
    """A figure's JSON with all text on it, but for what appears on hover, in the colour of the page's text."""
    layout = dict(figure.get("layout", {}))
    layout["title"] = _recolored(layout.get("title"), "text")
    for name in layout:
        if name.startswith(("xaxis", "yaxis")):
            layout[name] = _axis(layout[name])
    layout["annotations"] = [_recolored(each, "text") for each in layout.get("annotations", ())]
    return {**figure, "layout": layout, "data": [_trace(each) for each in figure.get("data", ())]}


def _axis(axis: Mapping[str, Any]) -> dict[str, Any]:
    axis = {**axis, "title": _recolored(axis.get("title"), "text")}
    if axis.get("ticktext") is not None:
        return {**axis, "ticktext": [_recolor(text) for text in axis["ticktext"]]}
    return {
        **axis,
        "tickprefix": _FOLLOWS + axis.get("tickprefix", ""),
        "ticksuffix": axis.get("ticksuffix", "") + _END,
    }


def _trace(trace: Mapping[str, Any]) -> dict[str, Any]:
    trace = _recolored(trace, "name")
    if isinstance(trace.get("text"), list | tuple):
        trace["text"] = [_recolor(text) for text in trace["text"]]
    return trace


def _recolored(part: Mapping[str, Any] | None, key: str) -> dict[str, Any]:
    return {**part, key: _recolor(part[key])} if part and part.get(key) else dict(part or {})


def _recolor(text: object) -> str:
    return f"{_FOLLOWS}{text}{_END}"


def plain(text: str) -> str:
    """Text of a file or a model as plotly shall draw it: it takes a few tags for markup, links among them."""
    return escape(displayable(text, 300), quote=False)


def wrapped(text: str, width: int, lines: int = 3) -> str:
    """The same in lines of `width` characters, cut behind the last."""
    whole = " ".join(displayable(text, 300).split())
    parts = textwrap.wrap(whole, width, max_lines=lines, placeholder=" …", break_on_hyphens=False)
    return "<br>".join(escape(part, quote=False) for part in parts)
