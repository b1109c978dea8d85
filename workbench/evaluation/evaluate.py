"""Running a judge over a dataset: every comparison in both orders, each verdict on disk as it arrives."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.evaluation.judging import judge_all
from workbench.evaluation.record import VerdictRecord, last_verdicts, read_verdicts
from workbench.evaluation.results import Results, summarise
from workbench.judges.rubric_source import RubricSource, apart
from workbench.judges.verdict import Judge
from workbench.pairs.checks import check_images, check_task
from workbench.pairs.comparison import Comparison
from workbench.pairs.identity import dataset_identity
from workbench.progress import Progress
from workbench.rubrics.files import save_rubric
from workbench.rubrics.library import file_name
from workbench.rubrics.rubric import Rubric
from workbench.runs.folder import RunFolder
from workbench.runs.manifest import read_manifest
from workbench.runs.parameters import run_id
from workbench.runs.storage import storage
from workbench.vlm.client import VlmClient
from workbench.vlm.errors import StopRun
from workbench.vlm.server import look_up
from workbench.vlm.settings import is_synthetic

RUBRIC_FILE = "rubric.yaml"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A finished evaluation: its run folder and its numbers.

    - `judged`: verdicts that were not yet in the folder.
    - `seeds_judged`: pairs among those the rubric was induced from, on which its accuracy proves nothing.
    - `without_rubric`: pairs judged without a rubric as the source of rubrics had none for their prompt.
    """

    path: Path
    results: Results
    judged: int = 0
    seeds_judged: int = 0
    without_rubric: int = 0

    def about(self) -> str:
        """What was measured with what, in one line: dataset, model and server version, code, date."""
        manifest = read_manifest(self.path)
        dataset, judge = manifest.inputs["dataset"], manifest.inputs["judge"]
        git = manifest.environment.get("git") or {}
        commit = f"{git['commit'][:9]}{' with changes' if git['dirty'] else ''}" if git else "unknown"
        server = manifest.facts.get("server_version") or "unknown"
        return (
            f"dataset {dataset['name']} ({dataset['hash'][:8]}) · model {judge.get('model', judge['name'])} · "
            f"server version {server} · code {commit} · {manifest.start[:10]}"
            + (f" · {self.seeds_judged} pairs are seeds of the rubric" if self.seeds_judged else "")
            + (f" · {self.without_rubric} pairs judged without a rubric" if self.without_rubric else "")
        )

    def records(self) -> list[VerdictRecord]:
        """Its verdicts."""
        return last_verdicts(self.path / "verdicts.jsonl")


async def evaluate(
    comparisons: Sequence[Comparison],
    judge: Judge,
    *,
    dataset: str | Path,
    rubric: Rubric | RubricSource | None = None,
    out: Path | None = None,
    outputs: str | Path = "outputs",
    client: VlmClient | None = None,
    samples: int = 1,
    allow_urls: bool = False,
) -> Evaluation:
    """Judge every comparison in both orders into a run folder, and summarise.

    - `dataset`: what to call it, usually its path.
    - `rubric`: what the judge was given, for the record: one rubric is kept as the run folder's `rubric.yaml`, those
      a source gave in its `rubrics/`, named after prompt and hash; those written for each prompt are a library for
      `RetrievedRubrics`.
    - `out`: the run folder; without it one under `outputs` named after its inputs, so the same call resumes.
    - `client`: the one the judge asks with, for its concurrency, its usage as progress and its server's version.
    - `allow_urls`: fetch images that are http(s) URLs, to hash them.

    Raises as `judge_all` does, and `ValueError` when `out` holds a run with other inputs, for a rubric of another task
    and for comparisons no judge can decide.
    """
    fixed, source = apart(rubric)
    check_images(comparisons)
    if fixed:
        check_task(comparisons, fixed.name, fixed.task)
    identity = dataset_identity(dataset, comparisons, allow_urls=allow_urls)
    inputs = {
        "dataset": identity,
        "rubric": {"name": fixed.name, "hash": fixed.hash} if fixed else {"name": source.name} if source else None,
        "judge": {"name": judge.name, **judge.identity()},
        "samples": samples,
    }
    path = out or Path(outputs) / run_id("evaluate", (identity["name"], judge.name), inputs)
    synthetic = is_synthetic(str(judge.identity().get("model", "")))
    concurrency = client.limits.concurrency if client else 32
    with RunFolder.open(path, inputs, kind="evaluate", parameters={"concurrency": concurrency}) as run:
        version = await asyncio.to_thread(_server_version, client) if client else None
        run.record(facts={"server_version": version, "dataset_file": dataset})
        if fixed:
            with storage(path / RUBRIC_FILE):
                save_rubric(fixed, path / RUBRIC_FILE)
        total = 2 * samples * len(comparisons)
        with Progress(f"judging ({judge.name})", total, client.usage if client else None) as progress:
            judged = await judge_all(
                comparisons, judge, run.verdicts_path, progress, concurrency=concurrency, samples=samples
            )
        results = summarise(
            read_verdicts(run.verdicts_path),
            comparisons,
            evidence="calibration" if synthetic else "model",
            synthetic=synthetic,
        )
        run.write("results.json", results.to_json())
        without = await _keep_rubrics(run, comparisons, source) if source else 0
        sourced = {"without_rubric": without} if source else {}
        run.record(counts={"pairs": results.n_pairs, **results.outcomes, **sourced})
    seeds = set(fixed.provenance.get("seed_pairs", ())) if fixed else set()
    seeds_judged = sum(comparison.id in seeds for comparison in comparisons)
    return Evaluation(path, results, judged, seeds_judged, without)


async def _keep_rubrics(run: RunFolder, comparisons: Sequence[Comparison], source: RubricSource) -> int:
    """Writes each rubric that verdicts name, and returns how many pairs were judged without one.

    A session that was killed left verdicts but no files: its rubrics are made again, out of the client's cache.
    """
    used = {record.pair_id: record.rubric for record in read_verdicts(run.verdicts_path)}
    folder = run.path / "rubrics"
    for comparison in comparisons:
        name = used.get(comparison.id)
        if name is None or (file := folder / file_name(comparison.prompt, name)).exists():
            continue
        rubric = await source.rubric_for(comparison)
        if rubric and rubric.hash == name:
            folder.mkdir(exist_ok=True)
            save_rubric(rubric, file)
    return sum(used.get(comparison.id) is None for comparison in comparisons)


def _server_version(client: VlmClient) -> str | None:
    """The server's version where it tells one; a run that is wholly cached needs no server."""
    try:
        return look_up(client.endpoint.base_url, client.endpoint.api_key_env).version
    except StopRun:
        return None
