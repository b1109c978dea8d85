"""What a policy draws, measured: fixed prompts and seeds, before and after training, with intervals of the change.

>>> before = measure(policy, prompts, seeds=range(4), inspect=inspector)  # doctest: +SKIP
>>> gain(before.rates("right"), [after.rates("right") for after in trained]).points()  # doctest: +SKIP
'+8.1 points [+4.9, +11.3], 5 runs x 300 prompts'
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import special

from workbench.evaluation.statistics import Estimate, proportion
from workbench.rpo.config import SamplingConfig
from workbench.rpo.draws import generator
from workbench.rpo.policy import Policy, Prompt
from workbench.rpo.rollout import batches, draw_plainly

Floats = NDArray[np.float64]

Inspect = Callable[[Prompt, Image.Image], Mapping[str, bool | None]]
"""What of a prompt a picture does, by criterion; None where the prompt does not ask for it."""

SMALL = 16
"""Pictures are compared with each other at this many pixels a side."""
MEASURED = -1
"""The update that messages name: none."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Every prompt drawn from every seed.

    - `criteria`: by name, `(prompts, seeds)`: 1 right, 0 wrong, NaN where the prompt does not ask for it.
    - `diversity`: `(prompts,)`, how far apart the pictures of a prompt are: root mean square difference of small
      pictures in [0, 1], over all two seeds; NaN for a single seed.
    - `pictures`: of the first prompts, one for every seed.
    """

    prompts: tuple[Prompt, ...]
    seeds: tuple[int, ...]
    criteria: Mapping[str, Floats] = field(repr=False)
    diversity: Floats = field(repr=False)
    pictures: tuple[tuple[Image.Image, ...], ...] = field(default=(), repr=False)

    @property
    def right(self) -> Floats:
        """Whether a picture is right by every criterion asked for, `(prompts, seeds)`: 1 or 0."""
        wrong = np.stack([values == 0 for values in self.criteria.values()]).any(axis=0)
        return np.asarray(~wrong, np.float64)

    def rates(self, name: str) -> Floats:
        """The share of seeds right for every prompt, `(prompts,)`, by a criterion or `right`; `diversity` as it is."""
        if name == "diversity":
            return self.diversity
        values = self.right if name == "right" else self.criteria[name]
        return np.asarray(values.mean(axis=1))

    def share(self, name: str) -> Estimate:
        """The share of pictures that are right, with its interval over prompts."""
        values = self.right if name == "right" else self.criteria[name]
        rows, _ = asked = np.nonzero(~np.isnan(values))
        return proportion(values[asked], rows)


@dataclass(frozen=True, slots=True)
class Gain:
    """What training changed, on the same prompts and seeds.

    - `ci95`: for new prompts and new runs both; with a single run for new prompts alone, as `over_prompts`.
    - `over_runs`: Student's t over the runs' means, these prompts taken as given; None for a single run.
    - `over_prompts`: Student's t over the prompts' means, these runs taken as given.
    """

    value: float
    ci95: tuple[float, float]
    over_runs: tuple[float, float] | None
    over_prompts: tuple[float, float]
    runs: int
    prompts: int

    def points(self) -> str:
        """`+8.1 points [+4.9, +11.3], 5 runs x 300 prompts`."""
        value, low, high = (100 * each for each in (self.value, *self.ci95))
        runs = f"{self.runs} run{'s' * (self.runs != 1)}"
        return f"{value:+.1f} points [{low:+.1f}, {high:+.1f}], {runs} x {self.prompts} prompts"


@dataclass(frozen=True, slots=True)
class Change:
    """A criterion before and after training: the shares of pictures right, and their difference over prompts."""

    before: Estimate
    after: Estimate
    difference: Estimate

    def row(self) -> dict[str, str]:
        """For a table."""
        return {
            "before": self.before.percent(),
            "after": self.after.percent(),
            "change": self.difference.points(),
        }


def changes(before: Measured, after: Measured) -> dict[str, Change]:
    """What one run changed, on the same prompts and seeds: everything right at once, then each criterion.

    A criterion that fewer than two prompts ask for is left out: it has no interval.
    """
    found = {}
    asked = [name for name in before.criteria if (~np.isnan(before.rates(name))).sum() >= 2]
    for name in ("right", *asked):
        change = gain(before.rates(name), [after.rates(name)])
        difference = Estimate(change.value, change.ci95, change.prompts)
        found["everything right" if name == "right" else name] = Change(
            before.share(name), after.share(name), difference
        )
    return found


def measure(
    policy: Policy,
    prompts: Sequence[Prompt],
    seeds: Sequence[int],
    inspect: Inspect,
    *,
    steps: int = 8,
    shift: float = 3.0,
    truncate: bool = False,
    batch: int = 64,
    keep: int = 0,
) -> Measured:
    """Draw every prompt from every seed by the ODE and inspect the pictures; the first `keep` prompts' are kept.

    - `steps`, `shift`, `truncate`: as in `SamplingConfig`.

    A picture depends on the policy, its prompt's id and its seed.
    Raises `ValueError` for prompts with the same id, as they would be counted twice.
    """
    if len({prompt.id for prompt in prompts}) < len(prompts) or not prompts:
        raise ValueError(f"prompts: {len(prompts)} prompts, but not each with an id of its own; pass each once")
    answers: dict[int, list[Mapping[str, bool | None]]] = {}
    diversity, kept = np.zeros(len(prompts)), {}
    for numbers in batches(policy, prompts, range(len(prompts)), batch):
        some = [prompts[number] for number in numbers]
        drawn = zip(*draw(policy, some, seeds, steps, shift, truncate=truncate), strict=True)
        for number, prompt, own in zip(numbers, some, drawn, strict=True):  # own: one picture for every seed
            answers[number] = [inspect(prompt, each) for each in own]
            diversity[number] = _apart(own)
            if number < keep:
                kept[number] = own
    rows = [answers[number] for number in range(len(prompts))]
    criteria = {
        name: np.array([[np.nan if each[name] is None else each[name] for each in own] for own in rows], np.float64)
        for name in rows[0][0]
    }
    return Measured(tuple(prompts), tuple(seeds), criteria, diversity, tuple(kept[number] for number in sorted(kept)))


def draw(
    policy: Policy, prompts: Sequence[Prompt], seeds: Sequence[int], steps: int, shift: float, *, truncate: bool = False
) -> list[list[Image.Image]]:
    """For every seed one picture per prompt, by the ODE; settings as in `SamplingConfig`."""
    sampling = SamplingConfig(steps=steps, shift=shift, truncate=truncate, window="all")
    cond, pictures = policy.encode(prompts), []
    for seed in seeds:
        generators = [generator(seed, "measured", prompt.id) for prompt in prompts]
        pictures.append(draw_plainly(policy, cond, generators, sampling, MEASURED))
    return pictures


def _apart(pictures: Sequence[Image.Image]) -> float:
    small = [np.asarray(each.convert("RGB").resize((SMALL, SMALL), Image.Resampling.BOX), float) for each in pictures]
    distances = [np.sqrt(((a - b) ** 2).mean()) / 255 for a, b in combinations(small, 2)]
    return float(np.mean(distances)) if distances else float("nan")


def gain(before: Floats, after: Sequence[Floats]) -> Gain:
    """What became of `before` `(prompts,)` in every run of `after`; prompts that are NaN do not count.

    d_rp = m + run_r + prompt_p + rest_rp, and the variance of the mean is that over runs plus that over prompts less
    that of single cells, which both contain (Cameron, Gelbach and Miller 2011), with Satterthwaite's degrees of
    freedom. Raises `ValueError` for fewer than two prompts.
    """
    change = np.stack([each - before for each in after])
    change = change[:, ~np.isnan(change).any(axis=0)]  # (runs, prompts)
    runs, prompts = change.shape
    if prompts < 2:
        raise ValueError(f"before: {prompts} prompts that count; an interval needs at least 2")
    mean = float(change.mean())
    by_prompt = _squared_error(change.mean(axis=0))
    over_prompts = _interval(mean, by_prompt, prompts - 1)
    if runs == 1:
        return Gain(mean, over_prompts, None, over_prompts, runs, prompts)
    by_run = _squared_error(change.mean(axis=1))
    rest = change - change.mean(axis=0) - change.mean(axis=1, keepdims=True) + mean
    cells = float((rest**2).sum()) / ((runs - 1) * (prompts - 1)) / (runs * prompts)
    # by_run and by_prompt each hold the cells' part once, the variance of the mean holds it once in all
    both = max(by_run + by_prompt - cells, by_run, by_prompt)
    freedom = both**2 / max(by_run**2 / (runs - 1) + by_prompt**2 / (prompts - 1), 1e-300)
    return Gain(mean, _interval(mean, both, freedom), _interval(mean, by_run, runs - 1), over_prompts, runs, prompts)


def _squared_error(means: Floats) -> float:
    return float(means.var(ddof=1)) / len(means)


def _interval(mean: float, variance: float, freedom: float) -> tuple[float, float]:
    half = float(special.stdtrit(max(freedom, 1.0), 0.975)) * variance**0.5
    return mean - half, mean + half
