"""The rubric editor in a real browser: keys, what several tabs do to each other, hostile text, the file behind it."""

from pathlib import Path

import pytest

from workbench.rubrics import edits
from workbench.rubrics.files import load_rubric, save_rubric
from workbench.rubrics.rubric import Criterion, Level, Rubric, Theme
from workbench.widgets.rubric_editor import RubricEditor


def rubric() -> Rubric:
    content = Theme("Content", criteria=(Criterion("c1", "Three circles are there."), Criterion("c2", "It is lit.")))
    return Rubric("mine", "t2i", (content, Theme("Look", 2, (Criterion("c3", "The edges are sharp."),))))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_rubric(rubric(), tmp_path / "mine.yaml")
    return tmp_path / "mine.yaml"


@pytest.fixture
def editor(file: Path) -> RubricEditor:
    return RubricEditor(load_rubric(file), file, author="anna")


def show(browser_page, editor):
    page = browser_page.show(editor)
    page.wait_for_selector(".wb-title bdi")
    return page


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def at(page, key):
    page.locator(f'[data-key="{key}"]').focus()


def reaches(page, text):
    """Waits until the editor says a text somewhere."""
    page.wait_for_function("text => document.querySelector('.wb-editor').innerText.includes(text)", arg=text)


def shown(page):
    return page.eval_on_selector_all(".wb-criterion", "rows => rows.map((row) => row.dataset.key)")


def test_everything_is_done_by_keys_seen_linted_undone_saved_and_compared(browser_page, editor, file):
    page = show(browser_page, editor)
    page.locator(".wb-editor").focus()
    press(page, "ArrowDown", "Enter")
    page.keyboard.type(" It looks better than the other.")
    press(page, "Enter")
    reaches(page, "comparative needs another candidate")
    press(page, "w")
    page.keyboard.type("2.5")
    press(page, "Enter")
    reaches(page, "2 unsaved edits")
    press(page, "l")
    page.keyboard.type("0: none\n1: all")
    press(page, "Control+Enter")
    reaches(page, "3 unsaved edits")
    press(page, "n")
    page.keyboard.type("Nothing is cropped.")
    press(page, "Enter")
    reaches(page, "4 unsaved edits")
    press(page, "x")  # of the new one, where the keyboard is now
    reaches(page, "5 unsaved edits")
    press(page, "Alt+ArrowDown", "Alt+ArrowDown")
    reaches(page, "7 unsaved edits")
    assert shown(page) == ["c1", "c2", "c4", "c3"]
    assert page.evaluate("document.activeElement.dataset.key") == "c4"
    c1, c4 = (edits.find(editor.rubric, id) for id in ("c1", "c4"))
    assert c1.text == "Three circles are there. It looks better than the other."
    assert (c1.weight, c1.levels) == (2.5, (Level(0, "none"), Level(1, "all")))
    assert (c4.text, c4.enabled) == ("Nothing is cropped.", False)

    press(page, "Delete")
    reaches(page, "8 unsaved edits")
    assert shown(page) == ["c1", "c2", "c3"]
    press(page, "Control+z")
    reaches(page, "Nothing is cropped.")
    for key in ("Control+z",) * 8:  # one more than there are
        press(page, key)
    page.wait_for_function("document.querySelector('.wb-unsaved').textContent === ''")
    assert editor.rubric == load_rubric(file)
    press(page, "Control+Shift+Z", "Control+y")
    reaches(page, "2 unsaved edits")

    press(page, "t")
    page.keyboard.type("Light")
    press(page, "Enter")
    reaches(page, "3 unsaved edits")
    press(page, "d")
    reaches(page, "theme “Light” added")
    assert page.locator(".wb-diff ins").inner_text() == " It looks better than the other."
    press(page, "Escape", "s")
    reaches(page, "Saved as mine_v2.yaml.")
    assert [edit["author"] for edit in load_rubric(file.parent / "mine_v2.yaml").provenance["edits"]] == ["anna"] * 3
    page.wait_for_function("[...document.querySelectorAll('.wb-versions option')].length === 6")
    press(page, "?")
    assert "save as a new version" in page.get_by_role("dialog").inner_text()
    press(page, "Escape")
    assert not page.get_by_role("dialog").is_visible()
    assert page.evaluate("document.activeElement.matches('.wb-editor')")  # where it was
    press(page, "Escape")
    assert page.evaluate("document.activeElement === document.body")


def test_what_is_typed_in_one_tab_outlives_what_is_done_in_another(browser_page, editor):
    page = show(browser_page, editor)
    at(page, "c2")
    press(page, "Enter")
    page.keyboard.type(" Brightly")
    box = page.locator("textarea")
    editor.answer_text("c1", 0, "Four circles.")  # the other tab
    editor.answer_shift("c2", 1, -1)
    editor.answer_shift_theme(0, 2, 1)
    reaches(page, "Four circles.")
    page.wait_for_function("document.querySelector('.wb-theme-name').textContent === 'Look'")
    assert shown(page) == ["c3", "c2", "c1"]
    page.keyboard.type(" so")
    assert box.input_value() == "It is lit. Brightly so"

    editor.answer_text("c2", 3, "Theirs.")
    reaches(page, "Changed elsewhere meanwhile, to: Theirs.")
    press(page, "Enter")
    reaches(page, "c2 was changed elsewhere")
    assert box.input_value() == "It is lit. Brightly so"
    assert edits.find(editor.rubric, "c2").text == "Theirs."
    page.get_by_text("Keep mine").click()
    page.keyboard.type("!")
    press(page, "Enter")
    page.wait_for_selector("textarea", state="detached")
    assert edits.find(editor.rubric, "c2").text == "It is lit. Brightly so!"

    at(page, "c2")
    press(page, "Enter")
    page.keyboard.type(" Really.")
    editor.answer_remove_theme(1, 5)
    reaches(page, "Removed elsewhere meanwhile")
    assert box.input_value() == "It is lit. Brightly so! Really."
    page.get_by_text("Add as a new criterion").click()
    page.wait_for_selector("textarea", state="detached")
    assert [c.text for c in editor.rubric.enabled_criteria()] == [
        "The edges are sharp.",
        "It is lit. Brightly so! Really.",
    ]
    assert shown(page) == ["c3", "c4"]


def test_an_edit_of_what_is_gone_is_refused_and_the_tab_shows_what_there_is(browser_page, editor):
    page = show(browser_page, editor)
    at(page, "c2")
    editor.tell = lambda *_: None  # a tab that missed the news
    editor.answer_remove("c2", 0)
    del editor.tell
    press(page, "x")
    reaches(page, "c2 is gone: it was removed elsewhere")
    page.wait_for_function("!document.querySelector('[data-key=c2]')")
    assert "c2" not in shown(page)
    assert "c2" not in [criterion.id for criterion in editor.rubric.enabled_criteria()]


def test_a_changed_file_is_offered_and_nothing_is_lost(browser_page, editor, file):
    page = show(browser_page, editor)
    at(page, "c1")
    press(page, "Enter")
    page.keyboard.type(" Mine.")
    press(page, "Enter")
    reaches(page, "1 unsaved edit")
    save_rubric(edits.set_text(rubric(), "c3", "Theirs.").rubric, file)
    at(page, "c2")
    press(page, "x")
    reaches(page, "mine.yaml is not as it was when it was opened: it holds another rubric")
    page.get_by_role("button", name="Reload").click()
    reaches(page, "Theirs.")
    page.wait_for_selector(".wb-news", state="hidden")
    at(page, "c2")
    press(page, "Control+z")
    reaches(page, "Three circles are there. Mine.")
    file.unlink()
    press(page, "x")
    reaches(page, "mine.yaml was deleted or moved")
    page.get_by_text("Save mine as a new version").click()
    reaches(page, "Saved as mine_v2.yaml.")
    assert edits.find(load_rubric(file.parent / "mine_v2.yaml"), "c1").text == "Three circles are there. Mine."


HOSTILE = "".join(
    [
        "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'><svg/onload=window.hacked=1>",
        "\" onfocus='window.hacked=1' autofocus x=\"</bdi></li><iframe src=javascript:parent.hacked=1>",
        "{{window.hacked=1}}<style>*{display:none}</style>\u202egnp.exe",
    ]
)


def test_hostile_text_is_text_wherever_the_editor_shows_it(browser_page, tmp_path):
    file = tmp_path / "mine.yaml"
    told = {
        "parent": {"name": HOSTILE, "recipe": HOSTILE},
        "edits": [{"author": HOSTILE, "time": HOSTILE, "what": f"c1: {HOSTILE}"}],
        "selection": {"criteria": {"c1": {"weight": HOSTILE, "stability": 1}}},
        "seed_pairs": [HOSTILE],
    }
    criterion = Criterion("c1", HOSTILE, 2, (Level(0, HOSTILE), Level(1, "yes")), source=HOSTILE)
    other = Criterion("<b>".join("xy"), "Better " + "y" * 1_000_000)
    save_rubric(Rubric(HOSTILE, "edit", (Theme(HOSTILE, 3, (criterion,)),), told), file)
    editor = RubricEditor(load_rubric(file), file, author=HOSTILE)
    editor.answer_add(0, HOSTILE, 0, None)
    page = show(browser_page, editor)
    at(page, "c1")
    press(page, "o")
    reaches(page, "not among the seeds given")
    press(page, "Enter")
    assert page.locator("textarea").input_value().startswith("<script>window.hacked=1</script><img src=x")
    press(page, "Escape", "d")
    reaches(page, "c2 added")
    press(page, "Escape")
    file.write_text(f"schema: {HOSTILE!r}")
    at(page, "c2")
    press(page, "x")
    reaches(page, "cannot be read now")
    editor.set(Rubric(HOSTILE, "edit", (Theme(HOSTILE, criteria=(criterion, other)),)))
    reaches(page, "shown in part: a text of 1,000,007 characters")
    assert page.evaluate("window.hacked") is None
    assert page.locator(".wb-editor script, .wb-editor img, .wb-editor iframe, .wb-editor style").count() == 0
    assert "\u202e" not in page.locator(".wb-editor").inner_text()
    assert all(url.startswith(("about:", "blob:")) for url in browser_page.requests)
    locked = page.locator(".wb-criterion").nth(1)
    locked.focus()
    press(page, "Enter")
    assert page.locator("textarea").count() == 0


def test_a_rubric_is_started_from_nothing_and_sixty_criteria_stay_quick(browser_page, tmp_path):
    editor = RubricEditor(Rubric("new", "t2i", ()), tmp_path / "new.yaml", author="anna")
    page = show(browser_page, editor)
    page.locator(".wb-editor").focus()
    press(page, "n")
    page.keyboard.type("Everything is there.")
    press(page, "Enter")
    reaches(page, "1 criterion (free text)")
    press(page, "s")
    reaches(page, "Saved as new.yaml.")
    themes = tuple(
        Theme(
            f"Theme {t}", criteria=tuple(Criterion(f"c{10 * t + i}", f"Part {10 * t + i} is there.") for i in range(10))
        )
        for t in range(6)
    )
    editor.set(Rubric("many", "t2i", themes))
    reaches(page, "60 criteria")
    page.drag_and_drop('[data-key="c0"] .wb-grip', '[data-key="c3"]', target_position={"x": 200, "y": 2})
    page.wait_for_function("document.querySelectorAll('.wb-criterion')[2].dataset.key === 'c0'")
    at(page, "c59")
    took = page.evaluate(
        """() => new Promise((done) => {
          const from = performance.now();
          new MutationObserver((_, watch) => { watch.disconnect(); done(performance.now() - from); })
            .observe(document.querySelector(".wb-unsaved"), { childList: true, characterData: true, subtree: true });
          document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "x", bubbles: true }));
        })"""
    )
    assert took < 2_000
    assert not edits.find(editor.rubric, "c59").enabled
