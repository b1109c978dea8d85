"""The flow-matching loop the tiny policies are trained with."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from workbench.shapes.pretrain.flow import FlowSettings, times, train_flow


class TinyFlow(nn.Module):
    """A velocity for one of two clean points, told which by a number that is 0 when dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(6, 32), nn.Linear(32, 32)])
        self.out = nn.Linear(32, 4)

    def forward(self, x_t: Tensor, t: Tensor, told: Tensor) -> Tensor:
        hidden = torch.cat([x_t.flatten(1), t[:, None], told[:, None]], dim=1)
        for block in self.blocks:
            hidden = torch.tanh(block(hidden))
        return self.out(hidden).reshape(x_t.shape)


def points() -> Tensor:
    """64 examples `(64, 2, 2)`: -1 everywhere for the even ones, +1 for the odd."""
    return torch.tensor([-1.0, 1.0]).repeat(32)[:, None, None].expand(64, 2, 2)


def trained(seed: int, steps: int = 150, *, dropout: float = 0.1) -> tuple[TinyFlow, list[float]]:
    torch.manual_seed(0)
    model = TinyFlow()
    told = torch.tensor([-1.0, 1.0]).repeat(32)
    settings = FlowSettings(steps, batch=32, learning_rate=1e-2, prompt_dropout=dropout, warm_up=10, average=0.98)
    losses = train_flow(
        [model],
        lambda x_t, t, index, dropped: model(x_t, t, torch.where(dropped, 0.0, told[index])),
        points(),
        settings,
        seed,
    )
    return model, losses


def sampled(model: TinyFlow, told: float) -> Tensor:
    x = torch.randn(50, 2, 2, generator=torch.Generator().manual_seed(1))
    for i in range(20):
        x = x - model(x, torch.full((50,), 1 - i / 20), torch.full((50,), told)) / 20
    return x


def test_the_loss_falls_and_samples_land_on_the_data_asked_for() -> None:
    torch.set_num_threads(1)
    model, losses = trained(seed=0)
    assert np.mean(losses[-30:]) < 0.5 * np.mean(losses[:10])
    with torch.no_grad():
        assert sampled(model, 1.0).mean() == pytest.approx(1.0, abs=0.25)
        assert sampled(model, -1.0).mean() == pytest.approx(-1.0, abs=0.25)


def test_the_same_seed_gives_the_same_weights_and_another_does_not() -> None:
    torch.set_num_threads(1)
    first, again, other = (trained(seed, 20)[0].out.weight for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_weights_end_up_as_the_running_average() -> None:
    torch.set_num_threads(1)
    seen: list[Tensor] = []
    model = nn.Linear(4, 4)

    def velocity(x_t: Tensor, t: Tensor, index: Tensor, dropped: Tensor) -> Tensor:
        seen.append(model.weight.detach().clone())
        return model(x_t.flatten(1)).reshape(x_t.shape)

    hidden = nn.ModuleDict({"blocks": nn.ModuleList([model])})
    train_flow([hidden], velocity, points(), FlowSettings(3, batch=8, warm_up=1), 0)
    # after steps 1 and 2 the average is kept by 1/10 and 2/11, after step 3 by 3/12
    average = seen[0]
    for weight, kept in zip(seen[1:], (1 / 10, 2 / 11), strict=True):
        average = kept * average + (1 - kept) * weight
    final = model.weight.detach()
    last = (final - 3 / 12 * average) / (1 - 3 / 12)
    assert (last - seen[-1]).norm() < (seen[-1] - seen[0]).norm()
    assert not torch.equal(final, seen[-1])


def test_every_example_comes_once_before_any_comes_again_and_the_share_dropped_is_the_one_asked_for() -> None:
    torch.set_num_threads(1)
    indices: list[Tensor] = []
    drops: list[Tensor] = []
    scale = nn.Linear(1, 1)

    def velocity(x_t: Tensor, t: Tensor, index: Tensor, dropped: Tensor) -> Tensor:
        indices.append(index)
        drops.append(dropped)
        return scale(x_t[..., None])[..., 0]

    layers = nn.ModuleDict({"layers": nn.ModuleList([scale])})
    train_flow([layers], velocity, points(), FlowSettings(80, batch=16, prompt_dropout=0.25, warm_up=1), 0)
    for epoch in range(20):
        assert sorted(torch.cat(indices[4 * epoch : 4 * epoch + 4]).tolist()) == list(range(64))
    assert torch.cat(drops).float().mean() == pytest.approx(0.25, abs=0.04)


def test_times_are_moved_towards_noise_as_the_scheduler_moves_its_steps() -> None:
    plain = times(20_000, 1.0, torch.Generator().manual_seed(0))
    shifted = times(20_000, 3.0, torch.Generator().manual_seed(0))
    assert plain.median() == pytest.approx(0.5, abs=0.01)
    # u = 1/2 becomes 3 (1/2) / (1 + 2 (1/2)) = 3/4
    assert shifted.median() == pytest.approx(0.75, abs=0.01)
    assert 0 < shifted.min() < shifted.max() < 1
