"""Plans: which steps are trained, what they weigh, and that the predicted cost is what distinct inputs there are."""

from statistics import fmean
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from workbench.rpo.config import RpoConfig, SamplingConfig
from workbench.rpo.plan import Plan, forwards, make_plan
from workbench.rpo.sampler import mean, transition

torch.set_num_threads(1)


PUBLISHED = {"kind": "dance", "eta": 0.3, "window": "all", "weights": "uniform"}


def planned(seed: int = 0, **sampling: Any) -> Plan:
    return make_plan(SamplingConfig(**{**PUBLISHED, **sampling}), torch.Generator().manual_seed(seed))


def windows(width: int) -> list[Plan]:
    """One plan for every start from 0 to 3."""
    return [planned(window=width, starts=(start, start)) for start in range(4)]


@pytest.mark.parametrize(
    ("plans", "how", "expected"),
    [
        ([planned(same_noise=False)], {"strategy": "replay", "kl": True, "checkpointing": 1.0}, 73.4),
        ([planned(same_noise=False)], {"strategy": "replay", "kl": False, "checkpointing": 1.0}, 59.4),
        ([planned()], {"strategy": "replay", "kl": False, "checkpointing": 1.0}, 55.3),
        ([planned()], {"strategy": "replay", "kl": False}, 42.3),
        ([planned()], {"strategy": "fused", "kl": False}, 30.4),
        ([planned()], {"strategy": "replay", "kl": True}, 55.3),
        ([planned()], {"strategy": "fused", "kl": True}, 58.8),
        (windows(2), {"strategy": "replay", "kl": True}, 22.8),
        (windows(2), {"strategy": "replay", "kl": False}, 19.8),
        (windows(2), {"strategy": "fused", "kl": False}, 17.9),
    ],
    ids=[
        "published loop",
        "no reference",
        "shared first evaluation",
        "no checkpointing",
        "fused",
        "exact kl",
        "fused with exact kl",
        "window of 2 with exact kl",
        "window of 2",
        "window of 2, fused",
    ],
)
def test_costs_of_a_pair_are_those_worked_out_by_hand(plans: list[Plan], how: dict[str, Any], expected: float) -> None:
    """8 steps, a backward pass at 1.1 forward passes; windows start at 0, 1, 2 and 3 equally often."""
    assert fmean(forwards(plan, 2, **how).equivalents for plan in plans) == pytest.approx(expected)


def distinct_inputs(plan: Plan, group: int, same_noise: bool) -> list[int]:
    """How many different latents the velocity is asked about at each step, if every candidate is sampled alone."""
    generator = torch.Generator().manual_seed(1)
    first = torch.randn(1, 6, generator=generator)
    states = [first if same_noise else torch.randn(1, 6, generator=generator) for _ in range(group)]
    seen = []
    for step in plan.transitions:
        seen.append(len({tuple(state.flatten().tolist()) for state in states}))
        states = [
            mean(state, torch.sin(state), step) + step.std * torch.randn(1, 6, generator=generator) for state in states
        ]
    return seen


@pytest.mark.parametrize("same_noise", [True, False])
@pytest.mark.parametrize("window", ["all", 1, 2])
@pytest.mark.parametrize("kind", ["dance", "flow_grpo", "cps"])
@pytest.mark.parametrize("group", [2, 4])
def test_as_many_evaluations_are_planned_as_there_are_different_inputs(
    kind: str, window: int | str, same_noise: bool, group: int
) -> None:
    for seed in range(4):
        plan = planned(seed, kind=kind, window=window, same_noise=same_noise)
        inputs = distinct_inputs(plan, group, same_noise)
        trained = sum(inputs[i] for i in plan.trained)
        replay = forwards(plan, group, "replay", kl=True, checkpointing=0.5)
        assert [1 if plan.evaluated_once(i) else group for i in range(8)] == inputs
        assert (replay.sampling, replay.replay, replay.reference) == (sum(inputs), trained, trained)
        assert (replay.backward, replay.recompute) == (trained, trained / 2)
        fused = forwards(plan, group, "fused", kl=False)
        assert (fused.sampling, fused.replay, fused.reference) == (sum(inputs), 0, 0)
        assert fused.backward == group * len(plan.trained)


@st.composite
def samplings(draw: st.DrawFn) -> dict[str, Any]:
    """Settings of all sizes, with windows and starts that fit."""
    steps = draw(st.integers(2, 12))
    width = draw(st.integers(1, steps - 1))
    starts = sorted(draw(st.tuples(st.integers(0, steps - 1 - width), st.integers(0, steps - 1 - width))))
    return {
        "steps": steps,
        "window": draw(st.sampled_from(["all", width])),
        "starts": starts,
        "shift": draw(st.floats(0.5, 6)),
        "kind": draw(st.sampled_from(["dance", "flow_grpo", "cps"])),
        "eta": draw(st.floats(0.05, 1)),
        "weights": draw(st.sampled_from(["uniform", "noise"])),
    }


@settings(deadline=None)
@given(sampling=samplings(), seed=st.integers(0, 2**32))
def test_every_plan_trains_noisy_steps_alone_and_never_the_last(sampling: dict[str, Any], seed: int) -> None:
    plan, steps, first = planned(seed, **sampling), sampling["steps"], sampling["starts"]
    everything = sampling["window"] == "all"
    assert plan.sigmas[0] == 1
    assert plan.sigmas[-1] == 0
    assert steps - 1 not in plan.trained
    assert len(plan.trained) == (steps - 1 if everything else sampling["window"])
    assert plan.trained == tuple(range(plan.branch, plan.branch + len(plan.trained)))
    assert plan.branch == 0 if everything else first[0] <= plan.branch <= first[1]
    for i, step in enumerate(plan.transitions):
        assert (i in plan.trained) == (step.std > 0)
        assert i in plan.trained or step == transition("ode", 0.0, plan.sigmas, i)
    assert tuple(plan.weights) == plan.trained
    assert min(plan.weights.values()) > 0
    assert plan == planned(seed, **sampling)


def test_windows_start_at_every_allowed_step_about_equally_often() -> None:
    generator, sampling = torch.Generator().manual_seed(0), SamplingConfig(window=2, starts=(1, 3))
    starts = [make_plan(sampling, generator).branch for _ in range(600)]
    assert set(starts) == {1, 2, 3}
    assert all(150 < starts.count(start) < 250 for start in (1, 2, 3))


@pytest.mark.parametrize(
    ("kind", "eta", "first", "last"),
    [("dance", 0.3, 0.71, 1.56), ("flow_grpo", 0.7, 0.06, 0.80), ("cps", 0.8, 0.05, 1.06)],
)
def test_noise_weights_make_up_for_the_sensitivity_of_a_step(kind: str, eta: float, first: float, last: float) -> None:
    """|d mu / d v| / s of the first and the last noisy step of 8, known from elsewhere; weights are one over it."""
    plan = planned(kind=kind, eta=eta, weights="noise")
    assert plan.weights[0] / plan.weights[6] == pytest.approx(last / first, rel=0.1)
    assert fmean(plan.weights.values()) == pytest.approx(1)
    moved, still = (mean(torch.zeros(1), torch.full((1,), v), plan.transitions[6]) for v in (1.0, 0.0))
    assert float((moved - still).abs()) / plan.transitions[6].std == pytest.approx(last, abs=0.006)


def test_noise_weights_are_one_on_average_over_the_steps_windows_reach() -> None:
    plans = [planned(seed, window=1, starts=(0, 3), weights="noise", kind="flow_grpo", eta=0.7) for seed in range(40)]
    weights = {step: weight for plan in plans for step, weight in plan.weights.items()}
    assert sorted(weights) == [0, 1, 2, 3]
    assert fmean(weights.values()) == pytest.approx(1)
    assert weights[0] > weights[1] > weights[2] > weights[3]
    assert planned(window=1).weights == {planned(window=1).branch: 1.0}


def test_the_ode_trains_nothing() -> None:
    plan = planned(kind="ode", weights="noise", window=2)
    assert plan.trained == ()
    assert plan.branch == 8
    assert all(step.std == 0 for step in plan.transitions)
    assert forwards(plan, 1, "replay", kl=True).equivalents == 8


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        ({"window": 0}, r"window=0 .* window at least 1"),
        ({"window": 5, "starts": [0, 3]}, r"window=5 from starts=\[0, 3\] does not fit the steps 0 to 6"),
        ({"window": 1, "starts": [3, 2]}, r"starts=\[3, 2\]"),
        ({"window": 1, "starts": [-1, 2]}, r"starts=\[-1, 2\]"),
        ({"kind": "cps", "eta": 1.1}, r"eta=1\.1: kind 'cps'"),
    ],
)
def test_windows_that_do_not_fit_are_refused_when_configured(sampling: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SamplingConfig(**sampling)


@pytest.mark.parametrize("sampling", [{"kind": "ode"}, {"eta": 0}])
def test_a_run_without_noise_is_refused_when_configured(sampling: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="has no noise to learn from"):
        RpoConfig.of("paper", prompts="prompts.txt", policy={"path": "model"}, rewards=[{}], sampling=sampling)
