"""Auditing a rubric: is it reliable, does it fit people's preferences, can it be cheated, and what does it cost."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.atomic import replacing
from workbench.audit.costs import cost_rows, lint_row
from workbench.audit.measures import failures
from workbench.audit.overlays import VOTE, captioned, key_words
from workbench.audit.placebo import placebo_rubric
from workbench.audit.questions import ARMS
from workbench.audit.report import Audit, measured_rows, worst_candidates
from workbench.audit.settings import AuditSettings
from workbench.audit.variants import from_coin_flips, paraphrased, reordered
from workbench.evaluation.judging import judge_all
from workbench.evaluation.record import read_verdicts
from workbench.evaluation.table import VerdictTable
from workbench.induction.events import EventLog
from workbench.induction.seeds import EmptyRubric
from workbench.judges.vlm_judge import RankingJudge
from workbench.pairs.comparison import Comparison
from workbench.pairs.identity import dataset_identity
from workbench.progress import Progress
from workbench.rubrics.files import load_rubric, save_rubric
from workbench.rubrics.rubric import Rubric
from workbench.runs.folder import RunFolder
from workbench.runs.parameters import run_id
from workbench.runs.storage import storage
from workbench.vlm.budget import text_tokens
from workbench.vlm.client import VlmClient
from workbench.vlm.errors import BudgetSpent, InvalidAnswer, NoAnswer
from workbench.vlm.settings import SYNTHETIC_MODELS

AUDIT_FILE = "audit.json"


async def audit(
    rubric: Rubric,
    comparisons: Sequence[Comparison],
    client: VlmClient,
    settings: AuditSettings,
    *,
    dataset: str | Path,
    out: Path | None = None,
    outputs: str | Path = "outputs",
    allow_urls: bool = False,
) -> Audit:
    """Audit a rubric on labelled comparisons into a run folder: `audit.json`, and each arm's verdicts and rubric.

    - `dataset`: what to call the comparisons, usually their path.
    - `client`: judges, paraphrases and writes the control rubric.
    - `out`: the run folder; without it one under `outputs` named after its inputs, so the same call resumes.

    Raises `ValueError` for a rubric without criteria or of another task, and for pairs that are unlabelled or tied;
    `StopRun` when going on is pointless. After `BudgetSpent` `audit.json` holds what was measured until then.
    """
    pairs = _checked(rubric, comparisons, settings.limit)
    identity = dataset_identity(dataset, pairs, allow_urls=allow_urls)
    inputs = {
        "dataset": identity,
        "rubric": {"name": rubric.name, "hash": rubric.hash},
        "judge": client.identity(),
        "settings": settings.to_json(),
    }
    path = out or Path(outputs) / run_id("audit", (identity["name"], rubric.name), inputs)
    with RunFolder.open(path, inputs, kind="audit", parameters={"dataset_file": dataset}) as run:
        with Progress("auditing", settings.verdicts(len(pairs)), client.usage) as progress:
            work = _Work(run, rubric, pairs, client, settings, progress, allow_urls)
            try:
                await work.judge_all_arms()
            except BudgetSpent:
                run.write(AUDIT_FILE, work.report(identity["name"], complete=False).to_json())
                raise
        report = work.report(identity["name"], complete=True)
        run.write(AUDIT_FILE, report.to_json())
        run.record(counts={"pairs": len(pairs), "failed": failures(*work.tables.values())})
    return report


class _Work:
    """One audit under way: `tables` are the verdicts of the arms done, `missing` says why an arm cannot be."""

    def __init__(
        self,
        run: RunFolder,
        rubric: Rubric,
        pairs: Sequence[Comparison],
        client: VlmClient,
        settings: AuditSettings,
        progress: Progress,
        allow_urls: bool,
    ) -> None:
        self.run = run
        self.rubric = rubric
        self.pairs = pairs
        self.client = client
        self.settings = settings
        self.progress = progress
        self.allow_urls = allow_urls
        self.tables: dict[str, VerdictTable] = {}
        self.missing: dict[str, str] = {}
        self.written: dict[str, float] = {}  # mean tokens of the reasons

    async def judge_all_arms(self) -> None:
        """Every arm in turn; what an earlier session did is read from its files."""
        for folder in ("arms", "rubrics", "captioned"):
            with storage(self.run.path / folder):
                (self.run.path / folder).mkdir(exist_ok=True)
        for arm in ARMS:
            free = arm.startswith("free")
            kind = arm.removeprefix("free-") if free else arm
            rubric = None if free else await self._rubric_of(kind)
            if arm in self.missing:
                continue
            pairs = await self._pairs_of(kind, arm)
            if arm not in self.missing:
                await self._judge(arm, rubric, pairs, repeated=kind == "repeats")

    async def _rubric_of(self, arm: str) -> Rubric | None:
        """The rubric an arm judges with; None, and a note in `missing`, where there is none."""
        seed = self.settings.seed
        match arm:
            case "placebo":
                return placebo_rubric(self.rubric, seed=seed)
            case "reordered":
                other = reordered(self.rubric, seed=seed)
                if other is None:
                    self.missing[arm] = "the rubric has one criterion, and so only one order"
                return other
            case "paraphrased":
                return await self._written(arm, lambda: paraphrased(self.rubric, self.client))
            case "coin-flips":
                return await self._written(arm, self._from_coin_flips)
            case _:
                return self.rubric

    async def _from_coin_flips(self) -> Rubric:
        settings = self.settings
        with EventLog(self.run.path / "events.jsonl") as log:
            return await from_coin_flips(
                self.rubric,
                self.pairs,
                self.client,
                pairs=settings.seed_pairs,
                epochs=settings.epochs,
                seed=settings.seed,
                record=log.record,
            )

    async def _written(self, arm: str, write: Callable[[], Awaitable[Rubric]]) -> Rubric | None:
        """A rubric a model writes, once: verdicts already in the folder were given on the one in its file."""
        file = self.run.path / "rubrics" / f"{arm}.yaml"
        if file.exists():
            return load_rubric(file)
        before = replace(self.client.usage)
        try:
            rubric = await write()
        except (NoAnswer, InvalidAnswer, EmptyRubric) as failure:
            self.missing[arm] = f"the model wrote no rubric for it ({failure})"
            return None
        finally:
            self._count(before.calls, before.cost_usd)
        save_rubric(rubric, file)
        return rubric

    def _count(self, calls_before: int, cost_before: float) -> None:
        """Add what the writer took to the run's record; verdicts carry what they took themselves."""
        manifest, usage = self.run.manifest, self.client.usage
        calls = manifest.counts.get("writer_calls", 0) + usage.calls - calls_before
        cost = manifest.facts.get("writer_cost_usd", 0.0) + usage.cost_usd - cost_before
        self.run.record(counts={"writer_calls": calls}, facts={"writer_cost_usd": cost})

    async def _pairs_of(self, kind: str, arm: str) -> Sequence[Comparison]:
        """The pairs as an arm is shown them: the worse image captioned, or all as they are."""
        text = {"vote": VOTE, "keywords": key_words(self.rubric)}.get(kind)
        if text is None:
            return self.pairs
        if not text:
            self.missing[arm] = "the rubric has no key words of four letters or more"
            return ()
        return await asyncio.to_thread(self._captioned, text)

    def _captioned(self, text: str) -> list[Comparison]:
        worst = worst_candidates(self.pairs)
        marked = []
        for pair in self.pairs:
            images = list(pair.images)
            image = captioned(images[worst[pair.id]], text, allow_urls=self.allow_urls)
            file = self.run.path / "captioned" / f"{hashlib.blake2b(image, digest_size=12).hexdigest()}.png"
            if not file.exists():
                with storage(file), replacing(file) as temporary:
                    temporary.write_bytes(image)
            images[worst[pair.id]] = str(file)
            marked.append(replace(pair, images=tuple(images)))
        return marked

    async def _judge(self, arm: str, rubric: Rubric | None, pairs: Sequence[Comparison], *, repeated: bool) -> None:
        judge = RankingJudge(self.client, rubric, temperature=self.settings.temperature if repeated else None)
        log = self.run.path / "arms" / f"{arm}.jsonl"
        samples = self.settings.repeats if repeated else 1
        concurrency = self.client.limits.concurrency
        await judge_all(pairs, judge, log, self.progress, concurrency=concurrency, samples=samples)
        records = list(read_verdicts(log))
        self.tables[arm] = VerdictTable.of(records)
        self.written[arm] = sum(text_tokens(record.reason) for record in records) / len(records)

    def report(self, dataset: str, *, complete: bool) -> Audit:
        """The table of what has been measured so far."""
        model = str(self.client.identity()["model"])
        manifest = self.run.manifest
        rows = [*measured_rows(self.tables, self.pairs, self.missing), lint_row(self.rubric)]
        rows += cost_rows(
            self.rubric,
            self.pairs,
            self.client,
            self.tables,
            self.written,
            writer_calls=manifest.counts.get("writer_calls", 0),
            writer_cost_usd=manifest.facts.get("writer_cost_usd", 0.0),
        )
        return Audit(
            path=self.run.path,
            rubric=self.rubric.name,
            dataset=dataset,
            model=model,
            rows=rows,
            notes=self._notes(),
            complete=complete,
            synthetic=model.startswith(SYNTHETIC_MODELS),
        )

    def _notes(self) -> list[str]:
        notes = []
        seeds = set(self.rubric.provenance.get("seed_pairs", ()))
        if judged := sum(pair.id in seeds for pair in self.pairs):
            notes.append(
                f"{judged} of {len(self.pairs)} pairs are seeds of the rubric; its accuracy on them proves nothing"
            )
        asked = sum(int(table.judged.sum()) for table in self.tables.values())
        if failed := failures(*self.tables.values()):
            notes.append(
                f"{failed:,} of {asked:,} verdicts failed; they agree with nothing, are not right and move nothing"
            )
        return notes


def _checked(rubric: Rubric, comparisons: Sequence[Comparison], limit: int | None) -> Sequence[Comparison]:
    """The pairs to audit on. Raises `ValueError`."""
    pairs = comparisons[:limit]
    if not rubric.enabled_criteria():
        raise ValueError(f"rubric {rubric.name!r} has no enabled criterion: there is nothing to audit, enable one")
    if not pairs:
        raise ValueError("no comparisons were given; an audit needs labelled pairs")
    if task := next((pair.task for pair in pairs if pair.task != rubric.task), None):
        raise ValueError(
            f"rubric {rubric.name!r} is for task {rubric.task}, the comparisons are of task {task}; "
            f"choose pairs for {rubric.task}, or correct the rubric's `task`"
        )
    problems: dict[str, Callable[[Comparison], Any]] = {
        "no label": lambda pair: pair.ranks is None,
        "a tie for a label": lambda pair: len(set(pair.ranks or ())) < len(pair.ranks or ()),
        "fewer than 2 or more than 26 images": lambda pair: not 2 <= len(pair.images) <= 26,
    }
    for problem, has in problems.items():
        if odd := [pair.id for pair in pairs if has(pair)]:
            raise ValueError(
                f"{len(odd)} of {len(pairs)} comparisons have {problem}, the first is {odd[0]!r}; "
                "an audit needs to know which image people liked least: label them or leave them out"
            )
    return pairs
