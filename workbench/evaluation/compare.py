"""Two runs on the same pairs: paired differences, the pairs that flipped, and what this many pairs can show."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from workbench.evaluation.record import VerdictRecord, read_verdicts
from workbench.evaluation.statistics import HALF_PAIR, Difference, bootstrap_bounds, paired_difference
from workbench.evaluation.table import ERROR, INVALID, Bools, Floats, Ints, VerdictTable
from workbench.runs.manifest import read_manifest
from workbench.vlm.settings import is_synthetic

if TYPE_CHECKING:
    import pandas

FlipKind = Literal["fixed", "broken", "swap_only"]
FLIP_WORDS: Mapping[FlipKind, str] = {"fixed": "fixed", "broken": "broken", "swap_only": "swap-only"}
"""What each kind of flip is called wherever it is shown, in the order it is shown in."""


@dataclass(frozen=True, slots=True)
class JudgedRun:
    """One side of a comparison: a name, the hash of the dataset judged with its ids, and the verdicts.

    - `synthetic`: the judge is of the embedded world.
    """

    name: str
    dataset: str
    table: VerdictTable
    synthetic: bool = False

    @classmethod
    def of(cls, name: str, dataset: str, records: Iterable[VerdictRecord], *, synthetic: bool = False) -> "JudgedRun":
        return cls(name, dataset, VerdictTable.of(records), synthetic)


@dataclass(frozen=True, slots=True)
class Flip:
    """A pair whose verdict changed from run A to run B.

    - `fixed`: right in both orders in B, not in A. - `broken`: in A, not in B.
    - `swap_only`: neither, yet in some order the verdict (winner, tie or failure) is another; so right in both orders
      in neither run, or, without a label, any change.

    Over several samples "right in both orders" is a share, and fixed means that it rose.
    """

    pair_id: str
    kind: FlipKind

    @property
    def word(self) -> str:
        """What this kind of flip is called wherever it is shown."""
        return FLIP_WORDS[self.kind]


@dataclass(frozen=True, slots=True)
class RunComparison:
    """What changed from run `a` to run `b` over the `n_pairs` judged in both orders by both.

    - `differences`: forward, reverse, mean, resolved, position_bias, consistency; B minus A.
    - `only_in_a`, `only_in_b`: pairs judged in both orders by one run alone; they are in no number.
    - `errors`, `invalid`: verdicts of both runs on these pairs that failed and count as not right. An error is no
      answer, so nothing is concluded that answers in place of the errors could undo.
    - `sentence`: what the numbers allow one to say about mean accuracy, the quantity fixed beforehand.
    """

    a: str
    b: str
    dataset: str
    n_pairs: int
    only_in_a: Sequence[str]
    only_in_b: Sequence[str]
    differences: Mapping[str, Difference]
    flips: Sequence[Flip]
    flip_counts: Mapping[FlipKind, int]
    sentence: str
    synthetic: bool
    errors: int = 0
    invalid: int = 0
    schema: str = "workbench.comparison/1"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def to_frame(self) -> "pandas.DataFrame":
        """One row per quantity."""
        import pandas

        rows = []
        for name, d in self.differences.items():
            low, high = d.ci95 or (None, None)
            rows.append(
                {
                    "quantity": name.replace("_", " "),
                    "before": d.before,
                    "after": d.after,
                    "difference": d.value,
                    "low": low,
                    "high": high,
                    "n": d.n,
                    "p_mcnemar": d.p_mcnemar,
                    "smallest_detectable": d.smallest_detectable,
                    "verdict": d.verdict,
                }
            )
        return pandas.DataFrame(rows).set_index("quantity")

    def to_text(self) -> str:
        """The table for a terminal."""
        lines = [f"A: {self.a}", f"B: {self.b}", ""]
        lines.append(f"{'':15}{'A':>8}{'B':>8}{'B - A':>9}  {'95% interval':<19}{'n':>7}{'McNemar p':>11}  verdict")
        lines += [_difference_line(name.replace("_", " "), d) for name, d in self.differences.items()]
        counts = ", ".join(f"{self.flip_counts[kind]:,} {word}" for kind, word in FLIP_WORDS.items())
        lines.append(f"{len(self.flips):,} of {self.n_pairs:,} pairs flipped: {counts}")
        for name, missing in ((self.a, self.only_in_a), (self.b, self.only_in_b)):
            if missing:
                lines.append(f"left out: {len(missing):,} pairs judged in both orders by {name} alone")
        return "\n".join([*lines, "", *textwrap.wrap(self.sentence, 100)])


def compare_runs(a: JudgedRun, b: JudgedRun, *, seed: int = 0) -> RunComparison:
    """Compares B with A pair by pair; `seed` is the bootstrap's.

    Raises `ValueError` when the runs judged different datasets or share no pair judged in both orders.
    """
    if a.dataset != b.dataset:
        raise ValueError(
            f"{a.name} judged the dataset {a.dataset} and {b.name} the dataset {b.dataset}: only runs on the same "
            "dataset can be compared pair by pair; evaluate both on one file"
        )
    rows_a, rows_b = _complete_rows(a.table), _complete_rows(b.table)
    shared = [pair for pair in rows_a if pair in rows_b]
    if not shared:
        raise ValueError(f"{a.name} and {b.name} share no pair judged in both orders: finish both runs first")
    at_a = np.array([rows_a[pair] for pair in shared], dtype=np.int64)
    at_b = np.array([rows_b[pair] for pair in shared], dtype=np.int64)
    errors, invalid = (
        sum(int((table.ranking[at] == kind).sum()) for table, at in ((a.table, at_a), (b.table, at_b)))
        for kind in (ERROR, INVALID)
    )
    found = _differences(a.table, b.table, at_a, at_b, seed)
    differences = {name: _beyond_errors(name, difference, errors) for name, difference in found.items()}
    flips = _flips(a.table, b.table, at_a, at_b)
    counts = Counter(flip.kind for flip in flips)
    synthetic = a.synthetic or b.synthetic
    return RunComparison(
        a=a.name,
        b=b.name,
        dataset=a.dataset,
        n_pairs=len(shared),
        only_in_a=[pair for pair in rows_a if pair not in rows_b],
        only_in_b=[pair for pair in rows_b if pair not in rows_a],
        differences=differences,
        flips=flips,
        flip_counts={kind: counts[kind] for kind in FLIP_WORDS},
        sentence=_sentence(differences["mean"], errors) + (" Synthetic." if synthetic else ""),
        synthetic=synthetic,
        errors=errors,
        invalid=invalid,
    )


def compare_run_folders(a: str | Path, b: str | Path, *, seed: int = 0) -> RunComparison:
    """`compare_runs` of two run folders on disk."""
    return compare_runs(_judged_run(Path(a)), _judged_run(Path(b)), seed=seed)


def _judged_run(folder: Path) -> JudgedRun:
    manifest = read_manifest(folder)
    dataset = manifest.inputs.get("dataset")
    log = folder / "verdicts.jsonl"
    if not isinstance(dataset, dict) or "hash" not in dataset or not log.exists():
        raise ValueError(f"{folder} is not the run folder of an evaluation: it names no dataset or holds no verdicts")
    synthetic = any(map(is_synthetic, manifest.models))
    identity = str(dataset.get("with_ids", dataset["hash"]))
    judge = manifest.judge
    told = [judge["name"]] if "name" in judge else []
    told += [f"model {judge['model']}"] if "model" in judge else []
    told += [f"{manifest.status}: not all is judged"] if manifest.status in ("failed", "interrupted") else []
    name = f"{folder.name} ({', '.join(told)})" if told else folder.name
    return JudgedRun.of(name, identity, read_verdicts(log), synthetic=synthetic)


def _complete_rows(table: VerdictTable) -> dict[str, int]:
    return {table.pair_ids[row]: int(row) for row in np.flatnonzero(table.complete)}


def _quantities(table: VerdictTable, rows: Ints) -> dict[str, Floats]:
    forward, reverse = table.accuracy("forward")[rows], table.accuracy("reverse")[rows]
    return {
        "forward": forward,
        "reverse": reverse,
        "mean": (forward + reverse) / 2,
        "resolved": table.resolved()[rows],
        "position_bias": forward - reverse,
        "consistency": table.consistent()[rows],
    }


def _differences(a: VerdictTable, b: VerdictTable, at_a: Ints, at_b: Ints, seed: int) -> dict[str, Difference]:
    before, after, clusters = _quantities(a, at_a), _quantities(b, at_b), a.prompts[at_a]
    differences: dict[str, Difference] = {}
    bounds: dict[bytes, dict[str, tuple[float, float]]] = {}
    for name in before:
        known = ~np.isnan(before[name]) & ~np.isnan(after[name])
        key = known.tobytes()
        if key not in bounds and known.any():  # quantities over the same pairs are resampled together
            same = [q for q in before if np.array_equal(~np.isnan(before[q]) & ~np.isnan(after[q]), known)]
            stacked = np.stack([(after[q] - before[q])[known] for q in same])
            low, high = bootstrap_bounds(stacked, clusters[known], seed=seed)
            bounds[key] = {q: (float(low[i]), float(high[i])) for i, q in enumerate(same)}
        bias = name == "position_bias"
        differences[name] = paired_difference(
            before[name][known],
            after[name][known],
            clusters[known],
            limit=2.0 if bias else 1.0,
            weight=HALF_PAIR / 2 if name == "mean" else HALF_PAIR,
            goal="zero" if bias else "high",
            bootstrap95=bounds.get(key, {}).get(name),
        )
    return differences


def _beyond_errors(name: str, d: Difference, errors: int) -> Difference:
    """Undecided where right answers in place of errors could undo the verdict; each moves a quantity by 1/n at most."""
    if d.ci95 is None or d.verdict == "undecided":
        return d
    moved = errors / d.n * (0.5 if name == "mean" else 1.0)
    return d if min(map(abs, d.ci95)) > moved else replace(d, verdict="undecided")


def _flips(a: VerdictTable, b: VerdictTable, at_a: Ints, at_b: Ints) -> list[Flip]:
    resolved_a, resolved_b = a.resolved()[at_a], b.resolved()[at_b]
    changed = _winner_changed(a, b, at_a, at_b)
    flips = []
    for i, row in enumerate(at_a):
        if resolved_b[i] > resolved_a[i]:
            kind: FlipKind = "fixed"
        elif resolved_b[i] < resolved_a[i]:
            kind = "broken"
        elif changed[i]:
            kind = "swap_only"
        else:
            continue
        flips.append(Flip(a.pair_ids[row], kind))
    return flips


def _winner_changed(a: VerdictTable, b: VerdictTable, at_a: Ints, at_b: Ints) -> Bools:
    samples = min(a.ranking.shape[2], b.ranking.shape[2])
    different = a.winner[at_a, :, :samples] != b.winner[at_b, :, :samples]
    both = a.judged[at_a, :, :samples] & b.judged[at_b, :, :samples]
    return np.asarray((different & both).any(axis=(1, 2)))


def _sentence(d: Difference, errors: int) -> str:
    if d.value is None or d.ci95 is None:
        return "No shared pair carries a label, so nothing can be said about accuracy."
    low, high = d.ci95
    answer = "Undecided" if d.verdict == "undecided" else f"{d.verdict.capitalize()} than before"
    pairs = f"With {d.n:,} pairs of {d.n_clusters:,} prompts"
    interval = f"95% interval {low * 100:+.1f} to {high * 100:+.1f}"
    changed = f"mean accuracy changed by {d.value * 100:+.1f} points ({interval})"
    if d.smallest_detectable is None:
        power = "so few can tell no gain from chance"
    else:
        power = f"a true gain of {d.smallest_detectable * 100:.1f} points would have been found 4 times out of 5"
    failed = f" {errors:,} verdicts are errors, which count as not right: judge them again." if errors else ""
    return f"{answer}. {pairs} {changed}; {power}.{failed}"


def _difference_line(name: str, d: Difference) -> str:
    if d.value is None or d.ci95 is None or d.before is None or d.after is None:
        return f"{name:15}{'-':>8}{'-':>8}{'-':>9}  {'':19}{0:>7}"
    interval = f"[{d.ci95[0] * 100:+.1f}, {d.ci95[1] * 100:+.1f}]"
    return (
        f"{name:15}{d.before:>8.1%}{d.after:>8.1%}{d.value * 100:>+9.1f}  {interval:<19}{d.n:>7,}"
        f"{d.p_mcnemar:>11.3f}  {d.verdict}"
    )
