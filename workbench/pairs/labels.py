"""Human labels: which lists are ranks, the ranks that scores imply, and labels that mean nothing."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from workbench.pairs.comparison import Comparison
from workbench.pairs.problems import brief


def rank_scores(scores: Sequence[float]) -> tuple[int, ...]:
    """Competition ranks of scores, the highest first, equal scores tied.

    >>> rank_scores([3.0, 5.0, 3.0])
    (2, 1, 2)
    """
    return tuple(1 + sum(other > score for other in scores) for score in scores)


def read_ranks(value: object) -> tuple[int, ...]:
    """The value as ranks: integers, 1 is best, ties dense (`[1, 1, 2]`) or competition style (`[1, 1, 3]`).

    They are kept as given. Raises `ValueError` saying what is wrong.
    """
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"ranks are {brief(value)}, not a list such as [1, 2]")
    if not all(isinstance(rank, int) and not isinstance(rank, bool) for rank in value):
        raise ValueError(f"ranks {brief(list(value))} are not integers (scores belong under label_score or scores)")
    if min(value) != 1:
        raise ValueError(f"ranks {brief(list(value))} do not start at 1, which is best")
    distinct = sorted(set(value))
    dense = [distinct.index(rank) + 1 for rank in value]
    competition = [1 + sum(other < rank for other in value) for rank in value]
    if list(value) not in (dense, competition):
        raise ValueError(f"ranks {brief(list(value))} leave out a rank")
    return tuple(value)


def read_scores(value: object) -> tuple[float, ...]:
    """The value, a number or a list of numbers, as scores, higher is better. Raises `ValueError`."""
    values = list(value) if isinstance(value, list | tuple) else [value]
    numbers = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if not values or len(numbers) != len(values):
        raise ValueError(f"scores are {brief(value)}, not numbers")
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"scores {brief(value)} are not finite")
    return tuple(numbers)


def coin_flips(comparisons: Sequence[Comparison], *, seed: int) -> list[Comparison]:
    """The comparisons under labels that mean nothing: the ranks of each in an order drawn from `seed`.

    Each draw is independent of the label, so what is learned from these knows nothing of what people prefer, not even
    how often the first candidate wins. Ties stay ties, what is unlabelled stays so, and scores are gone.
    """
    generator = np.random.default_rng(seed)
    return [
        replace(each, ranks=each.ranks and tuple(generator.permutation(each.ranks).tolist()), scores=None)
        for each in comparisons
    ]
