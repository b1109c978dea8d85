"""What every notebook does first."""

import os
from pathlib import Path


def at_project_root() -> Path:
    """Make the project's folder the working directory, wherever under it the kernel was started, and return it.

    Raises `FileNotFoundError` when no folder above has the project's `notebooks` and `pyproject.toml`.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "notebooks").is_dir() and (folder / "pyproject.toml").is_file():
            os.chdir(folder)
            return folder
    raise FileNotFoundError(f"{here} is not inside the project; start JupyterLab there, for example with `make lab`")
