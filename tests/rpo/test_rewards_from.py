"""From configuration to judges: the right one for each kind, clients shared and closed, faults named."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from said_judges import SaidJudge, group, win

from workbench.background import LoopThread
from workbench.judges.dropout import RubricDropout
from workbench.judges.vlm_judge import RankingJudge, ScoringJudge
from workbench.rpo.config import RewardConfig
from workbench.rpo.reward import RewardPanel, comparison_of, judge_group
from workbench.rpo.rewards_from import ShuffledJudge, build_judges
from workbench.shapes.oracle import OracleJudge
from workbench.shapes.render import render
from workbench.shapes.scene import PlacedShape, Scene
from workbench.vlm.errors import StopRun

RUBRIC = "rubrics/shapes_t2i_fidelity.yaml"
WORLD = "data/shapes/t2i"
ENDPOINT: dict[str, Any] = {"base_url": "http://127.0.0.1:9/v1", "model": "judge"}


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])


def panel(*configs: dict[str, Any], **given: Any) -> RewardPanel:
    fields = {"seed": 0, "cache": None, **given}
    return build_judges([RewardConfig.model_validate(config) for config in configs], "t2i", **fields)


async def test_every_kind_is_built_with_its_weight_and_orders() -> None:
    person = SaidJudge(lambda *_: win(0))
    built = panel(
        {"kind": "ranking", "rubric": RUBRIC, "weight": 2, "both_orders": False, **ENDPOINT},
        {"kind": "ranking", "rubric": RUBRIC, "dropout": 0.3, **ENDPOINT},
        {"kind": "scoring", **ENDPOINT},
        {"kind": "oracle"},
        {"kind": "shuffled"},
        {"kind": "person"},
        person=person,
    )
    judges = [each.judge for each in built.judges]
    kinds = [RankingJudge, RankingJudge, ScoringJudge, OracleJudge, ShuffledJudge, SaidJudge]
    assert [type(judge) for judge in judges] == kinds
    assert isinstance(judges[1], RankingJudge)
    assert isinstance(judges[1].source, RubricDropout)
    assert judges[-1] is person
    assert [each.weight for each in built.judges] == [2, 1, 1, 1, 1, 1]
    assert [each.both_orders for each in built.judges] == [False, True, True, True, True, True]
    assert judges[0].name == "shapes_t2i_fidelity"
    assert len(built.clients) == 1, "one endpoint, one client"
    await built.close()


async def test_answers_go_to_the_cache_that_was_named_and_to_no_other(tmp_path: Path) -> None:
    kept, none = panel(ENDPOINT, cache=tmp_path / "judge.sqlite"), panel(ENDPOINT)
    assert kept.clients[0].cache.path == tmp_path / "judge.sqlite"  # type: ignore[attr-defined]
    assert none.clients[0].cache is None  # type: ignore[attr-defined]
    await kept.close()
    await none.close()


def test_the_worlds_judge_gives_rewards_beside_training_and_a_second_run_pays_nothing(tmp_path: Path) -> None:
    def picture(color: str) -> Any:
        return render(Scene((PlacedShape(color, "circle", 0.5, 0.5, 0.1),), (225, 222, 215)), 64)

    groups = [comparison_of(0, i, "t2i", "a red circle", [picture("red"), picture("blue")]) for i in range(2)]
    loop = LoopThread("judging")
    try:
        calls = []
        for _ in range(2):
            asked = panel({"rubric": RUBRIC, "world": WORLD}, cache=tmp_path / "judge.sqlite")
            judged = asked.submit(groups, loop).result(60)
            assert all(each.values == (1.0, 0.0) for each in judged)
            calls.append(sum(each.usage.calls for each in judged))
            loop.submit(asked.close()).result(60)
        assert calls[0] > 0
        assert calls[1] == 0
    finally:
        loop.close()


FAULTS = {
    "base_url": ({"kind": "ranking"}, r"rewards\[1\]: a ranking judge needs a base_url"),
    "rubric file": ({"rubric": "rubrics/none.yaml", **ENDPOINT}, r"rewards\[1\]: rubrics/none\.yaml"),
    "task": ({"rubric": "rubrics/edit_general.yaml", **ENDPOINT}, r"rewards\[1\]: .* is for task edit"),
    "dropout": ({"dropout": 0.3, **ENDPOINT}, r"rewards\[1\]: dropout=0\.3 .* there is none"),
    "person": ({"kind": "person"}, r"rewards\[1\]: .*VotePanel"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_names_the_reward_and_what_to_do(fault: str) -> None:
    config, message = FAULTS[fault]
    with pytest.raises(ValueError, match=message):
        panel({"kind": "oracle"}, config)


def test_a_server_that_is_not_there_is_told_at_once() -> None:
    with pytest.raises(StopRun, match=r"127\.0\.0\.1:9"):
        panel({"base_url": "http://127.0.0.1:9/v1"})


async def test_shuffled_verdicts_are_decided_in_both_orders_and_prefer_no_candidate() -> None:
    judge = ShuffledJudge(seed=0)
    judged = [await judge_group(judge, group(name=f"u{i}-g0")) for i in range(1000)]
    assert {each.status for each in judged} == {"decided"}
    assert 440 < Counter(each.values for each in judged)[1.0, 0.0] < 560
    again = [await judge_group(ShuffledJudge(seed=0), group(name=f"u{i}-g0")) for i in range(1000)]
    assert [each.values for each in again] == [each.values for each in judged], "a resumed run gets the same"
    other = [await judge_group(ShuffledJudge(seed=1), group(name=f"u{i}-g0")) for i in range(1000)]
    assert 400 < sum(a.values == b.values for a, b in zip(judged, other, strict=True)) < 600
