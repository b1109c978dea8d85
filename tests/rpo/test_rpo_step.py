"""The benchmark of an update: its baseline has the gradient of what it is held against, and costs what it should."""

import importlib
from pathlib import Path

import pytest
import torch
from tiny_pipelines import random_flux

from workbench.rpo.config import PolicyConfig
from workbench.rpo.draws import generator
from workbench.rpo.policies.flux import FluxPolicy
from workbench.rpo.policy import Prompt

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def step(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("rpo_step")


@pytest.fixture
def bench(step, tmp_path):
    torch.set_num_threads(1)
    policy = FluxPolicy.load(PolicyConfig(path=str(random_flux(tmp_path / "flux")), size=64), "cpu")
    for parameter in policy.trainable().values():
        parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=generator(1)))
    prompts = [Prompt(str(i), text) for i, text in enumerate(("a red circle", "two blue squares", "a circle", "a"))]
    return step.Bench(policy, prompts, 2, tmp_path)


def test_the_published_loop_replay_and_fused_have_one_gradient(step, bench):
    found = step.gradients(bench)
    assert len(found) == 3
    assert max(found.values()) < 1e-5


def test_passes_are_those_of_the_table(step, bench):
    totals = {name: round(row["total"], 1) for name, row in step.equivalents(bench).items()}
    # 16 + 14 (1 + 1 + 1 + 1.1); 15 + 13 (1 + 1.1); 15 + 14 1.1; a mean over four windows
    assert totals == {"ARR's loop": 73.4, "replay": 42.3, "fused": 30.4, "window of 2, real KL": 22.8}
