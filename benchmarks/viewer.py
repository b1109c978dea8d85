"""How soon a viewer of many pairs shows the first one, what going on costs, and what a notebook with it weighs.

    python benchmarks/viewer.py --pairs 10000

Every image is a file of its own; two judges, both orders. The widget and its module are joined as in the tests of
widgets, in headless Chromium.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from nbclient import NotebookClient
from PIL import Image

from workbench.evaluation.record import VerdictRecord
from workbench.judges.verdict import Verdict
from workbench.pairs.comparison import Comparison
from workbench.widgets.pair_viewer import PairViewer

TESTS = Path(__file__).parent.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "widgets")]
from browser import BROWSER, CHROMIUM  # noqa: E402
from widget_page import BrowserPage  # noqa: E402

CELL = """
import sys
sys.path.insert(0, {folder!r})
from viewer import dataset, verdicts
from workbench.widgets.pair_viewer import PairViewer
pairs = dataset({images!r}, {pairs})
PairViewer(pairs, {{"before": verdicts(pairs, 1), "after": verdicts(pairs, 2)}}, baseline="before")
"""


def make_images(folder: Path, count: int, side: int) -> None:
    """`count` distinct images with something to see in them."""
    generator = np.random.default_rng(0)
    for index in range(count):
        coarse = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(folder / f"{index}.png")


def dataset(folder: str, pairs: int) -> list[Comparison]:
    """Neighbours in a ring of as many files as pairs."""
    images = [f"{folder}/{index}.png" for index in range(pairs)]
    prompts = [f"a picture of a house by the sea, seen from a hill in the evening, number {i}" for i in range(pairs)]
    return [
        Comparison(
            f"pair-{i:05d}", "t2i", prompts[i], (images[i], images[i - 1]), ranks=(1, 2), tags={"kind": str(i % 7)}
        )
        for i in range(pairs)
    ]


def verdicts(pairs: Sequence[Comparison], seed: int) -> list[VerdictRecord]:
    """Coin flips with reasons."""
    generator = np.random.default_rng(seed)
    reason = "Image 1 shows every object that the prompt names, and its light is more natural than that of Image 2."
    flips = generator.integers(0, 2, (len(pairs), 2))
    return [
        VerdictRecord.of(pair, order, Verdict(ranks=(1, 2) if flips[i, j] else (2, 1), reason=reason))
        for i, pair in enumerate(pairs)
        for j, order in enumerate(("forward", "reverse"))
    ]


def first_pair(pairs: list[Comparison], shown: BrowserPage) -> dict[str, float]:
    """Seconds for each step, the first from the call to `PairViewer`."""
    judges = {"before": verdicts(pairs, 1), "after": verdicts(pairs, 2)}
    begun = time.perf_counter()
    viewer = PairViewer(pairs, judges, baseline="before")
    made = time.perf_counter()
    viewer._repr_mimebundle_()
    static = time.perf_counter()
    page = shown.show(viewer)
    page.wait_for_function("document.querySelectorAll('.wb-frame img').length === 2")
    seen = time.perf_counter()
    seconds = {"call to first pair": seen - begun, "  constructor": made - begun, "  static HTML": static - made}
    seconds["  first pair, its images"] = seen - static
    page.wait_for_function("!/of 1$/.test(document.querySelector('.wb-count').textContent)")
    seconds["call to index, thumbnails"] = time.perf_counter() - begun
    for name, key in (("next pair", "ArrowRight"), ("last pair", "End")):
        seconds[name] = pressed(page, key)
    begun = time.perf_counter()
    page.select_option("select >> nth=0", "wrong")
    page.wait_for_function("/in all/.test(document.querySelector('.wb-count').textContent)")
    return seconds | {"filter": time.perf_counter() - begun}


def pressed(page: Any, key: str) -> float:
    """Seconds until both images of another pair stand there."""
    page.evaluate("document.querySelector('.wb-viewer').focus()")
    page.evaluate("document.querySelectorAll('.wb-frame img').forEach((image) => (image.old = true))")
    begun = time.perf_counter()
    page.keyboard.press(key)
    page.wait_for_function("[...document.querySelectorAll('.wb-frame img')].filter((image) => !image.old).length === 2")
    return time.perf_counter() - begun


def notebook_bytes(folder: Path, pairs: int) -> int:
    """Of an executed notebook with the viewer and, at its worst, the widget's state."""
    code = CELL.format(folder=str(Path(__file__).parent), images=str(folder), pairs=pairs)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(notebook, timeout=300, store_widget_state=True).execute()
    return len(nbformat.writes(notebook).encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=128, help="pixels of an image")
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name:
        make_images(Path(name), given.pairs, given.side)
        size = notebook_bytes(Path(name), given.pairs)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER)
            shown = BrowserPage(browser.new_page())
            rows = first_pair(dataset(name, given.pairs), shown)
            browser.close()
    print(f"{given.pairs:,} pairs of {given.pairs:,} files, {given.side} pixels a side")
    for step, seconds in rows.items():
        print(f"{step:28}{seconds * 1000:>8,.0f} ms")
    print(f"{'saved notebook, with state':28}{size / 1e6:>8.2f} MB")


if __name__ == "__main__":
    main()
