"""The viewer as a whole: finding pairs, its keys, the request behind a verdict, and its life without a kernel."""

import asyncio
import json
import subprocess
import threading
import time
from pathlib import Path

import pytest
from viewer_pages import judged, labels, opened, pairs, position, press, wait_for

from workbench.annotations.annotation import Annotation
from workbench.annotations.log import AnnotationLog
from workbench.evaluation.judging import judge_pairs
from workbench.judges.vlm_judge import RankingJudge
from workbench.shapes.judge.server import running_server
from workbench.shapes.judge.settings import JudgeSettings
from workbench.vlm.client import VlmClient
from workbench.vlm.settings import Endpoint
from workbench.widgets.pair_viewer import PairViewer


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
    assert page.evaluate("document.activeElement.matches('.wb-viewer')")
    page.get_by_role("button", name="keys (?)").click()
    press(page, "?")
    assert not page.is_visible("[role=dialog]")
    assert page.evaluate("document.activeElement.textContent") == "keys (?)"
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


def test_the_exact_request_can_be_copied_and_carries_no_key(browser_page, tmp_path, monkeypatch):
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
        widget = PairViewer(shown, {"free": records}, cache=tmp_path / "cache", base_url=url, synthetic=True)
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
    assert "synthetic" not in widget.to_html().lower()
    assert "Synthetic: from the embedded world." in judged(tmp_path, synthetic=True).to_html()


def test_state_stays_small_whatever_the_dataset():
    state = PairViewer(pairs(2000)).get_state()
    assert len(json.dumps({name: value for name, value in state.items() if isinstance(value, str)})) < 100_000


def test_mistakes_are_named(tmp_path):
    with pytest.raises(ValueError, match="baseline is 'x', which is not among the judges: none"):
        PairViewer(pairs(), baseline="x")
    with pytest.raises(ValueError, match="two pairs with the id 'p0'"):
        PairViewer([*pairs(), *pairs()])
    widget = judged(tmp_path)
    for call in (
        lambda: widget.show("nope"),
        lambda: widget.filter(["p0", "nope"]),
        lambda: widget.answer_pair(id="nope"),
    ):
        with pytest.raises(ValueError, match="no pair has the id 'nope'; the viewer has 6"):
            call()
    with pytest.raises(ValueError, match="label is 'c', must be one of a, b, tie, skip"):
        widget.answer_annotate(pair_id="p0", label="c", note="")


def test_a_label_keeps_the_note_as_it_was_written(tmp_path):
    widget = judged(tmp_path)
    AnnotationLog(tmp_path / "labels.jsonl").append(Annotation("p0", "ada", "2026-11-21T10:00:00Z", "a", "x\u202ey"))
    widget.answer_annotate(pair_id="p0", label="b")
    assert labels(tmp_path / "labels.jsonl")[-1] == ("p0", "ada", "b", "x\u202ey")
    widget.answer_annotate(pair_id="p0", note="plain")
    assert labels(tmp_path / "labels.jsonl")[-1] == ("p0", "ada", "b", "plain")


def test_labels_from_many_threads_all_arrive(tmp_path):
    widget = judged(tmp_path)
    threads = [
        threading.Thread(
            target=widget.answer_annotate, kwargs={"pair_id": f"p{i % 6}", "label": "ab"[i % 2], "note": str(i)}
        )
        for i in range(24)
    ]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(labels(tmp_path / "labels.jsonl")) == 24


def test_the_last_question_answered_is_the_last_pair_asked_for(browser_page, tmp_path):
    widget = judged(tmp_path)
    page = opened(browser_page, widget)
    answer = widget.answer_pair
    slow = {"p1": 0.25, "p2": 0.1, "p3": 0.0}
    widget.answer_pair = lambda id: (time.sleep(slow.get(id, 0)), answer(id))[1]
    press(page, "ArrowRight", "ArrowRight", "ArrowRight")
    page.wait_for_timeout(500)
    assert page.inner_text(".wb-prompt") == "a yellow house"
    assert position(page) == "4 of 6"


def test_a_kernel_that_was_busy_for_minutes_shows_what_it_was_asked_for(browser_page, tmp_path):
    widget = judged(tmp_path)
    ready = threading.Event()
    about, answer = widget.answer_about, widget.answer_pair
    widget.answer_about = lambda: (ready.wait(20), about())[1]
    browser_page.page.clock.install()
    page = browser_page.show(widget)
    page.clock.fast_forward(61_000)
    wait_for(page, "the kernel does not answer", "body")
    ready.set()
    page.wait_for_selector(".wb-cell-name")
    wait_for(page, "a red house", ".wb-prompt")
    ready.clear()
    widget.answer_pair = lambda id: (ready.wait(20), answer(id))[1]
    page.focus(".wb-viewer")
    press(page, "ArrowRight", "ArrowRight")
    page.clock.fast_forward(61_000)
    wait_for(page, "the kernel does not answer", ".wb-viewer [role=alert]")
    ready.set()
    wait_for(page, "a green house", ".wb-prompt")
    assert position(page) == "3 of 6"
    page.wait_for_function("document.querySelector('.wb-viewer [role=alert]').textContent === ''")
