"""A person votes: by key in a browser, in an order nobody knows, once for both orders, and never twice."""

import asyncio
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench.background import LoopThread
from workbench.judges.verdict import Verdict
from workbench.pairs.comparison import Comparison
from workbench.rpo.reward import Judged, judge_group
from workbench.shapes.render import render
from workbench.shapes.scene import PlacedShape, Scene
from workbench.vlm.errors import StorageFailed
from workbench.widgets.vote import VotePanel

WAIT_S = 30.0
HOSTILE = '<img src=x onerror="window.ran=1">\u202ered'


def picture(color: str, place: float = 0.5) -> bytes:
    buffer = io.BytesIO()
    render(Scene((PlacedShape(color, "circle", place, 0.5, 0.1),), (225, 222, 215)), 64).save(buffer, "PNG")
    return buffer.getvalue()


RED, BLUE, SOURCE = picture("red"), picture("blue"), picture("green")


def pair(number: int = 0, prompt: str = "a red circle") -> Comparison:
    return Comparison(f"u{number}-g0", "t2i", prompt, (picture("red", 0.2 + number / 50), BLUE))


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    loop = LoopThread("judging")
    yield loop
    loop.close()


def asked(panel: VotePanel, loop: LoopThread, *pairs: Comparison) -> list[Any]:
    """Futures of groups being judged, once the panel has them all."""
    futures = [loop.submit(judge_group(panel, each)) for each in pairs]
    while panel.waiting < len(pairs):
        loop.submit(asyncio.sleep(0.001)).result(WAIT_S)
    return futures


def prefer(panel: VotePanel, wanted: bytes) -> None:
    """Vote for the candidate with these bytes on the pair that is shown."""
    about, files = panel.answer_next()
    panel.answer_vote(about["id"], ("first", "second")[files.index(wanted) - (len(files) - 2)])


def test_one_vote_decides_a_pair_in_both_orders(loop: LoopThread) -> None:
    panel = VotePanel(author="ada")
    (judged,) = asked(panel, loop, pair())
    assert panel.waiting == 1
    prefer(panel, BLUE)
    result: Judged = judged.result(WAIT_S)
    assert (result.values, result.status) == ((0.0, 1.0), "decided")
    assert [verdict.reason for verdict in result.verdicts] == ["ada voted", "ada voted"]
    assert panel.waiting == 0


def test_a_tie_is_a_tie(loop: LoopThread) -> None:
    panel = VotePanel()
    (judged,) = asked(panel, loop, pair())
    panel.answer_vote(panel.answer_next()[0]["id"], "tie")
    assert judged.result(WAIT_S).status == "tied"


def test_the_order_shown_is_drawn_and_the_same_after_a_restart(loop: LoopThread) -> None:
    pairs = [pair(i) for i in range(24)]

    def first_shown(seed: int) -> list[bool]:
        panel = VotePanel(seed=seed)
        asked(panel, loop, *pairs)
        orders = []
        while panel.waiting:
            about, files = panel.answer_next()
            orders.append(files[0] != BLUE)
            panel.answer_vote(about["id"], "tie")
        return orders

    drawn = first_shown(0)
    assert 4 < sum(drawn) < 20
    assert first_shown(0) == drawn
    assert first_shown(1) != drawn


def test_an_edit_is_shown_with_its_source_first(loop: LoopThread) -> None:
    panel = VotePanel()
    asked(panel, loop, Comparison("e", "edit", "change the green circle to red", (RED, BLUE), SOURCE))
    about, files = panel.answer_next()
    assert about["names"] == ["source", "A", "B"]
    assert files[0] == SOURCE
    assert set(files[1:]) == {RED, BLUE}


def test_votes_are_kept_and_not_asked_for_again(loop: LoopThread, tmp_path: Path) -> None:
    panel = VotePanel(tmp_path / "votes.jsonl", author="ada")
    asked(panel, loop, pair())
    prefer(panel, BLUE)
    again = VotePanel(tmp_path / "votes.jsonl", author="ada")
    assert loop.submit(judge_group(again, pair())).result(WAIT_S).values == (0.0, 1.0)
    other = VotePanel(tmp_path / "votes.jsonl", author="eve")
    asked(other, loop, pair())
    assert other.waiting == 1, "what another person said is no vote of hers"


def test_a_vote_that_cannot_be_kept_is_told_and_the_pair_goes_on_waiting(
    loop: LoopThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = VotePanel(tmp_path / "votes.jsonl")

    def full(*_: object) -> None:
        raise StorageFailed("the disk is full")

    monkeypatch.setattr(panel._log, "append", full)
    (judged,) = asked(panel, loop, pair())
    with pytest.raises(ValueError, match="the disk is full"):
        prefer(panel, BLUE)
    assert not judged.done()
    assert panel.waiting == 1


def test_whoever_stops_waiting_takes_the_question_back(loop: LoopThread) -> None:
    panel = VotePanel()
    (judged,) = asked(panel, loop, pair())
    about, _ = panel.answer_next()
    judged.cancel()
    loop.submit(asyncio.sleep(0.05)).result(WAIT_S)
    assert panel.waiting == 0
    with pytest.raises(ValueError, match="nobody waits for this pair"):
        panel.answer_vote(about["id"], "first")


async def test_more_than_two_candidates_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="has 3 candidates"):
        await VotePanel().compare(Comparison("c", "t2i", "p", (RED, BLUE, SOURCE)), (0, 1, 2))


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(ValueError, match="choice is 'third', must be one of first, second, tie"):
        VotePanel().answer_vote("x", "third")


def test_without_a_kernel_it_says_what_was_voted(loop: LoopThread) -> None:
    panel = VotePanel()
    asked(panel, loop, pair(0), pair(1))
    panel.answer_vote(panel.answer_next()[0]["id"], "tie")
    assert "1 votes given, 1 pairs wait" in panel.to_html()


def has(page: Any, text: str) -> None:
    page.wait_for_function("text => document.querySelector('.wb-vote')?.innerText.includes(text)", arg=text)


def test_keys_and_buttons_vote_in_the_browser(browser_page: Any, loop: LoopThread) -> None:
    panel = VotePanel()
    page = browser_page.show(panel)
    has(page, "Nothing to vote on now.")
    judged = asked(panel, loop, *(pair(i, f"prompt {i}") for i in range(4)))
    for i, vote in enumerate(("a", "ArrowRight", "t", "button")):
        has(page, f"{4 - i} to vote on, {i} votes given")
        prompt = page.inner_text(".wb-asked")
        number = int(re.findall(r"\d", prompt)[0])
        first_is_blue = panel.answer_next()[1][0] == BLUE
        if vote == "button":
            page.click("text=B is better")
        else:
            page.focus(".wb-vote")
            page.keyboard.press(vote)
        verdict: Judged = judged[number].result(WAIT_S)
        blue_wins = first_is_blue if vote == "a" else not first_is_blue
        assert verdict.values == ((0.5, 0.5) if vote == "t" else (0.0, 1.0) if blue_wins else (1.0, 0.0))
    has(page, "Nothing to vote on now.")
    has(page, "0 to vote on, 4 votes given")


def test_pictures_are_drawn_and_a_prompt_cannot_run(browser_page: Any, loop: LoopThread) -> None:
    panel = VotePanel()
    asked(panel, loop, pair(0, HOSTILE))
    page = browser_page.show(panel)
    has(page, "onerror")
    page.wait_for_function(
        "[...document.querySelectorAll('.wb-vote img')].filter(i => i.naturalWidth == 64).length == 2"
    )
    assert page.evaluate("window.ran") is None
    assert page.locator(".wb-vote figcaption").all_inner_texts() == ["A", "B"]


def test_a_verdict_of_a_person_is_in_the_datasets_order(loop: LoopThread) -> None:
    panel = VotePanel()
    for number in range(6):
        future = loop.submit(panel.compare(pair(number), (1, 0)))
        while not panel.waiting:
            loop.submit(asyncio.sleep(0.001)).result(WAIT_S)
        prefer(panel, BLUE)
        verdict: Verdict = future.result(WAIT_S)
        assert verdict.ranks == (2, 1)
