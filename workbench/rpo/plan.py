"""Which steps of a rollout are noisy and trained, what candidates share, and what all that costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from workbench.rpo.config import SamplingConfig
from workbench.rpo.sampler import Transition, schedule, transition

BACKWARD = 1.1
"""Cost of a backward pass in forward passes, where only an adapter is trained: no gradients of frozen weights."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One rollout's steps; all candidates of all groups of an update follow the same.

    - `sigmas`: steps + 1 times, from 1 to 0.
    - `transitions`: one per step; an ODE step where it is not noisy. The last is, so what is decoded is the x_0 that
      the last evaluation points at, without noise (as in DanceGRPO and ARR).
    - `trained`: the noisy steps, in order.
    - `weights`: of a trained step's loss, by step.
    - `shared`: candidates of a group start from one noise, so they are the same up to the first noisy step.
    """

    sigmas: tuple[float, ...]
    transitions: tuple[Transition, ...]
    trained: tuple[int, ...]
    weights: Mapping[int, float]
    shared: bool

    @property
    def branch(self) -> int:
        """The first noisy step; the number of steps where none is noisy. With `shared`, candidates part after it."""
        return min(self.trained, default=len(self.transitions))

    def evaluated_once(self, step: int) -> bool:
        """Whether one evaluation of the velocity at `step` serves all candidates of a group."""
        return self.shared and step <= self.branch


def make_plan(sampling: SamplingConfig, generator: torch.Generator) -> Plan:
    """Draw where the window of noisy steps starts, evenly from `sampling.starts`, and lay out all steps.

    A window of `all` is every step but the last; kind `ode` has no noisy step and trains nothing.
    """
    sigmas = tuple(schedule(sampling.steps, sampling.shift).tolist())
    noisy_transitions = [transition(sampling.kind, sampling.eta, sigmas, i) for i in range(sampling.steps)]
    first, last = sampling.starts if sampling.window != "all" else (0, 0)
    width = sampling.steps - 1 if sampling.window == "all" else sampling.window
    start = int(torch.randint(first, last + 1, (), generator=generator))
    trained = () if sampling.kind == "ode" else tuple(range(start, start + width))
    weights = _weights(sampling, noisy_transitions, range(first, last + width))
    return Plan(
        sigmas=sigmas,
        transitions=tuple(
            each if i in trained else transition("ode", 0.0, sigmas, i) for i, each in enumerate(noisy_transitions)
        ),
        trained=trained,
        weights={i: weights[i] for i in trained},
        shared=sampling.same_noise,
    )


def _weights(sampling: SamplingConfig, transitions: list[Transition], steps: range) -> Mapping[int, float]:
    """w_i = s_i / |d mu / d v|_i over its mean, for `noise`, over all `steps` that any window reaches.

    The gradient of log pi by v is |d mu / d v| / s times unit noise, so late steps, which decide little of what is in a
    picture, would otherwise be trained most (as TempFlow-GRPO, arXiv 2508.04324, also finds).
    """
    if sampling.weights == "uniform" or sampling.kind == "ode":
        return dict.fromkeys(steps, 1.0)
    raw = {i: transitions[i].std / abs(transitions[i].v) for i in steps}
    average = sum(raw.values()) / len(raw)
    return {i: each / average for i, each in raw.items()}


@dataclass(frozen=True, slots=True)
class Forwards:
    """Passes through the transformer for one group, each counted per latent: a batch of B is B passes."""

    sampling: int
    replay: int
    reference: int
    backward: int
    recompute: float

    @property
    def equivalents(self) -> float:
        """The cost of all of them in forward passes."""
        return self.sampling + self.replay + self.reference + self.recompute + BACKWARD * self.backward


def forwards(
    plan: Plan, group: int, strategy: Literal["replay", "fused"], *, kl: bool, checkpointing: float = 0.0
) -> Forwards:
    """What a decided group of `group` candidates costs; a tied or failed one costs its sampling alone.

    - `strategy`: `replay` evaluates trained steps anew, once for all candidates where they share the evaluation.
      `fused` takes gradients while sampling, one per candidate as advantages are not yet known; with a KL term that is
      a second one each, which is why `fused` is for beta = 0.
    - `kl`: whether the reference is evaluated at trained steps.
    - `checkpointing`: share of a forward pass that each backward pass computes again.
    """

    def passes(steps: range | tuple[int, ...]) -> int:
        return sum(1 if plan.evaluated_once(i) else group for i in steps)

    distinct = passes(plan.trained)
    backward = distinct if strategy == "replay" else group * len(plan.trained) * (2 if kl else 1)
    return Forwards(
        sampling=passes(range(len(plan.transitions))),
        replay=distinct if strategy == "replay" else 0,
        reference=distinct if kl else 0,
        backward=backward,
        recompute=checkpointing * backward,
    )
