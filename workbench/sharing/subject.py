"""What is shared: a run folder read back, with every run it rests on, the pairs it judged and its rubric."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from workbench.annotations.annotation import Annotation
from workbench.annotations.log import latest, read_annotations
from workbench.audit.audit import AUDIT_FILE
from workbench.evaluation.compare import RunComparison, compare_run_folders
from workbench.evaluation.evaluate import RUBRIC_FILE
from workbench.evaluation.record import VerdictRecord, last_verdicts
from workbench.evaluation.results import Evidence, Results, read_results, summarise
from workbench.notebook import project_root
from workbench.rubrics.files import load_rubric
from workbench.rubrics.rubric import Rubric, RubricError
from workbench.rubrics.versions import ancestors
from workbench.runs.folder import is_in_use, runs_made
from workbench.runs.manifest import Manifest, read_manifest
from workbench.runs.notebook import EXECUTED
from workbench.sharing.dataset import Dataset, find_dataset, no_dataset
from workbench.vlm.settings import is_synthetic

ANNOTATIONS = "annotations.jsonl"


@dataclass(frozen=True, slots=True)
class Judged:
    """The run of one evaluation: a judge and what it said.

    - `records`: of each pair, order and sample the last one.
    """

    name: str
    path: Path
    manifest: Manifest
    records: Sequence[VerdictRecord]
    results: Results | None
    rubric: Rubric | None

    @property
    def dataset_key(self) -> str:
        """What the dataset is known by, its ids included."""
        dataset = self.manifest.inputs.get("dataset") or {}
        return str(dataset.get("with_ids", dataset.get("hash")))


@dataclass(frozen=True, slots=True)
class Subject:
    """Everything a page is made from.

    - `state`: `finished`, or why not all is there. - `judged`: the judges of the viewer; the run's own, if it is an
      evaluation, is the last, what it is compared with the first. - `baseline`: the name of that.
    - `rubrics`: the one in question, or those of a notebook's judges. - `changes`: of these, with what each was before.
    - `audit`: the content of an audit.
    """

    path: Path
    manifest: Manifest
    state: str
    judged: tuple[Judged, ...] = ()
    baseline: Judged | None = None
    comparison: RunComparison | None = None
    dataset: Dataset = field(default_factory=lambda: no_dataset(""))
    rubrics: tuple[Rubric, ...] = ()
    changes: tuple[tuple[Rubric, Rubric], ...] = ()
    annotations: tuple[Annotation, ...] = ()
    notebook: Path | None = None
    audit: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()

    @property
    def own(self) -> Judged | None:
        """The evaluation this run is, if it is one."""
        return self.judged[-1] if self.manifest.kind == "evaluate" and self.judged else None

    @property
    def rubric(self) -> Rubric | None:
        """The one rubric in question; None where there is none, or where there are several."""
        return self.rubrics[0] if len(self.rubrics) == 1 else None

    @property
    def synthetic(self) -> bool:
        """Whether any model here is of the embedded world."""
        manifests = [self.manifest, *(each.manifest for each in self.judged)]
        audited = bool(self.audit and self.audit.get("synthetic"))
        return audited or any(is_synthetic(model) for each in manifests for model in each.models)

    @property
    def evidence(self) -> Evidence:
        """The kind of evidence the numbers are."""
        told = [each.results.evidence for each in self.judged if each.results and each.results.evidence]
        return told[-1] if told else ("calibration" if self.synthetic else "model")


def read_subject(run: Path, *, against: Path | None = None, pairs: Path | None = None) -> Subject:
    """Read the run folder `run` and all it rests on.

    - `against`: a run it is compared with. - `pairs`: the dataset's file, where it is no longer where the run says.

    Raises `ValueError` naming the file for a folder that is no run's, a broken file in it, `pairs` that are not what
    was judged, and an `against` on other pairs.
    """
    manifest = read_manifest(run)
    if against and against.resolve() == run.resolve():
        raise ValueError(f"--against {against} is the run itself: name the run it is compared with")
    notes: tuple[str, ...] = ()
    judged: list[Judged] = []
    if manifest.kind == "evaluate":
        judged = [_read_judged(run, manifest)]
    elif manifest.kind == "notebook":
        judged, notes = _of_one_dataset([each for each in map(_if_evaluation, runs_made(run)) if each])
    baseline = _read_judged(against, read_manifest(against)) if against and _holds_verdicts(against) else None
    comparison = None
    if baseline and manifest.kind == "evaluate":
        comparison = compare_run_folders(baseline.path, run)
    if baseline and judged and baseline.dataset_key == judged[0].dataset_key:
        judged = [baseline, *(each for each in judged if each.path.resolve() != baseline.path.resolve())]
    judged = _with_names(judged)
    dataset = _dataset_of(manifest, run, judged, pairs)
    judged = [_with_results(each, dataset) for each in judged]
    rubrics = _rubrics_of(run, manifest, judged)
    return Subject(
        path=run,
        manifest=manifest,
        state=_state(run, manifest),
        judged=tuple(judged),
        baseline=judged[0] if baseline and judged and judged[0].path == baseline.path else None,
        comparison=comparison,
        dataset=dataset,
        rubrics=rubrics,
        changes=tuple(_changes(rubrics, run, against)),
        annotations=_annotations([run, *(each.path for each in judged)]),
        notebook=_notebook(run, manifest),
        audit=_audit(run) if manifest.kind == "audit" else None,
        notes=notes,
    )


def _read_judged(run: Path, manifest: Manifest) -> Judged:
    log = run / "verdicts.jsonl"
    return Judged(
        name=str(manifest.judge.get("name", run.name)),
        path=run,
        manifest=manifest,
        records=last_verdicts(log) if log.exists() else [],
        results=read_results(run),
        rubric=_rubric_in(run, manifest),
    )


def _if_evaluation(run: Path) -> Judged | None:
    manifest = read_manifest(run)
    return _read_judged(run, manifest) if manifest.kind == "evaluate" else None


def _holds_verdicts(run: Path) -> bool:
    return read_manifest(run).kind == "evaluate"


def _of_one_dataset(judged: Sequence[Judged]) -> tuple[list[Judged], tuple[str, ...]]:
    """The evaluations over the dataset that most of them judged, and what is said of the others."""
    groups: dict[str, list[Judged]] = {}
    for each in judged:
        groups.setdefault(each.dataset_key, []).append(each)
    most = max(groups.values(), key=len, default=[])
    left_out = len(judged) - len(most)
    note = f"The notebook made {left_out} more evaluations on other pairs; they are not in the viewer."
    return most, (note,) if left_out else ()


def _with_names(judged: Sequence[Judged]) -> list[Judged]:
    """Judges of one name told apart by their rubric, or else by the end of their run's name."""
    names = [each.name for each in judged]
    return [
        replace(each, name=f"{each.name} ({each.path.name.rsplit('-', 1)[-1]})") if names.count(each.name) > 1 else each
        for each in judged
    ]


def _with_results(judged: Judged, dataset: Dataset) -> Judged:
    """A run that is not finished has no results yet: they are made of the verdicts it has."""
    if judged.results or not judged.records or not dataset.comparisons:
        return judged
    synthetic = any(map(is_synthetic, judged.manifest.models))
    evidence: Evidence = "calibration" if synthetic else "model"
    made = summarise(judged.records, dataset.comparisons, evidence=evidence, synthetic=synthetic)
    return replace(judged, results=made)


def _dataset_of(manifest: Manifest, run: Path, judged: Sequence[Judged], given: Path | None) -> Dataset:
    if judged:
        newest = judged[-1]
        return find_dataset(newest.manifest, newest.path, given, newest.records)
    if manifest.kind == "induce" or given:
        return find_dataset(manifest, run, given, ())
    return no_dataset("The notebook made no evaluation whose pairs could be shown." * (manifest.kind == "notebook"))


def _rubrics_of(run: Path, manifest: Manifest, judged: Sequence[Judged]) -> tuple[Rubric, ...]:
    """The rubric of a run; for a notebook those of its judges, each once."""
    if manifest.kind != "notebook":
        own = _rubric_in(run, manifest)
        return (own,) if own else ()
    rubrics: dict[str, Rubric] = {}
    for each in judged:
        if each.rubric:
            rubrics.setdefault(each.rubric.hash, each.rubric)
    return tuple(rubrics.values())


def _rubric_in(run: Path, manifest: Manifest) -> Rubric | None:
    """The rubric a run names, from its folder or wherever a file of the project holds it, by its hash."""
    named = manifest.inputs.get("rubric") or manifest.facts.get("rubric")
    if not isinstance(named, Mapping) or "hash" not in named:
        return load_rubric(run / RUBRIC_FILE) if (run / RUBRIC_FILE).exists() else None
    for file in (run / RUBRIC_FILE, *_rubric_files()):
        try:
            rubric = load_rubric(file)
        except RubricError:
            continue
        if rubric.hash == named["hash"]:
            return replace(rubric, name=str(named.get("name", rubric.name)))
    return None


def _rubric_files() -> list[Path]:
    return sorted((project_root() / "rubrics").glob("*.y*ml"))


def _changes(rubrics: Sequence[Rubric], run: Path, against: Path | None) -> Iterator[tuple[Rubric, Rubric]]:
    """What each rubric is shown as a change of: the other run's rubric, or its parent version."""
    other = _rubric_in(against, read_manifest(against)) if against else None
    for rubric in rubrics:
        before = other or _parent(rubric, rubrics, run)
        if before and before.hash != rubric.hash:
            yield before, rubric


def _parent(rubric: Rubric, others: Sequence[Rubric], run: Path) -> Rubric | None:
    parent = rubric.provenance.get("parent")
    named = parent.get("hash") if isinstance(parent, Mapping) else None
    found = (parents[0] for folder in (run, project_root() / "rubrics") if (parents := ancestors(rubric, folder)))
    return next((each for each in others if each.hash == named), None) or next(found, None)


def _annotations(folders: Sequence[Path]) -> tuple[Annotation, ...]:
    files = [folder / ANNOTATIONS for folder in dict.fromkeys(folders)]
    told = [annotation for file in files if file.exists() for annotation in read_annotations(file)]
    return tuple(latest(sorted(told, key=lambda each: each.moment)).values())


def _notebook(run: Path, manifest: Manifest) -> Path | None:
    if manifest.kind != "notebook":
        return None
    if not (run / EXECUTED).exists():
        raise ValueError(f"{run} holds no {EXECUTED}: the notebook did not start; run it again")
    return run / EXECUTED


def _audit(run: Path) -> Mapping[str, Any] | None:
    file = run / AUDIT_FILE
    if not file.exists():
        return None
    try:
        content = json.loads(file.read_bytes())
        if isinstance(content["rows"], list):
            return dict(content)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is not an audit ({error!r}); run the audit again, its answers are cached") from error
    raise ValueError(f"{file} is not an audit: its rows are no list; run the audit again, its answers are cached")


def _state(run: Path, manifest: Manifest) -> str:
    if manifest.status == "running":
        return "still running" if is_in_use(run) else "interrupted"
    return manifest.status
