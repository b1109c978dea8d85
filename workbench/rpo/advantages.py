"""What a group's verdict makes of each candidate: how strongly, and in which direction, its steps are reinforced."""

import math
from typing import Literal

from workbench.judges.rewards import rewards
from workbench.rpo.reward import Judged

Kind = Literal["paper", "centered", "group"]

LIMIT = 5.0
"""No `group` advantage is larger: ARR's and Flow-GRPO's adv_clip_max."""


def advantages(kind: Kind, judged: Judged) -> tuple[float, ...]:
    """One advantage per candidate; all zero where the verdict failed or tells no candidate from another.

    - `paper`: +1.0 for the best, -0.1 for the worst, linear in rank between (`workbench.judges.rewards`).
    - `centered`: 2 (mean p - p_i) for p_i from 0, best, to 1, worst, linear in rank: +1 and -1 for a pair. It is
      `paper` less its mean, over 0.55: the mean teaches nothing on average and only adds noise, and without it a pair's
      signal is +-0.55.
    - `group`: (r_i - mean r) / (std r + 0.0001) within the group, for win rates and scores alike (Flow-GRPO,
      arXiv 2505.05470, with the group's own deviation; about +1 and -1 for a pair, whatever its scores).

    >>> advantages("centered", Judged(values=(0.0, 1.0, 0.5), status="decided"))
    (-1.0, 1.0, 0.0)

    Raises `ValueError` for a decided group with a value that is not a finite number.
    """
    values = judged.values
    if judged.status != "decided":
        return (0.0,) * len(values)
    for i, value in enumerate(values):
        if not math.isfinite(value):
            raise ValueError(f"values[{i}]={value}: a decided group needs finite values; call it 'failed' instead")
    ranks = _ranks(values)
    if max(ranks) == 1:
        return (0.0,) * len(values)
    match kind:
        case "paper":
            return rewards(ranks)
        case "centered":
            places = [(rank - 1) / (max(ranks) - 1) for rank in ranks]
            middle = sum(places) / len(places)
            return tuple(2 * (middle - place) for place in places)
        case "group":
            average = math.fsum(values) / len(values)
            std = math.sqrt(math.fsum((value - average) ** 2 for value in values) / len(values))
            return tuple(max(-LIMIT, min(LIMIT, (value - average) / (std + 1e-4))) for value in values)


def _ranks(values: tuple[float, ...]) -> tuple[int, ...]:
    """1 for the highest; values equal to nine digits share a rank, and the next follows without a gap."""
    rounded = [round(value, 9) for value in values]
    order = sorted(set(rounded), reverse=True)
    return tuple(order.index(value) + 1 for value in rounded)
