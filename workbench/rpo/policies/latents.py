"""Latents as a transformer reads them, 2 x 2 to a token, and the pictures they stand for."""

import torch
from PIL import Image
from torch import Tensor


def pack(latents: Tensor) -> Tensor:
    """Tokens `(B, H / 2 * W / 2, 4 C)` of latents `(B, C, H, W)`, row by row; a token holds its channels' 2 x 2."""
    batch, channels, height, width = latents.shape
    blocks = latents.reshape(batch, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return blocks.reshape(batch, height // 2 * (width // 2), channels * 4)


def unpack(tokens: Tensor, height: int, width: int) -> Tensor:
    """Latents `(B, C, height, width)` of tokens `(B, height / 2 * width / 2, 4 C)`: the inverse of `pack`."""
    batch, _, channels = tokens.shape
    blocks = tokens.reshape(batch, height // 2, width // 2, channels // 4, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return blocks.reshape(batch, channels // 4, height, width)


def positions(height: int, width: int) -> Tensor:
    """FLUX's ids `(height * width, 3)` of a grid of tokens: 0, row, column."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([torch.zeros_like(rows), rows, columns], dim=-1).reshape(-1, 3).float()


def to_picture(pixels: Tensor) -> Image.Image:
    """The picture of `(3, H, W)` in [-1, 1]. Raises `FloatingPointError` where there is NaN or Inf."""
    if not torch.isfinite(pixels).all():
        bad = int((~torch.isfinite(pixels)).sum())
        raise FloatingPointError(
            f"the VAE ({pixels.dtype}) decoded {bad} of {pixels.numel()} values to NaN or Inf: "
            "look at the latents, or set policy.dtype to float32"
        )
    scaled = ((pixels.float() / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(scaled.permute(1, 2, 0).cpu().numpy())


def to_tensor(picture: Image.Image) -> Tensor:
    """`(3, H, W)` in [-1, 1] of a picture."""
    values = torch.frombuffer(bytearray(picture.convert("RGB").tobytes()), dtype=torch.uint8)
    return values.reshape(picture.height, picture.width, 3).permute(2, 0, 1).float() / 127.5 - 1
