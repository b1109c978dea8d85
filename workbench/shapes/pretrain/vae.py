"""The tiny variational autoencoder: pictures of 64 x 64 pixels as latents of 8 channels at an eighth of the width."""

from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from PIL.Image import fromarray
from torch import Tensor

from workbench.evaluation.statistics import Estimate, proportion
from workbench.shapes.pretrain.accuracy import right
from workbench.shapes.pretrain.autoencoder import fit, to_array, to_unit
from workbench.shapes.small_world import picture, t2i_scenes


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
    """Train on pictures `(N, 64, 64, 3)`, see `autoencoder.fit`.

    The returned model's `shift_factor` and `scaling_factor` give `(z - shift) * scale` zero mean and unit variance.
    """
    torch.manual_seed(seed)
    vae = build_vae()

    def moments(x: Tensor) -> tuple[Tensor, Tensor]:
        posterior = vae.encode(x).latent_dist
        return posterior.mean, posterior.logvar

    fit(vae, moments, lambda z: vae.decode(z).sample, pictures, steps=steps, learning_rate=5e-3, seed=seed)
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
    return to_array(x)


def _batches(pictures: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    return [pictures[i : i + 128] for i in range(0, len(pictures), 128)]


def reconstructed(vae: Any, n: int, seed: int) -> Estimate:
    """The share of `n` pictures of dev prompts that are still measured fully right after `encode` and `decode`."""
    scenes = t2i_scenes(n, seed, "dev")
    pictures = decode(vae, encode(vae, np.stack([picture(each.scene) for each in scenes])))
    met = [all(right(each.prompt, fromarray(pixels)).values()) for each, pixels in zip(scenes, pictures, strict=True)]
    return proportion(met, [each.prompt for each in scenes])
