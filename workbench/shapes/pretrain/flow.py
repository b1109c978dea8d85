"""Flow matching for the tiny policies: learn the velocity v = eps - x_0 of x_t = (1 - t) x_0 + t eps."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Velocity = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""Velocity `(B, S, C)` of latents `x_t (B, S, C)` at times `t (B,)` for the examples `index (B,)`.

Where `dropped (B,)` is true, the example's prompt is to be taken for the empty one.
"""

_HIDDEN_MATRIX = re.compile(r"(?:blocks?|layers)\.\d+\.(?!.*(?:norm|_mod\.|relative))")


@dataclass(frozen=True, slots=True)
class FlowSettings:
    """How long and how to train.

    - `shift`: times are logit-normal u, moved to shift u / (1 + (shift - 1) u) as FLUX's scheduler moves its steps.
    - `prompt_dropout`: share of examples seen without their prompt, so that guidance works.
    """

    steps: int
    batch: int = 128
    learning_rate: float = 2e-3
    shift: float = 3.0
    prompt_dropout: float = 0.08
    warm_up: int = 80
    average: float = 0.998


def train_flow(
    modules: Sequence[nn.Module], velocity: Velocity, latents: Tensor, settings: FlowSettings, seed: int
) -> list[float]:
    """Train the modules on clean latents `(N, S, C)`; they end up with the running average of their weights.

    Loss: the mean of |velocity - (eps - x_0)|^2. Returns it at every step. Muon for the matrices of hidden layers,
    AdamW for the rest; the learning rate rises over `warm_up` steps and falls to nothing over the second half.
    """
    parameters = [each for module in modules for each in module.parameters() if each.requires_grad]
    averages = [each.detach().clone() for each in parameters]
    optimizers = _optimizers(modules, settings)
    generator = torch.Generator().manual_seed(seed)
    order, start = _epochs(len(latents), settings.batch, generator), time.monotonic()
    losses: list[float] = []
    for step in range(settings.steps):
        _set_rate(optimizers, _rate(step, settings))
        loss = _loss(velocity, latents, next(order), settings, generator)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        kept = min(settings.average, (step + 1) / (step + 10))
        torch._foreach_lerp_(averages, [each.detach() for each in parameters], 1 - kept)
        losses.append(float(loss.detach()))
        if step % 100 == 99 or step == settings.steps - 1:
            recent = losses[-100:]
            spent = time.monotonic() - start
            print(
                f"flow step {step + 1}/{settings.steps}: loss {sum(recent) / len(recent):.4f}, {spent:.0f} s",
                flush=True,
            )
    with torch.no_grad():
        for parameter, average in zip(parameters, averages, strict=True):
            parameter.copy_(average)
    return losses


def times(n: int, shift: float, generator: torch.Generator) -> Tensor:
    """`n` random times in (0, 1), 1 being noise: logit-normal, shifted towards noise."""
    u = torch.sigmoid(torch.randn(n, generator=generator))
    return shift * u / (1 + (shift - 1) * u)


def _loss(
    velocity: Velocity, latents: Tensor, index: Tensor, settings: FlowSettings, generator: torch.Generator
) -> Tensor:
    x_0 = latents[index]  # (B, S, C)
    t = times(len(index), settings.shift, generator)
    eps = torch.randn(x_0.shape, generator=generator)
    dropped = torch.rand(len(index), generator=generator) < settings.prompt_dropout
    x_t = torch.lerp(x_0, eps, t[:, None, None])
    with torch.autocast("cpu", torch.bfloat16):
        v = velocity(x_t, t, index, dropped)
    return (v.float() - (eps - x_0)).square().mean()


def _epochs(n: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Batches of indices without end; each passes over all examples before any comes again."""
    while True:
        order = torch.randperm(n, generator=generator)
        yield from (order[i : i + batch] for i in range(0, n - batch + 1, batch))


def _optimizers(modules: Sequence[nn.Module], settings: FlowSettings) -> list[torch.optim.Optimizer]:
    named = [(name, each) for module in modules for name, each in module.named_parameters() if each.requires_grad]
    hidden = [each for name, each in named if each.ndim == 2 and _HIDDEN_MATRIX.search(name)]
    others = [each for name, each in named if not (each.ndim == 2 and _HIDDEN_MATRIX.search(name))]
    rate = settings.learning_rate
    return [
        torch.optim.AdamW(others, lr=rate / 2, betas=(0.9, 0.98), weight_decay=0.01),
        torch.optim.Muon(hidden, lr=rate, weight_decay=0.01, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
    ]


def _rate(step: int, settings: FlowSettings) -> float:
    """The learning rate as a share of its highest."""
    left = 1 - step / settings.steps
    return max(min(1.0, (step + 1) / settings.warm_up, 2 * left), 0.01)


def _set_rate(optimizers: Sequence[torch.optim.Optimizer], rate: float) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group.setdefault("highest", group["lr"])
            group["lr"] = group["highest"] * rate
