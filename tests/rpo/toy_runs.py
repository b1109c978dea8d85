"""Small runs with the toy policy, for tests of the trainer and what it writes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from toy_policy import PROMPTS, RedJudge, ToyPolicy

from workbench.judges.verdict import Judge
from workbench.rpo.config import RpoConfig
from workbench.rpo.policy import Prompt
from workbench.rpo.reward import RewardPanel, WeightedJudge
from workbench.rpo.trainer import Trainer


def config(**fields: Any) -> RpoConfig:
    """The default preset, small."""
    small = {
        "prompts": "prompts.txt",
        "policy": {"path": "toy"},
        "rewards": [{"kind": "oracle"}],
        "updates": 4,
        "groups": 4,
        "batch": 2,
        "evaluate_every": 0,
        "checkpoint_every": 2,
        "optimizer": {"lr": 0.02, "warmup": 2, "ema": 0.5},
    }
    return RpoConfig.of("default", **{**small, **fields})


def panel(*judges: Judge) -> RewardPanel:
    return RewardPanel(tuple(WeightedJudge(each) for each in judges or (RedJudge(),)))


def trainer(
    run: Path,
    config: RpoConfig,
    judged: RewardPanel | None = None,
    *,
    policy: ToyPolicy | None = None,
    prompts: Sequence[Prompt] = PROMPTS,
    gold: RewardPanel | None = None,
    **fields: Any,
) -> Trainer:
    run.mkdir(exist_ok=True)
    return Trainer(
        config,
        policy or ToyPolicy(tokens=4),
        judged or panel(),
        prompts,
        run,
        gold=gold,
        accelerator=Accelerator(cpu=True),
        **fields,
    )
