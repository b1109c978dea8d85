"""Labelling in the viewer: by key, at once on disk, in two tabs, blind, and honest about what was not saved."""

import threading

from viewer_pages import judged, labels, opened, position, press, settled, wait_for

from workbench.annotations.annotation import Annotation
from workbench.annotations.log import AnnotationLog, read_annotations
from workbench.runs.storage import StorageError


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


def test_a_filter_chosen_by_typing_its_name_labels_nothing(browser_page, tmp_path):
    page = opened(browser_page, judged(tmp_path))
    press(page, "a")
    wait_for(page, "saved a")
    press(page, "F")
    page.keyboard.type("not yet labelled by me, but us")  # n, t, a, b, u and s are keys of the viewer
    page.select_option("select >> nth=0", "unlabelled")
    press(page, "Escape", "End")
    settled(page)
    assert labels(tmp_path / "labels.jsonl") == [("p0", "ada", "a", "")]
    assert position(page).startswith("5 of 5"), "unlabelled pairs, and the keys are the viewer's again"


def test_keys_go_on_after_a_click_on_what_is_drawn_anew(browser_page, tmp_path):
    page = opened(browser_page, judged(tmp_path))
    page.click(".wb-labels button:text-is('b')")
    wait_for(page, "saved b")
    page.click(".wb-cell >> nth=2")
    settled(page)
    press(page, "a")
    wait_for(page, "saved a")
    page.click(".wb-labels button:text-is('tie')")
    wait_for(page, "saved tie")
    press(page, "ArrowRight")
    settled(page)
    assert position(page).startswith("4 of 6")
    written = [(pair, label) for pair, _, label, _ in labels(tmp_path / "labels.jsonl")]
    assert written == [("p0", "b"), ("p2", "a"), ("p2", "tie")]


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
    press(page, "ArrowRight")
    wait_for(page, "NOT saved: what you said about p0")
    press(page, "ArrowLeft")
    settled(page)
    assert page.input_value("textarea") == "kept"
    monkeypatch.undo()
    press(page, "b")
    wait_for(page, "saved b")
    assert labels(tmp_path / "labels.jsonl") == [("p0", "ada", "b", "kept")]


def test_a_note_stays_with_its_pair_when_another_is_opened_meanwhile(browser_page, tmp_path):
    widget = judged(tmp_path)
    page = opened(browser_page, widget)
    for elsewhere in (lambda: widget.show("p4"), lambda: widget.filter(["p2"])):
        press(page, "n")
        page.keyboard.type("about the house")
        before = page.inner_text(".wb-prompt")
        elsewhere()
        page.wait_for_function("text => document.querySelector('.wb-prompt').innerText !== text", arg=before)
        settled(page)
        assert page.input_value("textarea") == ""
    assert labels(tmp_path / "labels.jsonl") == [
        ("p0", "ada", None, "about the house"),
        ("p4", "ada", None, "about the house"),
    ]


def test_a_label_that_a_busy_kernel_keeps_at_last_is_not_called_unsaved_for_ever(browser_page, tmp_path):
    widget = judged(tmp_path)
    free, answer = threading.Event(), widget.answer_annotate
    widget.answer_annotate = lambda **asked: (free.wait(20), answer(**asked))[1]
    browser_page.page.clock.install()
    page = opened(browser_page, widget)
    press(page, "a")
    wait_for(page, "saving")
    page.clock.fast_forward(61_000)
    wait_for(page, "NOT saved: the kernel does not answer")
    press(page, "ArrowRight")
    wait_for(page, "NOT saved: what you said about p0")
    free.set()
    page.wait_for_function("document.querySelector('.wb-cell-name').textContent === '1 a'")
    press(page, "ArrowRight")
    page.wait_for_function("document.querySelector('.wb-count').textContent.startsWith('3 of 6')")
    page.wait_for_function("document.querySelector('.wb-said').textContent === ''")
    assert labels(tmp_path / "labels.jsonl") == [("p0", "ada", "a", "")]


def test_a_note_of_one_tab_keeps_the_label_of_another(tmp_path):
    widget = judged(tmp_path)
    changes = [{"label": "b"}, {"note": "x"}, {"note": "y"}]
    threads = [threading.Thread(target=widget.answer_annotate, args=("p0",), kwargs=change) for change in changes]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert labels(tmp_path / "labels.jsonl")[-1][2] == "b"
    assert labels(tmp_path / "labels.jsonl")[-1][3] in ("x", "y")


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
