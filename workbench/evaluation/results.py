"""What an evaluation found: `results.json`, every number with its interval and its n."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import TypeAdapter, ValidationError

from workbench.evaluation.record import VerdictRecord, pairwise_agreement
from workbench.evaluation.statistics import Estimate, mean_difference, proportion
from workbench.evaluation.table import Bools, Floats, VerdictTable
from workbench.pairs.comparison import Comparison
from workbench.runs.manifest import stored_results
from workbench.runs.storage import first_fault

if TYPE_CHECKING:
    import pandas

Evidence = Literal["calibration", "algorithm", "model"]

MOST_STRATA = 50
"""A tag with more values than this names pairs rather than groups of them, and is left out of the strata."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """`forward` and `reverse` by order, `mean` of the two, `resolved`: right in both orders."""

    forward: Estimate
    reverse: Estimate
    mean: Estimate
    resolved: Estimate


@dataclass(frozen=True, slots=True)
class Stratum:
    """The pairs that carry one value of a tag, alone or among several joined by `+`."""

    n: int
    mean: Estimate
    resolved: Estimate


@dataclass(frozen=True, slots=True)
class Tokens:
    input: int
    output: int


@dataclass(frozen=True, slots=True)
class Results:
    """The numbers of one evaluation; each `Estimate` carries the n it rests on.

    - `n_missing`: pairs not yet judged in both orders; they are in no estimate that needs both.
    - `accuracy_bounds`: accuracies had every failed verdict been wrong (as counted in `accuracy`), or right.
    - `position_bias`: forward minus reverse accuracy. - `consistency`: the same candidate wins in both orders.
    - `first_position_rate`: of a pair's verdicts with a winner, the share that names the candidate shown first,
      averaged over pairs; 0.5 is unbiased where candidates are two.
    - `pairwise_agreement`: share of candidate pairs ordered as people did, where there are more than two candidates.
    - `outcomes`: verdicts, two a pair. - `strata_left_out`: tags with too many values to be groups.
    """

    n_pairs: int
    n_unlabelled: int
    n_missing: int
    accuracy: Accuracy
    accuracy_bounds: Mapping[str, tuple[float, float] | None]
    position_bias: Estimate
    consistency: Estimate
    first_position_rate: Estimate
    pairwise_agreement: Estimate | None
    outcomes: Mapping[str, int]
    strata: Mapping[str, Mapping[str, Stratum]]
    strata_left_out: Sequence[str]
    calls: int
    cached_calls: int
    tokens: Tokens
    cost_usd: float
    evidence: Evidence | None
    synthetic: bool
    schema: str = "workbench.results/1"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def rows(self) -> Iterator[tuple[str, Estimate]]:
        """Every headline number with the name it is shown under."""
        for part in fields(self.accuracy):
            yield f"accuracy, {part.name}", getattr(self.accuracy, part.name)
        yield "position bias", self.position_bias
        yield "consistency", self.consistency
        yield "first position rate", self.first_position_rate
        if self.pairwise_agreement is not None:
            yield "pairwise agreement", self.pairwise_agreement

    def to_frame(self) -> "pandas.DataFrame":
        """One row per headline number: value, 95% interval and n."""
        import pandas

        return pandas.DataFrame(
            [
                {
                    "quantity": name,
                    "value": e.value,
                    "low": e.ci95 and e.ci95[0],
                    "high": e.ci95 and e.ci95[1],
                    "n": e.n,
                }
                for name, e in self.rows()
            ]
        ).set_index("quantity")

    def to_text(self) -> str:
        """The table for a terminal, with outcome counts and what it took."""
        lines = [f"{'':22}{'value':>8}  {'95% interval':<19}{'n':>7}"]
        lines += [estimate_line(name, estimate) for name, estimate in self.rows()]
        verdicts = sum(self.outcomes.values())
        counts = ", ".join(f"{name} {count:,}" for name, count in self.outcomes.items())
        lines.append(f"{verdicts:,} verdicts: {counts}")
        failed = self.outcomes["invalid"] + self.outcomes["error"]
        bounds = self.accuracy_bounds["mean"]
        if failed and bounds:
            lines.append(
                f"{failed:,} failed verdicts count as wrong; mean accuracy lies between {bounds[0]:.1%} (all wrong) "
                f"and {bounds[1]:.1%} (all right)"
            )
        if self.n_missing:
            lines.append(f"{self.n_missing:,} of {self.n_pairs:,} pairs are not yet judged in both orders")
        if self.n_unlabelled:
            lines.append(f"{self.n_unlabelled:,} of {self.n_pairs:,} pairs carry no label and are in no accuracy")
        lines.append(
            f"{self.calls:,} calls, {self.cached_calls:,} verdicts from the cache, {self.tokens.input:,} tokens in, "
            f"{self.tokens.output:,} out, ${self.cost_usd:.4f}"
        )
        kind = [f"evidence: {self.evidence}"] if self.evidence else []
        lines += [", ".join(kind + ["synthetic"] * self.synthetic)] if kind or self.synthetic else []
        return "\n".join(lines)


_ADAPTER = TypeAdapter(Results)


def read_results(folder: Path) -> Results | None:
    """What the evaluation in `folder` found; None before it is finished. Raises `ValueError` naming a broken file."""
    stored = stored_results(folder)
    try:
        return None if stored is None else _ADAPTER.validate_python(stored)
    except ValidationError as error:
        raise ValueError(
            f"{folder / 'results.json'} is not in the format of this version ({first_fault(error)}); "
            "run the evaluation again, its answers come from the cache"
        ) from error


def estimate_line(name: str, estimate: Estimate) -> str:
    """`accuracy, mean          70.8%  [ 66.1%,  75.2%]     240`."""
    if estimate.value is None or estimate.ci95 is None:
        return f"{name:22}{'-':>8}  {'':19}{0:>7}"
    low, high = estimate.ci95
    return f"{name:22}{estimate.value:>8.1%}  {f'[{low:.1%}, {high:.1%}]':<19}{estimate.n:>7,}"


def summarise(
    records: Iterable[VerdictRecord],
    comparisons: Sequence[Comparison],
    *,
    evidence: Evidence | None = None,
    synthetic: bool = False,
) -> Results:
    """The results of `records` over the dataset `comparisons`; records may be any iterator and are read once.

    Every labelled pair with a verdict stays in the denominator, whatever the verdict was. Over several samples a
    pair's value is its mean. Raises `ValueError` for a record of a pair that is not in the dataset.
    """
    table = VerdictTable.of(records)
    by_id = {comparison.id: comparison for comparison in comparisons}
    strangers = [pair_id for pair_id in table.pair_ids if pair_id not in by_id]
    if strangers:
        raise ValueError(
            f"{len(strangers)} judged pairs are not in the dataset, the first is {strangers[0]!r}; "
            "summarise the verdicts with the dataset they were given on"
        )
    forward, reverse, resolved = table.accuracy("forward"), table.accuracy("reverse"), table.resolved()
    mean = (forward + reverse) / 2
    strata, left_out = _strata(table, by_id, mean, resolved)
    return Results(
        n_pairs=len(comparisons),
        n_unlabelled=sum(comparison.ranks is None for comparison in comparisons),
        n_missing=len(comparisons) - int(table.complete.sum()),
        accuracy=Accuracy(
            forward=_proportion(forward, table),
            reverse=_proportion(reverse, table),
            mean=_proportion(mean, table),
            resolved=_proportion(resolved, table),
        ),
        accuracy_bounds=_bounds(table, forward, reverse, mean, resolved),
        position_bias=_bias(forward - reverse, table),
        consistency=_proportion(table.consistent(), table),
        first_position_rate=_proportion(table.first_position(), table),
        pairwise_agreement=_pairwise(table, by_id),
        outcomes=table.outcomes(),
        strata=strata,
        strata_left_out=left_out,
        calls=table.usage.calls,
        cached_calls=table.cached_calls,
        tokens=Tokens(table.usage.input_tokens, table.usage.output_tokens),
        cost_usd=table.usage.cost_usd,
        evidence=evidence,
        synthetic=synthetic,
    )


def _proportion(values: Floats, table: VerdictTable, among: Bools | None = None) -> Estimate:
    known = ~np.isnan(values) if among is None else ~np.isnan(values) & among
    return proportion(values[known], table.prompts[known])


def _bias(values: Floats, table: VerdictTable) -> Estimate:
    known = ~np.isnan(values)
    return mean_difference(values[known], table.prompts[known])


def _bounds(
    table: VerdictTable, forward: Floats, reverse: Floats, mean: Floats, resolved: Floats
) -> dict[str, tuple[float, float] | None]:
    upper_forward = table.accuracy("forward", failures_right=True)
    upper_reverse = table.accuracy("reverse", failures_right=True)
    both = {
        "forward": (forward, upper_forward),
        "reverse": (reverse, upper_reverse),
        "mean": (mean, (upper_forward + upper_reverse) / 2),
        "resolved": (resolved, table.resolved(failures_right=True)),
    }
    return {
        name: None if np.isnan(low).all() else (float(np.nanmean(low)), float(np.nanmean(high)))
        for name, (low, high) in both.items()
    }


def _strata(
    table: VerdictTable, by_id: Mapping[str, Comparison], mean: Floats, resolved: Floats
) -> tuple[dict[str, dict[str, Stratum]], list[str]]:
    rows: dict[str, dict[str, list[int]]] = {}
    for row, pair_id in enumerate(table.pair_ids):
        for tag, value in by_id[pair_id].tags.items():
            # A value such as "blur+count" names several things; the pair is in the stratum of each.
            for part in value.split("+"):
                rows.setdefault(tag, {}).setdefault(part, []).append(row)
    strata: dict[str, dict[str, Stratum]] = {}
    for tag in sorted(rows):
        if len(rows[tag]) <= MOST_STRATA:
            strata[tag] = {
                value: _stratum(table, members, mean, resolved) for value, members in sorted(rows[tag].items())
            }
    return strata, [tag for tag in sorted(rows) if tag not in strata]


def _stratum(table: VerdictTable, members: list[int], mean: Floats, resolved: Floats) -> Stratum:
    among = np.zeros(len(table.pair_ids), dtype=bool)
    among[members] = True
    return Stratum(len(members), _proportion(mean, table, among), _proportion(resolved, table, among))


def _pairwise(table: VerdictTable, by_id: Mapping[str, Comparison]) -> Estimate | None:
    """Kendall-style agreement; None for a dataset of pairs, where it is the mean accuracy."""
    if all(len(comparison.images) == 2 for comparison in by_id.values()):
        return None
    values = np.full(len(table.pair_ids), np.nan)
    for row, pair_id in enumerate(table.pair_ids):
        label = by_id[pair_id].ranks
        given = table.ranking[row][table.judged[row]].tolist()
        if label is not None and given:
            ranks = [table.rankings[code] if code >= 0 else None for code in given]
            values[row] = np.mean([pairwise_agreement(r, label) for r in ranks])
    return _proportion(values, table)
