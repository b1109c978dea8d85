"""Values of a group: what a pair, a larger group, scores and several judges come to, and what a failure does."""

import io
import math
from collections.abc import Iterable

import pytest
from PIL import Image
from said_judges import FAILED, TIE, SaidJudge, by_order, group, scores, win

from workbench.judges.verdict import Usage, Verdict
from workbench.pairs.comparison import Comparison
from workbench.rpo.reward import Judged, RewardPanel, WeightedJudge, comparison_of, judge_group
from workbench.vlm.errors import BudgetSpent

AB, BA = (0, 1), (1, 0)


@pytest.mark.parametrize(
    ("forward", "reverse", "values", "status"),
    [
        (win(0), win(0), (1.0, 0.0), "decided"),
        (win(1), win(1), (0.0, 1.0), "decided"),
        (win(0), win(1), (0.5, 0.5), "tied"),
        (win(1), win(0), (0.5, 0.5), "tied"),
        (TIE, win(0), (0.5, 0.5), "tied"),
        (win(0), TIE, (0.5, 0.5), "tied"),
        (TIE, TIE, (0.5, 0.5), "tied"),
    ],
)
async def test_a_pair_is_decided_where_both_orders_agree_on_a_winner(
    forward: Verdict, reverse: Verdict, values: tuple[float, float], status: str
) -> None:
    judged = await judge_group(by_order({AB: forward, BA: reverse}), group())
    assert (judged.values, judged.status, judged.n_failed) == (values, status, 0)


@pytest.mark.parametrize("said", [{AB: FAILED, BA: win(0)}, {AB: win(0), BA: FAILED}, {AB: FAILED, BA: FAILED}])
async def test_a_failed_order_fails_the_pair_and_is_counted_and_no_candidate_loses(
    said: dict[tuple[int, ...], Verdict],
) -> None:
    judged = await judge_group(by_order(said), group())
    assert judged.status == "failed"
    assert judged.n_failed == sum(verdict.ranks is None for verdict in said.values())
    assert all(math.isnan(value) for value in judged.values)
    assert "no answer" in [verdict.detail for verdict in judged.verdicts]


async def test_usage_and_verdicts_are_those_of_all_calls() -> None:
    judged = await judge_group(by_order({AB: win(0, reason="first"), BA: FAILED}), group())
    assert judged.usage == Usage(input_tokens=2, output_tokens=1, cost_usd=0.75, calls=2)
    assert [verdict.reason or verdict.detail for verdict in judged.verdicts] == ["first", "no answer"]
    assert [verdict.outcome for verdict in judged.verdicts] == ["a", "error"]


async def test_one_order_takes_one_call() -> None:
    judge = by_order({AB: win(1)})
    judged = await judge_group(judge, group(), both_orders=False)
    assert judged.values == (0.0, 1.0)
    assert judge.asked == [("u0-g0", AB)]


def likes_higher(comparison: Comparison, _: tuple[int, ...]) -> Verdict:
    """Candidates are told apart by their bytes: the higher digit wins."""
    first, second = comparison.images
    return win(0 if first > second else 1)  # type: ignore[operator]


async def test_a_group_gets_win_rates_over_all_pairs_in_both_orders() -> None:
    judge = SaidJudge(likes_higher)
    judged = await judge_group(judge, group(4))
    assert judged.values == (0.0, pytest.approx(1 / 3), pytest.approx(2 / 3), 1.0)
    assert judged.status == "decided"
    assert len(judge.asked) == judged.usage.calls == 4 * 3
    assert len(set(judge.asked)) == 12, "every pair has an id of its own, in each order once"


async def test_a_disagreement_in_a_group_is_half_a_win_each() -> None:
    def script(comparison: Comparison, order: tuple[int, ...]) -> Verdict:
        disputed = set(comparison.images) == {b"1", b"2"}
        return win(order[0]) if disputed else likes_higher(comparison, order)

    judged = await judge_group(SaidJudge(script), group(3))
    assert judged.values == (0.0, 0.75, 0.75)


async def test_a_group_in_which_the_one_shown_first_always_wins_is_tied() -> None:
    judged = await judge_group(SaidJudge(lambda _, order: win(order[0])), group(3))
    assert (judged.values, judged.status) == ((0.5, 0.5, 0.5), "tied")


async def test_a_group_does_without_a_failed_pair_and_counts_it() -> None:
    def script(comparison: Comparison, order: tuple[int, ...]) -> Verdict:
        if set(comparison.images) == {b"0", b"1"} and order == AB:
            return FAILED
        return likes_higher(comparison, order)

    judged = await judge_group(SaidJudge(script), group(3))
    assert (judged.status, judged.n_failed) == ("decided", 1)
    assert judged.values == (0.0, 0.0, 1.0), "candidates 0 and 1 have one pair left each, lost to 2"


async def test_a_group_fails_where_a_candidate_has_no_pair_left() -> None:
    judged = await judge_group(
        SaidJudge(lambda c, order: FAILED if b"0" in c.images else likes_higher(c, order)), group(3)
    )
    assert (judged.status, judged.n_failed) == ("failed", 4)


async def test_scores_are_the_values_and_are_asked_for_once() -> None:
    judge = scores(3.5, 4.0, 3.5)
    judged = await judge_group(judge, group(3))
    assert (judged.values, judged.status) == ((3.5, 4.0, 3.5), "decided")
    assert judge.asked == [("u0-g0", (0, 1, 2))]


async def test_equal_scores_are_a_tie() -> None:
    assert (await judge_group(scores(2.0, 2.0), group())).status == "tied"


async def test_a_failed_score_fails_the_group() -> None:
    judge = SaidJudge(lambda *_: FAILED, pointwise=True)
    judged = await judge_group(judge, group())
    assert (judged.status, judged.n_failed) == ("failed", 1)


@pytest.mark.parametrize("given", [None, (math.nan, 1.0), (math.inf, 1.0)])
async def test_scores_that_are_none_name_the_judge(given: tuple[float, float] | None) -> None:
    judge = SaidJudge(lambda *_: Verdict(ranks=(1, 2), scores=given), "reward-7b", pointwise=True)
    with pytest.raises(ValueError, match=r"'reward-7b'.*u0-g0.*finite"):
        await judge_group(judge, group())


async def test_stop_run_surfaces_as_itself() -> None:
    with pytest.raises(BudgetSpent, match="spent"):
        await judge_group(SaidJudge(lambda *_: BudgetSpent("spent")), group(3))


async def panel_of(*judges: tuple[SaidJudge, float]) -> Judged:
    return await RewardPanel(tuple(WeightedJudge(judge, weight) for judge, weight in judges)).judge(group())


async def test_a_single_judge_keeps_its_values() -> None:
    assert (await panel_of((scores(7.0, 3.0), 5.0))).values == (7.0, 3.0)


async def test_several_judges_count_by_weight_whatever_their_scale() -> None:
    pairwise = by_order({AB: win(0), BA: win(0)})
    judged = await panel_of((pairwise, 1.0), (scores(0.0, 1000.0), 2.0))
    assert judged.values == pytest.approx((-1.0, 1.0)), "1 x (+1, -1) + 2 x (-1, +1)"
    assert len(judged.verdicts) == 3


async def test_judges_of_equal_weight_that_contradict_each_other_tie() -> None:
    assert (await panel_of((scores(0.0, 1.0), 1.0), (scores(5.0, 4.0), 1.0))).status == "tied"


async def test_a_judge_that_ties_leaves_the_decision_to_the_others() -> None:
    assert (await panel_of((scores(1.0, 1.0), 9.0), (scores(0.0, 1.0), 1.0))).values == pytest.approx((-1.0, 1.0))


async def test_one_failed_judge_fails_the_group() -> None:
    judged = await panel_of((scores(0.0, 1.0), 1.0), (by_order({AB: win(0), BA: FAILED}), 1.0))
    assert (judged.status, judged.n_failed, len(judged.values)) == ("failed", 1, 2)


def test_candidates_travel_as_png_under_the_groups_id() -> None:
    picture = Image.new("RGB", (64, 64), "red")
    comparison = comparison_of(12, 3, "edit", "make it blue", [picture, picture], b"source")
    assert (comparison.id, comparison.task, comparison.source_image) == ("u12-g3", "edit", b"source")
    for data in comparison.images:
        assert isinstance(data, bytes)
        with Image.open(io.BytesIO(data)) as read:
            assert (read.format, read.getpixel((0, 0))) == ("PNG", (255, 0, 0))


async def test_an_answer_that_breaks_the_format_is_not_kept_for_a_resumed_run() -> None:
    class Client:
        def __init__(self) -> None:
            self.forgotten: list[str] = []

        def forget(self, keys: Iterable[str]) -> None:
            self.forgotten += keys

    said = {(0, 1): win(0, keys=("good",)), (1, 0): Verdict(ranks=None, failure="invalid", keys=("bad", "repair"))}
    client = Client()
    judged = await RewardPanel((WeightedJudge(by_order(said)),), (client,)).judge(group())  # type: ignore[arg-type]
    assert judged.status == "failed"
    assert client.forgotten == ["bad", "repair"]
