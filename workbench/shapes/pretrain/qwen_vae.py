"""The tiny AutoencoderKLQwenImage: pictures of 64 x 64 pixels as 16 packed tokens of 32 channels.

Qwen-Image's autoencoder is one of videos. Of a single picture its causal 3D convolutions see nothing but zeros before
the last temporal slice, so that `Frames` computes them as the 2D convolutions they are: the same numbers, five times
as fast on a CPU.
"""

from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLQwenImage
from diffusers.models.autoencoders.autoencoder_kl_qwenimage import QwenImageCausalConv3d, QwenImageResidualBlock
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from workbench.rpo.policies.latents import pack, unpack
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
    return vae


def _preserve_variance(weight: Tensor) -> None:
    """Start a convolution so that what leaves it varies as what enters; torch's own start fades with depth."""
    torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)


class Frames:
    """Moments and reconstructions of single pictures by an AutoencoderKLQwenImage, without its time axis."""

    def __init__(self, vae: Any) -> None:
        self.vae = vae

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance `(B, 8, 8, 8)` of the latents of pictures `(B, 3, 64, 64)` from -1 to 1."""
        h = _conv(self.vae.encoder.conv_in, x)
        for block in self.vae.encoder.down_blocks:
            h = _level(block, h)
        h = _middle(self.vae.encoder.mid_block, h)
        h = _conv(self.vae.encoder.conv_out, functional.silu(_norm(self.vae.encoder.norm_out, h)))
        mean, log_variance = _conv(self.vae.quant_conv, h).chunk(2, dim=1)
        return mean, log_variance.clamp(-30, 20)

    def decode(self, z: Tensor) -> Tensor:
        """Pictures `(B, 3, 64, 64)`, about -1 to 1, of latents `(B, 8, 8, 8)`."""
        decoder = self.vae.decoder
        h = _middle(decoder.mid_block, _conv(decoder.conv_in, _conv(self.vae.post_quant_conv, z)))
        for block in decoder.up_blocks:
            for resnet in block.resnets:
                h = _resnet(resnet, h)
            for upsampler in block.upsamplers or ():
                h = upsampler.resample(h)
        return _conv(decoder.conv_out, functional.silu(_norm(decoder.norm_out, h)))


def _level(block: Any, h: Tensor) -> Tensor:
    if isinstance(block, QwenImageResidualBlock):
        return _resnet(block, h)
    smaller: Tensor = block.resample(h)
    return smaller


def _middle(block: Any, h: Tensor) -> Tensor:
    h = _resnet(block.resnets[0], h)
    for attention, resnet in zip(block.attentions, block.resnets[1:], strict=True):
        h = _resnet(resnet, attention(h.unsqueeze(2)).squeeze(2))
    return h


def _resnet(block: Any, x: Tensor) -> Tensor:
    h = _conv(block.conv1, functional.silu(_norm(block.norm1, x)))
    h = _conv(block.conv2, functional.silu(_norm(block.norm2, h)))
    shortcut = block.conv_shortcut
    return h + (_conv(shortcut, x) if isinstance(shortcut, QwenImageCausalConv3d) else x)


def _conv(module: Any, x: Tensor) -> Tensor:
    left, _, top, *_ = module._padding
    return functional.conv2d(x, module.weight[:, :, -1], module.bias, padding=(top, left))


def _norm(module: Any, x: Tensor) -> Tensor:
    gamma = module.gamma.flatten().to(x.dtype)
    return functional.rms_norm(x.movedim(1, -1), gamma.shape, gamma, 1e-12).movedim(-1, 1)


def train_vae(pictures: NDArray[np.uint8], steps: int, seed: int) -> Any:
    """Train on pictures `(N, 64, 64, 3)`, see `autoencoder.fit`.

    The returned model's `latents_mean` and `latents_std` are those of the pictures' latents, channel by channel.
    """
    torch.manual_seed(seed)
    vae = build_vae()
    for module in vae.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
    frames = Frames(vae)
    fit(vae, frames.moments, frames.decode, pictures, steps=steps, learning_rate=2.5e-3, seed=seed)
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
        x = torch.cat([Frames(vae).decode(part) for part in torch.split(unpack(latents, *SIDES) * std + mean, 64)])
    return to_array(x)


def _means(vae: Any, pictures: NDArray[np.uint8]) -> Tensor:
    with torch.no_grad():
        parts = [
            Frames(vae).moments(to_unit(pictures[i : i + 64]).contiguous(memory_format=torch.channels_last))[0]
            for i in range(0, len(pictures), 64)
        ]
    return torch.cat(parts).contiguous()


def _statistics(vae: Any) -> tuple[Tensor, Tensor]:
    return (
        torch.tensor(vae.config.latents_mean).view(-1, 1, 1),
        torch.tensor(vae.config.latents_std).view(-1, 1, 1),
    )
