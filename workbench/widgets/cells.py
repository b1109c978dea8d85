"""Which widgets a notebook's cell made: running the cell again closes those of the run before."""

import sys
from typing import Any

from ipywidgets import Widget

_made: dict[tuple[str, str], tuple[str, list[Widget]]] = {}
"""The last run of each cell, and its widgets, by cell and class."""


def close_earlier(widget: Widget) -> None:
    """Close the widgets of this class that an earlier run of the running cell made, and remember this one.

    JupyterLab says which cell it runs; where nothing does, nothing is closed.
    """
    cell, run = running_cell()
    if not cell:
        return
    key = (cell, type(widget).__name__)
    before, widgets = _made.get(key, (run, []))
    if before != run:
        for earlier in widgets:
            earlier.close()
        widgets = []
    _made[key] = run, [*widgets, widget]


def running_cell() -> tuple[str, str]:
    """The id of the cell that is running and of this run of it; empty where there is none."""
    if "ipykernel" not in sys.modules:
        return "", ""
    from IPython import get_ipython

    shell = get_ipython()
    parent: Any = shell.get_parent() if hasattr(shell, "get_parent") else {}
    return str(parent.get("metadata", {}).get("cellId", "")), str(parent.get("header", {}).get("msg_id", ""))
