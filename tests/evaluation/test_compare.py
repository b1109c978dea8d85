import json

import pytest

from workbench.evaluation.compare import Flip, JudgedRun, compare_run_folders, compare_runs
from workbench.evaluation.record import ORDERS, VerdictRecord
from workbench.judges.verdict import Verdict
from workbench.pairs.comparison import Comparison
from workbench.runs.folder import RunFolder
from workbench.runs.lines import LineLog

VERDICTS = {
    "a": Verdict(ranks=(1, 2)),
    "b": Verdict(ranks=(2, 1)),
    "t": Verdict(ranks=(1, 1)),
    "x": Verdict(ranks=None, failure="invalid"),
    "e": Verdict(ranks=None, failure="error"),
}


def records(*answers: str, label=(1, 2), start: int = 0):
    """One pair per two letters, forward and reverse; the human's winner is a."""
    for i, answer in enumerate(answers, start=start):
        comparison = Comparison(f"p{i}", "t2i", f"prompt {i}", ("0.png", "1.png"), ranks=label)
        for order, letter in zip(ORDERS, answer, strict=True):
            yield VerdictRecord.of(comparison, order, VERDICTS[letter])


def run(name: str, *answers: str, dataset: str = "d1", **options) -> JudgedRun:
    return JudgedRun.of(name, dataset, records(*answers, **options))


def test_flips_are_fixed_broken_or_swap_only():
    before = run("before", "ab", "aa", "ab", "aa", "bb", "bb", "xa", "tb")
    after = run("after", "aa", "ab", "ba", "aa", "bb", "ab", "aa", "xb")
    found = compare_runs(before, after)
    assert found.flips == [
        Flip("p0", "fixed"),
        Flip("p1", "broken"),
        Flip("p2", "swap_only"),  # right once in both runs, but in the other order
        Flip("p5", "swap_only"),  # wrong twice, now right once: not resolved in either run
        Flip("p6", "fixed"),
        Flip("p7", "swap_only"),  # a tie became an invalid answer
    ]
    assert found.flip_counts == {"fixed": 2, "broken": 1, "swap_only": 3}
    resolved = found.differences["resolved"]
    assert (resolved.before, resolved.after, resolved.value) == (2 / 8, 3 / 8, 1 / 8)
    assert resolved.p_mcnemar == pytest.approx(1.0)


def test_a_clear_gain_is_better_and_its_mirror_worse():
    weak, strong = run("weak", *["ab"] * 30, *["aa"] * 70), run("strong", *["aa"] * 100)
    gain, loss = compare_runs(weak, strong), compare_runs(strong, weak)
    assert gain.differences["resolved"].verdict == "better"
    assert loss.differences["resolved"].verdict == "worse"
    assert gain.differences["resolved"].value == pytest.approx(0.3)
    assert gain.differences["resolved"].p_mcnemar == pytest.approx(2**-29)
    assert gain.differences["position_bias"].value == pytest.approx(-0.3)
    assert gain.differences["position_bias"].verdict == "better"
    assert gain.differences["forward"].verdict == "undecided"
    low, high = gain.differences["mean"].bootstrap95
    assert low < 0.15 < high


def test_the_sentence_says_what_the_numbers_allow():
    same = compare_runs(run("a", *["aa", "ab", "bb"] * 20), run("b", *["aa", "ab", "bb"] * 19, "aa", "aa", "bb"))
    assert same.differences["mean"].verdict == "undecided"
    assert same.sentence.startswith("Undecided. With 60 pairs of 60 prompts mean accuracy changed by ")
    assert same.sentence.endswith("points would have been found 4 times out of 5.")
    better = compare_runs(run("a", *["ab"] * 60), run("b", *["aa"] * 60))
    assert better.sentence.startswith("Better than before. ")


def test_identical_runs_are_undecided_and_without_flips():
    found = compare_runs(run("a", *["aa", "ab"] * 20), run("b", *["aa", "ab"] * 20))
    assert found.flips == []
    assert {d.verdict for d in found.differences.values()} == {"undecided"}
    assert {d.value for d in found.differences.values()} == {0.0}
    assert all(d.smallest_detectable > 0 for d in found.differences.values())


def test_other_datasets_are_refused_by_name():
    with pytest.raises(ValueError, match="first judged the dataset d1 and second the dataset d2"):
        compare_runs(run("first", "aa"), run("second", "aa", dataset="d2"))


def test_pairs_of_one_run_alone_are_named_and_left_out():
    found = compare_runs(run("a", "aa", "ab", "aa"), run("b", "aa", "bb", start=1))
    assert (found.n_pairs, list(found.only_in_a), list(found.only_in_b)) == (2, ["p0"], [])
    assert found.differences["mean"].n == 2
    assert "left out: 1 pairs judged in both orders by a alone" in found.to_text()
    with pytest.raises(ValueError, match="share no pair"):
        compare_runs(run("a", "aa"), run("b", "aa", start=5))


def test_unlabelled_pairs_count_for_consistency_only():
    found = compare_runs(run("a", *["ab"] * 9, label=None), run("b", *["aa"] * 9, label=None))
    assert found.differences["mean"].value is None
    assert found.differences["consistency"].value == 1.0
    assert found.flip_counts == {"fixed": 0, "broken": 0, "swap_only": 9}
    assert found.sentence.startswith("No shared pair carries a label")


def test_it_is_json_a_table_and_text():
    found = compare_runs(run("a", *["aa", "ab", "bb"] * 20), run("b", *["aa", "aa", "bb"] * 20))
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["differences"]["mean"]["n"] == 60
    assert list(found.to_frame().index) == [
        "forward",
        "reverse",
        "mean",
        "resolved",
        "position bias",
        "consistency",
    ]
    assert "20 of 60 pairs flipped: 20 fixed, 0 broken, 0 swap-only" in found.to_text()


def test_run_folders_on_disk_are_compared(tmp_path):
    for name, answers in (("none", ["ab"] * 20), ("rubric", ["aa"] * 20)):
        inputs = {"dataset": {"name": "toy", "hash": "d1"}, "rubric": name}
        with (
            RunFolder.open(tmp_path / name, inputs, kind="evaluate") as folder,
            LineLog(folder.verdicts_path) as log,
        ):
            for record in records(*answers):
                log.append(record.to_line())
    found = compare_run_folders(tmp_path / "none", tmp_path / "rubric")
    assert (found.a, found.b, found.differences["resolved"].verdict) == ("none", "rubric", "better")
    with pytest.raises(ValueError, match="not a run folder"):
        compare_run_folders(tmp_path / "none", tmp_path / "absent")


def test_errors_are_counted_and_nothing_they_could_undo_is_concluded():
    good = run("good", *["aa"] * 100)
    half = compare_runs(good, run("half", *["ee"] * 60, *["aa"] * 40))
    assert (half.differences["mean"].value, half.differences["mean"].verdict) == (pytest.approx(-0.6), "undecided")
    assert (half.errors, half.invalid) == (120, 0)
    assert half.sentence.startswith("Undecided. ")
    assert "120 verdicts are errors, which count as not right" in half.sentence
    few = compare_runs(good, run("few", *["bb"] * 58, "ee", "xx", *["aa"] * 40))  # whatever the two had been
    assert (few.differences["mean"].verdict, few.errors, few.invalid) == ("worse", 2, 2)
