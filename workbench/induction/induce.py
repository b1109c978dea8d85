"""Running an induction into a run folder: its events, its rubric, the evidence for it, what it took."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.induction.arr import ArrSettings
from workbench.induction.blind import BlindSettings
from workbench.induction.errors import PartialRubric
from workbench.induction.events import Event, EventLog
from workbench.induction.evidence import Evidence, cross_fit
from workbench.pairs.comparison import Comparison
from workbench.pairs.identity import dataset_identity
from workbench.progress import Progress
from workbench.rubrics.files import check_rubric_path, load_rubric, save_rubric
from workbench.rubrics.rubric import Rubric
from workbench.runs.folder import RunFolder
from workbench.runs.parameters import run_id
from workbench.vlm.client import VlmClient
from workbench.vlm.errors import BudgetSpent

RUBRIC_FILE = "rubric.yaml"

RecipeSettings = ArrSettings | BlindSettings


@dataclass(frozen=True, slots=True)
class Induced:
    """A finished induction: its run folder, its rubric, the evidence for it, and what it sent this time.

    - `evidence`: None where none was asked for.
    """

    path: Path
    rubric: Rubric
    evidence: Evidence | None
    calls: int
    cached: int

    def summary(self) -> str:
        """What became of the seed pairs, and whether the rubric makes the judge better, in a few lines."""
        provenance = self.rubric.provenance
        told = _arr_summary(self.rubric) if provenance["recipe"] == "arr" else _blind_summary(self.rubric)
        lines = textwrap.wrap(f"{told} {self.calls} calls, {self.cached} answers from the cache.", 100)
        if self.evidence:
            lines += textwrap.wrap(f"evidence: {self.evidence.sentence()}", 100)
        else:
            lines.append("evidence: not measured (no folds)")
        return "\n".join([*lines, f"run folder: {self.path}"])


async def induce(
    seeds: Sequence[Comparison],
    client: VlmClient,
    settings: RecipeSettings,
    *,
    dataset: str | Path,
    judge: VlmClient | None = None,
    folds: int = 5,
    out: Path | None = None,
    outputs: str | Path = "outputs",
    allow_urls: bool = False,
) -> Induced:
    """Induce a rubric into a run folder, and into the file `out` where one is named.

    - `client`: the writer. - `judge`: whom the rubric is for, the writer itself unless given.
    - `settings`: those of a recipe choose it.
    - `dataset`: what to call the seeds, usually their path.
    - `folds`: of the cross-fit that says whether the recipe makes the judge better; 0 leaves it out.
    - `allow_urls`: fetch images that are http(s) URLs, to hash them.

    A killed run resumes: answers come from the client's cache, and events already on disk are not written again. Until
    all is done the rubric says under `partial` in its provenance what is not; a budget that ends half-way is raised as
    `BudgetSpent` once the rubric so far is written. Raises as the recipe does, and `ValueError` for an `out` that is no
    rubric file.
    """
    if out:
        check_rubric_path(out)
    if folds < 0 or folds == 1:
        raise ValueError(f"folds={folds} must be 0 (no evidence), or 2 and more")
    judge = judge or client
    identity = dataset_identity(dataset, seeds, allow_urls=allow_urls)
    inputs = {
        "dataset": identity,
        "recipe": settings.recipe,
        "settings": settings.to_json(),
        "writer": client.identity(),
        "judge": judge.identity(),
        "folds": folds,
    }
    path = Path(outputs) / run_id("induce", (identity["name"], settings.recipe), inputs)
    name = out.stem if out else f"{identity['name']}-{settings.recipe}"
    clients = {id(each): each for each in (client, judge)}.values()
    before = [(each.usage.calls, each.usage.cached) for each in clients]
    evidence = None
    with RunFolder.open(path, inputs, kind="induce", parameters={"dataset_file": dataset}) as run:
        destination = _Destination(path / RUBRIC_FILE, out, {"dataset": identity})
        steps = settings.steps(len(seeds)) * max(1, folds) + (4 * len(seeds) if folds else 0)
        with EventLog(path / "events.jsonl") as log, Progress("inducing", steps, client.usage) as progress:
            try:
                rubric = await settings.induce(seeds, client, judge, name=name, record=log.record, progress=progress)
            except PartialRubric as partial:
                destination.save(partial.rubric)
                raise BudgetSpent(f"{partial}. A partial rubric, marked so, is in {destination.shown}") from partial
            destination.save(rubric, measured=not folds)
            run.record(counts=rubric.provenance["counts"], facts={"rubric": {"name": rubric.name, "hash": rubric.hash}})
            if folds:

                async def without(part: Sequence[Comparison]) -> Rubric:
                    own = _without_exemplars_of(seeds, part, settings)
                    return await own.induce(part, client, judge, name=name, record=_unrecorded, progress=progress)

                try:
                    evidence = await cross_fit(seeds, without, judge, folds=folds, progress=progress)
                except BudgetSpent as spent:
                    reason = spent.__cause__ if isinstance(spent, PartialRubric) else spent
                    raise BudgetSpent(
                        f"{reason}. The rubric is finished ({destination.shown}), its cross-fit is not"
                    ) from spent
                rubric = replace(rubric, provenance={**rubric.provenance, "evidence": evidence.to_json()})
                destination.save(rubric, measured=True)
                run.record(facts={"evidence": evidence.sentence()})
            progress.total = progress.done  # there were fewer revisions than there might have been
    calls = sum(each.usage.calls - sent for each, (sent, _) in zip(clients, before, strict=True))
    cached = sum(each.usage.cached - found for each, (_, found) in zip(clients, before, strict=True))
    return Induced(path, rubric, evidence, calls, cached)


class _Destination:
    """Where a rubric is written: the run folder, and the user's own file, unless that holds something else."""

    def __init__(self, own: Path, out: Path | None, provenance: Mapping[str, Any]) -> None:
        self.own = own
        self.out = out
        self.provenance = provenance
        there = [load_rubric(file) for file in (own, out) if file and file.exists()]
        self._evidence = {each.hash: each.provenance.get("evidence") for each in there}
        self._ours = {load_rubric(own).hash} if own.exists() else set()

    @property
    def shown(self) -> Path:
        return self.out or self.own

    def save(self, rubric: Rubric, *, measured: bool = True) -> None:
        """Write the rubric; one that is yet to be `measured` says so, unless earlier evidence for it is there.

        Raises `ValueError` where `out` holds another one, such as one edited by hand.
        """
        said = {**rubric.provenance, **self.provenance}
        known = self._evidence.get(rubric.hash)
        if known and "evidence" not in said and "partial" not in said:
            said["evidence"] = known
        elif not measured:
            said["partial"] = "not done: the cross-fit"
        rubric = replace(rubric, provenance=said)
        self._ours.add(rubric.hash)
        foreign = self.out is not None and self.out.exists() and load_rubric(self.out).hash not in self._ours
        if self.out and not foreign:
            save_rubric(rubric, self.out)
        save_rubric(rubric, self.own)
        if foreign:
            raise ValueError(
                f"{self.out} holds another rubric, perhaps edited by hand; the induced one is {self.own}: "
                "name another file"
            )


def _without_exemplars_of(
    seeds: Sequence[Comparison], part: Sequence[Comparison], settings: RecipeSettings
) -> RecipeSettings:
    """Settings for a part of the seeds: an exemplar that tells the label of a pair left out would spoil the test."""
    left_out = {seed.prompt for seed in seeds} - {seed.prompt for seed in part}
    return replace(settings, exemplars=tuple(e for e in settings.exemplars if e.prompt not in left_out))


def _counts(rubric: Rubric) -> Mapping[str, int]:
    counts: Mapping[str, int] = rubric.provenance["counts"]
    return counts


def _unrecorded(_: Event) -> None:
    """Events of a fold tell nothing about the rubric that is kept."""


def _arr_summary(rubric: Rubric) -> str:
    counts = _counts(rubric)
    text = (
        f"{counts['kept']} of {counts['seed_pairs']} seed pairs gave criteria that passed "
        f"({counts['passed_first_time']} at the first try, {counts['failed']} failed without an answer); "
        f"{counts['criteria_before_structuring']} criteria became {len(rubric.enabled_criteria())} "
        f"in {len(rubric.themes)} themes."
    )
    if problem := rubric.provenance.get("structuring_failed"):
        text += f" Sorting them into themes failed, they are one list: {problem}"
    return text


def _blind_summary(rubric: Rubric) -> str:
    counts: Mapping[str, Any] = rubric.provenance["counts"]
    text = (
        f"{counts.get('written', 0)} criteria were written for {counts['seed_pairs']} seed pairs, "
        f"{counts.get('screened_out', 0)} screened out, {counts.get('revised_pairs', 0)} pairs revised; "
        f"{len(rubric.enabled_criteria())} criteria were kept."
    )
    if aside := counts.get("set_aside"):
        text += f" {aside} seed pairs were set aside (tied or contradictory)."
    if failed := counts.get("failed"):
        text += f" {failed} questions to the writer had no usable answer."
    if counts.get("not_ordered"):
        text += " Sorting them into themes failed."
    return text
