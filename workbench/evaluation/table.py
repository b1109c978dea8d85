"""All verdicts of one run as a few small arrays, without their reasons: about 60 bytes a verdict."""

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.record import ORDERS, Order, VerdictRecord
from workbench.judges.verdict import Usage
from workbench.pairs.comparison import letter

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

INVALID, ERROR, MISSING = -1, -2, -3
TIE = -1


@dataclass(frozen=True, slots=True)
class VerdictTable:
    """One row per pair, sorted by id; cells are `(pair, order, sample)`, the last verdict counts.

    - `prompts`: (n,) cluster code of every pair. - `ranking`: (n, 2, S) index into `rankings`, or a negative failure.
    - `correct`: (n, 2, S) 1, 0, or -1 where there is no label or no verdict.
    - `first`: (n, 2, S) the candidate shown first. - `usage`: of every line, superseded ones too, as all were paid.
    """

    pair_ids: list[str]
    prompts: Ints
    ranking: NDArray[np.int32]
    correct: NDArray[np.int8]
    first: NDArray[np.int8]
    rankings: list[tuple[int, ...]]
    usage: Usage
    cached_calls: int

    @classmethod
    def of(cls, records: Iterable[VerdictRecord]) -> "VerdictTable":
        rows: dict[str, int] = {}
        prompts: dict[str, int] = {}
        rankings: dict[tuple[int, ...], int] = {}
        prompt_of_row = array("i")
        cells = {name: array("i") for name in ("row", "order", "sample", "ranking", "correct", "first", "cached")}
        input_tokens, output_tokens, calls, cost_usd = 0, 0, 0, 0.0
        for record in records:
            row = rows.setdefault(record.pair_id, len(rows))
            if row == len(prompt_of_row):
                prompt_of_row.append(prompts.setdefault(record.prompt_id, len(prompts)))
            if record.ranks is None:
                ranking = INVALID if record.outcome == "invalid" else ERROR
            else:
                ranking = rankings.setdefault(record.ranks, len(rankings))
            cells["row"].append(row)
            cells["order"].append(ORDERS.index(record.order))
            cells["sample"].append(record.sample)
            cells["ranking"].append(ranking)
            cells["correct"].append(-1 if record.correct is None else int(record.correct))
            cells["first"].append(record.shown[0])
            cells["cached"].append(record.cached)
            usage = record.usage
            input_tokens += usage.input_tokens
            output_tokens += usage.output_tokens
            calls += usage.calls
            cost_usd += usage.cost_usd
        columns = {name: np.array(values, dtype=np.int32) for name, values in cells.items()}
        shape = (len(rows), 2, int(columns["sample"].max()) + 1 if len(rows) else 1)
        where = _last_of_each_cell(columns, shape)
        # Verdicts arrive in any order; sums over pairs, and so the last digits of results, must not depend on it.
        ids = list(rows)
        by_id = sorted(range(len(ids)), key=ids.__getitem__)
        return cls(
            pair_ids=[ids[row] for row in by_id],
            prompts=_sorted_codes(list(prompts))[np.array(prompt_of_row, dtype=np.int64)[by_id]],
            ranking=_fill(shape, where, columns["ranking"], MISSING)[by_id],
            correct=_fill(shape, where, columns["correct"], -1).astype(np.int8)[by_id],
            first=_fill(shape, where, columns["first"], -1).astype(np.int8)[by_id],
            rankings=list(rankings),
            usage=Usage(input_tokens, output_tokens, cost_usd, calls),
            cached_calls=int(columns["cached"][where[0]].sum()),
        )

    @property
    def judged(self) -> Bools:
        """(n, 2, S): there is a verdict, failed or not."""
        return np.asarray(self.ranking != MISSING)

    @property
    def failed(self) -> Bools:
        return np.asarray((self.ranking == INVALID) | (self.ranking == ERROR))

    @property
    def winner(self) -> NDArray[np.int32]:
        """(n, 2, S): the candidate ranked first, `TIE`, or the failure moved below it (`ranking - 1`)."""
        best = np.array([_winner(ranks) for ranks in self.rankings] or [TIE], dtype=np.int32)
        return np.asarray(np.where(self.ranking >= 0, best[np.maximum(self.ranking, 0)], self.ranking - 1))

    @property
    def complete(self) -> Bools:
        """(n,): judged in both orders."""
        return np.asarray(np.any(self.judged[:, 0], axis=1) & np.any(self.judged[:, 1], axis=1))

    @property
    def labelled(self) -> Bools:
        return np.asarray((self.correct >= 0).any(axis=(1, 2)))

    def accuracy(self, order: Order, *, failures_right: bool = False) -> Floats:
        """(n,): share of right verdicts among a pair's samples in `order`; NaN where nothing is labelled or judged."""
        return _mean_over(self._right(failures_right)[:, ORDERS.index(order)])

    def resolved(self, *, failures_right: bool = False) -> Floats:
        """(n,): right in both orders."""
        return _mean_over(self._right(failures_right).prod(axis=1))

    def consistent(self) -> Floats:
        """(n,): the same candidate wins in both orders; needs no label. A tie or a failure prefers no candidate."""
        winner, both = self.winner, self.judged.all(axis=1)
        same = (winner[:, 0] == winner[:, 1]) & (winner[:, 0] >= 0)
        return _mean_over(np.where(both, same.astype(float), np.nan))

    def first_position(self) -> Floats:
        """(n,): share of the verdicts with one winner that name the candidate shown first; needs no label."""
        winner = self.winner
        picked = np.where(winner >= 0, (winner == self.first).astype(float), np.nan)
        return _mean_over(picked.reshape(len(picked), 2 * picked.shape[2]))

    def outcomes(self) -> dict[str, int]:
        """How many verdicts ended in each outcome: `a`, `b`, ..., `tie`, `invalid`, `error`."""
        counts = Counter(self.winner[self.judged].tolist())
        last = max(1, *(len(ranks) - 1 for ranks in self.rankings)) if self.rankings else 1
        named = {letter(i): counts[i] for i in range(last + 1)}
        return {**named, "tie": counts[TIE], "invalid": counts[INVALID - 1], "error": counts[ERROR - 1]}

    def _right(self, failures_right: bool) -> Floats:
        right = np.where(self.correct >= 0, self.correct.astype(float), np.nan)
        return np.where(self.failed & (self.correct >= 0), 1.0, right) if failures_right else right


def _winner(ranks: tuple[int, ...]) -> int:
    best = min(ranks)
    return ranks.index(best) if ranks.count(best) == 1 else TIE


def _last_of_each_cell(columns: dict[str, NDArray[np.int32]], shape: tuple[int, int, int]) -> tuple[Ints, Ints]:
    """Positions of the lines that count, and the flat cell each fills."""
    flat = (columns["row"].astype(np.int64) * 2 + columns["order"]) * shape[2] + columns["sample"]
    cells, reversed_position = np.unique(flat[::-1], return_index=True)
    return len(flat) - 1 - reversed_position, cells


def _fill(
    shape: tuple[int, int, int], where: tuple[Ints, Ints], values: NDArray[np.int32], empty: int
) -> NDArray[np.int32]:
    table = np.full(int(np.prod(shape)), empty, dtype=np.int32)
    lines, cells = where
    table[cells] = values[lines]
    return table.reshape(shape)


def _mean_over(samples: Floats) -> Floats:
    """(n, S) to (n,): the mean of what is not NaN, NaN where all is."""
    known = ~np.isnan(samples)
    count = known.sum(axis=1)
    total = np.where(known, samples, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _sorted_codes(names: list[str]) -> Ints:
    """(n,): the place of each name among all of them, sorted."""
    codes = np.empty(len(names), dtype=np.int64)
    codes[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    return codes
