"""Rewards for reinforcement learning from one verdict."""

from collections.abc import Sequence

WIN, LOSE = 1.0, -0.1


def rewards(ranks: Sequence[int]) -> tuple[float, ...]:
    """One reward per candidate: 1.0 for rank 1, -0.1 for the worst, linear between (ARR, section 3.3 and `get_reward`).

    r_i = 1 - 1.1 (rank_i - 1) / (max rank - 1)

    >>> rewards((2, 1))
    (-0.1, 1.0)

    All-equal ranks give 1.0 throughout, as published. Raises `ValueError` for ranks whose best is not 1: the published
    code silently inverts `[0, 1]`.
    """
    if not ranks or min(ranks) != 1:
        raise ValueError(f"ranks={list(ranks)} must start at 1 for the best candidate; a failed verdict has no reward")
    worst = max(ranks)
    if worst == 1:
        return (WIN,) * len(ranks)
    return tuple(WIN - (WIN - LOSE) * (rank - 1) / (worst - 1) for rank in ranks)
