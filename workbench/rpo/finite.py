"""Stopping at the first NaN or infinity, where it can still be said which tensor it came up in."""

from collections.abc import Mapping

import torch
from torch import Tensor


class NotFiniteError(ArithmeticError):
    """A number that training rests on is NaN or infinite; the adapter is as the last whole update left it."""


def finite(tensor: Tensor, name: str, *, update: int, step: int | None = None, sigma: float | None = None) -> Tensor:
    """`tensor` itself. Raises `NotFiniteError` where an element is not finite, saying where that came up."""
    if bool(tensor.isfinite().all()):
        return tensor
    bad = int(tensor.numel() - tensor.isfinite().sum())
    where = f"update {update}" + ("" if step is None else f", step {step} (sigma {sigma:.4g})")
    raise NotFiniteError(
        f"{where}: {name} ({tensor.dtype}) is not finite in {bad} of {tensor.numel()} elements; nothing was trained on "
        "it: lower optimizer.lr, or set policy.dtype to float32 to see whether half precision is too narrow"
    )


def all_finite(
    tensors: Mapping[str, Tensor], what: str, *, update: int, step: int | None = None, sigma: float | None = None
) -> None:
    """Raises `NotFiniteError` for the first of many tensors that is not finite: `what` and its name."""
    if not torch.nn.utils.get_total_norm(tensors.values()).isfinite():
        for name, tensor in tensors.items():
            finite(tensor, f"{what} {name}", update=update, step=step, sigma=sigma)
