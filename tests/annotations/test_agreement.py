import math
import re
from dataclasses import asdict

import pytest
from said import everything, pair, says, verdicts

from workbench.annotations.agreement import LABEL, MAJORITY, agreement
from workbench.annotations.raters import judge_labels, majority

PAIRS = [pair(i, ranks=(1, 2) if i % 2 else (2, 1)) for i in range(40)]
TRUTH = "ba" * 20


def numbers(value) -> list[float]:
    if isinstance(value, dict):
        return [n for each in value.values() for n in numbers(each)]
    if isinstance(value, list | tuple):
        return [n for each in value for n in numbers(each)]
    return [value] if isinstance(value, float) else []


def row(report, *between):
    return next(each for each in report.rows if each.between == between)


def test_every_two_people_all_of_them_and_each_with_label_and_judge_are_compared():
    ben = TRUTH[:30] + "".join({"a": "b", "b": "a"}[c] for c in TRUTH[30:])
    said = everything("ada", TRUTH) + everything("ben", ben) + everything("cho", " " * 20 + TRUTH[20:])
    judge = judge_labels(record for each in PAIRS for record in verdicts(each, "a", "a"))
    report = agreement(PAIRS, said, {"always a": judge})
    everyone = ("ada", "ben", "cho")
    assert [each.between for each in report.rows] == [
        *(("ada", "ben"), ("ada", "cho"), ("ben", "cho")),
        everyone,
        *((who, LABEL) for who in (*everyone, MAJORITY)),
        *((who, "always a") for who in (*everyone, MAJORITY)),
    ]
    pair_row = row(report, "ada", "ben")
    assert (pair_row.n, pair_row.percent.value, pair_row.kappa.value) == (40, 0.75, pytest.approx(0.5))
    low, high = pair_row.kappa.ci95
    assert low < 0.5 < high
    assert row(report, "ben", "cho").n == 20
    assert (row(report, *everyone).n, row(report, *everyone).kappa.value) == (40, None)
    assert row(report, MAJORITY, LABEL).percent.value == 1.0
    assert row(report, "ada", "always a").percent.value == 0.5
    assert row(report, "ada", "always a").kappa.value == pytest.approx(0.0)
    assert "not told from chance" in row(report, "ada", "always a").sentence
    assert agreement(PAIRS, said, {"always a": judge}) == report, "a function of its seed"


def test_skips_are_missing_ties_are_an_answer_and_failures_of_a_judge_stay_in_the_denominator():
    said = everything("ada", "abts" + "ab" * 18)
    labels = judge_labels(
        [
            *verdicts(PAIRS[0], "a", "a"),
            *verdicts(PAIRS[0], "b", "b", sample=1),
            *verdicts(PAIRS[1], "b", "invalid"),
            *verdicts(PAIRS[2], "tie", "tie"),
            *verdicts(PAIRS[3], "a", "a"),
            *verdicts(PAIRS[4], "a", "b"),
            *verdicts(PAIRS[5], "error", "invalid"),
            *verdicts(PAIRS[6], "a", "tie"),
            *verdicts(PAIRS[7], "a", "a")[:1],
        ]
    )
    assert labels == {
        "p0": "a",
        "p1": "invalid",
        "p2": "tie",
        "p3": "a",
        "p4": "inconsistent",
        "p5": "error",
        "p6": "inconsistent",
    }
    found = row(agreement(PAIRS, said, {"judge": labels}), "ada", "judge")
    assert (found.n, found.percent.value) == (6, pytest.approx(2 / 6)), "p3 is skipped, p7 judged in one order"


def test_the_majority_is_more_than_half_of_those_who_labelled():
    people = {
        "ada": {"p": "a", "q": "a", "r": "a"},
        "ben": {"p": "b", "q": "a", "r": "b"},
        "cho": {"p": "tie", "r": "a"},
    }
    assert majority(people) == {"q": "a", "r": "a"}


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ([], "Nobody labelled a pair"),
        (everything("ada", "ss"), "Nobody labelled a pair"),
        (everything("ada", "ab"), "Only ada labelled pairs: agreement between people needs two"),
        (everything("ada", "ab") + everything("ben", "  ab"), "ada and ben, no pair was labelled by two of them"),
        (everything("ada", "aaa") + everything("ben", "aaa"), "every label is the same one, so .* undefined"),
        (
            everything("ada", "a") + everything("ben", "b"),
            r"1 pairs of 1 prompts, alpha .*\): too few to",
        ),
        (
            everything("ada", "abab") + everything("ben", "abab"),
            r"4 pairs of 4 prompts, alpha 1.00 \(95% interval 0\.\d+ to 1.00\): too few",
        ),
        (everything("ada", "abab") + everything("ben", "abaa"), "4 pairs of 4 prompts, .*: too few to conclude from"),
        (everything("ada", TRUTH) + everything("ben", TRUTH), r"alpha 1.00 .*0\.8\d to 1.00\): agreement to rely on"),
        (everything("ada", TRUTH) + everything("ben", TRUTH[:-1] + "b"), "agreement to rely on"),
        (everything("ada", TRUTH) + everything("ben", TRUTH[::-1]), r"alpha -0.97 .*: less than chance"),
        (everything("ada", TRUTH) + everything("ben", TRUTH[:30] + "ab" * 5), "more than chance; .* is undecided"),
    ],
)
def test_degenerate_and_ordinary_cases_say_what_the_numbers_allow_and_never_nan(said, sentence):
    report = agreement(PAIRS, said, {"silent": {}, "failing": {each.id: "error" for each in PAIRS}})
    text = " ".join(report.to_text().split())
    assert re.search(sentence, text), text
    assert "nan" not in re.sub(r"\w+nan|nan\w+", "", text)
    assert all(math.isfinite(number) for number in numbers(asdict(report)))


def test_one_prompt_gives_no_interval_that_claims_to_know_other_prompts():
    same = [pair(i, prompt="one prompt") for i in range(8)]
    found = row(agreement(same, everything("ada", "abababab") + everything("ben", "abababba")), "ada", "ben")
    assert (found.n, found.n_prompts, found.percent.ci95) == (8, 1, (0.0, 1.0))
    assert found.kappa.ci95 == (-1.0, 1.0)


def test_disagreements_come_back_as_ids_and_notes_for_the_viewer():
    said = [
        *everything("ada", "aaab"),
        *everything("ben", "aba"),
        *everything("cho", "abt"),
        says("ben", "p2", "b", 90, note="the hand"),
        says("eve", "gone", "a", 91),
    ]
    report = agreement(PAIRS, said)
    assert report.ids == ["p2", "p1"]
    assert report.notes["p2"] == "ada: a · ben: b (the hand) · cho: tie"
    assert "2 pairs are disputed" in report.to_text()
    assert report.orphans == 1
    assert "1 annotations are about no pair of this dataset and are in no number" in report.to_text()


def test_simulated_people_and_judges_make_every_number_synthetic():
    assert not agreement(PAIRS, everything("ada", "ab")).synthetic
    assert "Synthetic" in agreement(PAIRS, everything("sim-ada", "ab")).to_text()
    assert "Synthetic" in agreement(PAIRS, everything("ada", "ab"), synthetic=True).to_text()


def test_names_and_notes_cannot_command_a_terminal():
    said = [*everything("a\x1b[31m\nda\u202e", "ab"), says("ben", "p0", "b", note="\x1b]0;owned\x07" * 100)]
    text = agreement(PAIRS, said).to_text()
    assert not set(text) & {"\x1b", "\x07", "\u202e"}
    assert all(len(line) < 400 for line in text.splitlines())


@pytest.mark.parametrize("other", ["Ada", "ada\u200b", "ada ", "a\u00adda"])
def test_one_person_under_two_names_is_not_passed_off_as_two_who_agree(other):
    report = agreement(PAIRS, everything("ada", TRUTH) + everything(other, TRUTH))
    assert "Is it one person" in report.to_text()
    assert "Is it one person" not in agreement(PAIRS, everything("ada", TRUTH) + everything("ben", TRUTH)).to_text()


def test_a_rater_who_always_says_the_same_gives_no_interval_without_width():
    """Kappa is 0 in every resampled data set, which is no evidence that it is 0."""
    same = [pair(i) for i in range(25)]
    kappa = row(agreement(same, everything("ada", "ab" * 12 + "a")), "ada", LABEL).kappa
    assert kappa.value == pytest.approx(0, abs=1e-9)
    assert kappa.ci95 is not None
    assert kappa.ci95[0] < -0.2 < 0.2 < kappa.ci95[1]
