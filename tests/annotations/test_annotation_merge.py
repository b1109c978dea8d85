import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from said import pair, says

from workbench.annotations.annotation import content_hash
from workbench.annotations.log import read_annotations
from workbench.annotations.merge import Conflict, merge, merge_files


def write(path: Path, *annotations) -> Path:
    path.write_bytes(b"".join(each.to_line() for each in annotations))
    return path


said = st.builds(
    says,
    st.sampled_from(["ada", "ben"]),
    st.sampled_from(["p0", "p1", "gone"]),
    st.sampled_from(["a", "b", "tie", "skip", None]),
    st.integers(0, 3),
    note=st.sampled_from(["", "note"]),
    content=st.sampled_from([None, content_hash(pair(0)), "f" * 64]),
    dataset=st.sampled_from([None, "d" * 64]),
)
logs = st.lists(st.lists(said, max_size=6), max_size=4)


@given(logs, st.randoms(use_true_random=False), st.booleans())
def test_neither_the_order_of_files_nor_a_second_merge_makes_a_difference(files, random, with_pairs):
    pairs = [pair(0), pair(1)] if with_pairs else None
    once = merge(files, pairs)
    shuffled = random.sample(files, len(files))
    assert merge(shuffled, pairs).annotations == once.annotations
    again = merge([once.annotations, *files], pairs)
    assert again.annotations == once.annotations
    assert again.orphans == once.orphans
    # orphans or not, everything anyone said is still there
    kept = {(each.author, each.moment, each.label, each.note) for each in once.annotations}
    assert kept == {(each.author, each.moment, each.label, each.note) for file in files for each in file}
    assert [each.moment for each in once.annotations] == sorted(each.moment for each in once.annotations)


def test_one_persons_words_in_two_files_are_resolved_by_time_and_said():
    home = [says("ada", "p0", "a", 0), says("ada", "p1", "a", 1)]
    work = [says("ada", "p0", "b", 5), says("ada", "p1", "a", 6)]
    merged = merge([work, home])
    assert [each.label for each in merged.annotations] == ["a", "a", "b", "a"]
    assert merged.conflicts == (Conflict("p0", "ada", taken="b", other="a", at_once=False),)
    assert merge([home, [*home, says("ada", "p0", "b", 5)]]).conflicts == (), "a copy written on is no conflict"
    tied = merge([[says("ada", "p0", "a")], [says("ada", "p0", "b")]])
    assert [each.at_once for each in tied.conflicts] == [True]


def test_a_page_export_comes_back_and_its_copies_of_known_annotations_are_dropped(tmp_path):
    known = says("ada", "p0", "a", content=content_hash(pair(0)))
    log = write(tmp_path / "annotations.jsonl", known)
    comment = {"pair_id": "p1", "author": "colleague", "time": "2026-11-21T12:00:00.5Z", "label": None, "note": "why?"}
    copy = {"pair_id": "p0", "author": "ada", "time": "2026-11-21T10:00:00+00:00", "label": "a", "note": ""}
    export = tmp_path / "comments.json"
    page = {"schema": "workbench.annotations/1", "run": "r", "dataset": "d" * 64, "annotations": [comment, copy]}
    export.write_text(json.dumps(page, indent=1))
    merged = merge_files([export, log], tmp_path / "all.jsonl", [pair(0), pair(1)], hashes={"d" * 64})
    assert (len(merged.annotations), merged.duplicates, merged.orphans) == (2, 1, ())
    assert [(each.author, each.dataset) for each in read_annotations(tmp_path / "all.jsonl")][1] == (
        "colleague",
        "d" * 64,
    )


def test_orphans_are_flagged_and_kept_and_moved_pairs_are_found_by_what_they_show():
    moved = says("ada", "old-name", "a", 0, content=content_hash(pair(0)))
    orphans = [
        says("ada", "gone", "a", 1, note="a treasure"),
        says("ada", "p1", "a", 2, content="0" * 64),
        says("ben", "p1", "a", 3, dataset="e" * 64),
        says("ben", "p0", "c", 4),
    ]
    fine = [says("ben", "p1", "b", 5, dataset="d" * 64), says("cho", "p1", "b", 6)]
    # the content is what counts, whatever dataset it was met in
    fine.append(says("cho", "p0", "b", 7, dataset="e" * 64, content=content_hash(pair(0))))
    merged = merge([[moved, *orphans, *fine]], [pair(0), pair(1)], hashes={"d" * 64})
    assert merged.renamed == {"old-name": "p0"}
    assert merged.annotations == (replace(moved, pair_id="p0"), *orphans, *fine)
    assert [each.why for each in merged.orphans] == [
        "no such pair",
        "the pair of this id shows something else",
        "of another dataset",
        "the pair has no candidate c",
    ]
    twins = [replace(pair(0), id="one"), replace(pair(0), id="two")]
    assert [each.why for each in merge([[moved]], twins).orphans] == ["2 pairs show the same"]


def test_malformed_lines_of_all_files_are_named_and_nothing_is_written(tmp_path):
    good = write(tmp_path / "good.jsonl", says("ada", "p0", "a"))
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(says("ben", "p0", "a").to_line() + b"<script>\n" + b"{}\n")
    export = tmp_path / "page.json"
    export.write_text('{"schema": "workbench.annotations/1", "annotations": [{"pair_id": "p0"}, 3]}')
    with pytest.raises(ValueError, match=r"bad.jsonl, line 2") as error:
        merge_files([good, bad, export], tmp_path / "all.jsonl")
    for named in ("bad.jsonl, line 3", "page.json, annotation 1", "page.json, annotation 2"):
        assert named in str(error.value)
    assert not (tmp_path / "all.jsonl").exists()
    bad.write_text("<p>\n" * 1000)
    with pytest.raises(ValueError, match=r"bad.jsonl: 995 more") as error:
        merge_files([good, bad], tmp_path / "all.jsonl")
    assert len(str(error.value)) < 1500


def test_the_output_may_be_an_input_but_never_swallows_what_it_alone_holds(tmp_path):
    one = write(tmp_path / "one.jsonl", says("ada", "p0", "a"))
    two = write(tmp_path / "two.jsonl", says("ben", "p0", "b", 1))
    with pytest.raises(ValueError, match=r"two.jsonl holds 1 annotations that the files named do not"):
        merge_files([one], two)
    assert len(read_annotations(two)) == 1
    merge_files([one, two], two)
    assert len(read_annotations(two)) == 2
    before = two.read_bytes()
    merge_files([two, one], two)
    assert two.read_bytes() == before
    verdicts = tmp_path / "verdicts.jsonl"
    verdicts.write_text('{"schema": "workbench.verdict/1"}\n')
    with pytest.raises(ValueError, match=r"verdicts.jsonl is in the way"):
        merge_files([one], verdicts)
    assert "verdict/1" in verdicts.read_text()


def test_people_are_counted_by_what_counts():
    merged = merge(
        [
            [
                says("ada", "p0", "a", 0),
                says("ada", "p0", "tie", 1, note="close"),
                says("ada", "p1", "skip", 2),
                says("ada", "gone", "b", 3),
                says("ben", "p1", None, 4, note="only a note"),
            ]
        ],
        [pair(0), pair(1)],
    )
    ada, ben = merged.people
    assert (ada.labels, ada.ties, ada.skips, ada.notes, ada.orphans) == (1, 1, 1, 1, 1)
    assert (ben.labels, ben.notes, ben.conflicts) == (0, 1, 0)


def test_words_on_a_pair_that_has_another_id_now_are_not_lost_with_the_file_that_is_replaced(tmp_path):
    out = write(tmp_path / "out.jsonl", says("ada", "old", "a", content=content_hash(pair(0))))
    other = write(tmp_path / "other.jsonl", says("ben", "old", "b", content=content_hash(pair(0))))
    before = out.read_bytes()
    with pytest.raises(ValueError, match="holds 1 annotations that the files named do not"):
        merge_files([other], out, [pair(0)])
    assert out.read_bytes() == before
    merged = merge_files([other, out], out, [pair(0)])
    assert merge_files([other, out], out, [pair(0)]).annotations == merged.annotations
    both = write(tmp_path / "both.jsonl", *merged.annotations)
    assert merge_files([both], out, [pair(0)]).annotations == merged.annotations
