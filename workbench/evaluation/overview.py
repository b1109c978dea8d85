"""Several evaluations side by side, read from their run folders: what each found, with what, and at what price."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.evaluation.compare import RunComparison, compare_run_folders
from workbench.evaluation.evaluate import RUBRIC_FILE
from workbench.evaluation.record import VerdictRecord, last_verdicts
from workbench.evaluation.statistics import Estimate
from workbench.rubrics.files import load_rubric
from workbench.rubrics.rubric import Rubric
from workbench.runs.manifest import Manifest, read_manifest, read_results
from workbench.vlm.cache import Cache
from workbench.vlm.settings import SYNTHETIC_MODELS

Numbers = dict[str, Any]


@dataclass(frozen=True, slots=True)
class EvaluatedRun:
    """One evaluation on disk.

    - `name`: the judge's, made unlike those of the other runs. - `numbers`: its `results.json`.
    - `rubric`: the one its judge was given; None for a judge without one, or one per prompt.
    """

    name: str
    path: Path
    manifest: Manifest
    numbers: Numbers
    rubric: Rubric | None

    @property
    def synthetic(self) -> bool:
        """Whether the judge is of the embedded world."""
        return str(self.manifest.inputs["judge"].get("model", "")).startswith(SYNTHETIC_MODELS)

    @property
    def accuracy(self) -> Estimate:
        """The mean over both orders."""
        return _estimate(self.numbers["accuracy"]["mean"])

    @property
    def position_bias(self) -> Estimate:
        """Forward minus reverse accuracy."""
        return _estimate(self.numbers["position_bias"])

    def records(self) -> list[VerdictRecord]:
        """Its verdicts."""
        return last_verdicts(self.path / "verdicts.jsonl")

    def tokens_per_pair(self, cache: Path) -> float | None:
        """Tokens in and out that one pair takes in both orders, whoever paid for them: what the cache holds of the
        run's answers, retries left out. None where the cache lacks some of them.
        """
        records = self.records()
        answers = Cache(cache)
        try:
            found = [answers.get(key) for record in records for key in record.keys]
        finally:
            answers.close()
        pairs = {record.pair_id for record in records}
        if not found or any(answer is None for answer in found):
            return None
        return sum(answer.input_tokens + answer.output_tokens for answer in found if answer) / len(pairs)

    def row(self) -> Mapping[str, object]:
        """What it found, for a table: every share with its 95% interval."""
        outcomes = self.numbers["outcomes"]
        return {
            "judge": self.name,
            "pairs": self.numbers["n_pairs"],
            "accuracy": shown(self.accuracy),
            "right in both orders": shown(_estimate(self.numbers["accuracy"]["resolved"])),
            "position bias": shown(self.position_bias, signed=True),
            "consistent": shown(_estimate(self.numbers["consistency"])),
            "invalid, error": f"{outcomes['invalid']}, {outcomes['error']}",
            "model": self.manifest.inputs["judge"].get("model", ""),
        }


def read_runs(folders: Sequence[str | Path]) -> tuple[EvaluatedRun, ...]:
    """The evaluations in `folders`, in that order; judges of one name are told apart by their folders'.

    Raises `ValueError` for a folder that is no finished evaluation.
    """
    read = [_read(Path(folder)) for folder in folders]
    names = [run.name for run in read]
    return tuple(
        run
        if names.count(run.name) == 1
        else EvaluatedRun(f"{run.name} ({run.path.name})", run.path, run.manifest, run.numbers, run.rubric)
        for run in read
    )


def against_first(runs: Sequence[EvaluatedRun]) -> dict[str, RunComparison]:
    """Every other run compared with the first, pair by pair, by name. Raises as `compare_runs` does."""
    return {run.name: compare_run_folders(runs[0].path, run.path) for run in runs[1:]}


def shown(estimate: Estimate, *, signed: bool = False) -> str:
    """`72.0% [65.1%, 78.0%]`, its spaces such that no line breaks there; a dash for a number nobody could measure.

    >>> shown(Estimate(0.72, (0.651, 0.78), 200)).split(), shown(Estimate(None, None, 0))
    (['72.0%', '[65.1%,', '78.0%]'], '-')
    """
    if estimate.value is None or estimate.ci95 is None:
        return "-"
    sign = "+" if signed else ""
    low, high = estimate.ci95
    return f"{estimate.value:{sign}.1%}\u00a0[{low:{sign}.1%},\u00a0{high:{sign}.1%}]"


def _read(folder: Path) -> EvaluatedRun:
    manifest = read_manifest(folder)
    numbers = read_results(folder)
    if manifest.kind != "evaluate" or numbers is None:
        raise ValueError(
            f"{folder} is the folder of a run of kind {manifest.kind!r}, {manifest.status}: name finished evaluations "
            "(`workbench runs list` shows them)"
        )
    try:
        name, _ = str(manifest.inputs["judge"]["name"]), (numbers["accuracy"]["mean"], numbers["outcomes"]["error"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{folder}: its files are not in the format of this version (no {error})") from error
    file = folder / RUBRIC_FILE
    return EvaluatedRun(name, folder, manifest, numbers, load_rubric(file) if file.exists() else None)


def _estimate(numbers: Mapping[str, Any]) -> Estimate:
    low_high = numbers["ci95"]
    return Estimate(numbers["value"], (low_high[0], low_high[1]) if low_high else None, numbers["n"])
