"""What a criterion is worth: with it against without it."""

from pathlib import Path

from faulty_server import FaultyServer, status
from panel_helpers import client_of, judge, pairs, rubric

from workbench.evaluation.leave_one_out import caution, rubrics_left, without, worths
from workbench.evaluation.panel import Judgement, judge_panel, outlook
from workbench.evaluation.record import VerdictRecord

MIXED = rubric("Prefer RED.", "Be kind.", "-Not asked.")


async def found_worths(given, n: int, cache: Path):
    panel, judgements = pairs(n), []
    with FaultyServer(judge) as server:
        async with client_of(server.url, cache) as client:
            expected = await outlook(panel, client, rubrics_left(given))
            for each in rubrics_left(given):
                records: list[VerdictRecord] = []
                await judge_panel(panel, client, each, records.append)
                judgements.append(Judgement(each, tuple(panel), tuple(records)))
    return expected, len(server.requests), worths(given, judgements)


async def test_the_criterion_that_does_the_work_is_worth_it_and_the_other_is_not(tmp_path: Path) -> None:
    expected, sent, found = await found_worths(MIXED, 24, tmp_path / "c.sqlite")
    assert (expected.calls, sent) == (3 * 48, 3 * 48)
    assert [(each.criterion.id, each.said) for each in found] == [("c0", "helps"), ("c1", "undecided")]
    worth = found[0].difference
    assert (worth.value, worth.n) == (0.5, 24)
    assert worth.ci95 is not None
    assert worth.ci95[0] > 0
    assert found[0].comparison.flip_counts["fixed"] == 24
    assert "of 2 criteria worth nothing, 0.1 would look decided" in caution(found)


async def test_a_rubric_of_one_criterion_is_compared_with_no_rubric(tmp_path: Path) -> None:
    one = rubric("Prefer RED.")
    assert without(one, "c0") is None
    expected, sent, found = await found_worths(one, 20, tmp_path / "c.sqlite")
    assert (expected.calls, sent) == (80, 80)
    assert found[0].comparison.a == "rubric-free"
    assert found[0].said == "helps"


async def test_too_few_pairs_claim_nothing(tmp_path: Path) -> None:
    _, _, found = await found_worths(MIXED, 12, tmp_path / "c.sqlite")
    assert {each.said for each in found} == {"too few pairs"}
    assert "With 12 pairs, fewer than 20, nothing is claimed" in caution(found)


def test_what_is_not_judged_yet_is_left_out() -> None:
    assert worths(MIXED, []) == []
    assert caution([]) == "No criterion has been left out yet."


async def test_a_server_that_fails_makes_no_criterion_look_useful(tmp_path: Path) -> None:
    """With the rubric all are right; without a criterion hardly any verdict comes."""
    panel, judgements, answered = pairs(24), [], 48 + 4
    failing = FaultyServer(lambda number, request: judge(number, request) if number < answered else status(500))
    with failing as server:
        async with client_of(server.url, tmp_path / "c.sqlite") as client:
            for each in rubrics_left(MIXED):
                records: list[VerdictRecord] = []
                await judge_panel(panel, client, each, records.append)
                judgements.append(Judgement(each, tuple(panel), tuple(records)))
    found = worths(MIXED, judgements)
    assert [each.said for each in found] == ["undecided", "undecided"]
    assert all(each.comparison.errors >= 44 for each in found)
    assert "errors, which count as not right" in found[0].comparison.sentence
