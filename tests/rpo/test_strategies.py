"""One gradient by three ways: evaluated again, taken while sampling, and by plain autograd of the clipped loss."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal
from toy_policy import PROMPTS, ToyPolicy, perturbed

from workbench.rpo.config import ObjectiveConfig, SamplingConfig
from workbench.rpo.counted import Counted
from workbench.rpo.draws import Noise, generator
from workbench.rpo.finite import NotFiniteError
from workbench.rpo.plan import forwards, make_plan
from workbench.rpo.rollout import Evaluation, Rollout, for_candidates, sample
from workbench.rpo.strategies import learn, sample_with_gradients

PAIRS = SamplingConfig(kind="flow_grpo", eta=0.7, window=1, starts=(1, 1), weights="noise", group=2)
SETTINGS = [
    PAIRS,
    PAIRS.model_copy(update={"window": 2, "group": 3}),
    PAIRS.model_copy(update={"window": "all", "kind": "dance", "eta": 0.3}),
    PAIRS.model_copy(update={"window": 2, "kind": "cps", "same_noise": False, "group": 3, "truncate": True}),
]
NAMES = ["pairs", "threes", "all-steps", "own-noise"]
PLAIN = ObjectiveConfig(beta=0.0, clip=(5.0, 5.0))
PULLED = ObjectiveConfig(beta=0.1, clip=(5.0, 5.0))


def rollout(sampling: SamplingConfig, policy: ToyPolicy | Counted, *, fused: bool = False, groups: int = 3) -> Rollout:
    evaluation = Evaluation(policy, make_plan(sampling, generator(0, "plan")), sampling.truncate, update=0)
    cond, noise = policy.encode(PROMPTS[:groups]), Noise(0, 0, range(groups), sampling.group)
    return (sample_with_gradients if fused else sample)(evaluation, cond, noise)


def advantages(groups: int, group: int, *, tied: int | None = None) -> list[float]:
    drawn = torch.randn(groups, group, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    if tied is not None:
        drawn[tied] = 0
    return drawn.flatten().tolist()


def gradient(policy: ToyPolicy) -> Tensor:
    flat = torch.cat([each.grad.flatten() for each in policy.trainable().values()])
    for each in policy.trainable().values():
        each.grad = None
    return flat


def by_autograd(made: Rollout, values: list[float], objective: ObjectiveConfig) -> Tensor:
    """The clipped loss written out, with torch's own Gaussians, as one graph."""
    evaluation, total = made.evaluation, torch.zeros((), dtype=torch.float64)
    each, elements = for_candidates(made.cond, made.group), made.x_0[0].numel()
    for i, state in made.states.items():
        x_t = state.x_t.repeat_interleave(len(each) // len(state.x_t), 0)
        mean = evaluation.mean(i, x_t, each)
        law = Independent(Normal(mean, evaluation.plan.transitions[i].std), 2)
        log_prob = law.log_prob(state.x_next)
        for row, advantage in enumerate(values):
            ratio = torch.exp(log_prob[row] - log_prob[row].detach())
            clipped = ratio.clamp(math.exp(-objective.clip[0]), math.exp(objective.clip[1]))
            total = total - evaluation.plan.weights[i] * torch.min(ratio * advantage, clipped * advantage) / elements
    return torch.cat([g.flatten() for g in torch.autograd.grad(total, list(evaluation.policy.trainable().values()))])


@pytest.mark.parametrize("sampling", SETTINGS, ids=NAMES)
def test_fused_replay_and_autograd_give_one_gradient(sampling: SamplingConfig) -> None:
    policy = perturbed(ToyPolicy(tokens=3, dtype=torch.float64))
    values = advantages(3, sampling.group, tied=1)
    made = rollout(sampling, policy)
    expected = by_autograd(made, values, PLAIN)
    assert expected.abs().max() > 1e-3
    learn(made, values, PLAIN)
    assert torch.allclose(gradient(policy), expected, rtol=0, atol=1e-10)
    fused = rollout(sampling, policy, fused=True)
    assert torch.allclose(fused.x_0, made.x_0, rtol=0, atol=1e-12)
    learn(fused, values, PLAIN)
    assert torch.allclose(gradient(policy), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("sampling", SETTINGS, ids=NAMES)
def test_the_ratio_of_the_first_replay_is_one_to_the_last_bit(sampling: SamplingConfig) -> None:
    policy = perturbed(ToyPolicy(tokens=3))
    seen = learn(rollout(sampling, policy), advantages(3, sampling.group), PLAIN)
    assert seen.n == 3 * sampling.group * len(make_plan(sampling, generator(0, "plan")).trained)
    assert seen.largest == 0.0
    assert seen.clipped == 0


@pytest.mark.parametrize("sampling", SETTINGS, ids=NAMES)
def test_the_ratio_is_one_in_a_smaller_batch_too(sampling: SamplingConfig) -> None:
    seen = learn(
        rollout(sampling, perturbed(ToyPolicy(tokens=3)), groups=2), advantages(2, sampling.group, tied=0), PLAIN
    )
    assert seen.n > 0
    assert seen.largest < 1e-6


def test_a_ratio_moves_once_the_policy_has() -> None:
    policy = perturbed(ToyPolicy(tokens=3))
    made, values = rollout(PAIRS, policy), advantages(3, 2)
    perturbed(policy, 0.05, seed=2)
    assert learn(made, values, PLAIN).largest > 1e-3


@pytest.mark.parametrize("objective", [PLAIN, PULLED], ids=["no-kl", "kl"])
@pytest.mark.parametrize("sampling", SETTINGS, ids=NAMES)
def test_replay_evaluates_what_the_plan_says(sampling: SamplingConfig, objective: ObjectiveConfig) -> None:
    counted = Counted(ToyPolicy())
    made = rollout(sampling, counted)
    asked = forwards(made.evaluation.plan, sampling.group, "replay", kl=objective.beta > 0)
    counted.forwards = dict.fromkeys(counted.forwards, 0)
    learn(made, advantages(3, sampling.group, tied=0), objective)  # a tied group costs nothing
    assert counted.forwards == {"sampling": 0, "graded": 2 * asked.replay, "reference": 2 * asked.reference}


@pytest.mark.parametrize("sampling", SETTINGS, ids=NAMES)
def test_fused_evaluates_nothing_twice(sampling: SamplingConfig) -> None:
    counted = Counted(ToyPolicy())
    made = rollout(sampling, counted, fused=True)
    learn(made, advantages(3, sampling.group), PLAIN)
    asked = forwards(made.evaluation.plan, sampling.group, "fused", kl=False)
    assert sum(counted.forwards.values()) == 3 * asked.sampling


@pytest.mark.parametrize("fused", [False, True], ids=["replay", "fused"])
def test_ties_teach_nothing(fused: bool) -> None:
    policy = ToyPolicy()
    assert learn(rollout(PAIRS, policy, fused=fused), [0.0] * 6, PULLED).n == 0
    assert all(each.grad is None for each in policy.trainable().values())


@pytest.mark.parametrize("fused", [False, True], ids=["replay", "fused"])
def test_swapped_verdicts_swap_the_sign(fused: bool) -> None:
    policy = perturbed(ToyPolicy(tokens=3))
    made, values = rollout(PAIRS, policy, fused=fused), advantages(3, 2)
    learn(made, values, PLAIN)
    first = gradient(policy)
    learn(made, [-value for value in values], PLAIN)
    assert gradient(policy).equal(-first)


def test_after_a_step_the_winner_is_likelier_and_the_loser_less_likely() -> None:
    policy = perturbed(ToyPolicy(tokens=3))
    made = rollout(PAIRS, policy, groups=1)
    learn(made, [1.0, -1.0], PLAIN)
    with torch.no_grad():
        for each in policy.trainable().values():
            each -= 0.01 * each.grad
        (state,) = made.states.values()
        now = made.evaluation.log_prob(1, state.x_next, made.evaluation.mean(1, state.x_t, made.cond))
    assert now[0] > state.log_prob[0]
    assert now[0] - state.log_prob[0] > now[1] - state.log_prob[1]


def test_the_pull_to_the_reference_is_nothing_at_the_reference_and_something_away_from_it() -> None:
    policy, values = ToyPolicy(tokens=3, dtype=torch.float64), advantages(3, 2)
    gradients = []
    for objective in (PLAIN, PULLED):
        seen = learn(rollout(PAIRS, policy), values, objective)
        gradients.append(gradient(policy))
    assert seen.kl == 0.0
    assert gradients[0].equal(gradients[1])
    perturbed(policy)
    for objective in (PLAIN, PULLED):
        seen = learn(rollout(PAIRS, policy), values, objective)
        gradients.append(gradient(policy))
    assert seen.kl is not None
    assert seen.kl > 0
    assert not torch.allclose(gradients[2], gradients[3])


def test_a_gradient_that_is_not_finite_is_named() -> None:
    policy = perturbed(ToyPolicy())
    made = rollout(PAIRS, policy)
    policy.poison = lambda x_t, v: v + 0 * (v - v.detach()).abs().sqrt()  # zero, with an infinite slope
    with pytest.raises(NotFiniteError, match=r"update 0, step 1 \(sigma 0.9545\): gradient of A \(torch.float32\)"):
        learn(made, advantages(3, 2), PLAIN)
