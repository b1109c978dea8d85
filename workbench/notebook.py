"""What notebooks do first, and how they show tables."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas
    from pandas.io.formats.style import Styler


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


def table(rows: "pandas.DataFrame | Sequence[Mapping[str, object]]") -> "Styler":
    """Rows as a table with text to the left and no row numbers; what is in them is shown as it is, never as HTML."""
    import pandas

    style = pandas.DataFrame(rows).style.format(escape="html", precision=3).hide(axis="index")
    left: list[tuple[str, str | float]] = [("text-align", "left"), ("vertical-align", "top"), ("white-space", "normal")]
    return style.set_table_styles([{"selector": "th, td", "props": left}])
