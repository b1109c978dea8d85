"""The rubric editor under hands that are faster than the kernel, in two tabs at once, and behind a busy kernel."""

import threading

import pytest

from workbench.rubrics import edits
from workbench.rubrics.rubric import Criterion, Rubric, RubricError, Theme
from workbench.widgets.rubric_editor import RubricEditor


def rubric() -> Rubric:
    themes = (Theme(name, criteria=(Criterion(f"c{i}", f"Text {i}."),)) for i, name in enumerate("ABC", start=1))
    return Rubric("mine", "t2i", tuple(themes))


@pytest.fixture
def editor() -> RubricEditor:
    return RubricEditor(rubric(), author="anna")


def show(browser_page, editor):
    page = browser_page.show(editor)
    page.wait_for_selector(".wb-title bdi")
    return page


def names(page) -> str:
    return page.eval_on_selector_all(".wb-theme-name", "heads => heads.map((head) => head.textContent).join('')")


def reaches(page, text):
    page.wait_for_function("text => document.querySelector('.wb-editor').innerText.includes(text)", arg=text)


TWICE = """(head, init) => {
  head.focus();
  for (let i = 0; i < 2; i += 1) head.dispatchEvent(new KeyboardEvent("keydown", { bubbles: true, ...init }));
}"""


def twice(page, selector, **init):
    """Two presses before the kernel has answered the first."""
    page.eval_on_selector(selector, TWICE, init)


def test_a_key_pressed_twice_in_haste_concerns_the_same_theme_both_times(browser_page, editor):
    page = show(browser_page, editor)
    twice(page, ".wb-theme-head", key="ArrowDown", altKey=True)
    reaches(page, "2 unsaved edits")
    assert names(page) == "BCA"
    twice(page, ".wb-theme-head", key="Delete")  # not the next one too
    reaches(page, "the theme is gone")
    assert names(page) == "CA"
    assert [theme.name for theme in editor.rubric.themes] == ["C", "A"]
    twice(page, '[data-key="c1"]', key="x")
    reaches(page, "5 unsaved edits")
    assert edits.find(editor.rubric, "c1").enabled


def test_two_tabs_show_one_rubric_and_neither_undoes_what_the_other_has_not_seen(browser_page, editor):
    one = show(browser_page, editor)
    two = browser_page.second_tab()
    two.wait_for_selector(".wb-title bdi")
    for page, key in ((one, "c1"), (two, "c2")):  # both type at once
        page.locator(f'[data-key="{key}"]').focus()
        page.keyboard.press("Enter")
        page.keyboard.type(" More.")
    for page in (one, two):
        page.keyboard.press("Enter")
        page.wait_for_selector("textarea", state="detached")
    for page in (one, two):
        reaches(page, "Text 1. More.")
        reaches(page, "Text 2. More.")
    for page, text in ((one, "Mine."), (two, "Theirs.")):
        page.locator('[data-key="c3"]').focus()
        page.keyboard.press("Enter")
        page.locator("textarea").fill(text)
    one.keyboard.press("Enter")
    reaches(two, "Changed elsewhere meanwhile, to: Mine.")
    two.keyboard.press("Enter")
    reaches(two, "c3 was changed elsewhere since you saw it")
    assert two.locator("textarea").input_value() == "Theirs."
    two.get_by_text("Keep mine").click()
    two.keyboard.press("Enter")
    reaches(one, "Theirs.")
    assert edits.find(editor.rubric, "c3").text == "Theirs."


def test_a_kernel_that_was_busy_for_minutes_is_asked_again_once_it_answers(browser_page, editor):
    ready, answer = threading.Event(), editor.answer_state

    def when_ready() -> dict:
        ready.wait(timeout=30)
        return answer()

    editor.answer_state = when_ready
    browser_page.page.clock.install()
    page = browser_page.show(editor)
    page.clock.fast_forward(61_000)
    reaches(page, "the kernel does not answer")
    ready.set()
    reaches(page, "Text 3.")
    assert "does not answer" not in page.locator(".wb-editor").inner_text()


def test_a_message_that_quotes_text_no_message_can_carry_still_arrives(browser_page, editor):
    page = show(browser_page, editor)

    def refuse(**_: object) -> None:
        raise RubricError("not \ud800\u202e so")

    editor.answer_enable = refuse
    page.locator('[data-key="c1"]').press("x")
    reaches(page, "not ?⟨U+202E⟩ so")
    assert page.locator(".wb-status.wb-bad").inner_text() == "not ?⟨U+202E⟩ so"
