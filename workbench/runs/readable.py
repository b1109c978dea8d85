"""Notebooks that are read where no kernel runs: on hosting sites, in exports, in a colleague's editor."""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbformat import NotebookNode

WIDGET = "application/vnd.jupyter.widget-view+json"
_STATE = "application/vnd.jupyter.widget-state+json"
_LONGEST = 200

MOST_BYTES = 2_000_000
"""Above this, hosting sites stop rendering a notebook and reviews become slow."""


def without_kernel(notebook: "NotebookNode") -> "NotebookNode":
    """A copy in which nothing waits for a kernel: widgets as their static HTML, or as a line that says what was there.

    The state of widgets goes too: with it nbconvert shows an empty live view, fetched from a CDN, instead of the HTML.
    """
    notebook = copy.deepcopy(notebook)
    notebook.metadata.pop("widgets", None)
    for _, output in _outputs(notebook):
        data = output.get("data", {})
        view = data.pop(WIDGET, None)
        data.pop(_STATE, None)
        for kind in (WIDGET, _STATE):
            output.get("metadata", {}).pop(kind, None)
        if view is not None and "text/html" not in data:
            output["data"] = {"text/plain": _line(data.get("text/plain", ""))}
    return notebook


def _line(shown: str | list[str]) -> str:
    """What a widget without HTML leaves behind: its first words, as Python prints it."""
    said = " ".join("".join(shown).split()) or "widget"
    cut = said if len(said) <= _LONGEST else f"{said[:_LONGEST]} …"
    return f"[{cut}: an interactive widget, shown only while its kernel runs]"


@dataclass(frozen=True, slots=True)
class OutputSize:
    """The bytes one kind of output of a cell takes; `cell` counts all cells of the notebook from 1."""

    cell: int
    kind: str
    bytes: int


def size_warning(notebook: "NotebookNode") -> str | None:
    """What to say of a notebook of more than `MOST_BYTES`, its largest outputs named; `None` for a smaller one."""
    if (total := _bytes(notebook)) <= MOST_BYTES:
        return None
    largest = sorted(_sizes(notebook), key=lambda size: -size.bytes)[:3]
    named = ", ".join(f"cell {each.cell} ({each.kind}, {each.bytes / 1e6:.1f} MB)" for each in largest)
    return (
        f"the executed notebook has {total / 1e6:.1f} MB, more than {MOST_BYTES / 1e6:g} MB; its largest outputs: "
        f"{named or 'none'}. Show fewer or smaller images, or point to files of the run folder instead"
    )


def _outputs(notebook: "NotebookNode") -> Iterator[tuple[int, Any]]:
    for number, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", []):
            yield number, output


def _sizes(notebook: "NotebookNode") -> Iterator[OutputSize]:
    for number, output in _outputs(notebook):
        parts = output.get("data") or {output.get("name", output["output_type"]): output.get("text", "")}
        for kind, content in parts.items():
            yield OutputSize(number, kind, _bytes(content))


def _bytes(content: Any) -> int:
    return len(json.dumps(content, ensure_ascii=False).encode("utf-8", "replace"))
