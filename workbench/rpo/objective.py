"""What an update minimises: a clipped policy gradient on the verdicts, and a pull towards the frozen base.

Both are means over the D elements of a latent, so that the size of a gradient does not depend on the resolution; the
clip, in contrast, is by default in nats of the whole sample, as a ratio moves by as many nats at any resolution when a
picture becomes as much more likely.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.rpo import sampler
from workbench.rpo.config import ObjectiveConfig

LIMIT = 20.0
"""Nats beyond which no ratio grows: a loser's that far off is left alone (dual clip, arXiv 1912.09729)."""


def surrogate(
    log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, elements: int, config: ObjectiveConfig
) -> Tensor:
    """The clipped surrogate loss of each candidate's step, `(B,)`, from joint log-probabilities in nats, each `(B,)`.

    joint   L = -min(r A, clip(r, e^-low, e^high) A) / D    r = exp(log pi - log pi_old)
    mean    L = -min(r A, clip(r, 1 - low, 1 + high) A)     r = exp((log pi - log pi_old) / D)

    `(low, high)` is `config.clip`, D is `elements`. At r = 1 both have the gradient -A d(log pi) / D. The mean form is
    Flow-GRPO's and ARR's; its clip of 0.2 is 13,107 nats at 512 pixels and never binds, and Flow-GRPO's 0.0001, 6.6
    nats there, becomes 26 at 1024 pixels. Low and high may differ, as in JRM's online RL (0.0001 and 0.0005, mean).
    """
    ratio, clipped = _ratio_and_clipped(log_prob, old_log_prob.detach(), elements, config)
    gain = torch.minimum(ratio * advantage, clipped * advantage)
    return -gain if config.clip_on == "mean" else -gain / elements


def _ratio_and_clipped(
    log_prob: Tensor, old_log_prob: Tensor, elements: int, config: ObjectiveConfig
) -> tuple[Tensor, Tensor]:
    log_ratio = log_prob - old_log_prob
    low, high = config.clip
    if config.clip_on == "mean":
        ratio = (log_ratio / elements).clamp(max=LIMIT).exp()
        return ratio, ratio.clamp(1 - low, 1 + high)
    log_ratio = log_ratio.clamp(max=LIMIT)  # before exp(): infinity times a clipped gradient of zero is NaN
    return log_ratio.exp(), log_ratio.clamp(-low, high).exp()


def penalty(x_next: Tensor, mean: Tensor, mean_ref: Tensor, std: float, config: ObjectiveConfig) -> Tensor:
    """beta times the divergence from the reference, per element, of each candidate's step, `(B,)`.

    gaussian    beta KL(N(mean, std^2) || N(mean_ref, std^2)) / D
    log_ratio   beta (log pi(x_next) - log pi_ref(x_next)) / D

    `log_ratio` is ARR's. Its reference has no gradient, so at ratio 1 it is the surrogate with A - beta in place of A:
    it pulls away from what was sampled, wherever the reference is. It is there to reproduce, not to regularise.
    """
    mean_ref = mean_ref.detach()
    if config.kl == "gaussian":
        divergence = sampler.kl(mean, mean_ref, std)
    else:
        divergence = sampler.log_prob(x_next, mean, std) - sampler.log_prob(x_next, mean_ref, std)
    return config.beta * divergence / mean[0].numel()


@dataclass(frozen=True, slots=True)
class StepSums:
    """What the steps trained on looked like, as sums; add them up over steps and processes, then read the means.

    - `n`: candidates' steps seen.
    - `deviations`, `largest`: sum and maximum of |r - 1|, r as the surrogate has it.
    - `clipped`: how many had r outside the clip.
    - `n_kl`, `kls`: how many were held against the reference, and the sum of their KL in nats.
    """

    n: int = 0
    deviations: float = 0.0
    largest: float = 0.0
    clipped: int = 0
    n_kl: int = 0
    kls: float = 0.0

    def __add__(self, other: "StepSums") -> "StepSums":
        return StepSums(
            self.n + other.n,
            self.deviations + other.deviations,
            max(self.largest, other.largest),
            self.clipped + other.clipped,
            self.n_kl + other.n_kl,
            self.kls + other.kls,
        )

    @property
    def ratio_deviation(self) -> float | None:
        """Mean of |r - 1|; None where nothing was trained."""
        return self.deviations / self.n if self.n else None

    @property
    def clip_fraction(self) -> float | None:
        """Share of r outside the clip, from 0 to 1; None where nothing was trained."""
        return self.clipped / self.n if self.n else None

    @property
    def kl(self) -> float | None:
        """Mean KL to the reference of one step in nats; None where it was not evaluated."""
        return self.kls / self.n_kl if self.n_kl else None


@torch.no_grad()
def ratio_sums(
    log_prob: Tensor, old_log_prob: Tensor, elements: int, config: ObjectiveConfig, kl: Tensor | None = None
) -> StepSums:
    """The sums of one step of some candidates, from what `surrogate` is given and their joint KL, each `(B,)`."""
    ratio, clipped = _ratio_and_clipped(log_prob, old_log_prob, elements, config)
    deviation = (ratio - 1).abs()
    return StepSums(
        n=len(deviation),
        deviations=float(deviation.sum()),
        largest=float(deviation.max()),
        clipped=int((ratio != clipped).sum()),
        n_kl=0 if kl is None else len(kl),
        kls=0.0 if kl is None else float(kl.sum()),
    )
