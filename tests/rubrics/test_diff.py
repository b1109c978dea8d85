"""The difference of two rubrics: what is called added, removed, changed and moved, and what a reader sees of it."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.commands.rubrics import rubrics_diff
from workbench.rubrics import edits
from workbench.rubrics.diff import diff
from workbench.rubrics.files import load_rubric, save_rubric
from workbench.rubrics.rubric import Criterion, Level, Rubric, Theme
from workbench.rubrics.wording import words

ROOT = Path(__file__).parents[2] / "rubrics"


def rubric(*texts: str, name: str = "mine", first: int = 1) -> Rubric:
    criteria = tuple(Criterion(f"c{i}", text) for i, text in enumerate(texts, start=first))
    return Rubric(name, "t2i", (Theme("Content", criteria=criteria), Theme("Look")))


THREE = rubric("Three circles are there.", "Nothing else is shown.", "The edges of shapes are sharp.")


def kinds(before: Rubric, after: Rubric) -> dict[str, tuple[str, ...]]:
    return {each.id: (each.kind, *each.notes()) for each in diff(before, after).changed()}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda r: edits.set_text(r, "c1", "Four circles are there."), {"c1": ("changed",)}),
        (lambda r: edits.set_weight(r, "c1", 0.5), {"c1": ("changed", "weight 1 to 0.5")}),
        (lambda r: edits.enable(r, "c2", False), {"c2": ("changed", "disabled")}),
        (
            lambda r: edits.set_levels(r, "c1", (Level(0, "no"), Level(1, "yes"))),
            {"c1": ("changed", "levels (none) to (0: no; 1: yes)")},
        ),
        (lambda r: edits.add(r, "All is lit.", theme=1), {"c4": ("added", "in Look")}),
        (lambda r: edits.remove(r, "c2"), {"c2": ("removed", "in Content")}),
        (lambda r: edits.move(r, "c3", 1, 0), {"c3": ("changed", "moved from Content to Look")}),
        (lambda r: edits.move(r, "c3", 0, 0), {"c3": ("changed", "moved to another place")}),
    ],
)
def test_every_kind_of_edit_is_told_of_the_criterion_it_was_made_to_alone(change, told):
    assert kinds(THREE, change(THREE).rubric) == told


def test_two_rubrics_with_the_same_words_have_no_difference():
    found = diff(THREE, replace(THREE, name="other"))
    assert found.sentence() == "no difference"
    assert found.text() == "mine to other: no difference"


def test_a_criterion_is_found_again_by_its_words_where_recipes_number_anew():
    other = rubric("The edges of shapes are sharp.", "Every circle has the colour asked for.", "Nothing else is shown.")
    found = {(each.before and each.before.id, each.after and each.after.id) for each in diff(THREE, other).criteria}
    assert found == {("c1", None), ("c2", "c3"), ("c3", "c1"), (None, "c2")}


def test_an_id_says_nothing_between_rubrics_that_have_nothing_in_common():
    other = rubric("No hand has six fingers.", "Skin shows pores.", "Light falls from one side.")
    found = diff(THREE, other)
    assert found.sentence() == "3 added, 3 removed"


def test_a_criterion_reworded_from_scratch_is_changed_where_one_rubric_was_made_from_the_other():
    child = replace(rubric("No hand has six fingers."), provenance={"parent": {"hash": rubric("Lit.").hash}})
    assert kinds(rubric("Lit."), child) == {"c1": ("changed",)}


def test_a_criterion_is_found_again_by_likeness_under_another_id():
    after = rubric("The edges of all shapes are sharp.", first=7)
    assert kinds(rubric("The edges of shapes are sharp."), after) == {"c7": ("changed", "was c1")}


def test_themes_are_renamed_weighed_added_removed_and_reordered():
    named = edits.rename_theme(THREE, 0, "What is there").rubric
    assert diff(THREE, named).themes == ("theme “Content” is now called “What is there”",)
    assert kinds(THREE, named) == {}
    assert diff(THREE, edits.set_theme_weight(THREE, 1, 3).rubric).themes == ("theme “Look”: weight 1 to 3",)
    assert diff(THREE, edits.add_theme(THREE, "Light").rubric).themes == ("theme “Light” added",)
    assert diff(THREE, edits.remove_theme(THREE, 1).rubric).themes == ("theme “Look” removed",)
    (line,) = diff(THREE, edits.shift_theme(THREE, 0, 1).rubric).themes
    assert line == "themes are in another order: “Look”, “Content”"


def test_a_criterion_that_leaves_the_theme_it_was_alone_in_has_moved():
    before = edits.move(THREE, "c3", 1, 0).rubric
    assert kinds(before, THREE) == {"c3": ("changed", "moved from Look to Content")}


def test_a_change_no_judge_sees_is_called_so():
    disabled = edits.enable(THREE, "c2", False).rubric
    found = diff(disabled, edits.set_text(disabled, "c2", "Nothing else at all is shown.").rubric)
    assert found.same_to_a_judge
    assert found.sentence() == "1 changed; a judge is shown the same"


def test_the_text_for_a_terminal_marks_words():
    after = edits.add(edits.set_text(THREE, "c1", "Four circles are there.").rubric, "All is lit.", theme=1).rubric
    assert diff(THREE, after).text() == (
        "mine to mine: 1 added, 1 changed\n~ c1: [-Three-]{+Four+} circles are there.\n+ c4: All is lit.\n    in Look"
    )


def test_the_command_prints_it_without_signs_a_terminal_obeys(tmp_path, capsys):
    save_rubric(THREE, tmp_path / "a.yaml")
    save_rubric(edits.set_text(THREE, "c1", "Three \x1b[31mcircles\nare there.").rubric, tmp_path / "b.yaml")
    rubrics_diff(tmp_path / "a.yaml", tmp_path / "b.yaml", None)
    assert capsys.readouterr().out == (
        "mine to mine: 1 changed\n~ c1: Three [-circles -]{+ [31mcircles\n+}are there.\n"
    )


TEXT = st.text(max_size=60) | st.lists(st.sampled_from(["a", "b", "\n", "円", "é", ".", ""]), max_size=20).map(" ".join)


@given(TEXT, TEXT)
def test_the_pieces_put_together_are_both_texts(before, after):
    pieces = words(before, after)
    assert "".join(piece.text for piece in pieces if piece.sign != "added") == before
    assert "".join(piece.text for piece in pieces if piece.sign != "removed") == after


def test_text_without_spaces_is_compared_sign_by_sign():
    pieces = words("三つの円がある", "四つの円がある")
    assert [(piece.sign, piece.text) for piece in pieces] == [
        ("removed", "三"),
        ("added", "四"),
        ("same", "つの円がある"),
    ]


def test_a_megabyte_is_compared_at_once():
    pieces = words("x y " * 250_000, "x z " * 250_000)
    assert [piece.sign for piece in pieces] == ["removed", "added"]


@pytest.mark.parametrize("path", sorted(ROOT.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_committed_rubric_differs_from_another_one_and_not_from_itself(path):
    found = load_rubric(path)
    assert diff(found, found).changed() == ()
    other = load_rubric(ROOT / "t2i_general.yaml")
    assert diff(found, other).sentence() == "no difference" or diff(found, other).changed()
