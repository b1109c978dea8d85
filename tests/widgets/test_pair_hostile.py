"""Text of models, datasets and people stays text in every place where the viewer shows it."""

import re

from viewer_pages import opened, png, press, settled, wait_for

from workbench.annotations.annotation import Annotation
from workbench.annotations.log import AnnotationLog
from workbench.evaluation.record import VerdictRecord
from workbench.judges.verdict import Verdict
from workbench.pairs.comparison import Comparison
from workbench.widgets.pair_viewer import PairViewer

HOSTILE = [
    "<script>window.hit = 1</script>",
    "<img src=x onerror='window.hit = 1'>",
    "<svg/onload=window.hit=1>",
    "\" onmouseover=window.hit=1 x=\"' onfocus=window.hit=1 autofocus '",
    "</bdi></option></select></textarea></style><iframe srcdoc='<script>parent.hit=1</script>'>",
    "javascript:window.hit=1 {{constructor.constructor('hit=1')()}} ${window.hit=1} `${hit=1}`",
    "__proto__",
    "constructor",
    "\u202e\u2067right to left\u2069 \x00\x1b[31m \ud83d",
    "$$\\href{javascript:hit=1}{x}$$ <a href='https://example.com/x'>x</a> http://example.com/y.png",
    "x" * 100_000,
]


def hostile_viewer(tmp_path):
    every = [
        Comparison(
            text.replace("\ud83d", ""),
            "t2i",
            text,
            (png(), f"/{text}" if i % 2 else png("blue")),
            ranks=(1, 2),
            tags={text: text},
        )
        for i, text in enumerate(HOSTILE)
    ]
    judges = {}
    for name in HOSTILE:
        judges[name] = [
            VerdictRecord.of(
                pair,
                "forward",
                Verdict((2, 1), reason=pair.prompt, criteria={pair.prompt: (1, 2)}, keys=(pair.prompt,)),
            )
            for pair in every
        ] + [VerdictRecord.of(pair, "reverse", Verdict(None, "error", detail=pair.prompt)) for pair in every]
    log = AnnotationLog(tmp_path / "labels.jsonl")
    for pair in every:
        log.append(Annotation(pair.id, HOSTILE[0], "2026-11-21T10:00:00Z", "a", pair.prompt[:20_000]))
        log.append(Annotation(pair.id, HOSTILE[1], "2026-11-21T10:00:01Z", "b", pair.prompt[:20_000]))
    notes = {pair.id: pair.prompt for pair in every}
    return PairViewer(
        every,
        judges,
        baseline=HOSTILE[1],
        author=HOSTILE[0],
        notes=notes,
        annotations=log.path,
        cache=tmp_path / "none",
    )


def test_nothing_hostile_ever_runs(browser_page, tmp_path):
    page = opened(browser_page, hostile_viewer(tmp_path))
    tags = {"SCRIPT", "IFRAME", "SVG", "A", "STYLE", "OBJECT", "EMBED", "LINK"}
    for i in range(len(HOSTILE)):
        page.wait_for_function(
            "(n) => document.querySelector('.wb-count').textContent.startsWith(n + ' of')", arg=str(i + 1)
        )
        settled(page)
        page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        press(page, "r", "v", "v", "x", "w", "b")
        wait_for(page, "saved b")
        found = page.evaluate(
            "[...document.querySelectorAll('.wb-viewer *')].map((each) => each.tagName.toUpperCase())"
        )
        assert tags.isdisjoint(found)
        names = page.evaluate(
            "[...document.querySelectorAll('.wb-viewer *')].flatMap((each) => each.getAttributeNames())"
        )
        assert not [name for name in names if name.startswith("on") or name in ("href", "srcdoc")]
        text = page.inner_text(".wb-viewer")
        assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\x1b]", text)
        assert len(text) < 3_000_000
        press(page, "ArrowRight")
    press(page, "/")
    page.keyboard.type(HOSTILE[1])
    page.wait_for_function("document.querySelector('.wb-count').textContent.includes('in all')")
    for value in page.evaluate("[...document.querySelectorAll('select')[1].options].map((each) => each.value)"):
        page.select_option("select >> nth=1", value)
    page.wait_for_timeout(100)
    assert page.evaluate("window.hit") is None
    assert page.evaluate("({}).polluted") is None
    assert [url for url in browser_page.requests if not url.startswith("blob:")] == []
    assert "<script>window" not in hostile_viewer(tmp_path).to_html()
