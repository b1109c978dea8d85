"""The loss: hand-worked values, finite differences, the clip in nats, and what each KL term really pulls at."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from workbench.rpo.advantages import advantages
from workbench.rpo.config import ObjectiveConfig
from workbench.rpo.objective import StepSums, penalty, ratio_sums, surrogate
from workbench.rpo.reward import Judged
from workbench.rpo.sampler import log_prob, mean, schedule, transition

torch.set_num_threads(1)

SIGMAS = schedule(8, 3.0).tolist()
STEP = transition("dance", 0.3, SIGMAS, 3)
DIMS = (6, 4)
ELEMENTS = 24


def config(**fields: Any) -> ObjectiveConfig:
    return ObjectiveConfig(**{"clip": (0.2, 0.2), "clip_on": "joint", "kl": "gaussian", "beta": 0.1, **fields})


def column(*values: float, grad: bool = False) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=grad)


def latents(seed: int, batch: int = 2) -> Tensor:
    return torch.randn(batch, *DIMS, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Toy:
    """A policy v = x W, its reference W_ref, and a pair that one step of the current policy made of one noise."""

    def __init__(self, moved: float = 0.0) -> None:
        self.reference = latents(1)[0, :4] / 4
        self.weight = (self.reference + moved * latents(2)[0, :4]).requires_grad_()
        self.x_t = latents(3, 1).expand(2, *DIMS)
        self.x_next = mean(self.x_t, self.x_t @ self.weight.detach(), STEP) + STEP.std * latents(4)

    def mean(self, weight: Tensor) -> Tensor:
        return mean(self.x_t, self.x_t @ weight, STEP)

    def log_prob(self, weight: Tensor) -> Tensor:
        return log_prob(self.x_next, self.mean(weight), STEP.std)

    def loss(self, weight: Tensor, old: Tensor, advantage: Tensor, objective: ObjectiveConfig) -> Tensor:
        pulled = penalty(self.x_next, self.mean(weight), self.mean(self.reference), STEP.std, objective)
        return surrogate(self.log_prob(weight), old, advantage, ELEMENTS, objective) + pulled

    def gradient(self, advantage: Tensor, objective: ObjectiveConfig, old: Tensor | None = None) -> Tensor:
        old = self.log_prob(self.weight).detach() if old is None else old
        (gradient,) = torch.autograd.grad(self.loss(self.weight, old, advantage, objective).sum(), self.weight)
        return gradient


@pytest.mark.parametrize(
    ("log_ratio", "advantage", "expected"),
    [
        (0.1, 1.0, -math.exp(0.1)),
        (0.5, 1.0, -math.exp(0.3)),
        (-0.5, 1.0, -math.exp(-0.5)),
        (0.5, -0.1, 0.1 * math.exp(0.5)),
        (-0.15, -0.1, 0.1 * math.exp(-0.15)),
        (-0.5, -0.1, 0.1 * math.exp(-0.2)),
        (0.5, 0.0, 0.0),
    ],
)
def test_the_joint_surrogate_by_hand(log_ratio: float, advantage: float, expected: float) -> None:
    """Clipped at 0.2 nats down and 0.3 up, over 24 elements."""
    loss = surrogate(column(7 + log_ratio), column(7.0), column(advantage), ELEMENTS, config(clip=(0.2, 0.3)))
    assert loss.item() == pytest.approx(expected / ELEMENTS)


@pytest.mark.parametrize(
    ("mean_log_ratio", "advantage", "expected"),
    [
        (math.log(1.1), 1.0, -1.1),
        (math.log(1.5), 1.0, -1.2),
        (math.log(0.5), 1.0, -0.5),
        (math.log(1.5), -0.1, 0.15),
        (math.log(0.5), -0.1, 0.08),
    ],
)
def test_the_published_surrogate_by_hand(mean_log_ratio: float, advantage: float, expected: float) -> None:
    """max(-A r, -A clip(r, 0.8, 1.2)) for r of log-probabilities averaged over elements, as ARR writes it."""
    loss = surrogate(
        column(ELEMENTS * mean_log_ratio), column(0.0), column(advantage), ELEMENTS, config(clip_on="mean")
    )
    assert loss.item() == pytest.approx(expected)


def test_an_asymmetric_mean_clip_of_a_reward_model_run() -> None:
    """JRM's 0.0001 down, 0.0005 up."""
    objective = config(clip_on="mean", clip=(1e-4, 5e-4))
    new, old = column(*(ELEMENTS * each for each in (4e-4, 6e-4, -5e-5, -2e-4))), torch.zeros(4)
    winners = surrogate(new, old, torch.ones(4), ELEMENTS, objective)
    losers = surrogate(new, old, -torch.ones(4), ELEMENTS, objective)
    assert winners.tolist() == pytest.approx([-math.exp(4e-4), -1.0005, -math.exp(-5e-5), -math.exp(-2e-4)], abs=1e-12)
    assert losers.tolist() == pytest.approx([math.exp(4e-4), math.exp(6e-4), math.exp(-5e-5), 0.9999], abs=1e-12)


@pytest.mark.parametrize("clip_on", ["joint", "mean"])
@pytest.mark.parametrize("kl", ["gaussian", "log_ratio"])
@pytest.mark.parametrize("drift", [0.0, 0.03, -0.03])
def test_gradients_are_finite_differences_of_the_loss(clip_on: str, kl: str, drift: float) -> None:
    toy = Toy(moved=0.1)
    old = toy.log_prob(toy.weight + drift * latents(5)[0, :4]).detach() + column(0.05, -0.02)
    objective = config(clip_on=clip_on, kl=kl)
    assert torch.autograd.gradcheck(lambda weight: toy.loss(weight, old, column(1.0, -0.1), objective), toy.weight)


@pytest.mark.parametrize("clip_on", ["joint", "mean"])
def test_at_ratio_one_the_gradient_is_that_of_the_weighted_log_probabilities(clip_on: str) -> None:
    toy, advantage = Toy(), column(1.0, -0.1)
    plain = -(advantage * toy.log_prob(toy.weight)).sum() / ELEMENTS
    (expected,) = torch.autograd.grad(plain, toy.weight)
    found = toy.gradient(advantage, config(clip_on=clip_on, beta=0.0))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


def test_a_step_raises_the_winner_over_the_loser() -> None:
    toy, advantage = Toy(), column(1.0, -0.1)
    moved = toy.weight.detach() - 0.01 * toy.gradient(advantage, config(beta=0.0))
    gained = toy.log_prob(moved) - toy.log_prob(toy.weight.detach())
    assert gained[0] > 0
    assert gained[1] < gained[0]


def test_a_swapped_verdict_swaps_the_gradient_exactly_and_a_tie_has_none() -> None:
    toy, objective = Toy(), config(beta=0.0)
    won, lost, tied = (
        toy.gradient(column(*advantages("centered", Judged(values=values, status=status))), objective)
        for values, status in (((1.0, 0.0), "decided"), ((0.0, 1.0), "decided"), ((0.5, 0.5), "tied"))
    )
    assert won.abs().max() > 0
    assert torch.equal(won, -lost)
    assert not tied.any()


@settings(deadline=None)
@given(padding=st.integers(0, 500), nats=st.floats(-1, 1), advantage=st.sampled_from([1.0, -0.1]))
def test_the_joint_clip_does_not_see_latents_that_do_not_change(padding: int, nats: float, advantage: float) -> None:
    """More elements, all as likely as before: the same nats, so the same loss for the sample, and the same clip."""
    noise, objective = latents(7, 1), config(clip=(0.3, 0.4))
    grown = torch.cat([noise.reshape(1, -1), torch.zeros(1, padding)], 1)
    push = nats / noise.square().sum()  # log ratio = (push |z|^2) - (push |z|)^2 / 2 for a mean moved by push z
    joint, alone = (
        (
            log_prob(z, push * z, 1.0) - log_prob(z, torch.zeros_like(z), 1.0),
            surrogate(log_prob(z, push * z, 1.0), log_prob(z, 0 * z, 1.0), column(advantage), z.numel(), objective),
            ratio_sums(log_prob(z, push * z, 1.0), log_prob(z, 0 * z, 1.0), z.numel(), objective).clipped,
        )
        for z in (grown, noise)
    )
    assert joint[0].item() == pytest.approx(alone[0].item(), abs=1e-9)
    assert joint[1].item() * grown.numel() == pytest.approx(alone[1].item() * noise.numel())
    assert joint[2] == alone[2]


def test_the_mean_clip_depends_on_the_resolution() -> None:
    """Ten nats are within 0.2 of no change once there are many elements; in nats they never are."""
    mean_form, joint = config(clip_on="mean"), config(clip_on="joint")
    clipped = [
        [ratio_sums(column(10.0), column(0.0), d, each).clipped for d in (24, 65536)] for each in (mean_form, joint)
    ]
    assert clipped == [[1, 0], [1, 1]]


@pytest.mark.parametrize("clip_on", ["joint", "mean"])
@pytest.mark.parametrize("elements", [1, 65536])
@pytest.mark.parametrize("nats", [-1e9, -800.0, 800.0, 1e9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_ratio_overflows(clip_on: str, elements: int, nats: float, dtype: torch.dtype) -> None:
    new = torch.full((2,), nats, dtype=dtype, requires_grad=True)
    loss = surrogate(new, torch.zeros(2, dtype=dtype), torch.tensor([1.0, -0.1]), elements, config(clip_on=clip_on))
    loss.sum().backward()
    assert loss.isfinite().all()
    assert new.grad is not None
    assert new.grad.isfinite().all()
    outside = abs(nats) > (0.2 if clip_on == "joint" else 0.22 * elements)
    assert new.grad[0 if nats > 0 else 1] == 0 or not outside


def test_a_fault_in_a_log_probability_shows_in_the_loss() -> None:
    assert surrogate(column(math.nan), column(0.0), column(1.0), ELEMENTS, config()).isnan().all()


def test_the_gaussian_penalty_is_the_divergence_of_torch() -> None:
    toy = Toy(moved=0.2)
    mu, nu = toy.mean(toy.weight).detach(), toy.mean(toy.reference)
    expected = 0.1 * kl_divergence(Normal(mu, STEP.std), Normal(nu, STEP.std)).mean((1, 2))
    torch.testing.assert_close(penalty(toy.x_next, mu, nu, STEP.std, config()), expected)


def test_the_gaussian_penalty_starts_at_zero_without_a_gradient_and_then_pulls_back() -> None:
    nothing = column(0.0, 0.0)
    toy = Toy()
    start = penalty(toy.x_next, toy.mean(toy.weight), toy.mean(toy.reference), STEP.std, config())
    assert start.tolist() == [0.0, 0.0]
    assert not toy.gradient(nothing, config()).any()
    away = Toy(moved=0.2)
    pull = -away.gradient(nothing, config())
    assert (pull * (away.reference - away.weight.detach())).sum() > 0


def test_the_published_penalty_only_shifts_advantages_wherever_the_reference_is() -> None:
    """Its gradient at ratio 1 is that of A - beta, at the start and far away: it does not hold the policy."""
    advantage, objective = column(1.0, -0.1), config(kl="log_ratio", beta=0.1)
    for toy in (Toy(), Toy(moved=0.3)):
        found = toy.gradient(advantage, objective)
        torch.testing.assert_close(found, toy.gradient(advantage - 0.1, config(beta=0.0)), rtol=1e-10, atol=1e-12)
        assert toy.gradient(column(0.0, 0.0), objective).any()


def test_penalties_send_no_gradient_to_the_reference() -> None:
    toy = Toy(moved=0.1)
    reference = toy.mean(toy.reference).requires_grad_()
    for kl in ("gaussian", "log_ratio"):
        penalty(toy.x_next, toy.mean(toy.weight), reference, STEP.std, config(kl=kl)).sum().backward()
    assert reference.grad is None


def test_metrics_by_hand() -> None:
    joint = ratio_sums(column(0.1, 0.5, -0.3), column(0.0, 0.0, 0.0), ELEMENTS, config(), kl=column(2.0, 4.0, 6.0))
    assert joint.n == 3
    assert joint.ratio_deviation == pytest.approx((math.exp(0.1) - 1 + math.exp(0.5) - 1 + 1 - math.exp(-0.3)) / 3)
    assert joint.largest == pytest.approx(math.exp(0.5) - 1)
    assert joint.clip_fraction == pytest.approx(2 / 3)
    assert joint.kl == pytest.approx(4.0)
    averaged = ratio_sums(column(24 * 0.1), column(0.0), ELEMENTS, config(clip_on="mean"))
    assert averaged.ratio_deviation == pytest.approx(math.exp(0.1) - 1)
    assert averaged.clip_fraction == 0
    assert averaged.kl is None


def test_metrics_of_parts_add_up_to_those_of_the_whole() -> None:
    new, old, kls = latents(8)[0, 0], latents(9)[0, 0], latents(10)[0, 0].abs()
    whole = ratio_sums(new, old, ELEMENTS, config(), kls)
    parts = sum(
        (ratio_sums(new[i : i + 1], old[i : i + 1], ELEMENTS, config(), kls[i : i + 1]) for i in range(4)), StepSums()
    )
    assert (parts.n, parts.clipped, parts.n_kl) == (whole.n, whole.clipped, whole.n_kl)
    assert parts.ratio_deviation == pytest.approx(whole.ratio_deviation)
    assert parts.largest == whole.largest
    assert parts.kl == pytest.approx(whole.kl)
    assert (StepSums().ratio_deviation, StepSums().clip_fraction, StepSums().kl) == (None, None, None)


def test_ratios_of_the_same_log_probabilities_are_exactly_one() -> None:
    same = latents(11)[0, 0] * 1e5
    metrics = ratio_sums(same, same.clone(), ELEMENTS, config())
    assert (metrics.largest, metrics.clipped) == (0.0, 0)


@pytest.mark.parametrize(("clip", "clip_on"), [((0.0, 0.2), "joint"), ((0.2, -1.0), "joint"), ((1.0, 0.2), "mean")])
def test_a_clip_that_cannot_be_is_refused_when_configured(clip: tuple[float, float], clip_on: str) -> None:
    with pytest.raises(ValueError, match=r"clip=.* clip_on="):
        ObjectiveConfig(clip=clip, clip_on=clip_on)  # type: ignore[arg-type]
