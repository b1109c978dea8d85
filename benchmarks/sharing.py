"""How large is a shared page, how long does it take to write and to open, and does it ask the network for anything?

Pictures are smooth fields with edges and grain, about as hard to compress as photographs. The page is opened from a
file in headless Chromium with the network off.

    python benchmarks/sharing.py --pairs 300 --side 1024
"""

import argparse
import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from workbench.evaluation.evaluate import evaluate
from workbench.judges.verdict import Verdict
from workbench.pairs.comparison import Comparison
from workbench.pairs.loading import load
from workbench.sharing.share import Shared, share

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
SHOWN = "[...document.querySelectorAll('#viewer .wb-frame img')].some((image) => image.complete && image.naturalWidth)"


@dataclass(frozen=True, slots=True)
class Opened:
    """Milliseconds from the start of navigation until the first words, the first pair with its picture, and the figures
    are there; the requests made besides the file; the bytes of its script's heap.
    """

    words: float
    pair: float
    figures: float
    linked: float
    requests: list[str]
    heap: int


class CoinJudge:
    """Prefers either picture, with a reason of a usual length."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.random = np.random.default_rng(seed)

    def identity(self) -> dict[str, Any]:
        return {"model": "shapes-coin"}

    async def compare(self, comparison: Comparison, order: Sequence[int], sample: int = 0) -> Verdict:
        ranks = (1, 2) if self.random.random() < 0.7 else (2, 1)
        return Verdict(ranks=ranks, reason="Image 1 has the colours asked for, where Image 2 has not. " * 4)


def write_pairs(folder: Path, n: int, side: int, seed: int) -> Path:
    random = np.random.default_rng(seed)
    lines = []
    for i in range(n):
        names = [f"{i}-{letter}.jpg" for letter in "ab"]
        for name in names:
            picture(random, side).save(folder / name, quality=92)
        record = {
            "id": f"pair-{i:04}",
            "task": "t2i",
            "prompt": f"a field of colours, number {i // 2}",
            "images": names,
        }
        lines.append(json.dumps({**record, "ranks": [1, 2], "tags": {"kind": f"kind {i % 5}"}}))
    (folder / "pairs.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "pairs.jsonl"


def picture(random: np.random.Generator, side: int) -> Image.Image:
    total = np.zeros((side, side, 3))
    for cells, weight in ((4, 90.0), (16, 50.0), (64, 30.0), (256, 14.0)):
        field = random.normal(size=(cells, cells, 3)).astype(np.float32)
        layers = [Image.fromarray(field[:, :, c]).resize((side, side), Image.Resampling.BICUBIC) for c in range(3)]
        total += weight * np.stack([np.asarray(layer) for layer in layers], axis=2)
    edges = np.where(total[:, :, :1] > 40, 60, 0)  # regions with sharp borders
    grain = random.normal(scale=4, size=(side, side, 1))
    return Image.fromarray((128 + total + edges + grain).clip(0, 255).astype(np.uint8))


def open_page(file: Path, last: str) -> Opened:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_offline(True)
        page = context.new_page()
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))

        def when(condition: str, page: Any = page) -> float:
            # Not `wait_for_function`: it evaluates text within the page, which the page's policy refuses.
            while not (now := page.evaluate(f"({condition}) ? performance.now() : 0")):
                time.sleep(0.01)
            return float(now)

        page.goto(f"file://{file.resolve()}", wait_until="commit")
        words = when("document.querySelector('#card')?.innerText")
        pair, figures = when(SHOWN), when("document.querySelectorAll('.plot-box svg.main-svg').length > 2")
        heap = page.evaluate("performance.memory.usedJSHeapSize")
        second = context.new_page()
        second.goto(f"file://{file.resolve()}#pair={last}", wait_until="commit")
        linked = when(f"document.querySelector('#link')?.innerText.includes('{last}') && {SHOWN}", second)
        browser.close()
    outside = [url for url in requests if not url.startswith(("data:", "blob:")) and url != f"file://{file.resolve()}"]
    return Opened(words, pair, figures, linked, outside, heap)


def report(n: int, side: int, shared: Shared, seconds: float, opened: Opened) -> None:
    rows = [
        (f"page of {n} pairs, {side}x{side}", f"{shared.size / 2**20:.1f} MB"),
        *((f"  {name}", f"{size / 2**20:.1f} MB") for name, size in shared.sizes.items()),
        ("time to write", f"{seconds:.1f} s"),
        ("open: first words", f"{opened.words / 1000:.2f} s"),
        ("open: first pair and its picture", f"{opened.pair / 1000:.2f} s"),
        ("open: figures", f"{opened.figures / 1000:.2f} s"),
        ("open by the link of the last pair", f"{opened.linked / 1000:.2f} s"),
        ("script heap", f"{opened.heap / 2**20:.0f} MB"),
        ("requests besides the file", str(len(opened.requests))),
    ]
    print("\n".join(f"{name:38}{value:>10}" for name, value in rows))
    for url in opened.requests:
        print(f"  {url}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pairs = write_pairs(Path(folder), arguments.pairs, arguments.side, arguments.seed)
        comparisons = load(pairs)
        runs = [
            asyncio.run(evaluate(comparisons, CoinJudge(name, seed), dataset=pairs, out=Path(folder, name))).path
            for seed, name in enumerate(("before", "after"))
        ]
        start = time.monotonic()
        shared = share(runs[1], against=runs[0])
        seconds = time.monotonic() - start
        assert shared.path is not None
        report(arguments.pairs, arguments.side, shared, seconds, open_page(shared.path, comparisons[-1].id))


if __name__ == "__main__":
    main()
