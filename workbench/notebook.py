"""What every notebook does first."""

import os
from pathlib import Path


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
