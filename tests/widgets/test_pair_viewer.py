"""The pair viewer in a real browser: labels by key, filters, one zoom for all images, and text that stays text."""

import asyncio
import io
import json
import re
import subprocess
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from workbench.annotations.annotation import Annotation
from workbench.annotations.log import AnnotationLog, read_annotations
from workbench.evaluation.judging import judge_pairs
from workbench.evaluation.record import VerdictRecord
from workbench.judges.verdict import Verdict
from workbench.judges.vlm_judge import RankingJudge
from workbench.pairs.comparison import Comparison
from workbench.runs.storage import StorageError
from workbench.vlm.client import VlmClient
from workbench.vlm.settings import Endpoint
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


# ----- labelling -----


def test_labels_and_notes_by_key_are_on_disk_at_once(browser_page, tmp_path):
    widget = judged(tmp_path, rubric="r1")
    page = opened(browser_page, widget)
    press(page, "b")
    wait_for(page, "saved b, by ada")
    assert labels(tmp_path / "labels.jsonl") == [("p0", "ada", "b", "")]
    assert read_annotations(tmp_path / "labels.jsonl")[0].rubric == "r1"
    press(page, "n")
    page.keyboard.type("hands? $(x) next pair")  # keys of the viewer are letters here
    press(page, "Control+Enter", "t", "c", "ArrowRight", "s")  # no candidate c, and skipped before it could be seen
    settled(page)
    press(page, "s")
    wait_for(page, "saved skip")
    assert labels(tmp_path / "labels.jsonl")[1:] == [
        ("p0", "ada", "b", "hands? $(x) next pair"),
        ("p0", "ada", "tie", "hands? $(x) next pair"),
        ("p1", "ada", "skip", ""),
    ]
    press(page, "ArrowLeft")
    wait_for(page, "ada: tie", ".wb-people")
    assert page.input_value("textarea") == "hands? $(x) next pair"
    assert page.get_attribute("button:text-is('tie')", "aria-pressed") == "true"
    press(page, "u")
    wait_for(page, "by ada")
    assert AnnotationLog(tmp_path / "labels.jsonl").latest()["p0", "ada"].label is None


def test_moving_on_labels_one_pair_a_key_press(browser_page, tmp_path):
    page = opened(browser_page, judged(tmp_path))
    page.select_option("select >> nth=0", "unlabelled")
    press(page, "m", "a")
    page.wait_for_function("document.querySelector('.wb-count').textContent.startsWith('2 of 6')")
    settled(page)
    page.keyboard.down("b")
    page.keyboard.down("b")  # a key held down repeats
    page.keyboard.down("b")
    page.wait_for_function("document.querySelector('.wb-count').textContent.startsWith('3 of 6')")
    page.wait_for_timeout(150)
    assert [each[:3] for each in labels(tmp_path / "labels.jsonl")] == [("p0", "ada", "a"), ("p1", "ada", "b")]
    assert position(page).startswith("3 of 6")  # the list stays while it is worked through


def test_a_full_disk_is_said_and_the_label_is_not_shown_as_saved(browser_page, tmp_path, monkeypatch):
    def full(self, annotation):
        raise StorageError("cannot write labels.jsonl: No space left on device (0 MiB free on its disk)")

    page = opened(browser_page, judged(tmp_path))
    monkeypatch.setattr(AnnotationLog, "append", full)
    press(page, "a")
    wait_for(page, "NOT saved: cannot write labels.jsonl: No space left")
    assert page.get_attribute(".wb-labels button:text-is('a')", "aria-pressed") == "false"
    press(page, "n")
    page.keyboard.type("kept")
    press(page, "Escape")
    page.wait_for_timeout(100)
    assert page.input_value("textarea") == "kept"
    monkeypatch.undo()
    press(page, "a")
    wait_for(page, "saved a")


def test_without_a_file_or_with_a_foreign_one_nothing_is_labelled(browser_page, tmp_path):
    page = opened(browser_page, judged(tmp_path, annotations=None))
    press(page, "a")
    wait_for(page, "labels are not kept")
    foreign = tmp_path / "shopping.jsonl"
    foreign.write_text('{"milk": "<script>alert(1)</script>"}\n')
    page = opened(browser_page, judged(tmp_path, annotations=foreign))
    assert "shopping.jsonl, line 1: not an annotation" in page.inner_text(".wb-mine")
    assert page.is_disabled("textarea")
    press(page, "a")
    wait_for(page, "not an annotation")
    assert foreign.read_text() == '{"milk": "<script>alert(1)</script>"}\n'


def test_blind_hides_every_answer_until_i_have_labelled(browser_page, tmp_path):
    AnnotationLog(tmp_path / "labels.jsonl").append(Annotation("p0", "bo", "2026-11-21T10:00:00Z", "b", "because"))
    page = opened(browser_page, judged(tmp_path, notes={"p0": "fixed"}))
    assert "bo: b" in page.inner_text(".wb-viewer")
    press(page, "v")
    text = page.inner_text(".wb-viewer")
    for hint in ("people prefer", "bo:", "prefers", "said p0", "✗"):
        assert hint not in text, hint
    assert page.locator(".wb-preferred").count() == 0
    assert page.inner_text(".wb-head") == "p0 · text to image\na red house"
    press(page, "a")
    wait_for(page, "saved a")
    assert "a · people prefer" in page.inner_text(".wb-panes")
    assert "said p0forward" in page.inner_text(".wb-judges")


def test_two_tabs_go_their_own_ways_and_share_labels(browser_page, chromium, tmp_path):
    widget = judged(tmp_path)
    first = opened(browser_page, widget)
    other_shown = type(browser_page)(chromium.new_page())
    other = opened(other_shown, widget)
    bridges = [browser_page.bridge, other_shown.bridge]
    widget.comm.send = lambda *args, **more: [bridge._send(*args, **more) for bridge in bridges]
    press(first, "ArrowRight", "ArrowRight")
    first.wait_for_function("document.querySelector('.wb-count').textContent.startsWith('3 of')")
    assert position(other).startswith("1 of 6")
    press(other, "b")
    wait_for(other, "saved b")
    first.wait_for_function("document.querySelector('.wb-cell-name').textContent === '1 b'")
    press(first, "Home")
    wait_for(first, "ada: b", ".wb-people")
    widget.show("p4")
    for page in (first, other):
        page.wait_for_function("document.querySelector('.wb-count').textContent.startsWith('5 of 6')")
    widget.filter(["p3", "p1"])
    for page in (first, other):
        page.wait_for_function("document.querySelector('.wb-count').textContent.startsWith('1 of 2')")
        wait_for(page, "a yellow house", ".wb-prompt")
    other_shown.bridge.close()
    assert other_shown.errors == []
    other.close()


# ----- finding -----


def test_filters_judges_tags_search_and_jumps_find_pairs(browser_page, tmp_path):
    page = opened(browser_page, judged(tmp_path))

    def choose(which, value):
        page.select_option(f"select >> nth={which}", value)
        page.wait_for_timeout(60)
        return position(page)

    assert "judge wrong (3)" in page.inner_text("select >> nth=0")
    assert choose(0, "wrong") == "1 of 3, 6 in all"
    assert choose(1, "rubric") == "1 of 2, 6 in all"
    assert page.locator(".wb-judge").count() == 1
    assert choose(0, "fixed") == "1 of 2, 6 in all"  # p1, and p4 whose baseline was invalid
    assert choose(0, "broken") == "1 of 1, 6 in all"
    assert page.inner_text(".wb-prompt") == "a yellow house"
    assert choose(0, "inconsistent") == "1 of 1, 6 in all"
    assert choose(0, "failed") == "0 of 0, 6 in all"
    assert "No pair passes the filters." in page.inner_text(".wb-head")
    assert choose(1, "") == "1 of 1, 6 in all"
    assert choose(0, "all") == "5 of 6"  # it stays with the pair
    assert choose(2, json.dumps(["odd", "1"], separators=(",", ":"))) == "1 of 3, 6 in all"
    choose(2, "")
    press(page, "/")
    page.keyboard.type("SAID P3REV")  # reasons are searched too
    page.wait_for_function("document.querySelector('.wb-count').textContent.startsWith('1 of 1,')")
    press(page, "Escape", "G")
    page.keyboard.type("p5")
    press(page, "Enter")
    page.wait_for_function("document.querySelector('.wb-count').textContent === '6 of 6'")
    press(page, "G")
    page.keyboard.type("2")
    press(page, "Enter")
    page.wait_for_function("document.querySelector('.wb-count').textContent === '2 of 6'")
    press(page, "End", "k", "ArrowLeft", "j")
    page.wait_for_function("document.querySelector('.wb-count').textContent === '5 of 6'")
    press(page, "G")
    page.keyboard.type("<b>nowhere")
    press(page, "Enter")
    wait_for(page, "Neither the id of a pair nor a number from 1 to 6: <b>nowhere", "[role=alert]")


def test_every_key_of_the_sheet_stays_inside_and_escape_leaves(browser_page, tmp_path):
    page = opened(browser_page, judged(tmp_path))
    page.evaluate("window.leaked = []; document.addEventListener('keydown', (event) => leaked.push(event.key))")
    assert page.get_attribute(".wb-viewer", "data-lm-suppress-shortcuts") == "true"
    press(page, "?")
    assert page.is_visible("[role=dialog]")
    assert "pixel difference" in page.inner_text("[role=dialog]")
    press(page, "Escape")
    assert not page.is_visible("[role=dialog]")
    for key in ("F", "J", "T", "/", "G", "n"):
        press(page, key)
        assert page.evaluate("document.activeElement.matches('select, input, textarea')"), key
        press(page, "Escape")
        assert page.evaluate("document.activeElement.matches('.wb-viewer')"), key
    press(page, *"abtsuwxvmjkr+-01=", "d", "z", "ArrowUp", "Shift+ArrowUp", "Home", "End", "Escape")
    assert page.evaluate("leaked") == []
    assert page.evaluate("document.activeElement === document.body")
    press(page, "a")
    assert page.evaluate("leaked") == ["a"]
    unnamed = page.evaluate(
        """[...document.querySelectorAll('button, input, select, textarea')]
             .filter((each) => !(each.textContent.trim() || each.getAttribute('aria-label'))).length"""
    )
    assert unnamed == 0


# ----- images -----

BOXES = """[...document.querySelectorAll('.wb-frame')].map((frame) => {
  const [f, p] = [frame.getBoundingClientRect(), frame.querySelector('img, canvas').getBoundingClientRect()];
  return [(f.left + f.width / 2 - p.left) / p.width, (f.top + f.height / 2 - p.top) / p.height, p.width / f.width];
})"""


def together(page):
    """Centre of view in each image, as fractions, and the zoom; the same for all."""
    boxes = page.evaluate(BOXES)
    for box in boxes:
        assert box == pytest.approx(boxes[0], abs=0.01)
    return boxes[0]


def test_zoom_and_pan_move_all_images_to_the_same_place(browser_page):
    sizes = [(640, 480), (1280, 960), (64, 48)]  # one shape, three resolutions
    shown = Comparison(
        "p", "edit", "x", (png("red", sizes[1]), png("blue", sizes[2])), source_image=png("green", sizes[0])
    )
    page = opened(browser_page, PairViewer([shown]))
    whole = together(page)
    assert page.evaluate("document.querySelectorAll('.wb-frame img')[2].style.imageRendering") == "pixelated"
    assert page.evaluate("document.querySelectorAll('.wb-frame img')[1].style.imageRendering") == "auto"
    press(page, "+", "+", "=", "+")
    assert together(page)[2] == pytest.approx(whole[2] * 1.25**4, rel=0.01)
    before = together(page)
    press(page, "Shift+ArrowRight", "Shift+ArrowDown")
    after = together(page)
    assert after[0] > before[0]
    assert after[1] > before[1]
    box = page.locator(".wb-frame").nth(1).bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 130)
    page.mouse.up()
    dragged = together(page)
    assert dragged[0] < after[0]
    assert dragged[1] < after[1]
    page.mouse.wheel(0, -300)
    page.wait_for_timeout(50)
    assert together(page)[2] > dragged[2]
    press(page, "1")
    assert page.inner_text(".wb-scale") == "100%"
    press(page, "0")
    assert together(page) == pytest.approx(whole, abs=0.01)
    press(page, "Escape")
    page.mouse.wheel(0, -300)  # without the focus the wheel is the page's
    page.wait_for_timeout(50)
    assert together(page)[2] == pytest.approx(whole[2], abs=0.01)


def test_the_difference_shows_one_changed_pixel_and_says_when_sizes_differ(browser_page):
    images = (png("red"), png("red", dot=(250, 0, 0)), png("red", size=(32, 48)))
    page = opened(browser_page, PairViewer([Comparison("p", "edit", "x", images, source_image=png("red"))]))
    press(page, "x")
    caption = "[data-slot=difference] figcaption"
    assert (
        page.inner_text(caption)
        == "difference of a and b under 0.1% of pixels differ, by at most 5 of 255; shown ×51.0"
    )
    pixels = page.evaluate(
        "[...document.querySelector('.wb-frame canvas').getContext('2d').getImageData(0, 0, 2, 1).data]"
    )
    assert pixels == [255, 255, 255, 255, 0, 0, 0, 255]
    press(page, "x")
    assert "sizes differ: 32×48 was scaled to 64×48" in page.inner_text(caption)
    press(page, "x", "x")
    assert page.inner_text(caption) == "difference of source and a no pixel differs"
    press(page, "x", "x", "x")
    assert page.locator(caption).count() == 0


def test_swapping_moves_images_and_their_captions_and_says_what_the_judge_saw(browser_page, tmp_path):
    page = opened(browser_page, judged(tmp_path))
    captions = "[...document.querySelectorAll('figcaption b')].map((each) => each.textContent)"
    pixel = """(() => { const [image] = document.querySelectorAll('.wb-frame img');
        const context = document.createElement('canvas').getContext('2d');
        context.drawImage(image, 0, 0);
        return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3); })()"""
    assert page.evaluate(captions) == ["a · people prefer", "b"]
    assert page.evaluate(pixel) == [255, 0, 0]
    press(page, "w")
    assert page.evaluate(captions) == ["b", "a · people prefer"]
    assert page.evaluate(pixel) == [255, 255, 255]
    assert "forward: shown a as Image 1, b as Image 2" in page.inner_text(".wb-judges")
    assert "reverse: shown b as Image 1, a as Image 2" in page.inner_text(".wb-judges")
    press(page, "ArrowRight")
    settled(page)
    press(page, "a")  # a is a, wherever it stands
    wait_for(page, "saved a")
    assert page.evaluate(captions) == ["b", "a · people prefer"]


def test_an_image_that_vanished_leaves_the_rest_at_work(browser_page, tmp_path):
    path = tmp_path / "gone.png"
    path.write_bytes(png())
    bad = Comparison(
        "p0", "edit", "x", (str(path), b"junk", png("blue", (3000, 6))), source_image=png("green", (5, 2500))
    )
    widget = PairViewer([bad, *pairs()[1:]], annotations=tmp_path / "labels.jsonl", author="ada")
    path.unlink()
    page = opened(browser_page, widget)
    missing = page.locator(".wb-missing").all_inner_texts()
    assert missing == [
        f"no image: {path} does not exist: add the file, or correct the path",
        "no image: not an image file, or its start is damaged: use JPEG, PNG, WebP or GIF",
    ]
    page.wait_for_selector(".wb-gone")
    press(page, "x", "+", "c")  # no difference, a zoom, and a label for what cannot all be seen
    wait_for(page, "saved c")
    assert "an image is missing" in page.inner_text("[data-slot=difference]")
    press(page, "ArrowRight")
    page.wait_for_function("document.querySelectorAll('.wb-frame img').length === 2")


def test_thumbnails_come_on_demand_and_images_are_let_go(browser_page):
    widget = PairViewer(pairs(3000))
    browser_page.page.add_init_script(
        """window.alive = 0;
        const [make, drop] = [URL.createObjectURL, URL.revokeObjectURL];
        URL.createObjectURL = (blob) => ((alive += 1), make.call(URL, blob));
        URL.revokeObjectURL = (url) => ((alive -= 1), drop.call(URL, url));"""
    )
    page = opened(browser_page, widget)
    for _ in range(12):
        press(page, "ArrowRight")
        page.wait_for_timeout(15)
    settled(page)
    page.wait_for_timeout(200)
    asked = [
        message["content"]["content"]
        for message in browser_page.bridge.received
        if message["content"]["ask"] == "image"
    ]
    thumbs = {each["key"] for each in asked if each["size"] == "thumb"}
    assert 10 < len(thumbs) < 90
    assert page.locator(".wb-cell").count() < 30
    assert page.evaluate("alive") <= len(thumbs) + 2 + 1  # the pair in view; the module itself is one too
    page.evaluate("destroy()")
    assert page.evaluate("alive") <= 1


# ----- what was asked and answered -----


def test_the_exact_request_can_be_copied_and_carries_no_key(browser_page, tmp_path, monkeypatch):
    from workbench.shapes.judge.server import running_server
    from workbench.shapes.judge.settings import JudgeSettings

    monkeypatch.setenv("OPENAI_API_KEY", "sk-never-to-be-seen")
    shown = pairs(1)
    records = []

    async def judge(url, model):
        async with VlmClient(Endpoint(url, model), cache=tmp_path / "cache") as client:
            records.extend(await judge_pairs(shown, RankingJudge(client)))

    settings = JudgeSettings.load(Path("data/shapes/t2i"))
    with running_server(settings) as url:
        thread = threading.Thread(
            target=lambda: asyncio.run(judge(url, settings.model_id))
        )  # Playwright has this one's loop
        thread.start()
        thread.join()
        widget = PairViewer(shown, {"free": records}, cache=tmp_path / "cache", base_url=url)
        page = opened(browser_page, widget)
        assert "synthetic" in page.inner_text(".wb-bar >> nth=0")
        press(page, "r")
        page.wait_for_selector("[aria-label='raw reply']")
        curl = page.inner_text("[aria-label='request as curl']")
        reply = page.inner_text("[aria-label='raw reply']")
        page.click("text=copy as curl")
        page.wait_for_selector("button:text-matches('copied|selected')")  # an insecure page may not copy, but select
        assert page.evaluate("getSelection().toString()") in ("", curl)
        assert "sk-never" not in page.content()
        assert json.loads(reply)["rank"] in ([1, 2], [2, 1])
        assert 'Authorization: Bearer $OPENAI_API_KEY"' in curl
        answer = subprocess.run(["sh", "-c", curl], capture_output=True, check=True, timeout=20).stdout
    assert json.loads(answer)["choices"][0]["message"]["content"] == reply


# ----- without a browser -----


def test_without_a_kernel_the_first_pairs_are_plain_html(tmp_path):
    widget = judged(tmp_path)
    html = widget.to_html()
    assert html.count("<img") == 8
    assert "6 pairs, of which the first 4 are shown here" in html
    assert "needs a running kernel" in html
    assert "<script" not in html
    widget.filter(["p5"])
    assert widget.to_html().count("<img") == 2
    bundle, _ = widget._repr_mimebundle_()
    assert len(json.dumps(bundle)) < 100_000
    assert bundle["text/html"] == widget.to_html()


def test_state_stays_small_whatever_the_dataset():
    state = PairViewer(pairs(2000)).get_state()
    assert len(json.dumps({name: value for name, value in state.items() if isinstance(value, str)})) < 100_000


def test_mistakes_are_named(tmp_path):
    with pytest.raises(ValueError, match="baseline is 'x', which is not among the judges: none"):
        PairViewer(pairs(), baseline="x")
    with pytest.raises(ValueError, match="two pairs with the id 'p0'"):
        PairViewer([*pairs(), *pairs()])
    widget = judged(tmp_path)
    for call in (lambda: widget.show("nope"), lambda: widget.filter(["p0", "nope"]), lambda: widget.on_pair(id="nope")):
        with pytest.raises(ValueError, match="no pair has the id 'nope'; the viewer has 6"):
            call()
    with pytest.raises(ValueError, match="label is 'c', must be one of a, b, tie, skip"):
        widget.on_annotate(pair_id="p0", label="c", note="")


def test_a_label_keeps_the_note_as_it_was_written(tmp_path):
    widget = judged(tmp_path)
    AnnotationLog(tmp_path / "labels.jsonl").append(Annotation("p0", "ada", "2026-11-21T10:00:00Z", "a", "x\u202ey"))
    shown = widget.on_pair(id="p0")["annotations"][0]["note"]
    widget.on_annotate(pair_id="p0", label="b", note=shown)
    assert labels(tmp_path / "labels.jsonl")[-1] == ("p0", "ada", "b", "x\u202ey")


def test_labels_from_many_threads_all_arrive(tmp_path):
    widget = judged(tmp_path)
    threads = [
        threading.Thread(
            target=widget.on_annotate, kwargs={"pair_id": f"p{i % 6}", "label": "ab"[i % 2], "note": str(i)}
        )
        for i in range(24)
    ]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(labels(tmp_path / "labels.jsonl")) == 24


# ----- hostile text -----

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


def test_the_last_question_answered_is_the_last_pair_asked_for(browser_page, tmp_path):
    widget = judged(tmp_path)
    page = opened(browser_page, widget)
    answer = widget.on_pair
    slow = {"p1": 0.25, "p2": 0.1, "p3": 0.0}
    widget.on_pair = lambda id: (time.sleep(slow.get(id, 0)), answer(id))[1]
    press(page, "ArrowRight", "ArrowRight", "ArrowRight")
    page.wait_for_timeout(500)
    assert page.inner_text(".wb-prompt") == "a yellow house"
    assert position(page) == "4 of 6"
