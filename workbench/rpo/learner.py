"""The adapter as an optimizer sees it: one flat gradient in, one step of AdamW, and an average of where it has been."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from workbench.rpo.config import OptimizerConfig
from workbench.rpo.finite import all_finite


class Learner:
    """Parameters, AdamW, and with `ema` their average: ema <- decay ema + (1 - decay) parameter, once a step."""

    def __init__(self, parameters: Mapping[str, torch.nn.Parameter], config: OptimizerConfig) -> None:
        self.parameters = dict(parameters)
        self.config = config
        self._sizes = [each.numel() for each in self.parameters.values()]
        self._optimizer = torch.optim.AdamW(
            self.parameters.values(), lr=config.lr, betas=config.betas, weight_decay=config.weight_decay
        )
        self.average = {name: each.detach().clone() for name, each in self.parameters.items()} if config.ema else {}

    def take_gradient(self) -> Tensor:
        """What `.grad` has gathered, flat and in order, zero where there is none; `.grad` is empty afterwards."""
        parts = [
            torch.zeros_like(each).flatten() if each.grad is None else each.grad.flatten()
            for each in self.parameters.values()
        ]
        self._optimizer.zero_grad()
        return torch.cat(parts)

    def step(self, gradient: Tensor, update: int) -> tuple[float, float]:
        """Clip the flat gradient and step, as the `update`-th; returns its norm before clipping, and the learning rate.

        Raises `NotFiniteError` where the gradient is not finite, or what came of the step.
        """
        parts = dict(zip(self.parameters, torch.split(gradient, self._sizes), strict=True))
        all_finite(parts, "gradient of", update=update)
        norm = float(gradient.norm())
        gradient.mul_(min(1.0, self.config.max_grad_norm / (norm + 1e-6)))
        for name, parameter in self.parameters.items():
            parameter.grad = parts[name].view_as(parameter)
        lr = self.config.lr * min(1.0, update / max(1, self.config.warmup))
        self._optimizer.param_groups[0]["lr"] = lr
        self._optimizer.step()
        self._optimizer.zero_grad()
        now = {name: each.detach() for name, each in self.parameters.items()}
        all_finite(now, "adapter's", update=update)
        for name, average in self.average.items():
            average.lerp_(now[name], 1 - self.config.ema)
        return norm, lr

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within it the adapter is its average, where one is kept."""
        own = {name: self.parameters[name].detach().clone() for name in self.average}
        self._set(self.average)
        try:
            yield
        finally:
            self._set(own)

    def state(self) -> dict[str, Any]:
        """All that decides how training goes on, as copies."""
        optimizer = self._optimizer.state_dict()
        return {
            "adapter": {name: each.detach().clone() for name, each in self.parameters.items()},
            "average": {name: each.clone() for name, each in self.average.items()},
            "optimizer": {
                **optimizer,
                "state": {i: {key: value.clone() for key, value in s.items()} for i, s in optimizer["state"].items()},
            },
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._set(state["adapter"])
        self._optimizer.load_state_dict(state["optimizer"])
        for name, value in state["average"].items():
            self.average[name].copy_(value)

    @torch.no_grad()
    def _set(self, values: Mapping[str, Tensor]) -> None:
        for name, value in values.items():
            self.parameters[name].copy_(value)
