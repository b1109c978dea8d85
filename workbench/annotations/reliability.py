"""Measures of agreement, and how sure they are: percent, Cohen's kappa, Krippendorff's alpha.

All of them are computed from coincidences: how often one rater's category c met another's category k on a pair, as
`(..., K, K)`. A missing label meets nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.statistics import Estimate, Floats, Layout, proportion

MISSING = -1
LEAST_DEFINED = 0.95
"""An interval is made of resampled data sets where this share of them has a value."""

EMPTY = 1e-9
"""An interval that is no wider was made by rounding: every resampled data set has the same value."""


@dataclass(frozen=True, slots=True)
class ChanceCorrected:
    """The share of labels that meet another category, as observed and as chance would have it, both in [0, 1]."""

    observed: Floats
    expected: Floats

    @property
    def coefficient(self) -> Floats:
        """1 - observed / expected: alpha or kappa; NaN where chance gives no disagreement, as with one category."""
        return 1 - _divided(self.observed, self.expected)


def krippendorff(coincidences: Floats) -> ChanceCorrected:
    """Disagreement whose `coefficient` is Krippendorff's alpha for nominal labels.

    Chance shuffles all labels: `D_o = sum_{c≠k} o_ck / n`, `D_e = sum_{c≠k} n_c n_k / (n (n - 1))` (Krippendorff
    2011, Computing Krippendorff's alpha-reliability, section C).

    - `coincidences`: symmetric, each couple of raters both ways.
    """
    by_category = coincidences.sum(axis=-1)
    n = by_category.sum(axis=-1)
    different = n - np.trace(coincidences, axis1=-2, axis2=-1)
    return ChanceCorrected(_divided(different, n), _divided(n**2 - (by_category**2).sum(axis=-1), n * (n - 1)))


def cohen(crossed: Floats) -> ChanceCorrected:
    """Disagreement of two raters whose `coefficient` is Cohen's kappa: chance shuffles each rater's own labels.

    - `crossed`: how often the first rater's category (row) met the second's (column).
    """
    n = crossed.sum(axis=(-2, -1))
    same = (crossed.sum(axis=-1) * crossed.sum(axis=-2)).sum(axis=-1)
    return ChanceCorrected(_divided(n - np.trace(crossed, axis1=-2, axis2=-1), n), 1 - _divided(same, n**2))


def coincidence_tables(codes: NDArray[np.int64], categories: int) -> Floats:
    """(n, K, K): the coincidences of each pair, by Krippendorff's weights 1 / (m - 1) for m labels.

    - `codes`: (n, raters) category of each label, `MISSING` where there is none; a pair with one label has no
      coincidences.
    """
    counts = (codes[..., None] == np.arange(categories)).sum(axis=1).astype(float)
    labels = counts.sum(axis=1)
    met = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(categories)
    return _divided(met, np.maximum(labels - 1, 0)[:, None, None], empty=0.0)


def crossed_tables(codes: NDArray[np.int64], categories: int) -> Floats:
    """(n, K, K): one 1 for each pair both of two raters labelled, in the first's row and the second's column."""
    tables = np.zeros((len(codes), categories, categories))
    both = np.flatnonzero((codes != MISSING).all(axis=1))
    tables[both, codes[both, 0], codes[both, 1]] = 1.0
    return tables


def percent_agreement(codes: NDArray[np.int64], clusters: Sequence[int] | NDArray[np.int64]) -> Estimate:
    """The share of rater couples who agree on a pair, averaged over the pairs with two labels or more.

    Its interval is Wilson's with clustered pairs, which, unlike resampling, is not empty where all agree.
    """
    tables = coincidence_tables(codes, int(codes.max(initial=0)) + 1)
    together = tables.sum(axis=(1, 2))
    paired = together > 0
    share = np.trace(tables, axis1=1, axis2=2)[paired] / together[paired]
    return proportion(np.clip(share, 0.0, 1.0), np.asarray(clusters)[paired])


def resampled_tables(tables: Floats, clusters: NDArray[np.int64], *, seed: int, draws: int) -> Floats:
    """(draws, K, K): the sums of the tables of whole prompts drawn with replacement."""
    totals = Layout.of(clusters).totals(np.moveaxis(tables, 0, -1))  # (K, K, prompts)
    groups = totals.shape[-1]
    weights = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=draws)
    return np.asarray(np.einsum("ckg,dg->dck", totals, weights.astype(float)))


def estimate(found: ChanceCorrected, drawn: ChanceCorrected, percent: Estimate) -> Estimate:
    """The coefficient with its 95% interval; no value where it is undefined.

    The interval is that of the percentiles of `drawn`. Where resampling cannot tell, as when all agree or one rater
    always says the same, it is that of `percent` agreement with the disagreement by chance held fixed.
    """
    value = float(found.coefficient)
    if percent.ci95 is None or not np.isfinite(value):
        return Estimate(None, None, percent.n)
    defined = drawn.coefficient[np.isfinite(drawn.coefficient)]
    if len(defined) >= LEAST_DEFINED * len(drawn.coefficient):
        low, high = (float(bound) for bound in np.quantile(defined, [0.025, 0.975]))
        if high - low > EMPTY:
            return Estimate(value, (low, high), percent.n)
    low, high = (max(-1.0, 1 - (1 - bound) / float(found.expected)) for bound in percent.ci95)
    return Estimate(value, (min(low, value), max(high, value)), percent.n)


def _divided(above: Floats, below: Floats, *, empty: float = np.nan) -> Floats:
    return np.asarray(
        np.divide(above, below, out=np.full(np.broadcast(above, below).shape, empty), where=below > 1e-12)
    )
