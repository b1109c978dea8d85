"""Do nominal 95% intervals hold the true value 95% of the time, and is an injected position bias recovered?

Evaluations are simulated from a judge whose true accuracies are known in closed form: a verdict is right when
sqrt(icc) u_prompt + sqrt(share) v_pair + noise < Phi^-1(accuracy in that order), all standard normal. Pairs of one
prompt share u, the two orders of one pair share u and v. Every interval comes from the functions an evaluation uses.

    python benchmarks/coverage.py --evaluations 1000
"""

import argparse
import itertools
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import multivariate_normal

from workbench.evaluation.statistics import (
    HALF_PAIR,
    bootstrap_bounds,
    difference_bounds,
    proportion,
    proportion_bounds,
    smallest_detectable,
)

Floats = NDArray[np.float64]

SHARE = 0.4
TARGET = (0.93, 0.97)
PROFILES = {  # accuracy forward, reverse
    "near chance": (0.55, 0.55),
    "biased": (0.70, 0.50),
    "very biased": (0.845, 0.499),
    "good": (0.90, 0.90),
    "good, biased": (0.95, 0.85),
    "excellent": (0.97, 0.97),
}
DIFFERENCES = ("position bias", "difference, mean", "difference, resolved", "difference, bias")


@dataclass(frozen=True, slots=True)
class Setting:
    """One kind of evaluation; `per_prompt` 0 means one to five pairs of a prompt at random."""

    n_pairs: int
    per_prompt: int
    icc: float
    forward: float
    reverse: float
    failures: float = 0.0


@dataclass(frozen=True, slots=True)
class Simulated:
    """Per-pair values of many evaluations, (evaluations, n_pairs) each, and what they estimate."""

    values: dict[str, Floats]
    truth: dict[str, float]
    clusters: NDArray[np.int64]


def settings() -> Iterator[Setting]:
    for n_pairs, (forward, reverse) in itertools.product((60, 300, 1500), PROFILES.values()):
        yield Setting(n_pairs, 1, 0.0, forward, reverse)
        for per_prompt, icc in itertools.product((3, 5, 0), (0.0, 0.3)):
            yield Setting(n_pairs, per_prompt, icc, forward, reverse, failures=0.03 if n_pairs == 300 else 0.0)


def simulate(setting: Setting, evaluations: int, generator: np.random.Generator, gain: float = 0.03) -> Simulated:
    """Judge A as `setting` says, and judge B on the same pairs, `gain` more accurate in both orders (at most 0.99)."""
    clusters = _clusters(setting, generator)
    shape = (evaluations, setting.n_pairs)
    prompt = generator.standard_normal((evaluations, clusters[-1] + 1))[:, clusters]
    shared = np.sqrt(setting.icc) * prompt + np.sqrt(SHARE) * generator.standard_normal(shape)

    def answers(accuracy: float) -> tuple[Floats, Floats]:
        noise = np.sqrt(1 - setting.icc - SHARE) * generator.standard_normal(shape)
        right = shared + noise < ndtri(accuracy)
        answered = generator.random(shape) >= setting.failures
        return (right & answered).astype(float), answered.astype(float)

    b_forward, b_reverse = min(0.99, setting.forward + gain), min(0.99, setting.reverse + gain)
    (f, f_ok), (r, r_ok) = answers(setting.forward), answers(setting.reverse)
    (bf, _), (br, _) = answers(b_forward), answers(b_reverse)
    first = np.where(f_ok + r_ok > 0, (f + (1 - r) * r_ok) / np.maximum(f_ok + r_ok, 1), np.nan)
    values = {
        "forward": f,
        "reverse": r,
        "mean": (f + r) / 2,
        "resolved": f * r,
        "consistency": f_ok * r_ok * (f == r),
        "first position rate": first,
        "position bias": f - r,
        "difference, mean": (bf + br - f - r) / 2,
        "difference, resolved": bf * br - f * r,
        "difference, bias": (bf - br) - (f - r),
    }
    a, b = _truth(setting, setting.forward, setting.reverse), _truth(setting, b_forward, b_reverse)
    truth = a | {
        "difference, mean": b["mean"] - a["mean"],
        "difference, resolved": b["resolved"] - a["resolved"],
        "difference, bias": b["position bias"] - a["position bias"],
    }
    return Simulated(values, truth, clusters)


def coverage(simulated: Simulated) -> dict[str, float]:
    """The share of evaluations whose interval holds the true value, by quantity."""
    return {name: float(np.mean(_covered(simulated, name))) for name in simulated.values}


def _covered(simulated: Simulated, name: str) -> NDArray[np.bool_]:
    values, truth = simulated.values[name], simulated.truth[name]
    if name in DIFFERENCES:
        low, high = change_bounds(name, values, simulated.clusters)
    elif np.isnan(values).any():  # pairs without any winner drop out, which ones differs between evaluations
        kept = [~np.isnan(row) for row in values]
        found = [
            proportion(row[k], simulated.clusters[k]).ci95 or (0.0, 1.0) for row, k in zip(values, kept, strict=True)
        ]
        low, high = np.array(found).T
    else:
        low, high = proportion_bounds(values, simulated.clusters)
    return np.asarray((low <= truth + 1e-12) & (truth <= high + 1e-12))


def change_bounds(name: str, values: Floats, clusters: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """The interval `compare_runs` and `summarise` report for the difference called `name`."""
    weight = HALF_PAIR / 2 if name == "difference, mean" else HALF_PAIR
    return difference_bounds(values, clusters, limit=2.0 if name == "difference, bias" else 1.0, weight=weight)


def _clusters(setting: Setting, generator: np.random.Generator) -> NDArray[np.int64]:
    n = setting.n_pairs
    sizes = generator.integers(1, 6, n) if setting.per_prompt == 0 else np.full(n, setting.per_prompt)
    return np.repeat(np.arange(n), sizes)[:n]


def _truth(setting: Setting, forward: float, reverse: float) -> dict[str, float]:
    rho, answered = setting.icc + SHARE, 1 - setting.failures
    both = float(multivariate_normal.cdf([ndtri(forward), ndtri(reverse)], cov=[[1, rho], [rho, 1]]))
    return {
        "forward": forward * answered,
        "reverse": reverse * answered,
        "mean": (forward + reverse) / 2 * answered,
        "resolved": both * answered**2,
        "consistency": (1 - forward - reverse + 2 * both) * answered**2,
        "first position rate": (forward + 1 - reverse) / 2,
        "position bias": (forward - reverse) * answered,
    }


def print_coverage(evaluations: int, generator: np.random.Generator) -> None:
    """By quantity and n over all settings, then every setting outside the target."""
    found: dict[tuple[str, int], list[tuple[float, Setting]]] = defaultdict(list)
    for setting in settings():
        for name, share in coverage(simulate(setting, evaluations, generator)).items():
            found[name, setting.n_pairs].append((share, setting))
    print(f"Coverage of nominal 95% intervals, {evaluations:,} evaluations a setting, target 93-97%")
    print(f"{'quantity':22}{'pairs':>6}{'settings':>10}{'mean':>8}{'lowest':>8}{'highest':>9}{'on target':>11}")
    for (name, n_pairs), rows in found.items():
        shares = np.array([share for share, _ in rows])
        hit = np.mean((shares >= TARGET[0]) & (shares <= TARGET[1]))
        print(
            f"{name:22}{n_pairs:>6}{len(shares):>10}{shares.mean():>8.3f}{shares.min():>8.3f}{shares.max():>9.3f}{hit:>11.0%}"
        )
    every = [(share, name, setting) for (name, _), rows in found.items() for share, setting in rows]
    shares = np.array([share for share, _, _ in every])
    low, high = (shares < TARGET[0]).sum(), (shares > TARGET[1]).sum()
    print(f"a share of 95% varies by {np.sqrt(0.95 * 0.05 / evaluations):.1%} (standard error) from simulation alone")
    print(f"all: mean {shares.mean():.3f}; of {len(shares):,} cells {low} below 93%, {high} above 97% (too wide)")
    for share, name, setting in sorted(every, key=lambda row: row[0])[:low]:
        print(f"  below: {share:.3f} {name}, {setting}")
    for n_pairs in (60, 300, 1500):
        over = sum(share > TARGET[1] for share, _, setting in every if setting.n_pairs == n_pairs)
        print(f"  above 97% with {n_pairs} pairs: {over} cells")


def print_bias(evaluations: int, generator: np.random.Generator) -> None:
    print("\nInjected and recovered position bias, 300 pairs, 1-5 a prompt, icc 0.3")
    print(f"{'injected':>9}{'recovered':>11}{'sd':>8}{'coverage':>10}{'found non-zero':>16}")
    for bias in (0.0, 0.05, 0.1, 0.2, 0.346, 0.6):
        setting = Setting(300, 0, 0.3, 0.75 + bias / 2 if bias < 0.4 else 0.95, 0.75 - bias / 2 if bias < 0.4 else 0.35)
        simulated = simulate(setting, evaluations, generator)
        values = simulated.values["position bias"]
        low, high = difference_bounds(values, simulated.clusters)
        means, nonzero = values.mean(axis=1), np.mean((low > 0) | (high < 0))
        held = coverage(simulated)["position bias"]
        print(f"{bias:>9.3f}{means.mean():>11.3f}{means.std():>8.3f}{held:>10.3f}{nonzero:>16.1%}")


def print_power(evaluations: int, generator: np.random.Generator) -> None:
    print("\nSmallest detectable gain in mean accuracy: power when the true gain is just that (80% promised)")
    print(f"{'pairs':>6}{'gain':>8}{'power':>8}{'false better/worse at gain 0':>31}")
    for n_pairs in (60, 300, 1500):
        setting = Setting(n_pairs, 0, 0.3, 0.7, 0.6)
        pilot = simulate(setting, evaluations, generator, gain=0.0)
        changes = pilot.values["difference, mean"]
        gain = float(
            np.mean([smallest_detectable(row, pilot.clusters, weight=HALF_PAIR / 2) or np.nan for row in changes[:200]])
        )
        low, high = change_bounds("difference, mean", changes, pilot.clusters)
        false = np.mean((low > 0) | (high < 0))
        real = simulate(setting, evaluations, generator, gain=gain)
        seen = change_bounds("difference, mean", real.values["difference, mean"], real.clusters)
        power = np.mean(seen[0] > 0)
        print(f"{n_pairs:>6}{gain:>8.3f}{power:>8.1%}{false:>31.1%}")


def print_bootstrap(evaluations: int, generator: np.random.Generator) -> None:
    print("\nPaired bootstrap beside the reported interval, difference of mean accuracy, 1-5 pairs a prompt, icc 0.3")
    print(f"{'pairs':>6}{'bootstrap':>11}{'reported':>10}")
    for n_pairs in (60, 300):
        simulated = simulate(Setting(n_pairs, 0, 0.3, 0.7, 0.6), evaluations, generator)
        low, high = bootstrap_bounds(simulated.values["difference, mean"], simulated.clusters, seed=0, draws=500)
        truth = simulated.truth["difference, mean"]
        held = np.mean((low <= truth) & (truth <= high))
        print(f"{n_pairs:>6}{held:>11.3f}{coverage(simulated)['difference, mean']:>10.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluations", type=int, default=1000, help="simulated evaluations per setting")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    started = time.monotonic()
    generator = np.random.default_rng(arguments.seed)
    print_coverage(arguments.evaluations, generator)
    print_bias(arguments.evaluations, generator)
    print_power(arguments.evaluations, generator)
    print_bootstrap(arguments.evaluations, generator)
    print(f"\n{time.monotonic() - started:.0f} s, seed {arguments.seed}")


if __name__ == "__main__":
    main()
