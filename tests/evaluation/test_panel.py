"""The panel's numbers without a widget: what is asked, what it costs, what changed, which pairs are chosen."""

from pathlib import Path

import pytest
from faulty_server import FaultyServer, answer
from panel_helpers import client_of, judge, pairs, rubric

from workbench.evaluation.panel import Judgement, choose_panel, compare_judgements, judge_panel, outlook, requests_of
from workbench.evaluation.record import VerdictRecord
from workbench.judges.verdict import Verdict
from workbench.rubrics.rubric import RubricError
from workbench.vlm.settings import Endpoint

FIRST, RED = rubric("Prefer what comes first."), rubric("Prefer RED.")


def said(comparison, *outcomes: str) -> list[VerdictRecord]:
    """One verdict an order."""
    ranks = {"a": (1, 2), "b": (2, 1)}
    verdicts = [Verdict(ranks.get(each), None if each in ranks else "error") for each in outcomes]
    return [VerdictRecord.of(comparison, order, v) for order, v in zip(("forward", "reverse"), verdicts, strict=True)]


async def judged(panel, client, given) -> Judgement:
    records: list[VerdictRecord] = []
    await judge_panel(panel, client, given, records.append)
    return Judgement(given, tuple(panel), tuple(records))


async def test_the_outlook_counts_what_is_not_cached_and_judging_sends_just_that(tmp_path: Path) -> None:
    panel = pairs(6)
    with FaultyServer(judge) as server:
        async with client_of(server.url, tmp_path / "c.sqlite") as client:
            before = await outlook(panel, client, [FIRST])
            assert (before.questions, before.calls) == (12, 12)
            assert before.line() == "12 calls, free on this machine (0 of 12 answers cached)"
            await judged(panel[:4], client, FIRST)
            assert (await outlook(panel, client, [FIRST])).calls == 4
            both = await outlook(panel, client, [FIRST, RED])
            assert (both.questions, both.calls) == (24, 16)
            await judged(panel, client, FIRST)
            done = await outlook(panel, client, [FIRST])
            assert done.line() == "nothing to send: all 12 answers are cached"
    assert len(server.requests) == 12


async def test_the_outlook_tells_the_cost_or_that_it_is_unknown(tmp_path: Path) -> None:
    (prices := tmp_path / "config" / "workbench").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        (prices / "prices.yaml").write_text("dear: {input: 100, output: 1000}")
        async with client_of("http://127.0.0.1:9/v1", tmp_path / "c.sqlite", model="dear") as client:
            expected = await outlook(pairs(2), client, [FIRST])
            one = client.estimate(requests_of(pairs(2), client, [FIRST])[0], 4)
            assert expected.missing.cost_usd == pytest.approx(one.cost_usd, rel=0.01)
            assert expected.line() == f"4 calls, up to ${expected.missing.cost_usd:.2f} (0 of 4 answers cached)"
    async with client_of("http://models.invalid/v1", tmp_path / "c.sqlite") as client:
        assert (await outlook(pairs(2), client, [FIRST])).line().startswith("4 calls, price unknown")
        assert Endpoint("http://models.invalid/v1", "x").is_synthetic is False


async def test_a_rubric_without_an_enabled_criterion_is_refused(tmp_path: Path) -> None:
    async with client_of("http://127.0.0.1:9/v1", tmp_path / "c.sqlite") as client:
        with pytest.raises(RubricError, match="enable one"):
            await outlook(pairs(2), client, [rubric("-off")])


async def test_flips_test_and_sentence_between_two_versions(tmp_path: Path) -> None:
    panel = pairs(24)
    with FaultyServer(judge) as server:
        async with client_of(server.url, tmp_path / "c.sqlite") as client:
            first, red = await judged(panel, client, FIRST), await judged(panel, client, RED)
    assert (first.whole, first.wanted, first.results.accuracy.mean.value) == (True, 48, 0.5)
    found = compare_judgements(first, red)
    assert found is not None
    assert found.flip_counts == {"fixed": 24, "broken": 0, "swap_only": 0}
    assert found.differences["resolved"].p_mcnemar == pytest.approx(2**-23)
    assert "With 24 pairs of 24 prompts" in found.sentence
    assert found.sentence.startswith("Better than before. ")


async def test_an_invalid_answer_is_kept_counted_and_not_asked_for_again(tmp_path: Path) -> None:
    with FaultyServer(lambda number, _: answer('{"reason": "no rank"}')) as server:
        async with client_of(server.url, tmp_path / "c.sqlite") as client:
            found = await judged(pairs(2), client, FIRST)
            assert (await outlook(pairs(2), client, [FIRST])).calls == 0
    assert found.outcomes == {"invalid": 4}
    assert (found.results.accuracy.mean.value, found.results.accuracy.mean.n) == (0.0, 2)
    assert len(server.requests) == 8  # each was sent back once to be put right


def test_unlabelled_pairs_change_but_claim_no_accuracy() -> None:
    panel = pairs(3, labelled=False)
    before = Judgement(FIRST, tuple(panel), tuple(r for p in panel for r in said(p, "a", "a")))
    after = Judgement(RED, tuple(panel), tuple(r for p in panel for r in said(p, "b", "a")))
    found = compare_judgements(before, after)
    assert found is not None
    assert found.flip_counts == {"fixed": 0, "broken": 0, "swap_only": 3}
    assert found.sentence.startswith("No shared pair carries a label")
    assert after.results.accuracy.mean.value is None


def test_only_pairs_judged_both_times_as_they_are_now_are_compared() -> None:
    old, new = pairs(3), pairs(4)
    new[0] = pairs(1, labelled=False)[0]  # the same id, another label
    before = Judgement(FIRST, tuple(old), tuple(r for p in old for r in said(p, "a", "a")))
    after = Judgement(RED, tuple(new), tuple(r for p in new[:3] for r in said(p, "b", "a")))
    found = compare_judgements(before, after)
    assert found is not None
    assert found.n_pairs == 2
    assert compare_judgements(before, Judgement(RED, tuple(new), ())) is None


def test_a_chosen_panel_mixes_wrong_inconsistent_and_right_pairs() -> None:
    data = pairs(60)
    right = {p.id: "ab"[p.ranks.index(1)] for p in data if p.ranks}
    wrong = {"a": "b", "b": "a"}
    records = [r for p in data[:8] for r in said(p, wrong[right[p.id]], wrong[right[p.id]])]
    records += [r for p in data[8:20] for r in said(p, right[p.id], wrong[right[p.id]])]
    records += [r for p in data[20:50] for r in said(p, right[p.id], right[p.id])]
    chosen = choose_panel(data, records, n=24)
    numbers = [int(p.id[1:]) for p in chosen]
    assert numbers == sorted(numbers)
    assert [sum(low <= i < high for i in numbers) for low, high in ((0, 8), (8, 20), (20, 50), (50, 60))] == [
        8,
        8,
        8,
        0,
    ]
    assert choose_panel(data, records, n=24) == chosen
    assert choose_panel(data, records, n=24, seed=1) != chosen
    short = [int(p.id[1:]) for p in choose_panel(data, records[:16], n=24)]  # 8 wrong, the others have no verdict
    assert (len(short), set(range(8)) <= set(short)) == (24, True)
    assert choose_panel(data[:5], [], n=24) == data[:5]
