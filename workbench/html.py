"""HTML that carries its own styles, because JupyterLab drops style sheets from notebooks it has not run itself."""

from collections.abc import Iterable, Sequence

from workbench.foreign import foreign_html

FONT = "font-family:system-ui,sans-serif;font-size:13px"
"""The style of what surrounds a static view."""

_TABLE = "border-collapse:collapse;text-align:left;font:inherit;color:inherit;margin:6px 0"
_CELL = "text-align:left;vertical-align:top;white-space:normal;padding:3px 14px 3px 0"


def html_table(head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with text to the left; `head` is text, the cells of `rows` are HTML."""
    lines = ["".join(f'<th scope="col" style="{_CELL}">{foreign_html(cell)}</th>' for cell in head)]
    lines += ["".join(f'<td style="{_CELL}">{cell}</td>' for cell in row) for row in rows]
    return f'<table style="{_TABLE}">{"".join(f"<tr>{line}</tr>" for line in lines)}</table>'
