"""What notebooks do first, and how they show tables."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.foreign import foreign_html
from workbench.html import html_table

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
    """Rows as a table with text to the left; what is in them is shown as it is, never as HTML."""
    import pandas
    from IPython.display import HTML

    frame = pandas.DataFrame(rows)
    rows_shown = ([_cell(cell) for cell in row] for row in frame.itertuples(index=False))
    return HTML(html_table(map(str, frame.columns), rows_shown))


def _cell(cell: object) -> str:
    return f"{cell:.3g}" if isinstance(cell, float) else foreign_html(str(cell))
