"""The real file in a browser with the network off: what a colleague sees, and what they can do."""

import json
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from shared_runs import RUBRIC, ScriptedJudge, make_run, write_pairs

from workbench.annotations.annotation import Annotation
from workbench.annotations.log import AnnotationLog
from workbench.annotations.merge import merge_files
from workbench.figures.theme import follow_page
from workbench.pairs.loading import load
from workbench.rubrics.rubric import Criterion, Rubric, Theme
from workbench.runs.folder import RunFolder
from workbench.sharing.share import share

PAIRS = Path("data/pairs.jsonl")
ODD = "p/2 #x%20?é"

RUN = "window.pwned = (window.pwned ?? 0) + 1"
HOSTILE = [
    f"<script>{RUN}</script>",
    f"<img src=x onerror='{RUN}'>",
    f"\"><svg onload='{RUN}'>",
    f"</script><script>{RUN}</script>",
    f"</title></style></noscript><img src=x onerror='{RUN}'>",
    f'[x](javascript:{RUN}) <a href="javascript:{RUN}">x</a>',
    f'<iframe srcdoc="<script>parent.{RUN}</script>"></iframe>',
    f"{{{{script}}}} ${{{RUN}}} <!--<script>{RUN}",
    "__proto__",
]
ATTACK = " ".join(HOSTILE)


def shown_image(page) -> bool:
    return page.locator("#viewer .wb-frame img").first.evaluate("image => image.complete && image.naturalWidth > 0")


def test_a_colleague_reads_follows_a_link_comments_and_hands_the_comments_back(here, reader, tmp_path):
    write_pairs(here / "data", 6, id=lambda i: ODD if i == 2 else f"p{i}")
    before = make_run(PAIRS, here / "outputs/free", ScriptedJudge(wrong=(ODD,)))
    run = make_run(PAIRS, here / "outputs/sharp", ScriptedJudge("sharp"), RUBRIC)
    file = share(run, against=before, out=here / "page.html").path
    page = reader.open(file, accept_downloads=True)

    assert page.locator("h1").inner_text() == "sharp against rubric-free on data-pairs"
    assert "With 6 pairs of 3 prompts" in page.locator("#results").inner_text()
    page.locator(".plot-box svg.main-svg").first.wait_for()
    assert page.evaluate("location.hash") == ""  # opening the first pair is no step of the reader's

    page.get_by_role("link", name=ODD, exact=True).first.click()
    page.get_by_text("3 of 6").wait_for()
    assert page.evaluate("decodeURIComponent(location.hash)") == f"#pair={ODD}"
    assert "fixed" in page.locator("#viewer .wb-head").inner_text()
    page.locator("#viewer .wb-frame img").first.wait_for()
    assert shown_image(page)

    page.keyboard.press("ArrowRight")
    page.get_by_text("4 of 6").wait_for()
    assert page.evaluate("location.hash") == "#pair=p3"
    page.locator("#viewer[aria-busy=false]").wait_for()  # a pair is labelled once it can be seen
    page.keyboard.press("b")
    page.get_by_label("your name").fill("Grace")
    page.keyboard.press("Enter")
    page.get_by_text("1 comment, 1 not exported yet").wait_for()
    page.get_by_label("note on this pair").fill("both <b>dark</b>")
    page.keyboard.press("Control+Enter")
    page.locator("#viewer .wb-people").get_by_text("both <b>dark</b>").wait_for()
    page.reload()  # opened again, by its link
    assert reader.dialogs == ["beforeunload"]
    page.get_by_text("4 of 6").wait_for()
    page.locator("#viewer .wb-people").get_by_text("both <b>dark</b>").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="export as JSON").click()
    download.value.save_as(tmp_path / "from-grace.json")
    page.get_by_text("1 comment, all exported").wait_for()
    assert download.value.suggested_filename == "annotations-sharp-Grace.json"
    merged = merge_files([tmp_path / "from-grace.json"], run / "annotations.jsonl", load(PAIRS))
    (comment,) = [each for each in merged.annotations if each.note]
    assert (comment.pair_id, comment.author, comment.label, comment.note) == ("p3", "Grace", "b", "both <b>dark</b>")
    assert comment.rubric == RUBRIC.hash
    assert merged.orphans == ()
    assert {url.split("#")[0] for url in reader.requests if not url.startswith(("data:", "blob:"))} == {
        f"file://{file}"
    }
    assert reader.errors == []


def executed(folder: Path, cells: list) -> Path:
    """The run folder of a notebook that was executed with these cells."""
    with RunFolder.open(folder, {"notebook": {"name": "nb", "hash": "0"}, "parameters": {"seed": 1}}, kind="notebook"):
        nbformat.write(new_notebook(cells=cells), folder / "notebook.ipynb")
    return folder


def plotly_output(**layout):
    figure = {"data": [{"type": "scatter", "x": [1, 2], "y": [3, 4], "name": "a"}], "layout": layout}
    return new_output("display_data", data={"application/vnd.plotly.v1+json": figure, "text/html": "<table></table>"})


def test_a_notebook_is_told_in_order_with_live_figures_that_follow_the_theme(here, reader, monkeypatch):
    monkeypatch.setenv("WORKBENCH_NOTEBOOK_RUN", str(here / "outputs/nb"))
    layout = {"title": {"text": "A <b>plot</b>"}, "xaxis": {"showgrid": True}, "height": 300, "margin": {"t": 66}}
    folder = executed(
        here / "outputs/nb",
        [
            new_markdown_cell("# A study\n\n**Question.** Does *it* help?\n\n**You will** see. [the pair](#pair=p1)"),
            new_code_cell("x = 1\nx", outputs=[new_output("stream", text="three lines\n")]),
            new_markdown_cell("## First"),
            new_code_cell("f()", outputs=[plotly_output(**follow_page({"layout": layout})["layout"])]),
            new_markdown_cell("## Second"),
            new_code_cell("t()", outputs=[new_output("execute_result", data={"text/html": "<p>seven</p>"})]),
            new_code_cell(
                "1/0", outputs=[new_output("error", ename="ZeroDivisionError", evalue="by 0", traceback=["a\x1b[31mb"])]
            ),
        ],
    )
    make_run(PAIRS, here / "outputs/free", ScriptedJudge())
    make_run(PAIRS, here / "outputs/sharp", ScriptedJudge("sharp"), RUBRIC)
    page = reader.open(share(folder).path, "#pair=p1", color_scheme="dark")
    page.get_by_text("2 of 6").wait_for()
    assert page.locator("h1").inner_text() == "A study"
    assert page.locator(".question").inner_text() == "Does it help?"
    assert page.locator("#narrative h3").all_inner_texts() == ["First", "Second"]
    words = page.locator("#narrative").inner_text()
    assert words.index("three lines") < words.index("First") < words.index("A plot") < words.index("seven")
    assert "this cell failed: ZeroDivisionError: by 0" in words
    assert not page.get_by_text("x = 1").is_visible()  # code is folded
    page.locator("#narrative summary", has_text="code, 2 lines").click()
    assert page.get_by_text("x = 1").is_visible()
    assert page.locator("#viewer .wb-judge h4").all_inner_texts() == ["rubric-free", "sharp"]
    assert page.locator(".plot-box svg.main-svg").count() >= 1
    tick = "() => getComputedStyle(document.querySelector('.plot-box .xtick tspan')).fill"
    dark = page.evaluate(tick)
    page.emulate_media(color_scheme="light")
    changed = (page.wait_for_timeout(50) or page.evaluate(tick) != dark for _ in range(100))
    assert any(changed)
    label = "(mark) => getComputedStyle(document.querySelector(`.plot-box .hovertext ${mark}`)).fill"
    page.evaluate("Plotly.Fx.hover(document.querySelector('.plot-box'), [{ curveNumber: 0, pointNumber: 0 }])")
    page.locator(".plot-box .hovertext").wait_for()
    assert page.evaluate(label, "path") == "rgb(246, 246, 244)"
    assert page.evaluate(label, ".nums") == "rgb(27, 27, 27)"
    assert page.evaluate("document.scripts.length") > 0
    assert (folder / "report.html").read_text().count("Plotly, Inc.") == 1
    assert reader.errors == []


def test_nothing_in_a_hostile_run_ever_runs(here, reader):
    hostile_data = here / "data <img src=x onerror=alert(1)>"
    pairs = write_pairs(
        hostile_data, len(HOSTILE), id=lambda i: HOSTILE[i], prompt=ATTACK, tags={ATTACK[:80]: ATTACK, "__proto__": "x"}
    )
    rubric = Rubric(ATTACK, "t2i", (Theme(ATTACK, criteria=(Criterion("c1", ATTACK, source=ATTACK),)),))
    before = make_run(pairs, here / "outputs/a", ScriptedJudge(ATTACK, reason=lambda *_: ATTACK))
    judge = ScriptedJudge("b", wrong=HOSTILE[:4], reason=lambda *_: ATTACK)
    run = make_run(pairs, here / "outputs/b", judge, rubric)
    AnnotationLog(run / "annotations.jsonl").append(
        Annotation(HOSTILE[0], ATTACK[:200], "2026-11-21T10:00:00Z", "a", ATTACK)
    )
    page = reader.open(share(run, against=before, question=ATTACK).path)
    for number in range(1, len(HOSTILE) + 1):
        page.get_by_text(f"{number} of {len(HOSTILE)}", exact=True).wait_for()
        page.wait_for_timeout(20)
        page.locator("#viewer").focus()
        page.keyboard.press("ArrowRight")
    page.locator("#viewer input[type=search]").fill("onerror")
    page.wait_for_timeout(400)
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    page.get_by_label("your name").fill(ATTACK[:100])
    page.keyboard.press("Enter")
    page.get_by_text("not exported yet").wait_for()
    assert ATTACK[:60] in page.locator("#rubric").inner_text()
    assert page.evaluate("window.pwned") is None
    assert page.locator("iframe, #viewer svg, [onerror], [onload]").count() == 0

    svg = f"<svg xmlns='http://www.w3.org/2000/svg'><script>{RUN}</script></svg>"
    away = [{"source": "https://e.example/x.png", "sizex": 1, "sizey": 1}]
    outputs = [
        new_output("display_data", data={"text/html": ATTACK}),
        new_output("display_data", data={"text/html": [f"<div onclick='{RUN}'>", ATTACK]}),
        new_output("display_data", data={"application/javascript": RUN, "text/plain": ATTACK}),
        new_output("display_data", data={"text/markdown": ATTACK}),
        new_output("display_data", data={"image/svg+xml": svg}),
        new_output("display_data", data={"image/png": "AAAA", "text/plain": ATTACK}),
        new_output("stream", text=ATTACK),
        new_output("error", ename=ATTACK, evalue=ATTACK, traceback=[ATTACK]),
        plotly_output(title=ATTACK, xaxis={"title": {"text": ATTACK}}, images=away),
    ]
    words = new_markdown_cell(f"# {ATTACK}\n\n**Question.** {ATTACK}\n\n{ATTACK}")
    folder = executed(here / "outputs/nb", [words, new_code_cell(ATTACK, outputs=outputs)])
    notebook = reader.open(share(folder).path)
    notebook.locator(".plot-box svg.main-svg").first.wait_for()
    notebook.wait_for_timeout(200)
    assert notebook.evaluate("window.pwned") is None
    assert notebook.locator("iframe, [onerror], [onload], [onclick], #narrative script").count() == 0
    assert reader.dialogs == []


def test_without_javascript_card_narrative_and_some_pairs_are_there(here, reader):
    run = make_run(PAIRS, here / "outputs/free")
    page = reader.open(share(run).path, java_script_enabled=False)
    text = page.locator("body").inner_text()
    for words in (
        "rubric-free on data-pairs",
        "What was run",
        "The judge agrees with people on",
        "6 of them, those that flipped first",
    ):
        assert words in text
    assert page.locator("noscript img").count() == 12
    page.locator(".plot summary").first.click()
    assert page.locator(".plot table").first.is_visible()
    assert not page.locator("#comments").is_visible()


def test_a_vanished_picture_and_an_unknown_pair_are_said(here, reader):
    run = make_run(PAIRS, here / "outputs/free")
    (here / "data/images/2-b.png").unlink()
    page = reader.open(share(run).path, "#pair=p2", viewport={"width": 420, "height": 800})
    page.get_by_text("the picture 2-b.png could not be read when this page was written").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 420
    page.evaluate("location.hash = '#pair=nobody'")
    page.get_by_text("This pair is not among those shown.").wait_for()
    assert reader.errors == []


def test_a_comment_changes_nothing_but_what_it_says(here, reader, tmp_path):
    run = make_run(PAIRS, here / "outputs/free")
    log = AnnotationLog(run / "annotations.jsonl")
    log.append(Annotation("p0", "Ada", "2031-11-21T10:00:00Z", "a", "soft"))  # by a clock ahead of the reader's
    log.append(Annotation("p1", "Ada", "2026-11-21T10:00:00Z", "tie", ""))
    page = reader.open(share(run).path, accept_downloads=True)
    page.locator("#viewer[aria-busy=false]").wait_for()
    page.get_by_label("note on this pair").fill("softer")  # nobody said yet who is writing
    page.keyboard.press("Control+Enter")
    page.get_by_label("your name").fill("Ada")
    page.keyboard.press("Enter")
    page.locator(".wb-said").get_by_text("saved a, by Ada").wait_for()
    page.locator(".wb-cell-name").get_by_text("2 tie").wait_for()  # what Ada said before is hers again

    other = page.context.new_page()
    other.goto(page.url)
    other.locator("#viewer[aria-busy=false]").wait_for()
    other.locator("#viewer").focus()
    other.keyboard.press("b")
    other.locator(".wb-said").get_by_text("saved b").wait_for()
    page.locator(".wb-cell-name").get_by_text("1 b").wait_for()
    page.get_by_label("note on this pair").fill("softest")
    page.keyboard.press("Control+Enter")
    page.locator(".wb-said").get_by_text("saved b, by Ada").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="export as JSON").click()
    download.value.save_as(tmp_path / "from-ada.json")
    merge_files([log.path, tmp_path / "from-ada.json"], log.path, load(PAIRS))
    said = {pair: (each.label, each.note) for (pair, _), each in log.latest().items()}
    assert said == {"p0": ("b", "softest"), "p1": ("tie", "")}
    assert reader.errors == []


def test_what_else_lies_in_the_browsers_storage_does_no_harm(here, reader):
    file = share(make_run(PAIRS, here / "outputs/free")).path
    about = json.loads(file.read_text().split('id="page-pairs">')[1].split("</script>")[0])["about"]
    place = f"workbench comments, {about['run']}, {about['dataset']}"
    page = reader.open(file)
    odd = [{"pair_id": "p0", "author": "x", "note": "", "time": time, "label": None} for time in ("z", "9999-12-31")]
    odd.append({"pair_id": "p0", "author": "x", "note": "", "time": "2026-11-21T10:00:00Z", "label": {"a": 1}})
    for stored in ('{"comments": [1, {"pair_id": 3}], "author": 7}', json.dumps({"comments": odd}), "not json"):
        page.evaluate("([place, stored]) => localStorage.setItem(place, stored)", [place, stored])
        page.reload()
        page.get_by_text("no comments yet").wait_for()
        page.get_by_text("1 of 6").wait_for()
    assert reader.errors == []
