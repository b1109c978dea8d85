"""Random numbers that depend on what they are for and on nothing else, so that a resumed run draws the same ones."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import torch
from torch import Tensor

from workbench.rpo.config import RpoConfig
from workbench.rpo.policy import Prompt


def generator(*purpose: int | str) -> torch.Generator:
    """A generator on the CPU seeded by the hash of what it is for, such as `(seed, "update", 12, "plan")`."""
    digest = hashlib.blake2b("/".join(map(str, purpose)).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big"))


def position(seed: int, draw: int, n: int) -> int:
    """Which of `n` prompts is drawn `draw`-th: all of them once, in another order in every epoch.

    >>> sorted(position(0, draw, 3) for draw in range(3, 6))
    [0, 1, 2]
    """
    epoch, place = divmod(draw, n)
    return _order(seed, epoch, n)[place]


def prompts_of_update(config: RpoConfig, prompts: Sequence[Prompt], update: int) -> list[Prompt]:
    """The prompts of an update's groups, over all processes."""
    first = (update - 1) * config.groups
    return [prompts[position(config.seed, first + group, len(prompts))] for group in range(config.groups)]


def fixed_prompts(config: RpoConfig, prompts: Sequence[Prompt]) -> list[Prompt]:
    """The `config.evaluated` prompts that are looked at again and again, as far as there are so many."""
    n = min(config.evaluated, len(prompts)) if config.evaluate_every else 0
    return [prompts[position(config.seed, place, len(prompts))] for place in range(n)]


def own_groups(config: RpoConfig, process: int, processes: int) -> range:
    """The numbers of the groups that one process samples. Raises `ValueError` where groups do not divide."""
    share = config.per_process(processes)
    return range(process * share, (process + 1) * share)


def prompts_of_process(config: RpoConfig, prompts: Sequence[Prompt], process: int, processes: int) -> list[Prompt]:
    """All prompts that one process of a run meets, each once."""
    groups = own_groups(config, process, processes)
    own = [
        each
        for update in range(1, config.updates + 1)
        for each in prompts_of_update(config, prompts, update)[groups.start : groups.stop]
    ]
    return list(dict.fromkeys([*fixed_prompts(config, prompts)[process::processes], *own]))


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, n: int) -> list[int]:
    order: list[int] = torch.randperm(n, generator=generator(seed, "epoch", epoch)).tolist()
    return order


@dataclass(frozen=True, slots=True)
class Noise:
    """The noise of some groups of an update: every candidate's at every step is its own, whoever samples it with whom.

    - `seed`, `update`: of the run; looks at fixed prompts have an update of their own, -1.
    - `groups`: the groups' numbers within the update. - `candidates`: how many each has.
    - `mirrored`: every second candidate's fresh noise is minus that of the one before it.
    """

    seed: int
    update: int
    groups: Sequence[int]
    candidates: int
    mirrored: bool = False

    @classmethod
    def of(cls, config: RpoConfig, update: int, groups: Sequence[int]) -> Self:
        """The noise of an update of a run."""
        return cls(config.seed, update, groups, config.sampling.group, config.sampling.mirrored)

    def initial(self, shared: bool) -> list[torch.Generator]:
        """For x_1: one generator for each group with `shared`, else one for each candidate."""
        numbers = range(1 if shared else self.candidates)
        return [self._generator(group, candidate, "initial") for group in self.groups for candidate in numbers]

    def fresh(self, step: int, like: Tensor) -> Tensor:
        """Standard normal `(groups * candidates, *)` for a noisy step of latents `like` `(B, *)`, on their device."""
        z = [self._drawn(group, candidate, step, like) for group in self.groups for candidate in range(self.candidates)]
        return torch.stack(z).to(like)

    def _drawn(self, group: int, candidate: int, step: int, like: Tensor) -> Tensor:
        if self.mirrored and candidate % 2:
            return -self._drawn(group, candidate - 1, step, like)
        return torch.randn(like.shape[1:], generator=self._generator(group, candidate, step))

    def _generator(self, group: int, candidate: int, step: int | str) -> torch.Generator:
        return generator(self.seed, "update", self.update, "group", group, "candidate", candidate, "step", step)
