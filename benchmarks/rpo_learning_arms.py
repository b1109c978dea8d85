"""The arms of `rpo_learning.py`: what rewards, by which preset, with what of it changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from workbench.judges.verdict import Verdict
from workbench.pairs.comparison import Comparison, Task
from workbench.pairs.images import decode
from workbench.pairs.labels import rank_scores
from workbench.pairs.sources import read_bytes
from workbench.rpo.config import RpoConfig, merged
from workbench.rpo.reward import RewardPanel, WeightedJudge
from workbench.rpo.rewards_from import build_judges

Reward = Literal["oracle", "rubric", "free", "shuffled", "saturation"]

GROUPS = 32
"""Prompts an update of two candidates each; other groups have as many pictures."""
RUBRICS: Mapping[Task, str] = {
    "t2i": "rubrics/shapes_t2i_fidelity_v2.yaml",
    "edit": "rubrics/shapes_edit_fidelity.yaml",
}
ENDLESS = 1_000_000
"""Updates: the budget ends a run before."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to train; `changes` are fields of `RpoConfig` on top of the preset."""

    name: str
    reward: Reward
    preset: Literal["default", "paper"] = "default"
    changes: Mapping[str, Any] = field(default_factory=dict)


MAIN: tuple[Arm, ...] = (
    Arm("oracle", "oracle"),
    Arm("rubric", "rubric"),
    Arm("shuffled", "shuffled"),
    Arm("free", "free"),
    Arm("paper, oracle", "oracle", "paper"),
    Arm("paper, rubric", "rubric", "paper"),
)
EXPLOIT = Arm("exploit", "saturation", changes={"evaluate_every": 5, "evaluated": 64})
"""The judge prefers shrill pictures; every 5 updates the oracle and the alarms look at 64 fixed prompts. No
configuration can ask for such a judge: the run's own names the oracle in its place."""
ABLATIONS: tuple[Arm, ...] = (
    Arm("paper's advantage", "oracle", changes={"objective": {"advantage": "paper"}}),
    Arm("groups of 8", "oracle", changes={"objective": {"advantage": "group"}, "sampling": {"group": 8}}),
    Arm("all steps noisy", "oracle", changes={"sampling": {"window": "all"}}),
    Arm("noise of their own", "oracle", changes={"sampling": {"same_noise": False}}),
    Arm("weak KL", "oracle", changes={"objective": {"beta": 0.01}}),
    Arm("unmirrored noise", "oracle", changes={"sampling": {"mirrored": False}}),
    Arm("Flow-GRPO's steps", "oracle", changes={"sampling": {"kind": "flow_grpo"}}),
    Arm("even step weights", "oracle", changes={"sampling": {"weights": "uniform"}}),
)
"""Of what `default` bundles, one thing at a time."""
ARMS: Mapping[str, Arm] = {arm.name: arm for arm in (*MAIN, EXPLOIT, *ABLATIONS)}

CONTRASTS: tuple[tuple[str, str], ...] = (
    ("oracle", "shuffled"),
    ("rubric", "shuffled"),
    ("rubric", "free"),
    ("oracle", "rubric"),
    ("oracle", "paper, oracle"),
    ("rubric", "paper, rubric"),
    *(("oracle", arm.name) for arm in ABLATIONS),
)


def schedule(names: Sequence[str], seeds: int) -> list[tuple[Arm, int]]:
    """The runs in order: all arms once, then with the next seed; ablations when all others are through."""
    chosen = [ARMS[name] for name in names]
    blocks = [arm for arm in chosen if arm not in ABLATIONS], [arm for arm in chosen if arm in ABLATIONS]
    return [(arm, seed) for block in blocks for seed in range(seeds) for arm in block]


def config_of(arm: Arm, task: Task, policy: str, seed: int, changes: Mapping[str, Any]) -> RpoConfig:
    """The run's configuration; `changes` are for all arms and come before the arm's own."""
    fields = {
        "prompts": "workbench.shapes.small_world",
        "policy": {"path": policy, "size": 64, "guidance": 1.0},
        "rewards": [_reward(arm, task)],
        "gold": {"kind": "oracle"} if arm == EXPLOIT else None,
        "groups": GROUPS,
        "batch": GROUPS // 2,
        "evaluate_every": 0,
        "updates": ENDLESS,
        "checkpoint_every": ENDLESS,
        "seed": seed,
    }
    config = RpoConfig.of(arm.preset, **merged(merged(fields, changes), arm.changes))
    groups = config.groups * 2 // config.sampling.group
    return config.model_copy(update={"groups": groups, "batch": min(config.batch, groups)})


def _reward(arm: Arm, task: Task) -> dict[str, Any]:
    if arm.reward in ("rubric", "free"):
        rubric = RUBRICS[task] if arm.reward == "rubric" else None
        return {"kind": "ranking", "rubric": rubric, "world": f"data/shapes/{task}"}
    return {"kind": "shuffled" if arm.reward == "shuffled" else "oracle"}


def panel_of(arm: Arm, config: RpoConfig, task: Task) -> RewardPanel:
    """Who judges in an arm; answers are not kept, as pictures never come twice."""
    if arm.reward == "saturation":
        return RewardPanel((WeightedJudge(SaturationJudge()),))
    return build_judges(config.rewards, task, seed=config.seed, cache=None)


class SaturationJudge:
    """A judge with nothing but a flaw: the more colour, the better."""

    name = "saturation"
    pointwise = True

    def identity(self) -> dict[str, Any]:
        """Everything that decides its verdicts."""
        return {"judge": self.name}

    async def compare(self, comparison: Comparison, order: Sequence[int], sample: int = 0) -> Verdict:
        """Scores from 0 to 1; `order` and `sample` change nothing."""
        pixels = [np.asarray(decode(read_bytes(image)).convert("RGB"), float) for image in comparison.images]
        scores = tuple(float(np.ptp(each, axis=2).mean()) / 255 for each in pixels)
        return Verdict(ranks=rank_scores(scores), scores=scores, reason="colour")
