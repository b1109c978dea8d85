"""The Python half of the re-judging panel: edits followed from any thread, results waited for, nothing left behind."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import traitlets
from faulty_server import FaultyServer, Received, Step, answer, status
from panel_helpers import client_of, judge, pairs, renamed, rubric, verdict

from workbench.vlm.client import VlmClient
from workbench.vlm.settings import Endpoint
from workbench.widgets import cells
from workbench.widgets.rejudge_panel import RejudgePanel
from workbench.widgets.rubric_editor import RubricEditor

FIRST, RED = rubric("Prefer what comes first."), rubric("Prefer RED.")
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>\u202e\"'&"


class Stub(traitlets.HasTraits):
    rubric = traitlets.Any()


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer(judge) as running:
        yield running


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[..., RejudgePanel]]:
    """Panels that are closed in the end."""
    panels: list[RejudgePanel] = []

    def make(server: FaultyServer, editor=None, n: int = 6, *, model: str = "judge", comparisons=None, **options):
        client = client_of(server.url, tmp_path / "c.sqlite", model=model)
        panels.append(RejudgePanel(editor or Stub(rubric=FIRST), comparisons or pairs(n), client, **options))
        return panels[-1]

    yield make
    for panel in panels:
        panel.close()


def settle(panel: RejudgePanel, happened: Callable[[], bool] = lambda: True) -> None:
    deadline = time.monotonic() + 10
    while panel.state.doing or not happened():
        assert time.monotonic() < deadline, panel.state
        time.sleep(0.01)


def shown(value: object) -> Iterator[str]:
    """Every text of a view but the ids to ask with."""
    if isinstance(value, dict):
        for name, own in value.items():
            yield from () if name == "id" else shown(own)
    elif isinstance(value, list):
        for own in value:
            yield from shown(own)
    elif isinstance(value, str):
        yield value


def threads() -> int:
    return sum(thread.name == "rejudge" for thread in threading.enumerate())


def test_edits_are_judged_and_compared_from_python(server, made) -> None:
    editor = Stub(rubric=FIRST)
    panel = made(server, editor, n=24)
    assert panel.judge() is not None  # with itself
    editor.rubric = RED
    found = panel.judge()
    assert found is not None
    assert found.flip_counts == {"fixed": 24, "broken": 0, "swap_only": 0}
    assert (found.a, found.b) == (f"mine {FIRST.hash[:8]}", f"mine {RED.hash[:8]}")
    assert panel.changes("previous") is not None
    worths = panel.leave_one_out()
    assert [(worth.criterion.id, worth.said) for worth in worths] == [("c0", "helps")]
    with pytest.raises(ValueError, match="baseline, previous"):
        panel.changes("yesterday")


def test_a_real_editor_is_followed_through_undo_and_redo(server, made) -> None:
    editor = RubricEditor(FIRST)
    panel = made(server, editor)
    panel.judge()
    panel.automatic = True
    for edit, sent in ((lambda: editor.set(RED), 12), (editor.undo, 0), (editor.redo, 0)):
        before = len(server.requests)
        edit()
        settle(panel, lambda: panel.state.rubric.hash == editor.rubric.hash and panel.state.judged)
        assert len(server.requests) - before == sent
    editor.set(renamed(RED))
    settle(panel, lambda: panel.state.rubric.name == "another name")
    assert len(server.requests) == 24
    editor.close()


def test_pairs_and_baseline_can_be_changed(server, made) -> None:
    panel = made(server)
    panel.judge()
    panel.pairs = pairs(7)
    panel.judge()
    assert (len(server.requests), len(panel.pairs)) == (14, 7)
    panel.baseline = rubric("-off")
    panel.judge()
    assert (panel.baseline, len(server.requests)) == (None, 28)
    with pytest.raises(ValueError, match="task"):
        panel.pairs = [replace(pair, task="edit") for pair in pairs(2)]
    with pytest.raises(ValueError, match="p0"):
        panel.pairs = [*pairs(1), *pairs(1)]


def test_what_cannot_be_judged_is_refused_when_the_panel_is_made(server, made, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no pairs were given"):
        RejudgePanel(Stub(rubric=FIRST), [], client_of(server.url, tmp_path / "c.sqlite"))
    with pytest.raises(ValueError, match="task"):
        made(server, Stub(rubric=replace(FIRST, task="edit")))
    with pytest.raises(ValueError, match="no cache"):
        RejudgePanel(Stub(rubric=FIRST), pairs(2), VlmClient(Endpoint(server.url, "judge"), cache=None))
    assert threads() == 0


def test_closing_ends_thread_client_and_observation(server, made) -> None:
    editor = Stub(rubric=FIRST)
    panel = made(server, editor)
    panel.judge()
    assert threads() == 1
    panel.close()
    panel.close()
    assert threads() == 0
    editor.rubric = RED
    assert panel.state.rubric == FIRST


def test_closing_while_the_server_is_silent_takes_no_time(made) -> None:
    with FaultyServer(lambda number, request: answer(delay_s=60)) as silent:
        panel = made(silent)
        panel.answer_judge()
        while not silent.requests:
            time.sleep(0.01)
        started = time.monotonic()
        panel.close()
    assert (time.monotonic() - started < 2, threads()) == (True, 0)


def test_running_its_cell_again_closes_the_panel_before(server, made, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = iter([("cell-1", "run-1"), ("cell-1", "run-1"), ("cell-2", "run-2"), ("cell-1", "run-3")])
    monkeypatch.setattr(cells, "running_cell", lambda: next(runs))
    first, beside, other, again = (made(server) for _ in range(4))
    assert threads() == 2
    assert [panel._loop.is_closed for panel in (first, beside, other, again)] == [True, True, False, False]


def test_waiting_has_an_end(made) -> None:
    with FaultyServer(lambda number, request: answer(delay_s=60)) as silent:
        panel = made(silent)
        with pytest.raises(TimeoutError, match=r"not judged within 0\.2 s"):
            panel.judge(timeout_s=0.2)
        settle(panel)
        assert panel.state.problem == ""
        panel.close()


def test_the_view_is_json_with_numbers_their_intervals_and_n(server, made) -> None:
    editor = Stub(rubric=FIRST)
    panel = made(server, editor, n=24)
    panel.judge()
    editor.rubric = RED
    panel.judge()
    view = json.loads(json.dumps(panel.answer_view()))
    assert [row["role"] for row in view["rows"]] == ["baseline", "previous", "current"]
    assert view["rows"][2]["mean"]["text"].startswith("100.0%\u00a0[")
    assert view["rows"][2]["mean"]["text"].endswith("n\u00a0=\u00a024")
    change = view["changes"]["baseline"]
    assert change["counts"] == {"fixed": 24, "broken": 0, "swap-only": 0, "changed": 0}
    assert change["test"] == "exact McNemar p < 0.001 (right in both orders: 24 fixed, 0 broken, n = 24)"
    assert change["flips"][0]["before"] == [["forward", "a", True], ["reverse", "b", False]]
    reasons = panel.answer_reasons("p0", "baseline")
    assert [judge["name"] for judge in reasons["judges"]] == ["before", "after"]
    assert panel.answer_thumbnail("p0", 0).startswith("data:image/webp;base64,")
    with pytest.raises(ValueError, match="not in the panel"):
        panel.answer_thumbnail("p99", 0)
    with pytest.raises(ValueError, match="no source image"):
        panel.answer_thumbnail("p0", None)


def test_an_unknown_price_is_said_with_where_to_put_it(tmp_path: Path) -> None:
    client = VlmClient(Endpoint("http://models.invalid/v1", "unheard-of"), cache=tmp_path / "c.sqlite")
    panel = RejudgePanel(Stub(rubric=FIRST), pairs(2), client, most_calls=3)
    settle(panel)
    expected = panel.answer_view()["outlook"]
    panel.close()
    assert expected["line"] == "4 calls, price unknown (0 of 4 answers cached)"
    assert (expected["hint"].startswith("to know it, add the model to "), expected["tooMany"]) == (True, True)
    assert "prices.yaml" in expected["hint"]


def test_a_pair_is_opened_by_a_function(server, made) -> None:
    panel, opened = made(server), []
    with pytest.raises(ValueError, match=r"panel\.open_in"):
        panel.answer_open_pair("p1")
    panel.open_in(opened.append)
    panel.answer_open_pair("p1")
    assert opened == ["p1"]
    with pytest.raises(TypeError, match="function"):
        panel.open_in("p1")


def test_a_browser_reaches_nothing_but_answers(server, made) -> None:
    panel, opened, sent = made(server), [], []
    panel.open_in(opened.append)
    panel.send = lambda content, buffers=None: sent.append(content)
    asked = ["open_in", "msg", "trait_change", "close"]
    for question in asked:
        panel._handle_custom_msg({"id": question, "ask": question, "content": {}}, [])
    assert [reply["reply"] for reply in sent if "does not know the question" in reply["problem"]] == asked
    panel.answer_open_pair("p1")
    assert opened == ["p1"]


def test_the_static_view_holds_flips_and_labels_synthetic_numbers(server, made) -> None:
    editor = Stub(rubric=FIRST)
    panel = made(server, editor, n=26, model="shapes-test")
    settle(panel)
    assert "Nothing is judged yet; to judge: 52 calls" in panel.to_html()
    panel.judge()
    editor.rubric = RED
    panel.judge()
    page = panel.to_html()
    for text in ("26 pairs judged again (synthetic)", "26 fixed", "McNemar", "n = 26", "seen pairs", "and 2 more"):
        assert text in page
    assert page.count("data:image/webp") == 48
    assert "<script" not in page
    editor.rubric = rubric("Another.")
    settle(panel, lambda: not panel.state.judged)
    assert "have changed since" in panel.to_html()


def test_failures_are_counted_and_addresses_stay_out_of_the_static_view(made) -> None:
    def broken(number: int, request: Received) -> Step:
        return status(400, "too odd") if "RED" in request.body["messages"][0]["content"] else judge(number, request)

    with FaultyServer(broken) as server:
        editor = Stub(rubric=FIRST)
        panel = made(server, editor, n=2)
        panel.judge()
        editor.rubric = RED
        panel.judge()
        row = panel.answer_view()["rows"][2]
        assert (row["error"], row["verdicts"], row["mean"]["n"]) == (4, 4, 2)
        assert "no verdict came" in panel.to_html()
        assert "127.0.0.1" not in panel.to_html()


def test_hostile_text_is_shown_as_text(made, tmp_path: Path) -> None:
    def hostile(number: int, request: Received) -> Step:
        ranks = json.loads(verdict(request))["rank"]
        return answer(json.dumps({"reason": HOSTILE + "x" * 100_000, "rank": ranks}))

    odd = [replace(pair, id=f"{pair.id}{HOSTILE}", prompt=HOSTILE) for pair in pairs(2)]
    odd[1] = replace(odd[1], images=(str(tmp_path / HOSTILE), odd[1].images[0]))
    odd.append(pairs(3)[2])
    with FaultyServer(hostile) as server:
        editor = Stub(rubric=replace(rubric(HOSTILE), name=HOSTILE))
        panel = made(server, editor, comparisons=odd)
        panel.judge()
        editor.rubric = replace(rubric(f"{HOSTILE} RED"), name=HOSTILE)
        panel.judge()
        panel.leave_one_out()
        page = panel.to_html()
        assert "<script" not in page
        assert "<img src=x" not in page
        assert "\u202e" not in page
        assert not [text for text in shown(panel.answer_view()) if "\u202e" in text]
        assert len(json.dumps(panel.answer_view())) < 20_000
        assert "cut: " in panel.answer_reasons(odd[0].id, "baseline")["judges"][0]["verdicts"][0]["reason"]
