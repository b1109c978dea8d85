"""How many evaluations of the transformer something takes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from workbench.pairs.comparison import Task
from workbench.rpo.policy import Cond, Policy, Prompt


class Counted:
    """A policy that counts its evaluations, each latent of a batch as one.

    - `sampling`: without a gradient. - `graded`: with one. - `reference`: with the adapter off.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._is_reference = False
        self.forwards = {"sampling": 0, "graded": 0, "reference": 0}

    def velocity(self, x_t: Tensor, sigma: float, cond: Cond) -> Tensor:
        kind = "reference" if self._is_reference else "graded" if torch.is_grad_enabled() else "sampling"
        self.forwards[kind] += len(x_t)
        return self._policy.velocity(x_t, sigma, cond)

    @contextmanager
    def reference(self) -> Iterator[None]:
        self._is_reference = True
        try:
            with self._policy.reference():
                yield
        finally:
            self._is_reference = False

    @property
    def task(self) -> Task:
        return self._policy.task

    @property
    def device(self) -> torch.device:
        return self._policy.device

    def encode(self, prompts: Sequence[Prompt]) -> Cond:
        return self._policy.encode(prompts)

    def init_latents(self, cond: Cond, generators: Sequence[torch.Generator]) -> Tensor:
        return self._policy.init_latents(cond, generators)

    def decode(self, x_0: Tensor, cond: Cond) -> list[Image.Image]:
        return self._policy.decode(x_0, cond)

    def trainable(self) -> Mapping[str, torch.nn.Parameter]:
        return self._policy.trainable()

    def export(self, folder: Path) -> None:
        self._policy.export(folder)
