"""Rubric dropout: what is left out, that it is the same in both orders, and as often as was said."""

import asyncio
from collections import Counter

import pytest
from scripted_client import ScriptedClient, ranks

from workbench.judges.dropout import RubricDropout
from workbench.judges.vlm_judge import RankingJudge, ScoringJudge
from workbench.pairs.comparison import Comparison
from workbench.rubrics.rubric import Criterion, Rubric, RubricError, Theme

COUNT, COLOR = Criterion("count", "The count is right."), Criterion("color", "The colour is right.")
OFF = Criterion("off", "Never shown.", enabled=False)
SHAPE, PLACE = Criterion("shape", "The shape is right."), Criterion("place", "The place is right.")
RUBRIC = Rubric("four", "t2i", (Theme("What", 2, (COUNT, COLOR, OFF)), Theme("How", 1, (SHAPE, PLACE))))
IDS = {"count", "color", "shape", "place"}


def pair(name: str) -> Comparison:
    return Comparison(name, "t2i", "a red circle", (b"one", b"two"))


def dropout(share: float, rubric: Rubric = RUBRIC, *, seed: int = 0) -> RubricDropout:
    return RubricDropout(rubric, share, seed=seed)


def left(source: RubricDropout, name: str) -> Rubric:
    return asyncio.run(source.rubric_for(pair(name)))


def kept(source: RubricDropout, name: str) -> set[str]:
    return {criterion.id for criterion in left(source, name).enabled_criteria()}


def test_the_judge_sees_what_stays_and_nothing_else() -> None:
    client, source = ranks(2, 1), dropout(0.5)
    verdict = asyncio.run(RankingJudge(client, source).compare(pair("u3-g1"), (0, 1)))
    shown = {each.id for each in (COUNT, COLOR, OFF, SHAPE, PLACE) if each.text in client.requests[0].system}
    assert 0 < len(shown) < 4
    assert shown == kept(source, "u3-g1")
    assert verdict.ranks == (2, 1)
    assert verdict.rubric == left(source, "u3-g1").hash != RUBRIC.hash


async def test_both_orders_and_a_restart_leave_out_the_same() -> None:
    client = ranks(1, 2)
    for order in ((0, 1), (1, 0)):
        await RankingJudge(client, dropout(0.5)).compare(pair("u3-g1"), order)
    assert client.requests[0].system == client.requests[1].system


def test_each_criterion_is_left_out_as_often_as_said() -> None:
    judge = dropout(0.3)
    left_out = Counter(name for i in range(2000) for name in IDS - kept(judge, f"u{i}-g0"))
    assert all(0.26 < left_out[name] / 2000 < 0.34 for name in IDS), left_out


def test_one_criterion_always_stays() -> None:
    judge = dropout(0.95)
    sizes = Counter(len(kept(judge, f"u{i}-g0")) for i in range(300))
    assert min(sizes) == 1
    assert set.union(*(kept(judge, f"u{i}-g0") for i in range(300))) == IDS, "the one that stays is drawn, too"


def test_another_seed_leaves_out_others() -> None:
    names = [f"u{i}-g0" for i in range(20)]
    assert [kept(dropout(0.5, seed=0), n) for n in names] != [kept(dropout(0.5, seed=1), n) for n in names]


def test_a_share_of_nothing_is_the_whole_rubric() -> None:
    assert left(dropout(0.0), "u0-g0").hash == RUBRIC.hash


def test_weights_and_themes_stay_as_they_are() -> None:
    themes = left(dropout(0.5), "u0-g0").themes
    assert [(theme.name, theme.weight) for theme in themes] == [("What", 2), ("How", 1)]


def test_a_scoring_judge_stays_pointwise_and_sees_what_stays() -> None:
    client, source = ScriptedClient(lambda _: {"reason": "", "score": 4}), dropout(0.5)
    judge = ScoringJudge(client, source)
    verdict = asyncio.run(judge.compare(pair("u3-g1"), (0, 1)))
    assert judge.pointwise
    assert (verdict.scores, verdict.rubric) == ((4.0, 4.0), left(source, "u3-g1").hash)
    for request in client.requests:
        assert {each.id for each in (COUNT, COLOR, OFF, SHAPE, PLACE) if each.text in request.system} == kept(
            source, "u3-g1"
        )


def test_name_and_identity_tell_it_from_the_rubric_itself() -> None:
    judge = RankingJudge(ranks(1, 2), dropout(0.3))
    assert judge.name == "four, 30% left out"
    assert judge.identity()["rubric"]["rubric"] == RUBRIC.hash
    assert judge.identity() != RankingJudge(ranks(1, 2), dropout(0.3, seed=1)).identity()
    assert ScoringJudge(ranks(1, 2), dropout(0.3)).identity()["rubric"] == judge.identity()["rubric"]


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=f"share is {share}"):
        dropout(share)


def test_a_rubric_without_criteria_is_refused() -> None:
    with pytest.raises(RubricError, match="no enabled criterion"):
        dropout(0.3, Rubric("empty", "t2i", (Theme("", 1, (OFF,)),)))
