"""Edits give a new rubric and say what they did; the old rubric stays as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.rubrics import edits
from workbench.rubrics.history import History, State
from workbench.rubrics.rubric import Criterion, Level, Rubric, RubricError, Theme


def rubric() -> Rubric:
    content = Theme("Content", 2, (Criterion("c1", "Three circles."), Criterion("c2", "Nothing else.", 0.5)))
    return Rubric("mine", "t2i", (content, Theme("Look", criteria=(Criterion("c3", "Sharp edges."),))))


def ids(changed: Rubric) -> list[list[str]]:
    return [[criterion.id for criterion in theme.criteria] for theme in changed.themes]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda r: edits.set_text(r, "c1", "Four\n circles."), "c1: text now “Four circles.”"),
        (lambda r: edits.set_weight(r, "c2", 2), "c2: weight 0.5 to 2"),
        (lambda r: edits.set_levels(r, "c3", (Level(0, "no"), Level(1, "yes"))), "c3: levels 0, 1"),
        (lambda r: edits.enable(r, "c3", False), "c3: disabled"),
        (lambda r: edits.add(r, "New.", theme=1, index=0), "c4 added: “New.”"),
        (lambda r: edits.remove(r, "c2"), "c2 removed: “Nothing else.”"),
        (lambda r: edits.shift(r, "c2", 1), "c2: moved to place 1 of theme “Look”"),
        (lambda r: edits.add_theme(r, "Light"), "theme “Light” added"),
        (lambda r: edits.rename_theme(r, 1, ""), "theme “Look”: now called “”"),
        (lambda r: edits.set_theme_weight(r, 0, 0), "theme “Content”: weight 2 to 0"),
        (lambda r: edits.remove_theme(r, 0), "theme “Content” removed with c1, c2"),
        (lambda r: edits.shift_theme(r, 1, -1), "theme “Look”: moved to place 1"),
    ],
)
def test_an_edit_gives_another_rubric_says_what_it_did_and_leaves_the_old_one(change, what):
    before = rubric()
    edited = change(before)
    assert edited.what == what
    assert edited.rubric != before
    assert before == rubric()


def test_a_criterion_goes_up_and_down_through_themes_and_back():
    order = [ids(rubric())]
    changed = rubric()
    for by in (1, 1, -1, -1):
        changed = edits.shift(changed, "c1", by).rubric
        order.append(ids(changed))
    assert order == [
        [["c1", "c2"], ["c3"]],
        [["c2", "c1"], ["c3"]],
        [["c2"], ["c1", "c3"]],
        [["c2", "c1"], ["c3"]],
        [["c1", "c2"], ["c3"]],
    ]


def test_a_criterion_is_moved_to_a_place_of_any_theme():
    assert ids(edits.move(rubric(), "c1", 1, 1).rubric) == [["c2"], ["c3", "c1"]]
    assert ids(edits.move(rubric(), "c2", 0, 0).rubric) == [["c2", "c1"], ["c3"]]
    assert ids(edits.move(rubric(), "c3", 0, 99).rubric) == [["c1", "c2", "c3"], []]


def test_a_new_id_is_above_all_there_are_and_all_that_were():
    assert edits.add(rubric(), "New.", theme=0).criterion == "c4"
    assert edits.add(rubric(), "New.", theme=0, taken=("c8", "sharpness")).criterion == "c9"


def test_an_empty_rubric_is_started_by_its_first_criterion():
    started = edits.add(Rubric("new", "t2i", ()), "Everything is there.", theme=0).rubric
    assert started.render() == "Everything is there."


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: edits.set_text(r, "c9", "x"), "criterion “c9” is not in rubric mine; there are: c1, c2, c3"),
        (lambda r: edits.set_text(r, "c1", " \n"), "criterion c1 has no text"),
        (lambda r: edits.set_weight(r, "c1", -1), "criterion c1 has weight -1"),
        (lambda r: edits.set_weight(r, "c1", float("nan")), "criterion c1 has weight nan"),
        (lambda r: edits.set_levels(r, "c1", (Level(1, "yes"),)), r"criterion c1 has levels \[1\]"),
        (lambda r: edits.set_theme_weight(r, 0, float("inf")), "theme 'Content' has weight inf"),
        (lambda r: edits.add(r, "x", theme=2), "theme 2 is not in rubric mine: it has 2"),
        (lambda r: edits.rename_theme(r, -1, "x"), "theme -1 is not in rubric mine"),
        (lambda r: edits.shift(r, "c1", -1), "criterion c1 is first already"),
        (lambda r: edits.shift(r, "c3", 1), "criterion c3 is last already"),
        (lambda r: edits.shift_theme(r, 1, 1), "theme “Look” is last already"),
    ],
)
def test_what_cannot_be_done_names_the_criterion_and_the_value(change, message):
    with pytest.raises(RubricError, match=message):
        change(rubric())


def test_levels_are_typed_a_line_each():
    levels = edits.parse_levels("0: one is missing\n\n 2: all are there,\n   and no more\n")
    assert levels == (Level(0, "one is missing"), Level(2, "all are there,\nand no more"))
    assert edits.parse_levels(edits.levels_text(levels)) == levels
    assert edits.parse_levels("") == ()
    with pytest.raises(RubricError, match="levels, line 2: “none” has no score"):
        edits.parse_levels("1: one\nnone")


@given(st.lists(st.sampled_from(["edit", "undo", "redo"]), max_size=40))
def test_undo_and_redo_are_a_list_with_a_place_in_it(moves):
    history = History((State(rubric()),))
    done, undone = [history.now.rubric], []
    for number, each in enumerate(moves):
        if each == "edit":
            history = history.then(
                State(edits.set_weight(history.now.rubric, "c1", number + 2).rubric, f"edit {number}")
            )
            done, undone = [*done, history.now.rubric], []
        elif each == "undo":
            history = history.undo()
            if len(done) > 1:
                undone.append(done.pop())
        else:
            history = history.redo()
            if undone:
                done.append(undone.pop())
        assert history.now.rubric == done[-1]
        assert bool(history.undoes) == (len(done) > 1)
        assert bool(history.redoes) == bool(undone)
