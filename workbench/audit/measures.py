"""What an audit measures, as one value a pair: agreement of verdicts, accuracy, and moves towards a marked image."""

from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.statistics import HALF_PAIR, Estimate, mean_difference, proportion, smallest_detectable
from workbench.evaluation.table import TIE, VerdictTable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Scale = Literal["share", "change", "whole change"]
"""`share`: values in [0, 1]; `change`: paired differences in [-1, 1], in half steps as they are means of two orders;
`whole change`: differences in whole steps."""

_WEIGHTS = {"change": HALF_PAIR / 2, "whole change": HALF_PAIR}


def self_agreement(table: VerdictTable) -> Floats:
    """(n,): share of the pairs of samples, within each order, that name the same winner.

    A tie agrees with a tie; a failed verdict agrees with nothing.
    """
    winner = table.winner  # (n, 2, S)
    couples = list(combinations(range(winner.shape[2]), 2))
    same = [(winner[:, :, i] == winner[:, :, j]) & (winner[:, :, i] >= TIE) for i, j in couples]
    return np.asarray(np.mean(same, axis=(0, 2)), dtype=np.float64)


def agreement(a: VerdictTable, b: VerdictTable) -> Floats:
    """(n,): share of the two orders in which both judges name the same winner, the first sample of each."""
    first, second = a.winner[:, :, 0], b.winner[:, :, 0]
    return np.asarray(((first == second) & (first >= TIE)).mean(axis=1), dtype=np.float64)


def mean_accuracy(table: VerdictTable) -> Floats:
    """(n,): share of the two orders in which the verdict is people's."""
    return (table.accuracy("forward") + table.accuracy("reverse")) / 2


def moves(plain: VerdictTable, marked: VerdictTable, target: Ints) -> Floats:
    """(n,): verdicts that went over to candidate `target` when it was marked, minus those that left it, by order.

    A tie is half a vote; where one of the two verdicts failed nothing has moved.
    """
    before, after = (_votes(table, target) for table in (plain, marked))
    change = np.where(np.isnan(before) | np.isnan(after), 0.0, after - before)
    return np.asarray(change.mean(axis=1), dtype=np.float64)


def estimate(values: Floats, clusters: Ints, scale: Scale) -> Estimate:
    """The mean of the pairs' values with its 95% interval, pairs clustered."""
    if scale == "share":
        return proportion(values, clusters)
    return mean_difference(values, clusters, weight=_WEIGHTS[scale])


def smallest_change(values: Floats, clusters: Ints, scale: Scale) -> float | None:
    """The least true change these pairs would have shown four times out of five; None for shares."""
    return None if scale == "share" else smallest_detectable(values, clusters, weight=_WEIGHTS[scale])


def failures(*tables: VerdictTable) -> int:
    """Verdicts that failed."""
    return sum(int(table.failed.sum()) for table in tables)


def _votes(table: VerdictTable, target: Ints) -> Floats:
    """(n, 2): 1 where `target` wins, 0 where another does, 1/2 for a tie, NaN for a failure."""
    winner = table.winner[:, :, 0]
    votes = np.where(winner == TIE, 0.5, (winner == target[:, None]).astype(float))
    return np.where(winner >= TIE, votes, np.nan)
