"""Pairs, verdicts and pages shared by the tests of the pair viewer."""

import io

from PIL import Image

from workbench.annotations.log import read_annotations
from workbench.evaluation.record import VerdictRecord
from workbench.judges.verdict import Verdict
from workbench.pairs.comparison import Comparison
from workbench.widgets.pair_viewer import PairViewer

COLORS = ["red", "blue", "green", "yellow", "purple", "black"]


def png(color="red", size=(64, 48), dot=None):
    image = Image.new("RGB", size, color)
    if dot:
        image.putpixel((0, 0), dot)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def pairs(count=6):
    return [
        Comparison(
            f"p{i}",
            "t2i",
            f"a {COLORS[i % 6]} house",
            (png(COLORS[i % 6]), png("white")),
            ranks=(1, 2),
            tags={"odd": str(i % 2)},
        )
        for i in range(count)
    ]


def said(comparisons, outcomes, **verdict):
    """Verdicts written as `ab ba`: forward and reverse of each pair; `i` is invalid."""
    ranks = {"a": (1, 2), "b": (2, 1), "t": (1, 1), "i": None}
    return [
        VerdictRecord.of(
            pair,
            order,
            Verdict(
                ranks=ranks[letter],
                failure=None if ranks[letter] else "invalid",
                reason=f"said {pair.id}{order}",
                **verdict,
            ),
        )
        for pair, both in zip(comparisons, outcomes.split(), strict=False)
        for order, letter in zip(("forward", "reverse"), both, strict=True)
    ]


def judged(tmp_path, **changes):
    every = pairs()
    judges = {"free": said(every, "aa bb ab aa ii aa"), "rubric": said(every, "aa aa ab bb aa aa")}
    fields = {"baseline": "free", "annotations": tmp_path / "labels.jsonl", "author": "ada"} | changes
    return PairViewer(every, judges, **fields)


def opened(shown, widget):
    """The page once its index is there."""
    page = shown.show(widget)
    page.wait_for_function("document.querySelector('.wb-cell-name')")
    settled(page)
    page.focus(".wb-viewer")
    return page


def settled(page):
    page.wait_for_selector(".wb-viewer[aria-busy=false]")


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def position(page):
    return page.inner_text(".wb-count")


def wait_for(page, text, where=".wb-said"):
    page.wait_for_function(
        "([where, text]) => document.querySelector(where).textContent.includes(text)", arg=[where, text]
    )


def labels(path):
    return [(each.pair_id, each.author, each.label, each.note) for each in read_annotations(path)]
