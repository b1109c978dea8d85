"""Single pictures through an autoencoder of videos, without the work it does for time."""

from functools import partial
from typing import Any

from diffusers.models.autoencoders.autoencoder_kl_qwenimage import QwenImageCausalConv3d
from torch import Tensor
from torch.nn import functional


def take_one_frame(vae: Any) -> None:
    """Let the VAE's causal 3D convolutions be 2D where they are shown one frame: the same pictures, some times as fast.

    Of a single frame all temporal slices of a filter but the last meet nothing but padding.
    """
    for module in vae.modules():
        if isinstance(module, QwenImageCausalConv3d) and module.stride == (1, 1, 1):
            module.forward = partial(_forward, module, module.forward)  # type: ignore[method-assign]


def _forward(module: Any, of_video: Any, x: Tensor, cache_x: Tensor | None = None) -> Tensor:
    if cache_x is not None or x.shape[2] > 1:
        frames: Tensor = of_video(x, cache_x)
        return frames
    left, _, top, *_ = module._padding
    frame = functional.conv2d(x[:, :, 0], module.weight[:, :, -1], module.bias, padding=(top, left))
    return frame[:, :, None]
