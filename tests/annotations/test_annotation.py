from dataclasses import asdict, replace

import pytest
from said import pair, says

from workbench.annotations.annotation import Annotation, content_hash, default_author, read_annotation


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pair_id": ""}, "pair_id is empty"),
        ({"author": " "}, "author ' ' must be a name of 1 to 200 characters"),
        ({"author": "x" * 201}, "must be a name of 1 to 200 characters"),
        ({"label": "A"}, "label 'A' must be a letter from a to z, tie, skip, or null"),
        ({"label": "ab"}, "must be a letter"),
        ({"label": "a\n"}, "must be a letter"),
        ({"time": "2026-11-21T10:00Z"}, "must be UTC in ISO 8601, to the second"),
        ({"time": "2026-11-21T10:00:00"}, "must be UTC"),
        ({"time": "2026-11-21T10:00:00+02:00"}, "must be UTC"),
        ({"time": "yesterday"}, "must be UTC"),
        ({"note": "x" * 20_001}, "note has 20,001 characters; at most 20,000 are kept"),
    ],
)
def test_what_an_annotation_cannot_be_is_refused_by_field_and_value(fields, message):
    with pytest.raises(ValueError, match=message):
        replace(says("ada", "p1", "a"), **fields)
    line = {"schema": "workbench.annotation/1", "pair_id": "p1", "author": "ada", "time": "2026-11-21T10:00:00Z"}
    with pytest.raises(ValueError, match=message):
        read_annotation({**line, "label": "a", **fields})


@pytest.mark.parametrize("record", [[], {"schema": "workbench.verdict/1"}, {"pair_id": "p1"}])
def test_records_of_other_kinds_are_named_as_what_they_are(record):
    with pytest.raises(ValueError, match=r"it is a JSON list|its schema is '(workbench.verdict/1|None)'"):
        read_annotation(record)


def test_fields_nobody_knows_are_refused():
    with pytest.raises(ValueError, match="mood"):
        read_annotation({**asdict(says("ada", "p1", "a")), "mood": "good"})


def test_half_a_surrogate_pair_does_not_keep_a_note_from_being_written():
    assert "\ud83d" not in says("ada\ud83d", "p1", "a", note="fine \ud83d hand").to_line().decode()


def test_an_annotation_knows_what_was_shown_by_content_not_by_name():
    one = pair(1)
    renamed = replace(one, id="other", prompt="  PROMPT   1", ranks=None)
    swapped = replace(one, images=one.images[::-1])
    assert Annotation.of(one, "ada", "a").content == content_hash(renamed)
    assert content_hash(swapped) != content_hash(one), "a label names a candidate by its place"


def test_the_author_is_never_without_a_name(monkeypatch):
    monkeypatch.setenv("WORKBENCH_AUTHOR", " Ada ")
    assert default_author() == "Ada"
    monkeypatch.delenv("WORKBENCH_AUTHOR")
    monkeypatch.setattr("getpass.getuser", lambda: "login")
    assert default_author() == "login"

    def nobody() -> str:
        raise OSError("No username set in the environment")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert default_author() == "unknown"
