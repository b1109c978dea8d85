"""Steps of a flow model from noise to picture, with and without fresh noise, and what a step taken was worth in nats.

x_t = (1 - t) x_0 + t eps and v = eps - x_0, so x_0 = x_t - t v and eps = x_t + (1 - t) v. One step goes from t to
t' < t by a Gaussian with mean mu and deviation s. Whatever the sampler, mu is the ODE's mean with a part kappa of the
predicted noise taken out, to make room for fresh noise:

    mu = x_t - (t - t') v - kappa eps

    ode                kappa = 0                              s = 0
    flow_grpo, dance   kappa = (t - t') g^2 / 2t              s = g sqrt(t - t')
    cps                kappa = t' (1 - cos(eta pi / 2))       s = t' sin(eta pi / 2)

DanceGRPO (arXiv 2505.07818) and ARR have g = eta, Flow-GRPO (arXiv 2505.05470) g = eta sqrt(t / (1 - t)). Both are
Euler steps of one reverse SDE, whose marginals approach the ODE's as steps get short: Dance's error falls like
1 / steps, Flow's only like steps^-(eta^2) for eta < 1, as its first step stays large (kappa = eta^2 / 2, s = eta).
Coefficients-preserving sampling (arXiv 2509.05952) gives x' the coefficient 1 - t' of the predicted x_0, and t' of old
and fresh noise together, (t' - kappa)^2 + s^2 = t'^2, but never the ODE's marginals. At t' = 0 both kappa and s are 0:
its last step is deterministic.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Kind = Literal["flow_grpo", "dance", "cps", "ode"]


@dataclass(frozen=True, slots=True)
class Transition:
    """One step's Gaussian: its mean is `x * x_t + v * velocity`, its standard deviation `std` in every element."""

    x: float
    v: float
    std: float


def schedule(steps: int, shift: float) -> Tensor:
    """Times `(steps + 1,)` from 1 to 0 in float64: sigma = shift u / (1 + (shift - 1) u) for even u.

    >>> [round(sigma, 3) for sigma in schedule(4, 3.0).tolist()]
    [1.0, 0.9, 0.75, 0.5, 0.0]
    """
    u = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    return shift * u / (1 + (shift - 1) * u)


def transition(kind: Kind, eta: float, sigmas: Sequence[float], i: int) -> Transition:
    """The Gaussian of step `i`, from `sigmas[i]` to `sigmas[i + 1]`; `eta` = 0 is the ODE's step to the last bit.

    Flow-GRPO's g is infinite at t = 1; there it takes 1 - t from `sigmas[1]`, as published.
    """
    t, t_next = sigmas[i], sigmas[i + 1]
    delta = t - t_next
    match kind:
        case "ode":
            taken, std = 0.0, 0.0
        case "cps":
            angle = eta * math.pi / 2
            taken, std = t_next * (1 - math.cos(angle)), t_next * math.sin(angle)
        case "flow_grpo" | "dance":
            g = eta if kind == "dance" else eta * math.sqrt(t / (1 - (sigmas[1] if i == 0 else t)))
            taken, std = delta * g**2 / (2 * t), g * math.sqrt(delta)
    return Transition(x=1 - taken, v=-delta - taken * (1 - t), std=std)


def mean(x_t: Tensor, v: Tensor, transition: Transition) -> Tensor:
    """mu of a step from latents `(B, ...)` with velocity `v`, in the precision of `x_t`.

    Raises `TypeError` for latents in half precision: rounding them changes a step's log-probability by whole nats.
    """
    if x_t.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"x_t is {x_t.dtype}, but a sampler's steps need float32 or float64: keep latents in float32")
    return transition.x * x_t + transition.v * v.to(x_t.dtype)


def log_prob(x_next: Tensor, mean: Tensor, std: float) -> Tensor:
    """log N(x_next; mean, std^2 I) of each sample, `(B,)`, in nats: summed over all D elements, constants included.

    -|x_next - mean|^2 / 2 std^2 - D log std - D/2 log 2 pi

    Summed in float64: at D = 262,144 a float32 sum is wrong by hundredths of a nat, as much as a ratio moves by.
    Raises `ValueError` for a deterministic step, which has no density.
    """
    if std <= 0:
        raise ValueError(f"std={std}: a deterministic step has no log-probability; train on noisy steps only")
    elements = mean[0].numel()
    square = (x_next - mean).square().flatten(1).sum(1, dtype=torch.float64)  # (B,)
    return -square / (2 * std**2) - elements * (math.log(std) + 0.5 * math.log(2 * math.pi))


def kl(mean: Tensor, mean_ref: Tensor, std: float) -> Tensor:
    """KL(N(mean, std^2 I) || N(mean_ref, std^2 I)) of each sample, `(B,)`, in nats: |mean - mean_ref|^2 / 2 std^2.

    Raises `ValueError` for a deterministic step, where it is infinite.
    """
    if std <= 0:
        raise ValueError(f"std={std}: between deterministic steps there is no finite KL; take noisy steps only")
    return (mean - mean_ref).square().flatten(1).sum(1, dtype=torch.float64) / (2 * std**2)


def conditioning(sigma: float, truncate: bool) -> float:
    """The time a transformer is told: `sigma` itself, or int(1000 sigma) / 1000 as ARR tells it.

    >>> conditioning(0.9545, truncate=True)
    0.954
    """
    return int(1000 * sigma) / 1000 if truncate else sigma
