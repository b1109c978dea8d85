"""What a run was made with: package versions, git commit, hardware. No host, user or key is recorded."""

import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "workbench", "numpy", "scipy", "pandas", "pyarrow", "pillow", "pydantic", "openai", "papermill", "torch",
    "transformers", "diffusers", "peft", "accelerate", "trl", "vllm",
)  # fmt: skip


def describe_environment() -> dict[str, Any]:
    """`{"packages": {name: version}, "git": {"commit", "dirty"} | None, "hardware": {...}}`."""
    return {"packages": _packages(), "git": _git(), "hardware": _hardware()}


def _packages() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _git() -> dict[str, Any] | None:
    """The checkout this code runs from, or else the working directory's."""
    for folder in (Path(__file__).parent, Path.cwd()):
        commit = _output("git", "-C", str(folder), "rev-parse", "HEAD")
        if commit:
            changes = _output("git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no")
            return {"commit": commit, "dirty": changes != ""}
    return None


def _hardware() -> dict[str, Any]:
    gpus = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader") if shutil.which("nvidia-smi") else None
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpus": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "gpus": gpus.splitlines() if gpus else [],
        "machine": platform.machine(),
    }


def _output(*command: str) -> str | None:
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()
