"""The tiny variational autoencoder: pictures of 64 x 64 pixels as latents of 8 channels at an eighth of the width."""

import time
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from PIL.Image import fromarray
from torch import Tensor

from workbench.evaluation.statistics import Estimate, proportion
from workbench.shapes.pretrain.accuracy import right
from workbench.shapes.pretrain.scenes import picture, t2i_scenes

BATCH = 64
LEARNING_RATE = 5e-3
WARM_UP = 20
KL_WEIGHT = 3e-4
FOREGROUND = 4.0
"""How much more a pixel of an object weighs than one of the background, less one."""
APART = 40
"""Least distance in colour (sum over channels, of 255) of an object's pixel from the background."""


def build_vae() -> Any:
    """An untrained AutoencoderKL of FLUX's kind, without attention."""
    build: Any = AutoencoderKL
    return build(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 16, 32, 64),
        layers_per_block=1,
        latent_channels=8,
        norm_num_groups=1,  # with a group for every few channels the norm takes the background's colour away
        sample_size=64,
        mid_block_add_attention=False,
        use_quant_conv=False,
        use_post_quant_conv=False,
        scaling_factor=1.0,
        shift_factor=0.0,
    )


def train_vae(pictures: NDArray[np.uint8], steps: int, seed: int) -> Any:
    """Train on pictures `(N, 64, 64, 3)`: foreground-weighted error of the reconstruction plus a little KL.

    The returned model's `shift_factor` and `scaling_factor` give `(z - shift) * scale` zero mean and unit variance.
    """
    torch.manual_seed(seed)
    vae = build_vae().train()
    optimizers, schedules = _optimizers(vae, steps)
    rng, start = np.random.default_rng(seed), time.monotonic()
    for step in range(steps):
        loss, error = _loss(vae, pictures[rng.integers(len(pictures), size=BATCH)])
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        for each in (*optimizers, *schedules):
            each.step()
        vae.zero_grad(set_to_none=False)
        if step % 100 == 99:
            spent = time.monotonic() - start
            print(
                f"vae step {step + 1}/{steps}: loss {loss.item():.4f}, mse {error.item():.5f}, {spent:.0f} s",
                flush=True,
            )
    vae.eval().requires_grad_(False)
    z = encode(vae, pictures[:2048])
    vae.register_to_config(shift_factor=float(z.mean()), scaling_factor=1 / float(z.std()))
    return vae


def encode(vae: Any, pictures: NDArray[np.uint8]) -> Tensor:
    """The latents `(N, 8, 8, 8)` of pictures, of about zero mean and unit variance: `(z - shift) * scale`."""
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        z = torch.cat([vae.encode(to_unit(part)).latent_dist.mean.float() for part in _batches(pictures)])
    normal: Tensor = (z - vae.config.shift_factor) * vae.config.scaling_factor
    return normal


def decode(vae: Any, latents: Tensor) -> NDArray[np.uint8]:
    """Pictures `(N, 64, 64, 3)` of latents such as `encode` gives."""
    z = latents / vae.config.scaling_factor + vae.config.shift_factor
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        x = torch.cat([vae.decode(part).sample.float() for part in z.split(128)])
    pixels: NDArray[np.uint8] = ((x.permute(0, 2, 3, 1) * 127.5 + 127.5).clamp(0, 255) + 0.5).to(torch.uint8).numpy()
    return pixels


def to_unit(pictures: NDArray[np.uint8]) -> Tensor:
    """Pictures `(N, 64, 64, 3)` as a tensor `(N, 3, 64, 64)` from -1 to 1."""
    return (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() - 127.5) / 127.5


def _optimizers(vae: Any, steps: int) -> tuple[list[Any], list[Any]]:
    """Muon for the filters between hidden layers, each seen as a matrix `(out, in * 9)`, AdamW for the rest.

    The matrices share weights and gradients with the filters, so gradients are to be zeroed in place.
    """
    filters = [each for each in vae.parameters() if each.ndim == 4 and min(each.shape[:2]) > 3]
    matrices = []
    for each in filters:
        matrix = torch.nn.Parameter(each.detach().view(len(each), -1))
        matrix.grad = torch.zeros_like(matrix)
        each.grad = matrix.grad.view_as(each)
        matrices.append(matrix)
    ids = {id(each) for each in filters}
    others = [each for each in vae.parameters() if id(each) not in ids]
    optimizers = [
        torch.optim.AdamW(others, lr=LEARNING_RATE / 2, betas=(0.9, 0.99), weight_decay=0.0),
        torch.optim.Muon(matrices, lr=LEARNING_RATE, weight_decay=0.0, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
    ]

    def rate(step: int) -> float:
        return min(1.0, (step + 1) / WARM_UP, 2 * (1 - step / steps) + 0.01)

    return optimizers, [torch.optim.lr_scheduler.LambdaLR(each, rate) for each in optimizers]


def _loss(vae: Any, pictures: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    """Weighted reconstruction error plus KL to a standard normal, and the plain mean squared error."""
    x, weight = to_unit(pictures), torch.from_numpy(_weights(pictures))
    with torch.autocast("cpu", torch.bfloat16):
        posterior = vae.encode(x).latent_dist
        mean, log_variance = posterior.mean, posterior.logvar
        y = vae.decode(mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)).sample
    difference = y.float() - x
    kl = 0.5 * (mean.float().square() + log_variance.float().exp() - 1 - log_variance.float()).mean()
    error = difference.square()
    return (weight * (error + 0.1 * difference.abs())).mean() + KL_WEIGHT * kl, error.detach().mean()


def _weights(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """1 on the background and more on objects, `(N, 1, 64, 64)`; the corner pixel is always background."""
    apart = np.abs(pictures.astype(np.int16) - pictures[:, :1, :1].astype(np.int16)).sum(axis=-1) > APART
    weights: NDArray[np.float32] = (1 + FOREGROUND * apart.astype(np.float32))[:, None]
    return weights


def _batches(pictures: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    return [pictures[i : i + 128] for i in range(0, len(pictures), 128)]


def reconstructed(vae: Any, n: int, seed: int) -> Estimate:
    """The share of `n` pictures of dev prompts that are still measured fully right after `encode` and `decode`."""
    scenes = t2i_scenes(n, seed, "dev")
    pictures = decode(vae, encode(vae, np.stack([picture(each.scene) for each in scenes])))
    met = [all(right(each.prompt, fromarray(pixels)).values()) for each, pixels in zip(scenes, pictures, strict=True)]
    return proportion(met, [each.prompt for each in scenes])
