"""Datasets and run folders made by a scripted judge."""

import asyncio
import io
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from PIL import Image

from workbench.evaluation.evaluate import evaluate
from workbench.judges.verdict import Usage, Verdict
from workbench.pairs.loading import load
from workbench.rubrics.rubric import Criterion, Rubric, Theme

RUBRIC = Rubric("sharp", "t2i", (Theme("Look", criteria=(Criterion("c1", "The edges are sharp."),)),))

Said = Callable[[str, str], str]


class ScriptedJudge:
    """Says `reason(pair id, order)` and finds the human's winner, but for the pairs in `wrong`."""

    def __init__(self, name: str = "rubric-free", *, wrong: Sequence[str] = (), reason: Said | None = None) -> None:
        self.name = name
        self.wrong = wrong
        self.reason = reason or (lambda pair, order: f"Image 1 looks better in {pair}.")

    def identity(self) -> dict[str, Any]:
        return {"model": "shapes-scripted", "sampling": {"temperature": 0.0, "seed": 3}}

    async def compare(self, comparison: Any, order: Sequence[int], sample: int = 0) -> Verdict:
        right = comparison.ranks or (1, 2)
        ranks = tuple(reversed(right)) if comparison.id in self.wrong else right
        reason = self.reason(comparison.id, str(tuple(order)))
        return Verdict(ranks=ranks, reason=reason, usage=Usage(10, 5, 0.001, 1), keys=("a" * 64,))


def png(colour: tuple[int, int, int], side: int = 64, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(buffer, "PNG", **options)
    return buffer.getvalue()


def write_pairs(folder: Path, n: int = 6, *, side: int = 64, **changes: Any) -> Path:
    """A dataset of `n` pairs; `changes` are fields of every record, called with its number where they can be."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    lines = []
    for i in range(n):
        for name, colour in (("a", (200, 20 * i, 0)), ("b", (0, 20 * i, 200))):
            (folder / f"images/{i}-{name}.png").write_bytes(png(colour, side))
        record = {
            "id": f"p{i}",
            "task": "t2i",
            "prompt": f"a square, number {i // 2}",
            "images": [f"images/{i}-a.png", f"images/{i}-b.png"],
            "ranks": [1, 2],
            "tags": {"kind": ("plain", "odd")[i % 2]},
        }
        record |= {key: value(i) if callable(value) else value for key, value in changes.items()}
        lines.append(json.dumps(record))
    (folder / "pairs.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "pairs.jsonl"


def make_run(pairs: Path, out: Path, judge: ScriptedJudge | None = None, rubric: Rubric | None = None) -> Path:
    """The run folder of an evaluation."""
    work = evaluate(load(pairs), judge or ScriptedJudge(), dataset=pairs, rubric=rubric, out=out)
    with ThreadPoolExecutor(1) as thread:  # Playwright has a loop in this one
        return thread.submit(asyncio.run, work).result().path
