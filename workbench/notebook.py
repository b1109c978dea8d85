"""What notebooks do first, and how they show tables."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.foreign import foreign_html

if TYPE_CHECKING:
    import pandas
    from IPython.display import HTML


def project_root() -> Path:
    """The project's folder, above or at the working directory; where there is none, the working directory."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "notebooks").is_dir() and (folder / "pyproject.toml").is_file():
            return folder
    return here


def at_project_root() -> Path:
    """Make the project's folder the working directory, wherever under it the kernel was started, and return it."""
    os.chdir(project_root())
    return Path.cwd()


def table(rows: "pandas.DataFrame | Sequence[Mapping[str, object]]") -> "HTML":
    """Rows as a table with text to the left; what is in them is shown as it is, never as HTML.

    Styles stand in every cell, because JupyterLab drops style sheets from notebooks it has not run itself.
    """
    import pandas
    from IPython.display import HTML

    frame = pandas.DataFrame(rows)
    lines = [_line("th", frame.columns), *(_line("td", row) for row in frame.itertuples(index=False))]
    return HTML(f'<table style="border-collapse:collapse;text-align:left">{"".join(lines)}</table>')


def _line(tag: str, cells: Iterable[object]) -> str:
    style = "text-align:left;vertical-align:top;white-space:normal;padding:3px 14px 3px 0"
    scope = ' scope="col"' if tag == "th" else ""
    shown = (f"{cell:.3g}" if isinstance(cell, float) else foreign_html(str(cell)) for cell in cells)
    return f"<tr>{''.join(f'<{tag}{scope} style={chr(34)}{style}{chr(34)}>{cell}</{tag}>' for cell in shown)}</tr>"
