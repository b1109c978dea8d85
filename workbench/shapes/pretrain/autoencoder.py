"""Training an autoencoder on pictures of scenes, whatever its class."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BATCH = 64
WARM_UP = 20
KL_WEIGHT = 3e-4
FOREGROUND = 4.0
"""How much more a pixel of an object weighs than one of the background, less one."""
APART = 40 / 127.5
"""Least distance in colour (sum over channels, of 2 each) of an object's pixel from the background."""

Moments = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Mean and log-variance of the latents of pictures `(B, 3, H, W)` from -1 to 1."""


def fit(
    vae: Any,
    moments: Moments,
    decode: Callable[[Tensor], Tensor],
    pictures: NDArray[np.uint8],
    *,
    steps: int,
    learning_rate: float,
    seed: int,
) -> None:
    """Train on pictures `(N, H, W, 3)`: foreground-weighted error of the reconstruction plus a little KL.

    `learning_rate` is Muon's highest; it rises over 20 steps and falls to nothing over the second half.
    """
    torch.manual_seed(seed)
    optimizers = _Optimizers(vae.train(), steps, learning_rate)
    rng, start, losses = np.random.default_rng(seed), time.monotonic(), []
    for step in range(steps):
        x = to_unit(pictures[rng.integers(len(pictures), size=BATCH)])
        loss = _loss(moments, decode, x.contiguous(memory_format=torch.channels_last))
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizers.step()
        losses.append(loss.item())
        if step % 100 == 99:
            spent = time.monotonic() - start
            print(f"vae step {step + 1}/{steps}: loss {np.mean(losses[-100:]):.4f}, {spent:.0f} s", flush=True)
    vae.eval().requires_grad_(False)


def to_unit(pictures: NDArray[np.uint8]) -> Tensor:
    """Pictures `(N, H, W, 3)` as a tensor `(N, 3, H, W)` from -1 to 1."""
    return (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() - 127.5) / 127.5


def to_array(x: Tensor) -> NDArray[np.uint8]:
    """Pictures `(N, H, W, 3)` of a tensor `(N, 3, H, W)` that is about -1 to 1."""
    pixels: NDArray[np.uint8] = ((x.permute(0, 2, 3, 1) * 127.5 + 127.5).clamp(0, 255) + 0.5).to(torch.uint8).numpy()
    return pixels


def _loss(moments: Moments, decode: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Squared and a little absolute error, objects weighing more, and KL to a standard normal."""
    with torch.autocast("cpu", torch.bfloat16):
        mean, log_variance = moments(x)
        y = decode(mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)).float()
    mean, log_variance = mean.float(), log_variance.float()
    # the corner pixel is always background
    weight = 1 + FOREGROUND * ((x - x[:, :, :1, :1]).abs().sum(1, keepdim=True) > APART)
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
    return (weight * ((y - x).square() + 0.1 * (y - x).abs())).mean() + KL_WEIGHT * kl


class _Optimizers:
    """Muon for the filters between hidden layers, each as a matrix `(out, in * rows * columns)`, AdamW for the rest.

    Of a causal 3D convolution only the last temporal slice meets a single picture, so that is its filter.
    """

    def __init__(self, vae: Any, steps: int, learning_rate: float) -> None:
        self.filters = [each for each in vae.parameters() if each.ndim >= 4 and min(each.shape[:2]) > 3]
        self.matrices = [torch.nn.Parameter(_slice(each.detach()).flatten(1).clone()) for each in self.filters]
        ids = {id(each) for each in self.filters}
        self.others = [each for each in vae.parameters() if id(each) not in ids]
        self.optimizers = [
            torch.optim.AdamW(self.others, lr=learning_rate / 2, betas=(0.9, 0.99), weight_decay=0.0),
            torch.optim.Muon(
                self.matrices, lr=learning_rate, weight_decay=0.0, momentum=0.95, adjust_lr_fn="match_rms_adamw"
            ),
        ]

        def rate(step: int) -> float:
            return min(1.0, (step + 1) / WARM_UP, 2 * (1 - step / steps) + 0.01)

        self.schedules = [torch.optim.lr_scheduler.LambdaLR(each, rate) for each in self.optimizers]

    @torch.no_grad()
    def step(self) -> None:
        """Move all weights by their gradients, which are gone afterwards."""
        for filter_, matrix in zip(self.filters, self.matrices, strict=True):
            matrix.grad = None if filter_.grad is None else _slice(filter_.grad).flatten(1)
        for optimizer in self.optimizers:
            optimizer.step()
        for schedule in self.schedules:
            schedule.step()
        for filter_, matrix in zip(self.filters, self.matrices, strict=True):
            kept = _slice(filter_)
            kept.copy_(matrix.view(kept.shape))
            filter_.grad = None
        for each in self.others:
            each.grad = None


def _slice(filter_: Tensor) -> Tensor:
    return filter_ if filter_.ndim == 4 else filter_[:, :, -1]
