"""The quick version of benchmarks/coverage.py: same code, fewer settings."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "coverage.py"
    spec = importlib.util.spec_from_file_location("coverage_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("forward", "reverse"), [(0.7, 0.5), (0.845, 0.499), (0.95, 0.85)])
@pytest.mark.parametrize(("per_prompt", "icc"), [(1, 0.0), (0, 0.3)])
def test_intervals_of_every_reported_quantity_cover(benchmark, forward, reverse, per_prompt, icc):
    setting = benchmark.Setting(300, per_prompt, icc, forward, reverse, failures=0.03)
    found = benchmark.coverage(benchmark.simulate(setting, 1000, np.random.default_rng(1)))
    # 93-97%, and two standard errors of 1,000 simulations
    assert {name: share for name, share in found.items() if not 0.916 <= share <= 0.984} == {}


def test_intervals_that_ignored_prompts_would_be_caught(benchmark):
    simulated = benchmark.simulate(benchmark.Setting(300, 5, 0.5, 0.7, 0.6), 500, np.random.default_rng(2))
    ignoring = benchmark.Simulated(simulated.values, simulated.truth, np.arange(300))
    assert benchmark.coverage(simulated)["forward"] > 0.92
    assert benchmark.coverage(ignoring)["forward"] < 0.9


@pytest.mark.parametrize("bias", [0.0, 0.1, 0.346])
def test_an_injected_position_bias_is_recovered(benchmark, bias):
    setting = benchmark.Setting(300, 3, 0.3, 0.75 + bias / 2, 0.75 - bias / 2)
    recovered = benchmark.simulate(setting, 1000, np.random.default_rng(3)).values["position bias"].mean(axis=1)
    assert recovered.mean() == pytest.approx(bias, abs=4 * recovered.std() / np.sqrt(1000))
