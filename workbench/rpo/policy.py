"""What a generator must offer to be trained: one protocol, in packed latents, with its own ways hidden behind it.

Everything about noise is in `sampler`; guidance, packing, position ids and source tokens are inside `velocity`.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from workbench.pairs.comparison import ImageSource, Task


@dataclass(frozen=True, slots=True)
class Prompt:
    """What to generate: a text, and for edits the image it is about; `id` names it in logs."""

    id: str
    text: str
    source: ImageSource | None = None


@dataclass(frozen=True, slots=True)
class Cond:
    """What a policy was told, as tensors it made itself; all of one picture size.

    - `tensors`: every one with the batch first, `(B, ...)`.
    - `height`, `width`: pixels of the pictures, and of the sources of edits.
    """

    tensors: Mapping[str, Tensor] = field(repr=False)
    height: int
    width: int

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    @property
    def size(self) -> tuple[int, int]:
        """What must be equal for two to be put together."""
        return self.height, self.width

    def select(self, indices: Sequence[int]) -> "Cond":
        """Some of the batch, in that order, with repetitions."""
        return replace(self, tensors={name: each[list(indices)] for name, each in self.tensors.items()})

    def to(self, device: torch.device | str) -> "Cond":
        """The same on another device."""
        return replace(self, tensors={name: each.to(device) for name, each in self.tensors.items()})


class Policy(Protocol):
    """A flow-matching generator with an adapter: x_t = (1 - t) x_0 + t eps, velocity v = eps - x_0, t from 1 to 0."""

    @property
    def task(self) -> Task:
        """Whether it draws or edits."""

    @property
    def device(self) -> torch.device:
        """Where its tensors are."""

    def encode(self, prompts: Sequence[Prompt]) -> Cond:
        """The texts (and sources) as the transformer reads them; raises `ValueError` for sources of several sizes."""

    def init_latents(self, cond: Cond, generators: Sequence[torch.Generator]) -> Tensor:
        """Noise `(B, S, C)` in float32, sample b from `generators[b]` (on the CPU) alone."""

    def velocity(self, x_t: Tensor, sigma: float, cond: Cond) -> Tensor:
        """v `(B, S, C)` in float32 of latents `(B, S, C)`, as the conditioning time `sigma` in (0, 1] has it."""

    def decode(self, x_0: Tensor, cond: Cond) -> list[Image.Image]:
        """Pictures of clean latents `(B, S, C)`, never in tiles: their seams would be judged."""

    def trainable(self) -> Mapping[str, torch.nn.Parameter]:
        """The adapter's parameters, float32, by name."""

    def reference(self) -> AbstractContextManager[None]:
        """Within it the adapter is off."""

    def export(self, folder: Path) -> None:
        """Write the adapter so that the pipeline's `load_lora_weights(folder)` loads it, alpha included."""
