"""Versions are files that nothing replaces; what an edited one says of itself is true of it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from workbench.induction.selection import worth_rows
from workbench.rubrics import edits, versions
from workbench.rubrics.files import load_rubric, save_rubric
from workbench.rubrics.rubric import Criterion, Rubric, RubricError, Theme
from workbench.rubrics.session import RubricSession, StaleEdit, Target
from workbench.rubrics.versions import ancestors, derived, edits_of, list_versions, save_version

INDUCED = Path(__file__).parents[2] / "rubrics" / "shapes_t2i_blind.yaml"


def rubric(text: str = "Three circles.") -> Rubric:
    return Rubric("mine", "t2i", (Theme("Content", criteria=(Criterion("c1", text), Criterion("c2", "Lit."))),))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    save_rubric(rubric(), path)
    return path


def reworded(text: str):
    return lambda r: edits.set_text(r, "c1", text)


def test_versions_are_numbered_beside_the_file_and_named_after_theirs(file):
    paths = [save_version(rubric("Four."), file), save_version(rubric("Five."), file)]
    paths.append(save_version(rubric("Six."), paths[0]))  # from any version the next number
    assert [path.name for path in paths] == ["mine_v2.yaml", "mine_v3.yaml", "mine_v4.yaml"]
    assert [load_rubric(path).name for path in paths] == ["mine_v2", "mine_v3", "mine_v4"]
    assert load_rubric(file) == rubric()
    assert [version.number for version in list_versions(file)] == [1, 2, 3, 4]


def test_the_first_version_of_a_file_that_never_was_is_the_file(tmp_path):
    assert save_version(rubric(), tmp_path / "rubrics" / "new.yaml") == tmp_path / "rubrics" / "new.yaml"


def test_a_text_file_gets_yaml_versions_that_can_hold_weights(tmp_path):
    (tmp_path / "mine.txt").write_text("Look at the circles.")
    assert save_version(rubric(), tmp_path / "mine.txt").name == "mine_v2.yaml"
    with pytest.raises(RubricError, match=r"end in \.yaml, \.yml or \.txt"):
        save_version(rubric(), tmp_path / "mine.json")


@pytest.mark.parametrize("links", [True, False])
def test_writers_at_once_get_different_numbers_and_replace_nothing(file, monkeypatch, links):
    if not links:  # as on file systems that have none

        def refuse(*_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(versions.os, "link", refuse)
    start = threading.Barrier(8)

    def write(number: int) -> Path:
        start.wait()
        return save_version(rubric(f"Text {number}."), file)

    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(write, range(8)))
    assert sorted(path.name for path in paths) == sorted(f"mine_v{n}.yaml" for n in range(2, 10))
    for number, path in enumerate(paths):
        assert edits.find(load_rubric(path), "c1").text == f"Text {number}."
    assert {path.name for path in file.parent.iterdir()} == {"mine.yaml", *(path.name for path in paths)}


def test_a_number_is_not_used_again_while_a_child_of_it_is_edited(file):
    second = save_version(rubric("Four."), file)
    child = derived(load_rubric(second), reworded("Five.")(load_rubric(second)), author="anna", file=second.name)
    second.unlink()
    assert save_version(child, second).name == "mine_v3.yaml"


def test_a_rubric_too_large_to_be_read_again_is_not_written(file, monkeypatch):
    monkeypatch.setattr(versions, "MAX_BYTES", 1_000)
    with pytest.raises(RubricError, match="shorten its criteria"):
        save_version(rubric("x " * 1_000), file)
    assert [path.name for path in file.parent.iterdir()] == ["mine.yaml"]


def test_unreadable_versions_and_other_rubrics_are_told_apart(file):
    (file.parent / "mine_v2.yaml").write_text("schema: [")
    for name in ("mine_v0.yaml", "mine_vx.yaml", "mine2.yaml", "mine_v2.json"):
        (file.parent / name).write_text("")
    found = list_versions(file)
    assert [version.path.name for version in found] == ["mine.yaml", "mine_v2.yaml"]
    assert found[1].rubric is None
    assert "not usable YAML" in found[1].problem


def test_an_edited_rubric_does_not_claim_what_was_found_out_about_its_parent():
    parent = load_rubric(INDUCED)
    edited = edits.set_text(parent, "c1", "The number of shapes is the one asked for.")
    child = derived(parent, edited, author="anna", file="shapes_t2i_blind.yaml", time="2026-11-21T10:00:00+00:00")
    assert worth_rows(parent)
    assert worth_rows(child) == []
    assert dict(child.provenance) == {
        "seed_pairs": parent.provenance["seed_pairs"],
        "dataset": parent.provenance["dataset"],
        "recipe": "edit",
        "parent": {
            "name": "shapes_t2i_blind",
            "hash": parent.hash,
            "file": "shapes_t2i_blind.yaml",
            "recipe": "blind",
        },
        "edits": [{"author": "anna", "time": "2026-11-21T10:00:00+00:00", "what": edited.what}],
    }


def test_edits_add_up_until_the_rubric_is_saved_and_versions_know_their_ancestors(file):
    session = RubricSession(load_rubric(file), file, "anna")
    session.edit(reworded("Four."))
    session.edit(lambda r: edits.set_weight(r, "c2", 3))
    second = session.save()
    session.author = "ben"
    session.edit(reworded("Five."))
    third = session.save()
    told = [[(edit["author"], edit["what"]) for edit in version.edits] for version in list_versions(file)]
    assert told == [
        [],
        [("anna", "c1: text now “Four.”"), ("anna", "c2: weight 1 to 3")],
        [("ben", "c1: text now “Five.”")],
    ]
    assert [each.name for each in ancestors(load_rubric(third), file.parent)] == ["mine_v2", "mine"]
    save_rubric(replace(load_rubric(second), themes=()), second)  # somebody changed it: no longer the parent
    assert ancestors(load_rubric(third), file.parent) == ()


def test_a_parent_outside_the_folder_is_not_read(file):
    inside = file.parent / "inside"
    inside.mkdir()
    for name in ("../mine.yaml", str(file), "..", "a\x00b", 3):
        child = replace(rubric("Four."), provenance={"parent": {"file": name, "hash": rubric().hash}})
        assert ancestors(child, inside) == ()
        assert save_version(child, inside / "child.yaml").parent == inside


@pytest.mark.parametrize("edits_told", [None, "x", [1, None], [{"who": 1}]])
def test_strange_provenance_is_no_edit_history(edits_told):
    rows = edits_of(replace(rubric(), provenance={"edits": edits_told}))
    assert all(set(row) == {"author", "time", "what"} for row in rows)


class TestSession:
    def test_an_edit_that_changes_nothing_leaves_no_trace(self, file):
        session = RubricSession(rubric(), file, "anna")
        session.edit(reworded("Three circles."))
        assert session.snapshot().revision == 0
        assert not session.snapshot().unsaved

    def test_undo_gives_the_very_rubric_back_with_its_provenance(self):
        induced = load_rubric(INDUCED)
        session = RubricSession(induced, INDUCED, "anna")
        session.edit(reworded("Other."))
        assert "evidence" not in session.snapshot().rubric.provenance
        session.undo()
        assert session.snapshot().rubric is induced
        session.redo()
        assert edits.find(session.snapshot().rubric, "c1").text == "Other."

    def test_edits_of_many_threads_are_all_applied(self, file):
        session = RubricSession(rubric(), file, "anna")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda i: session.edit(lambda r: edits.add(r, f"New {i}.", theme=0)), range(64)))
        texts = {criterion.text for criterion in session.snapshot().rubric.themes[0].criteria}
        assert texts == {"Three circles.", "Lit.", *(f"New {i}." for i in range(64))}
        assert len(edits_of(session.snapshot().rubric)) == 64

    @pytest.mark.parametrize(
        ("first", "target", "message"),
        [
            (reworded("Four."), Target(0, "c1"), "c1 was changed elsewhere"),
            (reworded("Four."), Target(0, "c1", "weight"), "c1 was changed elsewhere"),
            (lambda r: edits.set_weight(r, "c1", 2), Target(0, "c1", "weight"), "c1 was changed elsewhere"),
            (lambda r: edits.set_weight(r, "c1", 2), Target(0, "c1", ""), "c1 was changed elsewhere"),
            (lambda r: edits.remove(r, "c1"), Target(0, "c1"), "c1 is gone: it was removed elsewhere"),
            (lambda r: edits.rename_theme(r, 0, "x"), Target(0, theme=0), "themes were changed elsewhere"),
            (reworded("Four."), Target(77, "c1"), "long ago"),
        ],
    )
    def test_an_edit_of_what_has_changed_since_it_was_seen_is_refused(self, first, target, message):
        session = RubricSession(rubric(), None, "anna")
        session.edit(first)
        before = session.snapshot()
        with pytest.raises(StaleEdit, match=message):
            session.edit(reworded("Five."), target)
        assert session.snapshot() == before

    def test_an_edit_of_what_has_not_changed_goes_through(self):
        session = RubricSession(rubric(), None, "anna")
        session.edit(lambda r: edits.set_weight(r, "c1", 2))
        session.edit(lambda r: edits.set_text(r, "c2", "Bright."))
        session.edit(reworded("Four."), Target(0, "c1"))
        assert edits.find(session.snapshot().rubric, "c1") == Criterion("c1", "Four.", 2)

    def test_the_id_of_a_removed_criterion_is_not_given_again_in_later_versions_either(self, file):
        session = RubricSession(rubric(), file, "anna")
        session.edit(lambda r: edits.remove(r, "c2"))
        saved = session.save()
        later = RubricSession(load_rubric(saved), saved, "anna")
        assert later.edit(lambda r: edits.add(r, "New.", theme=0, taken=later.taken)).criterion == "c3"

    def test_a_changed_file_is_told_and_nothing_is_overwritten(self, file):
        session = RubricSession(rubric(), file, "anna")
        session.edit(reworded("Mine."))
        assert session.check() is None
        save_rubric(rubric("Theirs."), file)
        news = session.check()
        assert news
        assert news.kind == "changed"
        saved = session.save()
        assert edits.find(load_rubric(file), "c1").text == "Theirs."
        assert edits.find(load_rubric(saved), "c1").text == "Mine."
        assert session.check() is None

    def test_reloading_takes_the_file_and_undo_brings_the_edits_back(self, file):
        session = RubricSession(rubric(), file, "anna")
        session.edit(reworded("Mine."))
        save_rubric(rubric("Theirs."), file)
        session.reload()
        assert edits.find(session.snapshot().rubric, "c1").text == "Theirs."
        assert not session.snapshot().unsaved
        assert session.check() is None
        session.undo()
        assert edits.find(session.snapshot().rubric, "c1").text == "Mine."

    @pytest.mark.parametrize(("damage", "kind"), [(None, "missing"), (b"schema: [", "invalid"), (b"\xff", "invalid")])
    def test_a_lost_or_broken_file_is_told_and_a_new_version_can_be_saved(self, file, damage, kind):
        session = RubricSession(rubric(), file, "anna")
        session.edit(reworded("Mine."))
        file.unlink() if damage is None else file.write_bytes(damage)
        news = session.check()
        assert news
        assert news.kind == kind
        with pytest.raises(RubricError):
            session.reload()
        assert session.check() == news
        assert session.save().name == "mine_v2.yaml"
        assert file.exists() == (damage is not None)

    def test_a_lost_file_of_which_nothing_was_edited_is_written_again(self, file):
        session = RubricSession(rubric(), file, "anna")
        file.unlink()
        assert session.save() == file
        assert load_rubric(file) == rubric()

    def test_news_that_were_put_aside_come_again_only_with_another_change(self, file):
        session = RubricSession(rubric(), file, "anna")
        save_rubric(rubric("Theirs."), file)
        session.check()
        session.keep()
        assert session.check() is None
        save_rubric(rubric("Theirs again."), file)
        assert session.check()

    def test_a_rubric_that_is_not_what_its_file_holds_says_so(self, file):
        news = RubricSession(rubric("Other."), file, "anna").check()
        assert news
        assert "another rubric" in news.message

    def test_a_full_disk_keeps_the_edits(self, file, monkeypatch):
        session = RubricSession(rubric(), file, "anna")
        session.edit(reworded("Mine."))

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(versions, "save_rubric", full)
            with pytest.raises(RubricError, match=r"mine\.yaml could be written .*No space left.* the edits are kept"):
                session.save()
        assert session.snapshot().unsaved
        assert session.save().name == "mine_v2.yaml"

    def test_saving_what_is_saved_already_is_refused(self, file):
        session = RubricSession(rubric(), file, "anna")
        with pytest.raises(RubricError, match="there is nothing to save"):
            session.save()
        with pytest.raises(RubricError, match="no file yet: give RubricEditor a path"):
            RubricSession(rubric(), None, "anna").save()

    def test_undo_goes_past_a_save_and_edits_from_there_have_the_older_parent(self, file):
        session = RubricSession(rubric(), file, "anna")
        session.edit(reworded("Four."))
        session.save()
        session.undo()
        assert not session.snapshot().unsaved
        session.edit(reworded("Five."))
        assert session.snapshot().rubric.provenance["parent"]["file"] == "mine.yaml"
        assert session.save().name == "mine_v3.yaml"

    def test_words_changed_in_python_do_not_keep_the_evidence(self):
        induced = load_rubric(INDUCED)
        session = RubricSession(induced, INDUCED, "anna")
        session.replace(replace(induced, themes=induced.themes[:1]), "replaced")
        assert "evidence" not in session.snapshot().rubric.provenance
        other = replace(rubric(), provenance={"recipe": "arr"})
        session.replace(other, "replaced")
        assert session.snapshot().rubric is other
