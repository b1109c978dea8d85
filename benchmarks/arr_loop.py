"""ARR's published training loop (arXiv 2605.08354 and its code), plainly, as the baseline of `rpo_step.py`.

One sample at a time, one forward pass at a time: 8 noisy steps of DanceGRPO's sampler, with times in whole thousandths
for the transformer, pictures by way of the disk, a judge that is waited for, then 7 steps backward with activations
computed again and a reference pass each. As published it accumulates over more samples than it draws and never steps;
here it accumulates over all prompts of an update.
"""

import asyncio
import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from workbench.judges.rewards import rewards
from workbench.judges.verdict import Judge
from workbench.rpo.draws import Noise
from workbench.rpo.policies.base import LoraPolicy
from workbench.rpo.policy import Cond, Policy
from workbench.rpo.reward import comparison_of, png

STEPS, SHIFT, ETA, CLIP, BETA = 8, 3.0, 0.3, 0.2, 0.01


@dataclass(frozen=True, slots=True)
class ArrSample:
    """One candidate: the latents before and after every step, and each step's mean log-probability per element."""

    x_0: Tensor
    latents: Sequence[Tensor]
    log_probs: Sequence[Tensor]


def arr_sigmas() -> list[float]:
    """The shifted times of all steps, from 1 to 0."""
    u = torch.linspace(1, 0, STEPS + 1, dtype=torch.float64)
    return (SHIFT * u / (1 + (SHIFT - 1) * u)).tolist()


def arr_step(v: Tensor, x: Tensor, i: int, x_next: Tensor | None, z: Tensor | None) -> tuple[Tensor, Tensor]:
    """A step and its log-probability; with `x_next` the step that was taken, else one with noise `z`."""
    sigmas = arr_sigmas()
    sigma, delta = sigmas[i], sigmas[i] - sigmas[i + 1]
    x_0 = x - sigma * v
    score = -(x - (1 - sigma) * x_0) / sigma**2
    mean, std = x - delta * v + 0.5 * ETA**2 * score * delta, ETA * delta**0.5
    if x_next is None:
        x_next = mean + std * z
    log_prob = -((x_next.detach() - mean) ** 2) / (2 * std**2)
    log_prob = log_prob - math.log(std) - 0.5 * math.log(2 * math.pi)
    return x_next, log_prob.mean(dim=(1, 2))


def arr_velocity(policy: Policy, x: Tensor, i: int, cond: Cond) -> Tensor:
    """The velocity at step `i`, whose time is told in whole thousandths."""
    return policy.velocity(x, int(1000 * arr_sigmas()[i]) / 1000, cond)


@torch.no_grad()
def arr_sample(policy: Policy, cond: Cond, noise: Noise, candidate: int) -> ArrSample:
    """Every step is noisy; what is decoded is the x_0 that the last one points at."""
    x = policy.init_latents(cond, noise.initial(True))
    latents, log_probs = [x], []
    for i in range(STEPS):
        v = arr_velocity(policy, x, i, cond)
        x_0 = x - arr_sigmas()[i] * v
        x, log_prob = arr_step(v, x, i, None, noise.fresh(i, x)[candidate : candidate + 1])
        latents.append(x)
        log_probs.append(log_prob)
    return ArrSample(x_0, latents, log_probs)


def arr_learn(policy: Policy, cond: Cond, taken: ArrSample, advantage: float, accumulated: int) -> None:
    """Backward through all steps but the last, in random order, each on its own."""
    steps = list(range(STEPS - 1))
    random.shuffle(steps)
    for i in steps:
        x, x_next = taken.latents[i], taken.latents[i + 1]
        _, log_prob = arr_step(arr_velocity(policy, x, i, cond), x, i, x_next, None)
        ratio = torch.exp(log_prob - taken.log_probs[i])
        loss = torch.maximum(-advantage * ratio, -advantage * ratio.clamp(1 - CLIP, 1 + CLIP))
        with torch.no_grad(), policy.reference():
            _, log_prob_ref = arr_step(arr_velocity(policy, x, i, cond), x, i, x_next, None)
        loss = loss + BETA * (log_prob - log_prob_ref)
        (loss.mean() / (accumulated * len(steps))).backward()


def arr_gradient(policy: Policy, conds: Sequence[Cond], judge: Judge, update: int, folder: Path) -> None:
    """Sample two, write them to disk, ask, wait, learn; next prompt. Accumulates over all prompts, so that it steps."""
    for group, cond in enumerate(conds):
        noise = Noise(0, update, [group], 2)
        pair = [arr_sample(policy, cond, noise, candidate) for candidate in (0, 1)]
        paths = []
        for candidate, taken in enumerate(pair):
            paths.append(folder / f"{candidate}.png")
            paths[-1].write_bytes(png(policy.decode(taken.x_0, cond)[0]))
        shown = [Image.open(path) for path in paths]
        verdict = asyncio.run(judge.compare(comparison_of(update, group, "t2i", "", shown), (0, 1)))
        assert verdict.ranks is not None
        for taken, advantage in zip(pair, rewards(verdict.ranks), strict=True):
            arr_learn(policy, cond, taken, advantage, accumulated=2 * len(conds))


@contextmanager
def checkpointing(policy: LoraPolicy) -> Iterator[None]:
    """Every block's activations are computed again in the backward pass, as ARR's launchers ask for."""
    policy.transformer.enable_gradient_checkpointing()
    try:
        yield
    finally:
        policy.transformer.disable_gradient_checkpointing()
