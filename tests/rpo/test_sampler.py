"""The sampler against formulas written out by hand, exact Gaussian data, torch.distributions and diffusers."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Independent, Normal, kl_divergence

from workbench.rpo import sampler
from workbench.rpo.sampler import conditioning, log_prob, mean, schedule, transition

torch.set_num_threads(1)

SDE = ("flow_grpo", "dance")
NOISY = (("dance", 0.3), ("flow_grpo", 0.7), ("cps", 0.8))
SIGMAS = schedule(8, 3.0).tolist()


def latents(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def test_the_schedule_is_the_published_one() -> None:
    published = [1, 0.9545, 0.9, 0.8333, 0.75, 0.6429, 0.5, 0.3, 0]
    assert schedule(8, 3.0).tolist() == pytest.approx(published, abs=5e-5)
    assert schedule(5, 1.0).tolist() == pytest.approx([1, 0.8, 0.6, 0.4, 0.2, 0])


@pytest.mark.parametrize("steps", [1, 8, 28])
def test_the_schedule_is_that_of_the_pipelines(steps: int) -> None:
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps).tolist())
    torch.testing.assert_close(schedule(steps, 3.0).float(), scheduler.sigmas, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", SDE)
@pytest.mark.parametrize("i", range(8))
def test_sde_steps_are_euler_steps_of_the_reverse_sde(kind: sampler.Kind, i: int) -> None:
    """mu = x - d [v + g^2 / 2t eps], s = g sqrt(d); ARR writes the same with a score made from x_0."""
    x, v, eta = latents(2, 5), latents(2, 5, seed=1), 0.7
    t, d = SIGMAS[i], SIGMAS[i] - SIGMAS[i + 1]
    flow = eta * math.sqrt(t / (1 - SIGMAS[1])) if i == 0 else eta * math.sqrt(t / (1 - t))
    g = flow if kind == "flow_grpo" else eta
    step = transition(kind, eta, SIGMAS, i)
    eps = x + (1 - t) * v
    torch.testing.assert_close(mean(x, v, step), x - d * (v + g**2 / (2 * t) * eps))
    score = -(x - (1 - t) * (x - t * v)) / t**2
    torch.testing.assert_close(mean(x, v, step), x - d * v + 0.5 * g**2 * score * d)
    assert step.std == pytest.approx(g * math.sqrt(d))
    assert all(map(math.isfinite, (step.x, step.v, step.std)))


@settings(deadline=None)
@given(t=st.floats(0.01, 1), share=st.floats(0, 0.99), eta=st.floats(0, 1))
def test_cps_keeps_the_coefficients_of_signal_and_of_all_noise(t: float, share: float, eta: float) -> None:
    """Along x_0 and eps, with the exact velocity: (1 - t') x_0, and old and fresh noise with t'^2 together."""
    t_next = t * share
    step = transition("cps", eta, (t, t_next), 0)
    signal, noise = torch.eye(2, dtype=torch.float64)
    along_signal, along_noise = mean((1 - t) * signal + t * noise, noise - signal, step).tolist()
    assert along_signal == pytest.approx(1 - t_next, abs=1e-12)
    assert along_noise**2 + step.std**2 == pytest.approx(t_next**2, abs=1e-12)
    assert step.std == pytest.approx(t_next * math.sin(eta * math.pi / 2))
    x, v = latents(3), latents(3, seed=1)
    published = (1 - t_next) * (x - t * v) + math.sqrt(max(t_next**2 - step.std**2, 0)) * (x + (1 - t) * v)
    torch.testing.assert_close(mean(x, v, step), published, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("kind", ["flow_grpo", "dance", "cps"])
def test_without_noise_every_sampler_is_the_ode_to_the_last_bit(kind: sampler.Kind) -> None:
    quiet = ode = euler = latents(2, 4, 3, dtype=torch.float32)
    for i, (t, t_next) in enumerate(pairwise(SIGMAS)):
        quiet = mean(quiet, torch.tanh(quiet), transition(kind, 0.0, SIGMAS, i))
        ode = mean(ode, torch.tanh(ode), transition("ode", 0.7, SIGMAS, i))
        euler = euler + (t_next - t) * torch.tanh(euler)
    assert torch.equal(quiet, ode)
    assert torch.equal(ode, euler)


def final_std(kind: sampler.Kind, eta: float, steps: int, data_std: float, last_noisy: bool = False) -> float:
    """Of what comes out for data N(0, data_std^2), over data_std: the velocity is linear, so variances are exact."""
    sigmas, variance = schedule(steps, 3.0).tolist(), 1.0
    for i, t in enumerate(sigmas[:-1]):
        slope = (t - (1 - t) * data_std**2) / ((1 - t) ** 2 * data_std**2 + t**2)
        step = transition(kind if i < steps - 1 or last_noisy else "ode", eta, sigmas, i)
        variance = (step.x + step.v * slope) ** 2 * variance + step.std**2
    return math.sqrt(variance) / data_std


@pytest.mark.parametrize(
    ("kind", "eta", "expected"),
    [
        ("ode", 0.0, [0.68, 0.90, 0.997]),
        ("dance", 0.3, [0.72, 0.91, 0.997]),
        ("flow_grpo", 0.7, [0.82, 0.94, 0.999]),
        ("cps", 0.8, [0.60, 0.72, 0.80]),
    ],
)
def test_marginals_on_gaussian_data_are_those_worked_out_elsewhere(
    kind: sampler.Kind, eta: float, expected: list[float]
) -> None:
    """The numbers come from a program of its own, whose last step is noisy too, for data of deviation 0.5."""
    found = [final_std(kind, eta, steps, 0.5, last_noisy=True) for steps in (8, 28, 1000)]
    assert found == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize(("kind", "eta"), [("ode", 0.0), ("dance", 0.3), ("dance", 1.0), ("flow_grpo", 1.5)])
@pytest.mark.parametrize("data_std", [0.2, 0.5, 2.0])
def test_sde_marginals_converge_to_the_data_with_order_one(kind: sampler.Kind, eta: float, data_std: float) -> None:
    coarse, fine = (abs(1 - final_std(kind, eta, steps, data_std)) for steps in (4096, 8192))
    assert fine < 2e-3
    assert coarse / fine == pytest.approx(2, rel=0.08)


@pytest.mark.parametrize("eta", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("data_std", [0.5, 2.0])
def test_flow_grpo_below_eta_one_converges_with_order_eta_squared(eta: float, data_std: float) -> None:
    """Its first step leaves too much variance however short it is; later noise wears that down by steps^-(eta^2)."""

    def error(steps: int) -> float:
        return 1 - final_std("flow_grpo", eta, steps, data_std)

    coarse, fine = (2 * error(2 * steps) - error(steps) for steps in (1024, 4096))  # without the part of order one
    assert math.log(coarse / fine, 4) == pytest.approx(eta**2, abs=0.005)
    assert abs(error(4096)) < 3e-3


def test_cps_does_not_converge_to_the_data() -> None:
    assert final_std("cps", 0.8, 8192, 0.5) == pytest.approx(final_std("cps", 0.8, 4096, 0.5), abs=0.002)
    assert final_std("cps", 0.8, 8192, 0.5) < 0.81


def test_the_last_step_of_cps_and_the_ode_gives_the_predicted_picture() -> None:
    x, v = latents(2, 6), latents(2, 6, seed=1)
    for kind in ("cps", "ode"):
        step = transition(kind, 0.8, SIGMAS, 7)  # type: ignore[arg-type]
        assert step.std == 0
        torch.testing.assert_close(mean(x, v, step), x - SIGMAS[7] * v)


@settings(deadline=None)
@given(x_0=st.floats(-3, 3), eps=st.floats(-3, 3), t=st.floats(0, 1))
def test_the_exact_velocity_points_at_the_picture(x_0: float, eps: float, t: float) -> None:
    x_t = torch.tensor([(1 - t) * x_0 + t * eps], dtype=torch.float64)
    last = transition("ode", 0.0, (t, 0.0), 0)
    assert mean(x_t, torch.full_like(x_t, eps - x_0), last).item() == pytest.approx(x_0, abs=1e-9)


@pytest.mark.parametrize("std", [0.01, 0.3, 2.0])
def test_log_prob_and_kl_are_those_of_a_joint_normal(std: float) -> None:
    mu, nu, x = (latents(3, 4, 5, seed=seed) for seed in range(3))
    normal, reference = (Independent(Normal(each, std), 2) for each in (mu, nu))
    torch.testing.assert_close(log_prob(x, mu, std), normal.log_prob(x))
    torch.testing.assert_close(sampler.kl(mu, nu, std), kl_divergence(normal, reference))


def test_log_ratios_of_large_latents_keep_their_small_part() -> None:
    """4096 tokens of 64 in float32, means that differ by a hundredth of a deviation: 13 nats of 400,000."""
    std = 0.3
    mu, noise = latents(1, 4096, 64, dtype=torch.float32), latents(1, 4096, 64, seed=1, dtype=torch.float32)
    x = mu + std * noise
    moved = mu + 0.01 * std * latents(1, 4096, 64, seed=2, dtype=torch.float32)
    a, b, c = mu.double(), moved.double(), x.double()
    exact = (((c - a) ** 2 - (c - b) ** 2) / (2 * std**2)).sum()
    found = log_prob(x, moved, std) - log_prob(x, mu, std)
    assert found.item() == pytest.approx(exact.item(), abs=1e-3)
    assert log_prob(x, mu, std).equal(log_prob(x, mu.clone(), std))


def test_a_deterministic_step_has_neither_log_prob_nor_kl() -> None:
    x = latents(1, 2)
    with pytest.raises(ValueError, match=r"std=0\.0: a deterministic step has no log-probability"):
        log_prob(x, x, 0.0)
    with pytest.raises(ValueError, match=r"std=0\.0: between deterministic steps"):
        sampler.kl(x, x, 0.0)


@pytest.mark.parametrize(("kind", "eta"), NOISY)
def test_a_half_precision_velocity_is_used_in_the_precision_of_the_latents(kind: sampler.Kind, eta: float) -> None:
    x, v = latents(2, 6, dtype=torch.float32), latents(2, 6, seed=1, dtype=torch.bfloat16)
    step = transition(kind, eta, SIGMAS, 3)
    assert mean(x, v, step).dtype == torch.float32
    assert torch.equal(mean(x, v, step), mean(x, v.float(), step))


def test_latents_in_half_precision_are_refused() -> None:
    x = latents(2, 6, dtype=torch.bfloat16)
    with pytest.raises(TypeError, match=r"x_t is torch\.bfloat16, but .* float32 or float64"):
        mean(x, x, transition("ode", 0.0, SIGMAS, 0))


def test_the_published_conditioning_truncates() -> None:
    assert [conditioning(sigma, True) for sigma in SIGMAS] == [1, 0.954, 0.9, 0.833, 0.75, 0.642, 0.5, 0.3, 0]
    assert [conditioning(sigma, False) for sigma in SIGMAS] == SIGMAS


@pytest.mark.parametrize("shift", [0.1, 0.3, 0.7])
def test_the_first_step_is_finite_whatever_the_shift(shift: float) -> None:
    sigmas = sampler.schedule(8, shift).tolist()
    assert sampler.transition("flow_grpo", 0.7, sigmas, 0).std < 2, "rounding must not make 1 - t almost nothing"
