"""Rows and views of pairs: which marks a pair gets, and that nothing in them is as hostile as it came."""

import json

import pytest

from workbench.annotations.annotation import Annotation
from workbench.evaluation.record import VerdictRecord
from workbench.judges.verdict import Verdict
from workbench.pairs.comparison import Comparison
from workbench.widgets.pair_views import ImageKeys, by_pair, index_row, pair_view, shown_names


def pair(ranks=(1, 2), **changes):
    fields = {"id": "p1", "task": "t2i", "prompt": "a dog", "images": ("a.png", "b.png"), "ranks": ranks} | changes
    return Comparison(**fields)


def said(comparison, *outcomes, reason="", **verdict):
    """Records in forward, reverse, then the same of the next sample."""
    records = []
    for i, outcome in enumerate(outcomes):
        ranks = {"a": (1, 2), "b": (2, 1), "tie": (1, 1)}.get(outcome)
        failure = None if ranks else outcome
        order = ("forward", "reverse")[i % 2]
        made = Verdict(ranks=ranks, failure=failure, reason=reason, **verdict)
        records.append(VerdictRecord.of(comparison, order, made, sample=i // 2))
    return records


def word(author="ada", label="a", note="", time="2026-11-21T10:00:00Z"):
    return Annotation("p1", author, time, label, note)


@pytest.mark.parametrize(
    ("outcomes", "marks"),
    [
        (("a", "a"), []),
        (("b", "b"), ["wrong"]),
        (("a", "b"), ["wrong", "inconsistent"]),
        (("a", "tie"), ["wrong", "inconsistent"]),
        (("a", "invalid"), ["invalid"]),  # a failed verdict is neither wrong nor a change of mind
        (("error", "error"), ["error"]),
        (("a", "a", "a", "b"), ["wrong", "inconsistent"]),
        (("a", "a", "a", "error"), ["error"]),
    ],
)
def test_a_pair_is_marked_by_what_a_judge_said_in_both_orders(outcomes, marks):
    row = index_row(pair(), {"judge": said(pair(), *outcomes)})
    assert row["marks"].get("judge", []) == marks
    assert row["said"] == {"judge": list(outcomes)}


def test_an_unlabelled_pair_is_never_wrong_yet_may_be_inconsistent():
    row = index_row(pair(ranks=None), {"judge": said(pair(ranks=None), "a", "b")})
    assert row["marks"] == {"judge": ["inconsistent"]}
    assert row["label"] is None


@pytest.mark.parametrize(
    ("before", "after", "marks"),
    [
        (("b", "b"), ("a", "a"), ["flipped", "fixed"]),
        (("a", "a"), ("a", "b"), ["wrong", "inconsistent", "flipped", "broken"]),
        (("b", "b"), ("b", "a"), ["wrong", "inconsistent", "flipped"]),
        (("b", "error"), ("b", "b"), ["wrong", "flipped"]),
        (("a", "a"), ("a", "a"), []),
        ((), ("b", "b"), ["wrong"]),  # nothing to be relative to
    ],
)
def test_flips_are_relative_to_the_baseline(before, after, marks):
    row = index_row(pair(), {"old": said(pair(), *before), "new": said(pair(), *after)}, baseline="old")
    assert row["marks"].get("new", []) == marks
    assert "flipped" not in row["marks"].get("old", [])


def test_my_label_and_those_of_others_are_told_apart():
    row = index_row(pair(), {}, [word("bo", "b"), word("ada", "tie", "close"), word("cy", None)], author="ada")
    assert (row["mine"], row["people"], row["noted"]) == ("tie", ["b"], True)
    assert index_row(pair(), {}, [word("ada", None)], author="ada")["mine"] is None


def test_the_last_record_of_an_order_and_sample_counts_and_forward_comes_first():
    early, late = said(pair(), "error", "b"), said(pair(), "a")
    records = by_pair({"judge": [early[1], early[0], late[0]]})["p1"]["judge"]
    assert [(record.order, record.outcome) for record in records] == [("forward", "a"), ("reverse", "b")]


def test_two_judges_whose_names_look_alike_stay_two():
    names = shown_names(["x" * 500 + "1", "x" * 500 + "2", "j"])
    assert len(set(names.values())) == 3
    assert set(by_pair({name: said(pair(), "a") for name in names})["p1"]) == set(names.values())


def test_a_view_holds_everything_in_both_orders():
    shown = pair(task="edit", source_image="s.png", tags={"kind": "blur"})
    records = said(shown, "b", "error", reason="sharper", probability=0.8, criteria={"c1": (2, 1)}, keys=("k",))
    view = pair_view(shown, {"judge": records}, [word(note="hm")], note="fixed")
    assert (view["images"], view["source"]) == (["p1/0", "p1/1"], "p1/source")
    assert (view["label"], view["note"], view["tags"]) == ("a", "fixed", {"kind": "blur"})
    first = view["judges"][0]["verdicts"][0]
    assert (first["shown"], first["outcome"], first["correct"], first["confidence"]) == ([0, 1], "b", False, 0.8)
    assert (first["criteria"], first["keys"]) == ([{"id": "c1", "ranks": [2, 1]}], ["k"])
    assert view["annotations"] == [{"author": "ada", "time": "2026-11-21T10:00:00Z", "label": "a", "note": "hm"}]
    json.dumps(view, allow_nan=False)


def test_keys_of_images_are_the_callers_choice():
    keys = ImageKeys(("h1", "h2"), None)
    assert index_row(pair(), {}, keys=keys)["images"] == pair_view(pair(), {}, keys=keys)["images"] == ["h1", "h2"]


def test_no_text_keeps_a_hidden_sign_or_a_megabyte():
    bad = "\u202e\x1b[31m<b>\ud83d" + "x" * 1_000_000
    shown = pair(prompt=bad, tags={bad: bad})
    records = said(shown, "a", reason=bad, detail=bad, criteria={bad: (1, 2)})
    people = [word(note="\u202e<b>", author="\u202e<i>")]
    judges = by_pair({bad: records})["p1"]
    for data in (index_row(shown, judges, people), pair_view(shown, judges, people, note=bad)):
        text = json.dumps(data, ensure_ascii=False)
        assert "\u202e" not in text
        assert "\\u001b" not in text
        assert len(text) < 70_000
        text.encode()
