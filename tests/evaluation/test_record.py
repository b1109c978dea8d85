import json

import pytest

from workbench.evaluation.record import VerdictRecord, is_correct, pairwise_agreement, shown_order
from workbench.judges.verdict import Usage, Verdict
from workbench.pairs.comparison import Comparison
from workbench.pairs.prompts import prompt_id


def pair(ranks: tuple[int, ...] | None, images: int = 2) -> Comparison:
    return Comparison("p1", "t2i", "a red cube", tuple(f"{i}.png" for i in range(images)), ranks=ranks)


@pytest.mark.parametrize(
    ("ranks", "forward"),
    [
        ((1, 2), (0, 1)),
        ((2, 1), (1, 0)),
        ((1, 1), (0, 1)),
        (None, (0, 1)),
        ((3, 1, 2), (1, 2, 0)),
        ((2, 1, 1), (1, 2, 0)),
    ],
)
def test_forward_shows_the_best_first_and_reverse_mirrors_it(ranks, forward):
    comparison = pair(ranks, images=len(forward))
    assert shown_order(comparison, "forward") == forward
    assert shown_order(comparison, "reverse") == forward[::-1]


@pytest.mark.parametrize(
    ("ranks", "label", "correct"),
    [
        ((1, 2), (1, 2), True),
        ((2, 1), (1, 2), False),
        ((1, 1), (1, 2), False),
        ((1, 1), (1, 1), True),
        ((1, 2), (1, 1), False),
        (None, (1, 2), False),
        ((1, 2), None, None),
        (None, None, None),
        ((1, 3, 3), (1, 2, 2), True),
        ((1, 3, 2), (1, 2, 3), False),
    ],
)
def test_correct_means_the_same_ranking(ranks, label, correct):
    assert is_correct(ranks, label) is correct


def test_pairwise_agreement_counts_candidate_pairs():
    assert pairwise_agreement((1, 2, 3), (3, 2, 1)) == 0
    assert pairwise_agreement((1, 1, 2), (1, 1, 2)) == 1
    assert pairwise_agreement((1, 1, 2), (1, 2, 3)) == pytest.approx(2 / 3)
    assert pairwise_agreement(None, (1, 2, 3)) == 0


def test_a_line_holds_the_whole_verdict_and_comes_back():
    verdict = Verdict(
        ranks=(2, 1),
        probability=0.9,
        scores=(1.0, 2.5),
        criteria={"count": (2, 1)},
        reason="line one\nline two <b>",
        usage=Usage(100, 20, 0.01, 1),
        keys=("ab12",),
    )
    record = VerdictRecord.of(pair((2, 1)), "reverse", verdict, sample=3, latency_s=0.25)
    line = record.to_line()
    assert line.count(b"\n") == 1
    assert VerdictRecord.from_line(line) == record
    shown = json.loads(line)
    assert shown["schema"] == "workbench.verdict/1"
    assert (shown["outcome"], shown["correct"], shown["shown"], shown["sample"]) == ("b", True, [0, 1], 3)
    assert shown["usage"] == {"input_tokens": 100, "output_tokens": 20, "cost_usd": 0.01, "calls": 1}
    assert shown["prompt_id"] == prompt_id("a red cube")


def test_a_failed_verdict_is_wrong_but_named_a_failure():
    record = VerdictRecord.of(pair((1, 2)), "forward", Verdict(ranks=None, failure="invalid", detail="rank [1, 1]"))
    assert (record.outcome, record.correct, record.detail) == ("invalid", False, "rank [1, 1]")


def test_half_a_surrogate_pair_from_a_model_can_be_stored():
    record = VerdictRecord.of(pair((1, 2)), "forward", Verdict(ranks=(1, 2), reason="nice \ud83d"))
    assert VerdictRecord.from_line(record.to_line()).reason == "nice \ufffd"


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        (b'"forward"', b'"sideways"', "order"),
        (b'"sample":0', b'"sample":-1', "sample"),
        (b'"outcome":"a"', b'"outcome":"perhaps"', "outcome"),
        (b'"cached"', b'"cache"', "cache"),
        (b"verdict/1", b"verdict/2", "schema"),
    ],
)
def test_a_wrong_field_is_named(old, new, field):
    line = VerdictRecord.of(pair((1, 2)), "forward", Verdict(ranks=(1, 2))).to_line()
    with pytest.raises(ValueError, match=field):
        VerdictRecord.from_line(line.replace(old, new))
