"""Several evaluations side by side, read from their run folders: what each found, with what, and at what price."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.evaluation.compare import RunComparison, compare_run_folders
from workbench.evaluation.evaluate import RUBRIC_FILE
from workbench.evaluation.record import VerdictRecord, last_verdicts
from workbench.evaluation.results import Results, read_results
from workbench.evaluation.statistics import Estimate
from workbench.rubrics.files import load_rubric
from workbench.rubrics.rubric import Rubric
from workbench.runs.manifest import Manifest, read_manifest
from workbench.vlm.cache import Cache
from workbench.vlm.settings import is_synthetic


@dataclass(frozen=True, slots=True)
class EvaluatedRun:
    """One evaluation on disk.

    - `name`: the judge's, made unlike those of the other runs. - `results`: its `results.json`.
    - `rubric`: the one its judge was given; None for a judge without one, or one per prompt.
    """

    name: str
    path: Path
    manifest: Manifest
    results: Results
    rubric: Rubric | None

    @property
    def synthetic(self) -> bool:
        """Whether the judge is of the embedded world."""
        return any(map(is_synthetic, self.manifest.models))

    @property
    def accuracy(self) -> Estimate:
        """The mean over both orders."""
        return self.results.accuracy.mean

    @property
    def position_bias(self) -> Estimate:
        """Forward minus reverse accuracy."""
        return self.results.position_bias

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
        """What it found, for a table: every share with its 95% interval and n."""
        outcomes = self.results.outcomes
        return {
            "judge": self.name,
            "pairs": self.results.n_pairs,
            "accuracy": self.accuracy.percent(),
            "right in both orders": self.results.accuracy.resolved.percent(),
            "position bias": self.position_bias.points(),
            "consistent": self.results.consistency.percent(),
            "invalid, error": f"{outcomes.get('invalid', 0)}, {outcomes.get('error', 0)}",
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
        else EvaluatedRun(f"{run.name} ({run.path.name})", run.path, run.manifest, run.results, run.rubric)
        for run in read
    )


def against_first(runs: Sequence[EvaluatedRun]) -> dict[str, RunComparison]:
    """Every other run compared with the first, pair by pair, by name. Raises as `compare_runs` does."""
    return {run.name: compare_run_folders(runs[0].path, run.path) for run in runs[1:]}


def _read(folder: Path) -> EvaluatedRun:
    manifest = read_manifest(folder)
    results = read_results(folder) if manifest.kind == "evaluate" else None
    if results is None:
        raise ValueError(
            f"{folder} is the folder of a run of kind {manifest.kind!r}, {manifest.status}: name finished evaluations "
            "(`workbench runs list` shows them)"
        )
    file = folder / RUBRIC_FILE
    rubric = load_rubric(file) if file.exists() else None
    return EvaluatedRun(str(manifest.judge.get("name", folder.name)), folder, manifest, results, rubric)
