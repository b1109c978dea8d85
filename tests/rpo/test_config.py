"""A run's configuration: what the presets are, and that a saved run is read back whatever the defaults are."""

from pathlib import Path
from typing import Any

import pytest

from workbench.rpo.config import ObjectiveConfig, OptimizerConfig, RpoConfig, SamplingConfig, merged

RUN: dict[str, Any] = {"prompts": "p.txt", "policy": {"path": "x"}, "rewards": [{}]}


def test_the_defaults_of_the_parts_are_the_default_preset() -> None:
    run = RpoConfig.of(**RUN)
    assert run == RpoConfig(**RUN) == RpoConfig.of("default", **RUN)
    assert (run.sampling, run.objective, run.optimizer) == (SamplingConfig(), ObjectiveConfig(), OptimizerConfig())
    assert (run.sampling.kind, run.sampling.eta, run.sampling.window, run.sampling.starts) == ("cps", 0.7, 1, (1, 4))
    assert run.sampling.mirrored
    assert run.sampling.same_noise
    assert run.sampling.weights == "noise"
    assert (run.objective.advantage, run.objective.clip_on, run.objective.kl) == ("centered", "joint", "gaussian")
    assert run.objective.beta == 0.2
    assert (run.optimizer.lr, run.optimizer.warmup, run.optimizer.betas, run.groups) == (1.5e-4, 10, (0.9, 0.99), 32)


def test_paper_is_what_was_published() -> None:
    run = RpoConfig.of("paper", **RUN)
    assert run.sampling == SamplingConfig(
        steps=8,
        shift=3.0,
        kind="dance",
        eta=0.3,
        window="all",
        mirrored=False,
        weights="uniform",
        group=2,
        truncate=True,
    )
    assert run.objective == ObjectiveConfig(
        advantage="paper", clip=(0.2, 0.2), clip_on="mean", kl="log_ratio", beta=0.01, strategy="replay"
    )
    assert run.optimizer == OptimizerConfig(lr=5e-5, warmup=0, betas=(0.9, 0.999), weight_decay=1e-4, max_grad_norm=1)
    assert run.groups == 32


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_a_saved_run_is_read_back_as_it_was(tmp_path: Path, preset: str) -> None:
    run = RpoConfig.of(preset, **RUN, sampling={"group": 4}, optimizer={"lr": 1e-3})
    run.save(tmp_path / "run.yaml")
    assert RpoConfig.load(tmp_path / "run.yaml") == RpoConfig.model_validate(run.to_json()) == run


def test_only_what_is_named_of_a_part_changes() -> None:
    assert merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"c": 4}, "e": 5}) == {"a": {"b": 1, "c": 4}, "d": 3, "e": 5}
