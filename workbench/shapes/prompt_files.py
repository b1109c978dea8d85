"""Prompts of the tiny policies' world as the files that training and held-out measurement read."""

import json
from pathlib import Path

from PIL import Image

from workbench.atomic import replacing
from workbench.pairs.comparison import Task
from workbench.shapes.small_world import Split, edit_triples, picture, prompts


def write_prompts(task: Task, split: Split, n: int, folder: str | Path, *, seed: int = 0) -> Path:
    """Write `n` different prompts of a split and return the file: a prompt a line, or JSONL of edits with sources.

    The same arguments give the same file, and its sources lie beside it. Raises `ValueError` when there are fewer.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{task}-{split}-{n}-{seed}.{'txt' if task == 't2i' else 'jsonl'}"
    lines = prompts(split, n, seed) if task == "t2i" else _edits(folder / "sources", split, n, seed)
    with replacing(file) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file


def _edits(sources: Path, split: Split, n: int, seed: int) -> list[str]:
    sources.mkdir(exist_ok=True)
    lines = []
    for i, triple in enumerate(edit_triples(n, seed, split)):
        source = sources / f"{split}-{seed}-{i:05d}.png"
        with replacing(source) as temporary:
            Image.fromarray(picture(triple.source)).save(temporary, "PNG")
        lines.append(json.dumps({"source_image": f"sources/{source.name}", "instruction": triple.instruction}))
    return lines
