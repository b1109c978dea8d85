"""Candidates from noise: what a group's candidates have in common is evaluated once, then they go their own ways.

Up to the first noisy step all candidates of a group are one, where they start from one noise (`Plan.shared`); there
they part, and the remaining steps run for all of them together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from workbench.rpo import sampler
from workbench.rpo.config import SamplingConfig
from workbench.rpo.draws import Noise
from workbench.rpo.finite import finite
from workbench.rpo.plan import Plan, make_plan
from workbench.rpo.policy import Cond, Policy, Prompt


@dataclass(frozen=True, slots=True)
class State:
    """What a trained step was, to evaluate it again; latents in float32, their log-probability in float64.

    - `x_t`: `(B, S, C)` where one evaluation served a whole group, else `(B * group, S, C)`.
    - `x_next`: `(B * group, S, C)`. - `log_prob`: of `x_next` when it was drawn, `(B * group,)`, joint, in nats.
    """

    x_t: Tensor = field(repr=False)
    x_next: Tensor = field(repr=False)
    log_prob: Tensor


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One update's policy at the times its plan asks for; `truncate` as in `SamplingConfig`, `update` for messages."""

    policy: Policy
    plan: Plan
    truncate: bool
    update: int

    def mean(self, i: int, x_t: Tensor, cond: Cond) -> Tensor:
        """mu of step `i` from `x_t` `(B, S, C)`; raises `NotFiniteError` where it, or the velocity, is not finite."""
        sigma = self.plan.sigmas[i]
        v = self.policy.velocity(x_t, sampler.conditioning(sigma, self.truncate), cond)
        self.finite(v, "velocity", i)
        return self.finite(sampler.mean(x_t, v, self.plan.transitions[i]), "mean", i)

    def log_prob(self, i: int, x_next: Tensor, mean: Tensor) -> Tensor:
        """log pi `(B * group,)` of `x_next` `(B * group, S, C)`, from the mean of each or of each group."""
        mean = mean.repeat_interleave(len(x_next) // len(mean), 0)
        return self.finite(sampler.log_prob(x_next, mean, self.plan.transitions[i].std), "log_prob", i)

    def take(self, i: int, x_t: Tensor, cond: Cond, z: Tensor) -> tuple[Tensor, Tensor]:
        """A noisy step to `x_next = mean + std z` `(B * group, S, C)` and its log-probability `(B * group,)`."""
        mean = self.mean(i, x_t, cond)
        x_next = mean.detach().repeat_interleave(len(z) // len(mean), 0) + self.plan.transitions[i].std * z
        return self.finite(x_next, "latents", i), self.log_prob(i, x_next, mean)

    def finite(self, tensor: Tensor, name: str, i: int) -> Tensor:
        return finite(tensor, name, update=self.update, step=i, sigma=self.plan.sigmas[i])


class Step(Protocol):
    """How a trained step is taken: as `Evaluation.take`, or with more to it."""

    def __call__(self, i: int, x_t: Tensor, cond: Cond, z: Tensor, /) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True, slots=True)
class Rollout:
    """`B` groups sampled together.

    - `x_0`: clean latents `(B * group, S, C)`, the candidates of a group one after the other.
    - `states`: by trained step.
    - `gradients`: of the weighted log-probability, `(B * group, parameters)`, where taken on the way (`fused`).
    """

    evaluation: Evaluation
    cond: Cond
    x_0: Tensor = field(repr=False)
    states: Mapping[int, State] = field(repr=False)
    gradients: Tensor | None = field(default=None, repr=False)

    @property
    def group(self) -> int:
        """Candidates of a group."""
        return len(self.x_0) // len(self.cond)

    def pictures(self) -> list[Image.Image]:
        """All candidates, decoded."""
        with torch.no_grad():
            return self.evaluation.policy.decode(self.x_0, for_candidates(self.cond, self.group))


@torch.no_grad()
def sample(evaluation: Evaluation, cond: Cond, noise: Noise, step: Step | None = None) -> Rollout:
    """`noise.candidates` candidates for every group of `cond`; `step` takes trained steps in place of the plain one.

    Raises `NotFiniteError` at the first NaN or infinity.
    """
    plan, step = evaluation.plan, step or evaluation.take
    each = for_candidates(cond, noise.candidates)
    x_t = evaluation.policy.init_latents(cond if plan.shared else each, noise.initial(plan.shared))
    finite(x_t, "initial latents", update=evaluation.update)
    states = {}
    for i in range(len(plan.transitions)):
        told = cond if plan.evaluated_once(i) else each
        if i in plan.trained:
            x_next, log_prob = step(i, x_t, told, noise.fresh(i, x_t))
            states[i] = State(x_t, x_next, log_prob)
        else:
            x_next = evaluation.mean(i, x_t, told)
        x_t = x_next
    return Rollout(evaluation, cond, x_t, states)


@torch.no_grad()
def draw_plainly(
    policy: Policy, cond: Cond, generators: Sequence[torch.Generator], sampling: SamplingConfig, update: int
) -> list[Image.Image]:
    """A picture of every prompt of `cond` by the ODE: no noise but the initial, from one generator each.

    - `update`: for messages. Raises `NotFiniteError` at the first NaN or infinity.
    """
    plan = make_plan(sampling.model_copy(update={"kind": "ode"}), torch.Generator())
    evaluation = Evaluation(policy, plan, sampling.truncate, update)
    x_t = finite(policy.init_latents(cond, generators), "initial latents", update=update)
    for i in range(sampling.steps):
        x_t = evaluation.mean(i, x_t, cond)
    return policy.decode(x_t, cond)


def for_candidates(cond: Cond, group: int) -> Cond:
    """`cond` for each candidate of each group."""
    return cond if group == 1 else cond.select([b for b in range(len(cond)) for _ in range(group)])


def batches(policy: Policy, prompts: Sequence[Prompt], numbers: Sequence[int], size: int) -> list[list[int]]:
    """`numbers` of `prompts` in batches of up to `size`, each of prompts whose pictures have one size."""
    alike: dict[tuple[int, ...], list[int]] = {}
    for number in numbers:
        prompt = prompts[number]
        alike.setdefault(policy.encode([prompt]).size if prompt.source else (), []).append(number)
    return [same[at : at + size] for same in alike.values() for at in range(0, len(same), size)]
