"""The tiny AutoencoderKLQwenImage: pictures of 64 x 64 pixels as 16 packed tokens of 32 channels.

Qwen-Image's autoencoder is one of videos; what it does for time is left out, see `take_one_frame`.
"""

from functools import partial
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLQwenImage
from diffusers.models.autoencoders.autoencoder_kl_qwenimage import QwenImageCausalConv3d
from numpy.typing import NDArray
from torch import Tensor

from workbench.rpo.policies.latents import pack, unpack
from workbench.rpo.policies.one_frame import take_one_frame
from workbench.shapes.pretrain.autoencoder import fit, to_array, to_unit

CHANNELS = 8
SIDES = (8, 8)
"""Rows and columns of latents."""


def build_vae() -> Any:
    """An untrained AutoencoderKLQwenImage without temporal downsampling, its unused temporal slices zero."""
    build: Any = AutoencoderKLQwenImage
    vae = build(
        base_dim=8,
        z_dim=CHANNELS,
        dim_mult=[1, 3, 6, 8],
        num_res_blocks=1,
        temperal_downsample=[False, False, False],
        latents_mean=[0.0] * CHANNELS,
        latents_std=[1.0] * CHANNELS,
    )
    with torch.no_grad():
        for module in vae.modules():
            if isinstance(module, QwenImageCausalConv3d):
                module.weight.zero_()
                _preserve_variance(module.weight[:, :, -1])
            elif isinstance(module, torch.nn.Conv2d):
                _preserve_variance(module.weight)
        # latents that start as noise of unit variance are hardly learnt from: begin with little of it
        vae.quant_conv.bias[CHANNELS:] = -5.0
    take_one_frame(vae)
    return vae


def _preserve_variance(weight: Tensor) -> None:
    """Start a convolution so that what leaves it varies as what enters; torch's own start fades with depth."""
    torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)


def moments(vae: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log-variance `(B, 8, 8, 8)` of the latents of pictures `(B, 3, 64, 64)` from -1 to 1."""
    mean, log_variance = vae.quant_conv(vae.encoder(x[:, :, None]))[:, :, 0].chunk(2, dim=1)
    return mean, log_variance.clamp(-30, 20)


def reconstruct(vae: Any, z: Tensor) -> Tensor:
    """Pictures `(B, 3, 64, 64)`, about -1 to 1, of latents `(B, 8, 8, 8)`.

    The VAE's own `decode` cuts off what is beyond, and with it the gradient.
    """
    x: Tensor = vae.decoder(vae.post_quant_conv(z[:, :, None]))[:, :, 0]
    return x


def train_vae(pictures: NDArray[np.uint8], steps: int, seed: int) -> Any:
    """Train on pictures `(N, 64, 64, 3)`, see `autoencoder.fit`.

    The returned model's `latents_mean` and `latents_std` are those of the pictures' latents, channel by channel.
    """
    torch.manual_seed(seed)
    vae = build_vae()
    for module in vae.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
    fit(vae, partial(moments, vae), partial(reconstruct, vae), pictures, steps=steps, learning_rate=2.5e-3, seed=seed)
    mean = _means(vae, pictures[:2048])
    vae.register_to_config(
        latents_mean=mean.mean((0, 2, 3)).tolist(),
        latents_std=mean.std((0, 2, 3)).tolist(),
    )
    return vae


def encode(vae: Any, pictures: NDArray[np.uint8]) -> Tensor:
    """The normalised and packed latents `(N, 16, 32)` of pictures `(N, 64, 64, 3)`, as the pipeline makes them."""
    mean, std = _statistics(vae)
    return pack((_means(vae, pictures) - mean) / std)


def decode(vae: Any, latents: Tensor) -> NDArray[np.uint8]:
    """Pictures `(N, 64, 64, 3)` of normalised and packed latents `(N, 16, 32)`."""
    mean, std = _statistics(vae)
    with torch.no_grad():
        x = torch.cat([reconstruct(vae, part) for part in torch.split(unpack(latents, *SIDES) * std + mean, 64)])
    return to_array(x)


def _means(vae: Any, pictures: NDArray[np.uint8]) -> Tensor:
    with torch.no_grad():
        parts = [
            moments(vae, to_unit(pictures[i : i + 64]).contiguous(memory_format=torch.channels_last))[0]
            for i in range(0, len(pictures), 64)
        ]
    return torch.cat(parts).contiguous()


def _statistics(vae: Any) -> tuple[Tensor, Tensor]:
    return (
        torch.tensor(vae.config.latents_mean).view(-1, 1, 1),
        torch.tensor(vae.config.latents_std).view(-1, 1, 1),
    )
