"""Auditing a rubric: is it reliable, does it fit people's preferences, can it be cheated, and what does it cost."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from workbench.atomic import replacing
from workbench.audit.arms import ARMS, Arm, Caption
from workbench.audit.costs import cost_rows, lint_row
from workbench.audit.measures import failures
from workbench.audit.overlays import VOTE, captioned, key_words
from workbench.audit.placebo import placebo_rubric
from workbench.audit.report import Audit, measured_rows, worst_candidates
from workbench.audit.settings import TEMPERATURE, AuditSettings
from workbench.audit.variants import coin_flip_settings, from_coin_flips, paraphrased, reordered
from workbench.evaluation.judging import judge_all
from workbench.evaluation.record import read_verdicts
from workbench.evaluation.table import VerdictTable
from workbench.induction.errors import SilentJudge
from workbench.induction.events import EventLog
from workbench.induction.seeds import EmptyRubric
from workbench.judges.vlm_judge import RankingJudge
from workbench.pairs.checks import check_ranked, check_task
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
        "control": coin_flip_settings(rubric, seed=settings.seed).recipe,
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
        self.tables: dict[Arm, VerdictTable] = {}
        self.missing: dict[Arm, str] = {}
        self.written: dict[Arm, float] = {}  # mean tokens of the reasons
        self.control: Rubric | None = None  # from coin flips

    async def judge_all_arms(self) -> None:
        """Every arm in turn; what an earlier session did is read from its files."""
        for folder in ("arms", "rubrics", "captioned"):
            with storage(self.run.path / folder):
                (self.run.path / folder).mkdir(exist_ok=True)
        for arm in ARMS:
            rubric = await self._rubric_of(arm)
            pairs = await self._pairs_of(arm)
            if arm not in self.missing:
                await self._judge(arm, rubric, pairs)

    async def _rubric_of(self, arm: Arm) -> Rubric | None:
        """The rubric an arm judges with; None where it judges without, or, with a note in `missing`, there is none."""
        seed = self.settings.seed
        match arm.rubric:
            case "audited":
                return self.rubric
            case "placebo":
                return placebo_rubric(self.rubric, seed=seed)
            case "from coin flips":
                self.control = await self._written(arm, self._from_coin_flips)
                return self.control
            case "reordered":
                other = reordered(self.rubric, seed=seed)
                if other is None:
                    self.missing[arm] = "the rubric has one criterion, and so only one order"
                return other
            case "paraphrased":
                other = await self._written(arm, lambda: paraphrased(self.rubric, self.client))
                if other is not None and other.hash == self.rubric.hash:
                    self.missing[arm] = "the model gave the same words back"
                    return None
                return other
            case None:
                return None

    async def _from_coin_flips(self) -> Rubric:
        settings = self.settings
        with EventLog(self.run.path / "events.jsonl") as log:
            return await from_coin_flips(
                self.rubric,
                self.pairs,
                self.client,
                pairs=settings.seed_pairs,
                seed=settings.seed,
                record=log.record,
            )

    async def _written(self, arm: Arm, write: Callable[[], Awaitable[Rubric]]) -> Rubric | None:
        """A rubric a model writes, once: verdicts already in the folder were given on the one in its file.

        A spent budget leaves no file, so that the next session writes it anew, from the cache as far as that goes.
        """
        file = self.run.path / "rubrics" / f"{arm.name}.yaml"
        if file.exists():
            return load_rubric(file)
        before = replace(self.client.usage)
        try:
            rubric = await write()
        except (NoAnswer, InvalidAnswer, EmptyRubric, SilentJudge) as failure:
            self.missing[arm] = f"the model gave no rubric for it ({failure})"
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

    async def _pairs_of(self, arm: Arm) -> Sequence[Comparison]:
        """The pairs as an arm is shown them: the worse image captioned, or all as they are."""
        if arm.caption is None:
            return self.pairs
        texts: dict[Caption, str] = {"vote": VOTE, "key words": key_words(self.rubric)}
        text = texts[arm.caption]
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

    async def _judge(self, arm: Arm, rubric: Rubric | None, pairs: Sequence[Comparison]) -> None:
        judge = RankingJudge(self.client, rubric, temperature=TEMPERATURE if arm.repeated else None)
        log = self.run.path / "arms" / f"{arm.name}.jsonl"
        samples, concurrency = self.settings.samples(arm), self.client.limits.concurrency
        await judge_all(pairs, judge, log, self.progress, concurrency=concurrency, samples=samples)
        records = list(read_verdicts(log))
        self.tables[arm] = VerdictTable.of(records)
        self.written[arm] = sum(text_tokens(record.reason) for record in records) / len(records)

    def report(self, dataset: str, *, complete: bool) -> Audit:
        """The table of what has been measured so far."""
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
            model=self.client.endpoint.model,
            rows=rows,
            notes=self._notes(),
            complete=complete,
            synthetic=self.client.endpoint.is_synthetic,
        )

    def _notes(self) -> list[str]:
        notes = []
        seeds = set(self.rubric.provenance.get("seed_pairs", ()))
        if judged := sum(pair.id in seeds for pair in self.pairs):
            notes.append(
                f"{judged} of {len(self.pairs)} pairs are seeds of the rubric; its accuracy on them proves nothing"
            )
        if self.control:
            notes.append(_about_control(self.control, self.rubric))
        asked = sum(int(table.judged.sum()) for table in self.tables.values())
        if failed := failures(*self.tables.values()):
            notes.append(
                f"{failed:,} of {asked:,} verdicts failed; these are not right, agree with none and move nowhere"
            )
        return notes


def _about_control(control: Rubric, rubric: Rubric) -> str:
    recipe, pairs = control.provenance["recipe"], len(control.provenance["seed_pairs"])
    note = (
        f"coin-flip labels: one rubric that recipe {recipe}, with its default settings, made from {pairs} of these "
        "pairs; the interval does not cover what other coins would have given"
    )
    if rubric.provenance.get("recipe") == recipe:
        return note
    return f"{note}; the audited one was made in another way, so this gain is not what its labels brought"


def _checked(rubric: Rubric, comparisons: Sequence[Comparison], limit: int | None) -> Sequence[Comparison]:
    """The pairs to audit on. Raises `ValueError`."""
    pairs = comparisons[:limit]
    if not rubric.enabled_criteria():
        raise ValueError(f"rubric {rubric.name!r} has no enabled criterion: there is nothing to audit, enable one")
    check_task(pairs, rubric.name, rubric.task)
    check_ranked(pairs)
    return pairs
