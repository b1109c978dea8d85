"""The re-judging panel in a browser, with a real editor behind it and the embedded judge or a scripted server."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from faulty_server import FaultyServer, Received, Step, answer, status
from panel_helpers import client_of, judge, pairs, rubric, verdict

from workbench.pairs.loading import load
from workbench.rubrics.files import load_rubric
from workbench.rubrics.rubric import Rubric
from workbench.shapes.judge.server import running_server
from workbench.shapes.judge.settings import JudgeSettings
from workbench.vlm.client import VlmClient
from workbench.vlm.settings import Endpoint
from workbench.widgets.rejudge_panel import RejudgePanel
from workbench.widgets.rubric_editor import RubricEditor

WORLD = Path("data/shapes/t2i")
FIRST, RED = rubric("Prefer what comes first."), rubric("Prefer RED.")
HOSTILE = '<img src=x onerror="window.ran=1"><script>window.ran=2</script>\u202e${1}`'


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[str, str]]:
    """Base URL and model of the embedded judge."""
    settings = JudgeSettings.load(WORLD)
    with running_server(settings) as url:
        yield url, settings.model_id


@pytest.fixture
def made() -> Iterator[Callable[..., tuple[RejudgePanel, RubricEditor]]]:
    panels: list[RejudgePanel] = []

    def make(client: VlmClient, start: Rubric = FIRST, comparisons=None, **options):
        editor = RubricEditor(start)
        panels.append(RejudgePanel(editor, comparisons or pairs(6), client, **options))
        return panels[-1], editor

    yield make
    for panel in panels:
        panel.close()


def has(page, text: str, part: str = ".wb-rejudge") -> None:
    page.wait_for_function("([part, text]) => document.querySelector(part)?.innerText.includes(text)", arg=[part, text])


def switched_off(given: Rubric, *ids: str) -> Rubric:
    themes = tuple(
        replace(theme, criteria=tuple(replace(c, enabled=c.enabled and c.id not in ids) for c in theme.criteria))
        for theme in given.themes
    )
    return replace(given, themes=themes)


def test_an_edit_is_judged_and_its_flips_are_read_by_key(browser_page, made, world, tmp_path: Path) -> None:
    url, model = world
    start = load_rubric("rubrics/shapes_t2i_handwritten.yaml")
    client = VlmClient(Endpoint(url, model), cache=tmp_path / "c.sqlite")
    panel, editor = made(client, start, list(load(WORLD / "test.parquet"))[:24])
    opened: list[str] = []
    panel.open_in(opened.append)
    page = browser_page.show(panel)
    has(page, "48 calls, free on this machine (0 of 48 answers cached)")
    assert page.locator(".wb-synthetic").is_visible()
    page.focus(".wb-rejudge")
    page.keyboard.press("g")
    page.wait_for_selector("tr[data-role=current]")
    has(page, "nothing to send: all 48 answers are cached")
    page.keyboard.press("a")
    ids = [criterion.id for criterion in start.enabled_criteria()]
    for count in (1, 3):
        started = time.monotonic()
        editor.set(switched_off(start, *ids[:count]))
        name = f"{start.name} {editor.rubric.hash[:8]}"
        has(page, name, "tr[data-role=current]")
        assert time.monotonic() - started < 3
    assert panel.changes() is not None
    found = panel.changes().flips  # type: ignore[union-attr]
    assert page.locator(".wb-flip").count() == len(found) > 0
    has(page, "With 24 pairs of 12 prompts mean accuracy changed by", ".wb-sentence")
    has(page, "Synthetic.", ".wb-sentence")
    assert "n\u00a0=\u00a024" in page.locator("tr[data-role=previous]").inner_text()
    assert "seen pairs" in page.locator(".wb-seen").inner_text()

    page.keyboard.press("j")
    first = page.locator(".wb-flip[aria-current=true]")
    page.keyboard.press("r")
    page.wait_for_selector(".wb-flip[aria-current=true] .wb-reason")
    assert first.locator(".wb-reason").count() == 4
    page.keyboard.press("o")
    page.wait_for_timeout(200)
    assert opened == [first.get_attribute("data-pair")]
    loaded = "() => [...document.querySelectorAll('.wb-flip img')].every((image) => image.naturalWidth > 0)"
    page.wait_for_function(loaded)
    page.keyboard.press("v")
    has(page, f"against {start.name} {switched_off(start, ids[0]).hash[:8]}", ".wb-sentence")
    page.keyboard.press("?")
    assert page.get_by_role("dialog").is_visible()
    page.keyboard.press("?")

    before = panel._rejudging.client.usage.calls
    editor.undo()
    has(page, f"{start.name} {switched_off(start, ids[0]).hash[:8]}", "tr[data-role=current]")
    assert panel._rejudging.client.usage.calls == before
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/rejudge.png")
    assert [url for url in browser_page.requests if not url.startswith(("data:", "blob:", "about:"))] == []


def test_leaving_one_out_asks_first_and_every_control_is_reachable(browser_page, made, tmp_path: Path) -> None:
    with FaultyServer(judge) as server:
        both = rubric("Prefer RED.", "Be kind.")
        panel, editor = made(client_of(server.url, tmp_path / "c.sqlite"), both, pairs(24))
        page = browser_page.show(panel)
        has(page, "48 calls")
        page.focus(".wb-rejudge")
        page.keyboard.press("l")
        has(page, "takes 144 calls, free on this machine", ".wb-leaving")
        assert server.requests == []
        page.keyboard.press("c")
        page.wait_for_selector(".wb-leaving", state="hidden")
        page.keyboard.press("l")
        has(page, "144 calls", ".wb-leaving")
        page.keyboard.press("l")
        has(page, "helps", ".wb-worths")
        has(page, "undecided", ".wb-worths")
        assert re.search(r"\+50\.0\spoints\s\[.*\], n\s=\s24", page.locator(".wb-worths").inner_text())
        assert len(server.requests) == 144
        names = [button.inner_text() for button in page.get_by_role("button").all() if button.is_visible()]
        assert all(re.search(r"\(\w\)|\(\?\)|\d", name) for name in names), names  # each says its key
        editor.set(RED)
        page.wait_for_function("() => !document.querySelector('.wb-worths')")  # it was another rubric's


def test_a_lost_endpoint_is_told_and_gone_on_from_in_every_tab(browser_page, made, tmp_path: Path) -> None:
    lost = {"now": False}

    def sometimes(number: int, request: Received) -> Step:
        if lost["now"] and number >= 18:  # after the answers that are on their way, so that it is six on any machine
            return replace(status(401, "no such key"), delay_s=0.5)
        return answer(verdict(request), delay_s=0.03)

    with FaultyServer(sometimes) as server:
        panel, editor = made(client_of(server.url, tmp_path / "c.sqlite", concurrency=2))
        page = browser_page.show(panel)
        has(page, "12 calls")
        page.focus(".wb-rejudge")
        page.keyboard.press("g")
        page.wait_for_selector("tr[data-role=current]")
        lost["now"] = True
        editor.set(RED)
        has(page, "not judged yet: 12 calls")
        page.keyboard.press("g")
        has(page, "OPENAI_API_KEY is not set", ".wb-problem")
        has(page, "Set it in this kernel's environment", ".wb-problem")
        has(page, "6 of 12 (partial)", "tr[data-role=current]")
        has(page, "6 calls")
        assert page.locator(".wb-flip").count() == 3
        lost["now"] = False
        panel.answer_judge()  # as another tab would
        has(page, "12 of 12", "tr[data-role=current]")
        assert page.locator(".wb-problem").is_hidden()
        assert page.locator(".wb-flip").count() == 6
        panel.automatic = True
        page.wait_for_selector("[data-action=automatic][aria-pressed=true]")
        page.get_by_role("button", name="automatically (a)").click()
        deadline = time.monotonic() + 5
        while panel.automatic and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not panel.automatic


def test_a_judgement_is_cancelled_by_key_while_nothing_answers(browser_page, made, tmp_path: Path) -> None:
    with FaultyServer(lambda number, request: judge(number, request) if number < 2 else status(503)) as server:
        panel, _ = made(client_of(server.url, tmp_path / "c.sqlite", backoff_s=30.0))
        page = browser_page.show(panel)
        has(page, "12 calls")
        page.focus(".wb-rejudge")
        page.keyboard.press("g")
        has(page, "judging: 2 of 12 verdicts")
        page.keyboard.press("c")
        has(page, "10 calls")
        has(page, "2 of 12 (partial)", "tr[data-role=current]")
        sent = len(server.requests)
        time.sleep(0.2)
        assert len(server.requests) == sent


def test_no_text_of_others_becomes_markup(browser_page, made, tmp_path: Path) -> None:
    def hostile(number: int, request: Received) -> Step:
        return answer(json.dumps({"reason": HOSTILE + "long " * 50_000, "rank": json.loads(verdict(request))["rank"]}))

    odd = [replace(pair, id=f"{pair.id} {HOSTILE}", prompt=HOSTILE * 30, tags={HOSTILE: HOSTILE}) for pair in pairs(4)]
    odd[3] = replace(odd[3], images=(odd[3].images[0], str(tmp_path / HOSTILE)))
    bad = [replace(rubric(f"{HOSTILE} {word}"), name=HOSTILE) for word in ("first", "RED")]
    with FaultyServer(hostile) as server:
        panel, editor = made(client_of(server.url, tmp_path / "c.sqlite"), bad[0], odd)
        panel.judge()
        editor.set(bad[1])
        panel.judge()
        panel.leave_one_out()
        page = browser_page.show(panel)
        page.wait_for_selector(".wb-worths")
        assert page.locator(".wb-flip").count() == 3
        page.focus(".wb-rejudge")
        page.keyboard.press("j")
        page.keyboard.press("r")
        has(page, "cut: ", ".wb-reason")
        assert page.evaluate("() => [window.ran, document.querySelectorAll('.wb-rejudge script').length]") == [None, 0]
        assert "\u202e" not in page.locator(".wb-rejudge").inner_text()
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        page.set_viewport_size({"width": 700, "height": 900})
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        page.set_content(panel.to_html())
        assert page.evaluate("() => [window.ran, document.querySelectorAll('script').length]") == [None, 0]
