"""The policy and the frozen base on the same prompts and noise: which is better, and whether anything else changed."""

import io
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from math import ceil, sqrt
from pathlib import Path
from typing import Any

from PIL import Image

from workbench.atomic import replacing
from workbench.background import LoopThread
from workbench.evaluation.statistics import proportion
from workbench.pairs.comparison import Comparison
from workbench.rpo.config import RpoConfig
from workbench.rpo.draws import Noise, fixed_prompts
from workbench.rpo.policy import Policy, Prompt
from workbench.rpo.reward import Judged, RewardPanel, png
from workbench.rpo.rollout import batches, draw_plainly
from workbench.rpo.running.processes import Processes
from workbench.rpo.watching.alarms import LEAST_PROMPTS, Alarms
from workbench.runs.storage import storage
from workbench.vlm.errors import StopRun

TRAINING = "win_rate_base"

_CELL = 256
"""Pixels a side that a picture takes in a grid, at most."""

Await = Callable[["Future[list[Judged]]"], list[Judged]]


@dataclass(frozen=True, slots=True)
class _Seen:
    """One fixed prompt's picture, and by metric's name what came of it: 1 won, 0 lost, 1/2 a tie, None a failure.

    - `missing`: by metric's name, why a judge that is only watched said nothing at all.
    """

    number: int
    picture: bytes
    won: Mapping[str, float | None] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


class AgainstBase:
    """Fixed prompts with fixed noise, sampled without fresh noise; every process has its share of them.

    - `panels`: judges by the metric that says how often the policy won against the base, `TRAINING` for those that
      train; asked in both orders, as the policy is always the first candidate. - `loop`: where they are asked.
    """

    def __init__(
        self,
        config: RpoConfig,
        policy: Policy,
        prompts: Sequence[Prompt],
        panels: Mapping[str, RewardPanel],
        loop: LoopThread,
        processes: Processes,
        run: Path,
    ) -> None:
        self._config, self._policy, self._processes, self._run = config, policy, processes, run
        self._panels, self._loop = {name: _both_ways(each) for name, each in panels.items()}, loop
        self._prompts = fixed_prompts(config, prompts)
        self._base: dict[int, bytes] = {}
        self._alarms: Alarms | None = None

    @property
    def is_on(self) -> bool:
        """Whether there are prompts to look at."""
        return bool(self._prompts)

    def is_due(self, update: int) -> bool:
        """Every `evaluate_every` updates, and after the last."""
        return self.is_on and (update % self._config.evaluate_every == 0 or update == self._config.updates)

    def start(self) -> None:
        """Sample the base, and write what it draws as the grid of update 0."""
        with self._policy.reference():
            mine = self._processes.attempt(lambda: self._pictures(0), self._policy.device)
        self._base = dict(mine)
        everyone = self._processes.gather([_Seen(number, picture) for number, picture in mine.items()])
        if not self._processes.is_main:
            return
        self._write_grid(0, everyone)
        if len(everyone) >= LEAST_PROMPTS:
            self._alarms = Alarms.baseline(_in_order(everyone), range(len(everyone)))

    def look(self, update: int, wait: Await) -> dict[str, Any]:
        """Win rates against the base with intervals and n, and alarms; writes the grid of the update.

        - `wait`: for verdicts. Raises whatever it, or a judge, raises, on all processes.
        """
        mine = self._processes.attempt(lambda: self._seen(update, wait), self._policy.device)
        everyone = self._processes.gather(mine)
        if not self._processes.is_main:
            return {}
        self._write_grid(update, everyone)
        rates = {name: _win_rate([each.won[name] for each in everyone]) for name in self._panels}
        alarms = self._alarms.check(update, _in_order(everyone), range(len(everyone))) if self._alarms else []
        missing = {f"update {update}: {name}: {why}" for each in everyone for name, why in each.missing.items()}
        return {**rates, "alarms": [*alarms, *sorted(missing)]}

    def _seen(self, update: int, wait: Await) -> list[_Seen]:
        pictures = self._pictures(update)
        comparisons = [
            Comparison(
                f"u{update}-fixed{number}",
                self._policy.task,
                self._prompts[number].text,
                (picture, self._base[number]),
                self._prompts[number].source,
            )
            for number, picture in pictures.items()
        ]
        asked = {name: panel.submit(comparisons, self._loop) for name, panel in self._panels.items()}
        judged: dict[str, list[Judged]] = {}
        missing: dict[str, str] = {}
        for name, future in asked.items():
            try:
                judged[name] = wait(future)
            except (StopRun, ValueError) as error:  # a judge that is only watched cannot go on: training can
                if name == TRAINING:
                    raise
                missing[name] = str(error)
        return [
            _Seen(
                number,
                picture,
                {name: _won(judged[name][place]) if name in judged else None for name in asked},
                missing,
            )
            for place, (number, picture) in enumerate(pictures.items())
        ]

    def _pictures(self, update: int) -> dict[int, bytes]:
        mine = range(self._processes.index, len(self._prompts), self._processes.count)
        drawn: dict[int, bytes] = {}
        for numbers in batches(self._policy, self._prompts, mine, self._config.batch):
            cond = self._policy.encode([self._prompts[number] for number in numbers])
            generators = Noise(self._config.seed, -1, numbers, candidates=1).initial(shared=True)
            pictures = draw_plainly(self._policy, cond, generators, self._config.sampling, update)
            drawn |= zip(numbers, map(png, pictures), strict=True)
        return drawn

    def _write_grid(self, update: int, seen: Sequence[_Seen]) -> None:
        path = self._run / "grids" / f"update-{update:06d}.webp"
        with storage(path), replacing(path) as temporary:
            _grid(_in_order(seen)).save(temporary, "WEBP", quality=90)


def _both_ways(panel: RewardPanel) -> RewardPanel:
    return replace(panel, judges=tuple(replace(each, both_orders=True) for each in panel.judges))


def _win_rate(won: Sequence[float | None]) -> dict[str, Any]:
    """The share won with Wilson's interval, ties half; `failed` verdicts are left out and counted."""
    counted = [each for each in won if each is not None]
    rate = proportion(counted, range(len(counted)))
    return {"value": rate.value, "ci95": rate.ci95, "n": rate.n, "failed": len(won) - len(counted)}


def _won(judged: Judged) -> float | None:
    if judged.status == "failed":
        return None
    ours, base = judged.values
    return 0.5 if judged.status == "tied" else float(ours > base)


def _in_order(seen: Sequence[_Seen]) -> list[Image.Image]:
    return [Image.open(io.BytesIO(each.picture)) for each in sorted(seen, key=lambda each: each.number)]


def _grid(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures beside and below each other, row by row, in order."""
    columns = ceil(sqrt(len(pictures)))
    side = min(_CELL, max(max(picture.size) for picture in pictures))
    grid = Image.new("RGB", (columns * side, ceil(len(pictures) / columns) * side), "white")
    for place, picture in enumerate(pictures):
        cell = picture.convert("RGB")
        cell.thumbnail((side, side))
        grid.paste(cell, (place % columns * side, place // columns * side))
    return grid
