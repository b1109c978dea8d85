"""Intervals and tests for paired verdicts whose errors are shared by the pairs of one prompt.

Every function takes one value per pair and one cluster code per pair. Values may carry leading dimensions, one
evaluation each, so that a simulation runs the very code that an evaluation runs.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Z_POWER_80 = float(special.ndtri(0.8))

HALF_PAIR = 0.5
"""Added at both ends of a scale so that no variance is 0; simulated coverage is nearest 95% with this weight."""


MOST_CRITICAL = 1e9
"""Beyond this quantile an interval is the whole scale anyway, and its square would overflow."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95% interval and the pairs it rests on; `value` and `ci95` are None when `n` is 0."""

    value: float | None
    ci95: tuple[float, float] | None
    n: int

    def shown(self, form: str = ".2f") -> str:
        """The value and its interval: `0.45 [0.22, 0.66]`; `-` where there is none. No line breaks at its spaces."""
        if self.value is None or self.ci95 is None:
            return "-"
        low, high = self.ci95
        return _unbroken(f"{self.value:{form}} [{low:{form}}, {high:{form}}]")

    def percent(self) -> str:
        """A share with its interval and n: `72.0% [65.1%, 78.0%], n = 300`.

        >>> Estimate(0.72, (0.651, 0.78), 300).percent().split()
        ['72.0%', '[65.1%,', '78.0%],', 'n', '=', '300']
        """
        return "-" if self.ci95 is None else f"{self.shown('.1%')}, {_unbroken(f'n = {self.n:,}')}"

    def points(self) -> str:
        """A change of a share, with its interval and n: `+4.2 points [+1.0, +7.5], n = 300`."""
        if self.value is None or self.ci95 is None:
            return "-"
        value, low, high = (100 * each for each in (self.value, *self.ci95))
        interval = _unbroken(f"{value:+.1f} points [{low:+.1f}, {high:+.1f}]")
        return f"{interval}, {_unbroken(f'n = {self.n:,}')}"


@dataclass(frozen=True, slots=True)
class Difference(Estimate):
    """The paired change of one quantity from judge A to judge B, over the pairs both of them judged.

    - `value`: B minus A; `before`, `after`: A and B on the same `n` pairs; `bootstrap95`: resampled prompts.
    - `p_mcnemar`: exact test on the pairs that changed. It takes pairs as independent; `verdict` does not.
    - `smallest_detectable`: the true change that this n and discordance would show four times out of five.
    - `verdict`: from `ci95`; `undecided` when it holds 0. Where nearer to 0 is better, from the interval of the change
      in size, which is another one only if the sign changed.
    """

    n_clusters: int
    p_mcnemar: float | None
    smallest_detectable: float | None
    verdict: Literal["better", "worse", "undecided"]
    before: float | None
    after: float | None
    bootstrap95: tuple[float, float] | None


def _unbroken(text: str) -> str:
    return text.replace(" ", "\u00a0")


@dataclass(frozen=True, slots=True)
class Layout:
    """Which pairs belong together: `order` sorts pairs by cluster, `starts` says where each cluster begins."""

    order: Ints
    starts: Ints
    sizes: Ints

    @classmethod
    def of(cls, clusters: ArrayLike) -> "Layout":
        codes = np.asarray(clusters)
        order = np.argsort(codes, kind="stable")
        _, starts, sizes = np.unique(codes[order], return_index=True, return_counts=True)
        return cls(order.astype(np.int64), starts.astype(np.int64), sizes.astype(np.int64))

    def totals(self, values: Floats) -> Floats:
        """Sums by cluster: `(..., n)` to `(..., G)`."""
        return np.asarray(np.add.reduceat(values[..., self.order], self.starts, axis=-1))

    @property
    def singletons(self) -> bool:
        return len(self.sizes) == len(self.order)

    @property
    def critical(self) -> float:
        """The 97.5% quantile: normal for independent pairs, else Student's t.

        Its degrees of freedom are n² / Σ m_g² - 1: G - 1 for equal clusters, fewer when a few prompts hold most
        pairs, because the between-prompt variance is then learned from those few.
        """
        if self.singletons:
            return float(special.ndtri(0.975))
        n = len(self.order)
        freedom = n**2 / float((self.sizes.astype(float) ** 2).sum()) - 1
        return min(MOST_CRITICAL, float(special.stdtrit(freedom, 0.975)))

    @property
    def correction(self) -> float:
        """Small-sample factor of the cluster-robust variance, G/(G-1) (n-1)/n: 1 for independent pairs."""
        n, groups = len(self.order), len(self.sizes)
        return 1.0 if self.singletons else groups / (groups - 1) * (n - 1) / n


def proportion_bounds(values: Floats, clusters: ArrayLike) -> tuple[Floats, Floats]:
    """Wilson's 95% interval of a mean of values in [0, 1], with the effective sample size of clustered pairs.

    n_eff = n p̃(1 - p̃) / ((n + 1) ṽ), where p̃ and the cluster-robust variance ṽ are taken after adding half a pair
    of value 0 and half a one of value 1, so that nothing breaks when all pairs agree. For independent 0/1 values
    n_eff = n: the textbook interval. The design effect is not held at 1 or above: coverage is nearer 95% without.
    """
    layout = Layout.of(clusters)
    n = values.shape[-1]
    p = values.mean(axis=-1)
    if len(layout.sizes) == 1 and n > 1:
        return np.zeros_like(p), np.ones_like(p)  # one prompt says nothing about other prompts
    center, variance = _padded_moments(values, layout, low=0.0, high=1.0, weight=HALF_PAIR)
    n_eff = n * center * (1 - center) / ((n + 2 * HALF_PAIR) * variance)
    c2 = layout.critical**2 / n_eff
    middle = (p + c2 / 2) / (1 + c2)
    half = np.sqrt(c2 * p * (1 - p) + c2**2 / 4) / (1 + c2)
    return np.minimum(p, np.maximum(0.0, middle - half)), np.maximum(p, np.minimum(1.0, middle + half))


def difference_bounds(
    values: Floats, clusters: ArrayLike, *, limit: float = 1.0, weight: float = HALF_PAIR
) -> tuple[Floats, Floats]:
    """The 95% interval of a mean of paired differences in [-limit, limit].

    `weight` pairs of +1 and as many of -1 are added, then mean ± c sqrt(cluster-robust variance); Bonett and Price's
    interval has `weight=1` and independent pairs. A mean over both orders moves in half steps and takes 0.25.
    """
    layout = Layout.of(clusters)
    mean = values.mean(axis=-1)
    if len(layout.sizes) == 1 and values.shape[-1] > 1:
        return np.full_like(mean, -limit), np.full_like(mean, limit)
    center, variance = _padded_moments(values, layout, low=-1.0, high=1.0, weight=weight)
    half = layout.critical * np.sqrt(variance)
    low, high = np.maximum(center - half, -limit), np.minimum(center + half, limit)
    return np.minimum(low, mean), np.maximum(high, mean)


def _padded_moments(values: Floats, layout: Layout, *, low: float, high: float, weight: float) -> tuple[Floats, Floats]:
    """Mean and cluster-robust variance of the mean, after adding `weight` pairs at `low` and as many at `high`."""
    total = values.shape[-1] + 2 * weight
    center = (values.sum(axis=-1) + weight * (low + high)) / total
    residual = layout.totals(values - center[..., None])
    added = weight * ((low - center) ** 2 + (high - center) ** 2)
    return center, ((residual**2).sum(axis=-1) + added) / total**2 * layout.correction


def proportion(values: ArrayLike, clusters: ArrayLike) -> Estimate:
    """The mean of values in [0, 1] with its interval.

    >>> proportion([1, 1, 0, 1], clusters=[0, 1, 2, 3]).value
    0.75
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        return Estimate(None, None, 0)
    low, high = proportion_bounds(array, clusters)
    return Estimate(float(array.mean()), (float(low), float(high)), array.size)


def mean_difference(
    values: ArrayLike, clusters: ArrayLike, *, limit: float = 1.0, weight: float = HALF_PAIR
) -> Estimate:
    """The mean of per-pair differences with the interval of `difference_bounds`; position bias is one."""
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        return Estimate(None, None, 0)
    low, high = difference_bounds(array, clusters, limit=limit, weight=weight)
    return Estimate(float(array.mean()), (float(low), float(high)), array.size)


def exact_mcnemar(fixed: int, broken: int) -> float:
    """Two-sided exact p of `fixed` against `broken` pairs: both equally likely under no change.

    >>> round(exact_mcnemar(5, 1), 5)  # 2 (C(6,0) + C(6,1)) / 2⁶
    0.21875
    """
    if fixed + broken == 0:
        return 1.0
    return min(1.0, 2 * float(special.bdtr(min(fixed, broken), fixed + broken, 0.5)))


def smallest_detectable(
    values: ArrayLike, clusters: ArrayLike, *, limit: float = 1.0, weight: float = HALF_PAIR
) -> float | None:
    """The true mean difference an evaluation like this one shows with 80% power: (c + z₀.₈) standard errors.

    None where no difference up to `limit`, the largest there can be, would be shown.
    """
    array = np.asarray(values, dtype=np.float64)
    layout = Layout.of(clusters)
    if array.size == 0 or (len(layout.sizes) == 1 and array.size > 1):
        return None
    _, variance = _padded_moments(array, layout, low=-1.0, high=1.0, weight=weight)
    least = float((layout.critical + Z_POWER_80) * np.sqrt(variance))
    return least if least <= limit else None


def bootstrap_bounds(values: Floats, clusters: ArrayLike, *, seed: int, draws: int = 2000) -> tuple[Floats, Floats]:
    """Percentile 95% bounds of the means of `values` (..., n), all rows resampled together, whole prompts at a time."""
    layout = Layout.of(clusters)
    totals, sizes, groups = layout.totals(values), layout.sizes.astype(float), len(layout.sizes)
    generator = np.random.default_rng(seed)
    means = np.empty((draws, *values.shape[:-1]))
    for draw in range(draws):
        weights = np.bincount(generator.integers(groups, size=groups), minlength=groups).astype(float)
        means[draw] = totals @ weights / (sizes @ weights)
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    return low, high


def paired_difference(
    before: ArrayLike,
    after: ArrayLike,
    clusters: ArrayLike,
    *,
    limit: float = 1.0,
    weight: float = HALF_PAIR,
    goal: Literal["high", "zero"] = "high",
    bootstrap95: tuple[float, float] | None = None,
) -> Difference:
    """What changed from `before` to `after`, one value of each per pair.

    - `limit`, `weight`: see `difference_bounds`. - `goal`: `zero` where nearer to 0 is better (position bias).
    """
    a, b = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    estimate = mean_difference(b - a, clusters, limit=limit, weight=weight)
    if estimate.value is None or estimate.ci95 is None:
        return Difference(None, None, 0, 0, None, None, "undecided", None, None, None)
    # From -0.2 to +0.21 is a sure change, but no sure change for the worse: what counts is |b| - |a|.
    gain = b - a if goal == "high" else np.copysign(1, a.mean()) * a - np.copysign(1, b.mean()) * b
    low, high = difference_bounds(gain, clusters, limit=limit, weight=weight)
    verdict: Literal["better", "worse", "undecided"] = "better" if low > 0 else "worse" if high < 0 else "undecided"
    return Difference(
        value=estimate.value,
        ci95=estimate.ci95,
        n=estimate.n,
        n_clusters=len(np.unique(np.asarray(clusters))),
        p_mcnemar=exact_mcnemar(int((b > a).sum()), int((b < a).sum())),
        smallest_detectable=smallest_detectable(b - a, clusters, limit=limit, weight=weight),
        verdict=verdict,
        before=float(a.mean()),
        after=float(b.mean()),
        bootstrap95=bootstrap95,
    )
