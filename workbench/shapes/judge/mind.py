"""How a judge decides: attention, perception, and the logits of a decision. Pure functions of numbers and seeds.

Attention is a fixed budget. What the rubric spends on one thing is not there for another:

    w = (1 - compliance) taste + compliance rubric            signed weights, per attribute
    a = (1 - compliance) |taste| + compliance |rubric|        attention spent; sums to 1 with what is vague
    noticed_k  if  u_k < 1 - exp(-B a_k)                      u_k uniform, the pair's own
    U_i = gain (sum_k noticed_k w_k v_ik + VAGUENESS w_vague z_i) + noise e_i + position bias + suggestion + caption
    P(first better) = sigmoid(U_1 - U_2)

All draws (u, z, e, errors of perception) come from hashes of the images, the prompt and the order shown, never of the
rubric: two rubrics are compared on the same draws, and at compliance 0 no rubric changes anything.
"""

import hashlib
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from workbench.pairs.comparison import Task
from workbench.shapes.attributes import attributes
from workbench.shapes.judge.reader import Reading
from workbench.shapes.judge.settings import JudgeSettings

Array = NDArray[np.float64]

VAGUENESS = 0.35
"""Standard deviation of what a vague criterion makes a judge see, in units of an attribute's value."""
TIE_MARGIN = 0.7
"""Candidates whose logits differ by less are called equal, where ties are allowed."""
MOST_ENUMERATED = 6
"""Above so many candidates, probabilities of rankings are estimated from `DRAWS` samples."""
DRAWS = 4096


@dataclass(frozen=True, slots=True)
class Attention:
    """Where attention goes: `weights` signed, `spent` their sizes before opposites cancel, `vague` on nothing."""

    weights: Array  # (attributes,)
    spent: Array  # (attributes,)
    vague: float


@dataclass(frozen=True, slots=True)
class Percept:
    """What a judge perceives of the candidates in the order shown, before it weighs anything."""

    values: Array  # (n, attributes), in [0, 1]
    luck: Array  # (attributes,) uniform: what gets noticed
    vague: Array  # (n,) standard normal: what a vague criterion makes it see
    noise: Array  # (n,) logits
    captioned: Array  # (n,) 1 where text stands below the picture, else 0


def attend(settings: JudgeSettings, task: Task, criteria: Sequence[tuple[float, Reading]]) -> Attention:
    """Attention for a rubric of weighted readings; without criteria, the judge's own taste."""
    names = attributes(task)
    taste = default_taste(settings, task)
    if not criteria:
        return Attention(taste, np.abs(taste), 0.0)
    total = sum(weight for weight, _ in criteria)
    signed, spent, vague = np.zeros(len(names)), np.zeros(len(names)), 0.0
    for weight, reading in criteria:
        share = weight / total
        vague += share * reading.vague
        for name, part in reading.shares.items():
            signed[names.index(name)] += share * part
            spent[names.index(name)] += share * abs(part)
    c = settings.compliance
    return Attention((1 - c) * taste + c * signed, (1 - c) * np.abs(taste) + c * spent, c * vague)


def default_taste(settings: JudgeSettings, task: Task) -> Array:
    """Attention without a rubric, in the order of the task's attributes; sizes sum to 1."""
    stated = np.array([settings.taste.get(name, 0.0) for name in attributes(task)])
    if not stated.any():
        stated = np.array([float(name != "leftward") for name in attributes(task)])
    taste: Array = stated / np.abs(stated).sum()
    return taste


def perceive(
    settings: JudgeSettings,
    task: Task,
    satisfied: Sequence[Mapping[str, float]],
    images: Sequence[str],
    prompt: str,
    captioned: Sequence[bool] = (),
) -> Percept:
    """Look at candidates shown in this order; `images` are hashes of their bytes, `satisfied` their true attributes.

    - `captioned`: which have text below the picture; none unless given.
    """
    names = attributes(task)
    n = len(images)
    # Draws that belong to the candidates as a set are made in the order of their hashes, whatever order was shown.
    by_hash = sorted(range(n), key=lambda i: images[i])
    pair = generator("pair", prompt, *(images[i] for i in by_hash))
    luck = pair.random(len(names))
    of_pair = np.empty((2, n))
    of_pair[:, by_hash] = pair.standard_normal((2, n))
    of_order = generator("order", prompt, *images).standard_normal((2, n))
    noise, vague = (of_pair + of_order) / math.sqrt(2)
    values = np.array([[each[name] for name in names] for each in satisfied])
    spread = np.array([settings.misreading.get(name, 0.0) for name in names])
    if spread.any():
        errors = np.array([_slips(prompt, image, len(names)) for image in images])
        values = np.clip(values + spread * errors, 0.0, 1.0)
    captions = np.array(captioned, dtype=np.float64) if captioned else np.zeros(n)
    return Percept(values, luck, vague, settings.noise * noise / math.sqrt(2), captions)


def noticed(settings: JudgeSettings, attention: Attention, percept: Percept) -> NDArray[np.bool_]:
    """Which attributes were noticed at all."""
    if settings.attention == 0:
        return attention.spent > 0
    seen: NDArray[np.bool_] = percept.luck < 1 - np.exp(-settings.attention * attention.spent)
    return seen


def utilities(
    settings: JudgeSettings, attention: Attention, percept: Percept, suggested: Sequence[int] | None = None
) -> Array:
    """Logits U of being the best, per candidate in the order shown.

    - `suggested`: ranks the request says people gave.
    """
    n = len(percept.noise)
    evidence = percept.values @ (attention.weights * noticed(settings, attention, percept))
    position = settings.position_bias * np.linspace(1, 0, n)
    result: Array = settings.gain * (evidence + VAGUENESS * attention.vague * percept.vague) + percept.noise + position
    result = result + settings.gullibility * percept.captioned
    if suggested is not None and len(suggested) == n and n > 1:
        result = result - settings.suggestibility * (np.array(suggested) - 1) / (n - 1)
    # A dead heat is settled by the pair's own coin, not by the order shown.
    return result + 1e-9 * percept.vague


def rank_probabilities(logits: Array, *, ties: bool = False) -> dict[tuple[int, ...], float]:
    """P(ranks) of a Plackett-Luce choice among candidates; with `ties`, near-equal neighbours share a rank.

    >>> rank_probabilities(np.array([np.log(3.0), 0.0]))
    {(1, 2): 0.75, (2, 1): 0.25}
    """
    n = len(logits)
    strengths = np.exp(logits - logits.max()).tolist()
    chances: dict[tuple[int, ...], float] = {}
    if n <= MOST_ENUMERATED:
        for order in itertools.permutations(range(n)):
            p, left = 1.0, sum(strengths)
            for i in order[:-1]:
                p *= strengths[i] / left if left > 0 else 1.0
                left -= strengths[i]
            ranks = _ranks(order, logits, ties)
            chances[ranks] = chances.get(ranks, 0.0) + max(0.0, p)
        return chances
    gumbel = np.random.default_rng(0).gumbel(size=(DRAWS, n))
    for row in np.argsort(-(logits + gumbel), axis=1).tolist():
        ranks = _ranks(row, logits, ties)
        chances[ranks] = chances.get(ranks, 0.0) + 1 / DRAWS
    return chances


def choose_ranks(logits: Array, *, ties: bool, temperature: float, seed: str) -> tuple[int, ...]:
    """The likeliest ranks at temperature 0, otherwise ranks drawn from those of `logits / temperature`."""
    drawn = logits
    if temperature > 0:
        drawn = logits / temperature + generator("choice", seed).gumbel(size=len(logits))
    order = np.argsort(-drawn, kind="stable").tolist()
    return _ranks(order, logits, ties)


def choose(logits: Array, temperature: float, seed: str) -> int:
    """The likeliest index at temperature 0, otherwise one drawn from softmax(logits / temperature)."""
    drawn = logits
    if temperature > 0:
        drawn = logits / temperature + generator("choice", seed).gumbel(size=len(logits))
    return int(drawn.argmax())


def quality(settings: JudgeSettings, attention: Attention, percept: Percept) -> float:
    """How much of what gets attention the first candidate has, in [0, 1]; 1/2 when nothing was noticed."""
    weights = attention.weights * noticed(settings, attention, percept)
    values = np.where(weights < 0, 1 - percept.values[0], percept.values[0])
    total = float(np.abs(weights).sum())
    had = float(np.abs(weights) @ values) / total if total > 0 else 0.5
    blur = VAGUENESS * attention.vague * percept.vague[0] + percept.noise[0] / settings.gain
    asked_for = settings.gullibility * percept.captioned[0] / settings.gain
    return min(1.0, max(0.0, had + float(blur + asked_for)))


def uniform(*parts: str) -> float:
    """A number in [0, 1) that belongs to these strings."""
    digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


@lru_cache(maxsize=20_000)
def _slips(prompt: str, image: str, n: int) -> Array:
    """Errors of perception that belong to an image, standard normal."""
    return generator("eyes", prompt, image).standard_normal(n)


def _ranks(order: Sequence[int], logits: Array, ties: bool) -> tuple[int, ...]:
    """Ranks by candidate, from candidates best first."""
    ranks = [0] * len(order)
    for place, i in enumerate(order):
        before = order[place - 1]
        tied = ties and place > 0 and abs(float(logits[before] - logits[i])) < TIE_MARGIN
        ranks[i] = ranks[before] if tied else place + 1
    return tuple(ranks)


def generator(*parts: str) -> np.random.Generator:
    """The random draws that belong to these strings."""
    digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))
