"""Which criteria of a rubric predict people's choices, with what weights, and what each is worth.

Every criterion casts one vote a pair: x_c in [-1, 1], the mean over both orders of how often it ranks people's choice
above the rest, minus how often below. A weighted vote w x > 0 predicts the choice, and the weights minimise

    mean_i log(1 + exp(-w x_i)) + strength * sum_c w_c      over w >= 0

This is l1-regularised logistic regression on the rows (x_i, 1) and (-x_i, 0) without intercept, so nothing depends on
which candidate stands first (after AutoRubric-T2I, arXiv 2605.17602). Weights are not negative, as a rubric cannot say
"the opposite of this". `strength` is chosen on held-out prompts, and what is kept must be chosen again on random halves
of the prompts (stability selection, Meinshausen and Buehlmann 2010).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from workbench.evaluation.record import ORDERS, VerdictRecord
from workbench.evaluation.statistics import Estimate, mean_difference, proportion
from workbench.pairs.comparison import Comparison
from workbench.pairs.prompts import prompt_id
from workbench.rubrics.rubric import Rubric

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

HALVES = 50
"""Random halves of the prompts: each is fitted once."""
STABLE = 0.7
"""A criterion is kept if it is chosen in this share of the halves."""
STRENGTHS = np.geomspace(1.0, 0.03, 8)
"""Candidates for the strength, as shares of the least strength at which nothing is chosen; the strongest first."""
STEPS, ZERO = 400, 1e-4
"""Steps of a fit, and the weight that is none."""
FOLDS = 5
FEWEST_PROMPTS = 8
"""With fewer prompts nothing can be held out."""
ALIKE = 0.9
"""Criteria that cast the same vote on so many pairs say the same thing to this judge, whatever their words."""
SEPARATES = 0.1
"""A criterion under which fewer pairs have the same winner in both orders passes every image, or none."""


@dataclass(frozen=True, slots=True)
class Votes:
    """What each criterion says about each pair.

    - `rows`: (n, m) in [-1, 1], positive for people's choice. - `prompts`: (n,) cluster codes.
    - `separates`: (m,) share of the pairs that have the same winner under the criterion in both orders.
    """

    ids: tuple[str, ...]
    rows: Floats
    prompts: Ints
    separates: Floats

    @classmethod
    def of(cls, comparisons: Sequence[Comparison], records: Sequence[VerdictRecord], ids: Sequence[str]) -> "Votes":
        """Votes from verdicts with ranks under each criterion; a failed verdict, and a missing one, is no vote (0)."""
        by_pair = {(record.pair_id, record.order): record for record in records}
        rows = np.zeros((len(comparisons), len(ids)))
        same = np.zeros((len(comparisons), len(ids)))
        for i, comparison in enumerate(comparisons):
            found = [by_pair[comparison.id, order] for order in ORDERS if (comparison.id, order) in by_pair]
            for c, name in enumerate(ids):
                ranks = [record.criteria[name] for record in found if name in record.criteria]
                rows[i, c] = sum(agreement(each, comparison.ranks or ()) for each in ranks) / len(ORDERS)
                winners = {_winner(each) for each in ranks}
                same[i, c] = len(ranks) == len(ORDERS) and len(winners) == 1 and None not in winners
        codes = sorted({prompt_id(comparison.prompt) for comparison in comparisons})
        prompts = np.array([codes.index(prompt_id(comparison.prompt)) for comparison in comparisons], dtype=np.int64)
        return cls(tuple(ids), rows, prompts, same.mean(axis=0) if len(same) else np.zeros(len(ids)))

    def of_pairs(self, kept: Bools) -> "Votes":
        """Fewer pairs under the same criteria."""
        return Votes(self.ids, self.rows[kept], self.prompts[kept], self.separates)


@dataclass(frozen=True, slots=True)
class Selection:
    """The criteria worth having.

    - `weights`: by criterion id, above 0, mean 1, the weightiest first.
    - `stability`: share of random halves of the prompts in which each criterion was chosen.
    - `accuracy`: how often a weighted vote chosen and fitted on other prompts agrees with people.
    - `worth`: what that vote loses where it is denied a criterion.
    - `strength`: of the penalty; None where too few prompts allowed no choice, and every criterion that agrees with
      people more often than not is kept.
    """

    weights: Mapping[str, float]
    stability: Mapping[str, float]
    worth: Mapping[str, Estimate]
    accuracy: Estimate
    strength: float | None

    def renamed(self, names: Mapping[str, str]) -> "Selection":
        """The same under other criterion ids."""
        return replace(
            self,
            weights={names[name]: weight for name, weight in self.weights.items()},
            stability={names[name]: share for name, share in self.stability.items()},
            worth={names[name]: worth for name, worth in self.worth.items()},
        )

    def to_json(self) -> dict[str, Any]:
        """Numbers for a rubric's provenance, rounded to what they can bear."""
        return {
            "criteria": {
                name: {
                    "weight": weight,
                    "stability": round(self.stability[name], 2),
                    "worth": _rounded(self.worth.get(name)),
                }
                for name, weight in self.weights.items()
            },
            "held_out_agreement": _rounded(self.accuracy),
            "strength": None if self.strength is None else round(self.strength, 4),
        }


def select(votes: Votes, *, most: int, seed: int) -> Selection:
    """Choose at most `most` criteria and their weights; always at least one.

    - `seed`: of the folds and the random halves.

    The choice is made again without each of `FOLDS` parts of the prompts, and that part says what it is worth. Criteria
    that were written with these very labels in view flatter it still; only other pairs do not.
    """
    if len(np.unique(votes.prompts)) < FEWEST_PROMPTS:
        return _by_agreement(votes, most)
    generator = np.random.default_rng(seed)
    chosen = _choose(votes, most, generator)
    order = [int(c) for c in np.argsort(-chosen.weights, kind="stable") if chosen.weights[c] > 0]
    right, without = _held_out(votes, most, order, generator)
    lost = {votes.ids[c]: mean_difference(right - without[i], votes.prompts) for i, c in enumerate(order)}
    return Selection(
        weights=_scaled({votes.ids[c]: float(chosen.weights[c]) for c in order}),
        stability={votes.ids[c]: float(chosen.stability[c]) for c in order},
        worth=lost,
        accuracy=proportion(right, votes.prompts),
        strength=chosen.strength,
    )


@dataclass(frozen=True, slots=True)
class _Chosen:
    weights: Floats  # (m,), 0 for what was not chosen
    stability: Floats  # (m,)
    strength: float


def _choose(votes: Votes, most: int, generator: Generator) -> _Chosen:
    n, m = votes.rows.shape
    columns = distinct(votes.rows)
    rows = votes.rows[:, columns]
    strength = choose_strength(rows, votes.prompts, generator)
    used = _halves(votes.prompts, generator)
    fitted = fit(rows, np.full(HALVES, strength), used)  # (HALVES, columns)
    stability, mean = (fitted > 0).mean(axis=0), fitted.mean(axis=0)
    kept = np.flatnonzero(stability >= STABLE)
    if not len(kept):
        kept = np.array([int(np.lexsort((mean, stability))[-1])])
    if len(kept) > most:
        kept = kept[np.argsort(-mean[kept], kind="stable")[:most]]
    weights = fit(rows[:, kept], np.array([strength]), np.ones((1, n), dtype=bool))[0]
    found = _Chosen(np.zeros(m), np.zeros(m), strength)
    found.weights[np.array(columns)[kept]] = weights if weights.any() else 1.0
    found.stability[columns] = stability
    return found


def _held_out(votes: Votes, most: int, criteria: Sequence[int], generator: Generator) -> tuple[Floats, Floats]:
    """(n,) whether the vote of a choice made on other prompts is right, and (len(criteria), n) without each of them."""
    right, without = np.zeros(len(votes.rows)), np.zeros((len(criteria), len(votes.rows)))
    folds = _folds(votes.prompts, generator)
    for k in np.unique(folds):
        rows, out = votes.rows[folds == k], folds == k
        weights = _choose(votes.of_pairs(~out), most, generator).weights
        right[out] = _right(rows @ weights)
        for i, c in enumerate(criteria):
            without[i, out] = _right(rows @ weights - rows[:, c] * weights[c])
    return right, without


def _right(margins: Floats) -> Floats:
    """Whether a vote is right: one half where it does not decide."""
    return np.asarray((np.sign(np.round(margins, 9)) + 1) / 2)


def distinct(rows: Floats) -> list[int]:
    """Criteria of which no two vote alike on `ALIKE` of the pairs, the better of two kept, in their old order."""
    kept: list[int] = []
    for c in np.argsort(-rows.mean(axis=0), kind="stable").tolist():
        if all((rows[:, c] == rows[:, other]).mean() < ALIKE for other in kept):
            kept.append(c)
    return sorted(kept)


def worth_rows(rubric: Rubric) -> list[dict[str, str]]:
    """One row for each criterion of a rubric that was chosen by `select`, as text for a table; else none."""
    chosen = rubric.provenance.get("selection", {}).get("criteria", {})
    rows = []
    for criterion in rubric.enabled_criteria():
        if found := chosen.get(criterion.id):
            worth = found["worth"]
            rows.append(
                {
                    "criterion": criterion.text,
                    "weight": f"{criterion.weight:g}",
                    "chosen in": f"{found['stability']:.0%} of halves",
                    "worth": "{value:+.1%} [{ci95[0]:+.1%}, {ci95[1]:+.1%}]".format(**worth) if worth else "",
                    "seed pairs": str(len(criterion.source.split(", "))) if criterion.source else "",
                }
            )
    return rows


def fit(rows: Floats, strengths: Floats, used: Bools) -> Floats:
    """Weights (h, m) >= 0 of h penalised logistic regressions at once, by accelerated projected gradient.

    - `rows`: (n, m). - `strengths`: (h,) of the penalties. - `used`: (h, n) the rows each regression sees.
    """
    counts = used.sum(axis=1, keepdims=True)
    steepest = max(1e-9, float(np.linalg.eigvalsh(rows.T @ rows)[-1]) / 4)  # bounds every Hessian, times its count
    step = counts / steepest
    weights = ahead = np.zeros((len(used), rows.shape[1]))
    for i in range(STEPS):
        missed = used / (1 + np.exp(np.clip(ahead @ rows.T, -30, 30)))
        gradient = strengths[:, None] - missed @ rows / counts
        new = np.maximum(0.0, ahead - step * gradient)
        ahead = new + i / (i + 3) * (new - weights)  # Nesterov's momentum
        weights = new
    return np.where(weights > ZERO, weights, 0.0)


def choose_strength(rows: Floats, prompts: Ints, generator: Generator) -> float:
    """The penalty with the least loss on held-out prompts."""
    most = max(1e-6, float(rows.mean(axis=0).max()) / 2)  # the gradient at 0 is strength - mean(x) / 2
    folds = _folds(prompts, generator)
    parts = np.unique(folds)
    used = np.repeat(folds[None, :] != parts[:, None], len(STRENGTHS), axis=0)  # part by part, every strength
    fitted = fit(rows, np.tile(STRENGTHS * most, len(parts)), used)
    losses = np.logaddexp(0.0, -fitted @ rows.T) * ~used
    return float(STRENGTHS[losses.sum(axis=1).reshape(len(parts), -1).sum(axis=0).argmin()] * most)


def agreement(ranks: Sequence[int], label: Sequence[int]) -> float:
    """How far ranks agree with people's, in [-1, 1]: right minus wrong over the couples people separate.

    >>> agreement((1, 2), (1, 2)), agreement((1, 1), (1, 2)), agreement((2, 1), (1, 2))
    (1.0, 0.0, -1.0)
    """
    couples = [(i, j) for i in range(len(label)) for j in range(len(label)) if label[i] < label[j]]
    if not couples:
        return 0.0
    return sum(float(np.sign(ranks[j] - ranks[i])) for i, j in couples) / len(couples)


def _by_agreement(votes: Votes, most: int) -> Selection:
    mean = votes.rows.mean(axis=0) if len(votes.rows) else np.zeros(len(votes.ids))
    order = np.argsort(-mean, kind="stable")[:most]
    kept = [int(c) for c in order if mean[c] > 0] or [int(order[0])]
    names = [votes.ids[c] for c in kept]
    return Selection(dict.fromkeys(names, 1.0), dict.fromkeys(names, 1.0), {}, Estimate(None, None, 0), None)


def _halves(prompts: Ints, generator: Generator) -> Bools:
    """(HALVES, n): which pairs belong to each random half of the prompts."""
    codes = np.unique(prompts)
    return np.array([np.isin(prompts, generator.permutation(codes)[: len(codes) // 2]) for _ in range(HALVES)])


def _folds(prompts: Ints, generator: Generator) -> Ints:
    """(n,): a fold for every pair, the same for all pairs of a prompt."""
    codes, inverse = np.unique(prompts, return_inverse=True)
    return np.asarray(generator.permutation(len(codes)) % FOLDS)[inverse]


def _scaled(weights: Mapping[str, float]) -> dict[str, float]:
    mean = sum(weights.values()) / len(weights)
    return {name: max(0.1, round(weight / mean, 1)) for name, weight in weights.items()}


def _winner(ranks: Sequence[int]) -> int | None:
    return list(ranks).index(1) if list(ranks).count(1) == 1 else None


def _rounded(estimate: Estimate | None) -> dict[str, Any] | None:
    if estimate is None or estimate.value is None or estimate.ci95 is None:
        return None
    return {
        "value": round(estimate.value, 3),
        "ci95": [round(bound, 3) for bound in estimate.ci95],
        "n": estimate.n,
    }
