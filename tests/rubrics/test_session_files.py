"""What a session says of its file is true: what is saved, what is lost, and what a changed file may claim."""

from dataclasses import replace
from pathlib import Path

import pytest

from workbench.rubrics import edits
from workbench.rubrics.files import load_rubric, save_rubric
from workbench.rubrics.rubric import Criterion, Rubric, Theme
from workbench.rubrics.session import RubricSession, StaleEdit, Target
from workbench.rubrics.versions import edits_of


def rubric(text: str = "Three circles.") -> Rubric:
    return Rubric("mine", "t2i", (Theme("Content", criteria=(Criterion("c1", text), Criterion("c2", "Lit."))),))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_rubric(rubric(), tmp_path / "mine.yaml")
    return tmp_path / "mine.yaml"


@pytest.mark.parametrize("deleted", [True, False])
def test_a_rubric_whose_file_was_changed_or_deleted_is_unsaved_once_one_goes_on_with_it(file, deleted):
    session = RubricSession(rubric(), file, "anna")
    file.unlink() if deleted else save_rubric(rubric("Theirs."), file)
    session.check()
    session.keep()
    assert session.snapshot().unsaved
    saved = session.save()
    assert (saved.name, load_rubric(saved).themes) == ("mine.yaml" if deleted else "mine_v2.yaml", rubric().themes)
    assert not session.snapshot().unsaved


def test_what_a_reloaded_file_held_before_can_be_saved_after_undo(file):
    session = RubricSession(rubric(), file, "anna")
    save_rubric(rubric("Theirs."), file)
    session.reload()
    assert not session.snapshot().unsaved
    session.undo()
    assert session.snapshot().unsaved
    assert load_rubric(session.save()).themes == rubric().themes


def test_an_older_version_that_was_changed_since_can_be_saved_again(file):
    session = RubricSession(rubric(), file, "anna")
    session.edit(lambda r: edits.set_text(r, "c1", "Four."))
    session.save()
    session.undo()
    save_rubric(rubric("Theirs."), file)
    assert session.save().name == "mine_v3.yaml"


def test_a_file_whose_words_were_changed_by_hand_does_not_keep_the_evidence_about_the_old_ones(file):
    known = {"recipe": "weigh", "selection": {"criteria": {"c1": {"weight": 2}}}, "seed_pairs": ["p1"]}
    save_rubric(replace(rubric(), provenance=known), file)
    session = RubricSession(load_rubric(file), file, "anna")
    save_rubric(replace(rubric("Theirs."), provenance=known), file)
    session.reload()
    now = session.snapshot()
    assert (now.rubric.themes, now.unsaved) == (rubric("Theirs.").themes, False)
    assert "selection" not in now.rubric.provenance
    assert now.rubric.provenance["seed_pairs"] == ["p1"]
    assert [edit["author"] for edit in edits_of(now.rubric)] == [""]  # it was not anna


def test_a_folder_that_may_not_be_looked_into_is_news_and_keeps_no_edit_from_being_told(file, monkeypatch):
    session = RubricSession(rubric(), file, "anna")
    session.edit(lambda r: edits.set_text(r, "c1", "Four."))

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refused)
    monkeypatch.setattr(Path, "stat", refused)
    assert session.check()


class TestThemesOfStaleTabs:
    def test_a_theme_is_not_removed_with_a_criterion_nobody_there_has_seen(self):
        session = RubricSession(rubric(), None, "anna")
        session.edit(lambda r: edits.add(r, "New.", theme=0))
        with pytest.raises(StaleEdit):
            session.edit(lambda r: edits.remove_theme(r, 0), Target(0, field="", theme=0))

    def test_a_rubric_without_themes_is_begun(self):
        session = RubricSession(Rubric("mine", "t2i", ()), None, "anna")
        session.edit(lambda r: edits.add(r, "New.", theme=0), Target(0, theme=0))
        with pytest.raises(StaleEdit):  # in another tab
            session.edit(lambda r: edits.add(r, "New.", theme=0), Target(0, theme=0))

    def test_themes_without_names_are_told_apart(self):
        first, second = (Theme("", criteria=(Criterion(id, f"Text of {id}."),)) for id in ("c1", "c2"))
        session = RubricSession(Rubric("mine", "t2i", (first, second)), None, "anna")
        session.edit(lambda r: edits.shift_theme(r, 0, 1))
        with pytest.raises(StaleEdit):
            session.edit(lambda r: edits.set_theme_weight(r, 0, 3), Target(0, theme=0))
        session.edit(lambda r: edits.set_theme_weight(r, 0, 3), Target(1, theme=0))
