"""A pipeline's folder as it may be published."""

import json
from pathlib import Path


def forget_paths(folder: Path) -> None:
    """Take out of every configuration where it was loaded from, which diffusers writes down: a path of one machine."""
    for file in folder.rglob("*.json"):
        fields = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(fields, dict) and fields.pop("_name_or_path", None) is not None:
            file.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
