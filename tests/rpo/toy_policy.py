"""A policy whose exact velocity is known: normal data in a few dimensions, with an adapter that starts as nothing."""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from workbench.judges.verdict import Verdict
from workbench.pairs.comparison import Comparison, Task
from workbench.rpo.policy import Cond, Prompt

SPREAD = 0.5
"""Standard deviation of the data."""

RANGE = 4.0
"""A picture shows latents from -RANGE to RANGE, from black to white."""


class ToyPolicy:
    """x_0 ~ N(m(prompt), SPREAD^2) in `tokens` x `channels` elements; the adapter adds `B tanh(A [x, t])` to v."""

    task: Task = "t2i"
    device = torch.device("cpu")

    def __init__(
        self, tokens: int = 1, channels: int = 2, *, dtype: torch.dtype = torch.float32, seed: int = 0, width: int = 4
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.shape, self.dtype = (tokens, channels), dtype
        a = torch.randn(width, channels + 2, generator=generator, dtype=torch.float64)
        self._parameters = {
            "A": torch.nn.Parameter(a.to(dtype)),
            "B": torch.nn.Parameter(torch.zeros(channels, width, dtype=dtype)),
        }
        self._is_adapted = True
        self.poison = lambda x_t, v: v
        """What becomes of a velocity: tests make it NaN."""

    def encode(self, prompts: Sequence[Prompt]) -> Cond:
        means = [[(sum(prompt.text.encode()) % 7 - 3) / 10] for prompt in prompts]
        return Cond({"mean": torch.tensor(means, dtype=self.dtype)}, height=8, width=8)

    def init_latents(self, cond: Cond, generators: Sequence[torch.Generator]) -> Tensor:
        assert len(cond) == len(generators)
        return torch.stack([torch.randn(self.shape, generator=each) for each in generators]).to(self.dtype)

    def velocity(self, x_t: Tensor, sigma: float, cond: Cond) -> Tensor:
        assert len(x_t) == len(cond)
        mean, t = cond.tensors["mean"][:, None], sigma  # (B, 1, 1)
        gain = SPREAD**2 * (1 - t) / (SPREAD**2 * (1 - t) ** 2 + t**2)
        x_0 = mean + gain * (x_t - (1 - t) * mean)
        v = (x_t - x_0) / t
        if self._is_adapted:
            told = torch.full_like(x_t[..., :1], t), torch.ones_like(x_t[..., :1])
            v = v + torch.tanh(torch.cat([x_t, *told], -1) @ self._parameters["A"].T) @ self._parameters["B"].T
        return self.poison(x_t, v)

    def decode(self, x_0: Tensor, cond: Cond) -> list[Image.Image]:
        shown = ((x_0.mean((1,)) / RANGE + 1) * 127.5).clamp(0, 255).round().byte()[:, [0, 1, 1]]
        return [Image.new("RGB", (8, 8), tuple(each.tolist())) for each in shown]

    def trainable(self) -> Mapping[str, torch.nn.Parameter]:
        return self._parameters

    @contextmanager
    def reference(self) -> Iterator[None]:
        self._is_adapted = False
        try:
            yield
        finally:
            self._is_adapted = True

    def export(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: each.detach().clone() for name, each in self._parameters.items()}, folder / "toy.safetensors")


def perturbed(policy: ToyPolicy, scale: float = 0.3, seed: int = 1) -> ToyPolicy:
    """The policy with an adapter that does something."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.trainable().values():
            parameter += scale * torch.randn(parameter.shape, generator=generator).to(parameter)
    return policy


class RedJudge:
    """Prefers the picture with more red, which is the first channel of the toy's latents."""

    name = "red"

    def __init__(self, sign: float = 1.0) -> None:
        self.sign = sign
        self.asked: list[str] = []

    def identity(self) -> dict[str, Any]:
        return {"judge": self.name, "sign": self.sign}

    async def compare(self, comparison: Comparison, order: Sequence[int], sample: int = 0) -> Verdict:
        self.asked.append(comparison.id)
        reds = [self.sign * _red(image) for image in comparison.images]
        return Verdict(ranks=tuple(1 + sum(other > red for other in reds) for red in reds))


def _red(image: Any) -> float:
    return float(np.asarray(Image.open(io.BytesIO(image)))[..., 0].mean())


PROMPTS = tuple(Prompt(id=f"p{i}", text=text) for i, text in enumerate(("one", "two", "three", "four", "five")))
