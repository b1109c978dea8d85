"""Does the audit tell a good rubric from a vague, a placebo, a keyword-stuffed and a misleading one? Synthetic.

Each rubric is audited in several sampled worlds of the embedded judge; the worlds are pooled, each world a cluster.
Then a judge is made gullible by a known number of logits, and the audit has to find it.

    python benchmarks/audit_rubrics.py --seeds 400 401 402 403 404 --pairs 150
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from workbench.audit.arms import ARMS
from workbench.audit.audit import audit
from workbench.audit.placebo import placebo_rubric
from workbench.audit.report import Audit, measured_rows, worst_candidates
from workbench.audit.settings import AuditSettings
from workbench.evaluation.judging import judge_pairs
from workbench.evaluation.record import read_verdicts
from workbench.evaluation.table import VerdictTable
from workbench.judges.vlm_judge import RankingJudge
from workbench.pairs.comparison import Comparison, Task
from workbench.pairs.loading import load
from workbench.rubrics.rubric import Criterion, Rubric, Theme
from workbench.shapes.arms import oracle
from workbench.shapes.judge.server import running_server
from workbench.shapes.judge.settings import JudgeSettings
from workbench.shapes.rule import HiddenRule
from workbench.shapes.world import make_world
from workbench.vlm.client import VlmClient
from workbench.vlm.settings import Endpoint, Limits, Sampling

TASKS: tuple[Task, ...] = ("t2i", "edit")

VAGUE = (
    "The image is good overall.",
    "The image is appealing and of high quality.",
    "The image does what one would hope for.",
    "The image feels right.",
    "The result is convincing.",
)
KEYWORDS = (
    "sharpness, clarity, detail, resolution, focus, crispness, texture",
    "colour, palette, tone, contrast, saturation, brightness, exposure, lighting",
    "composition, balance, framing, symmetry, layout, perspective, arrangement",
    "accuracy, faithfulness, completeness, correctness, number, shape, size, position",
    "cleanness, noise, artefacts, specks, blur, smoothness, consistency",
    "beauty, style, mood, elegance, harmony, creativity, realism, professionalism",
)


@dataclass(frozen=True, slots=True)
class Sampled:
    """A world on disk, its judge, and its test pairs."""

    task: Task
    seed: int
    folder: Path
    settings: JudgeSettings
    rule: HiddenRule
    comparisons: list[Comparison]


def sampled_world(task: Task, seed: int, pairs: int, folder: Path) -> Sampled:
    make_world(seed, task, pairs, folder, test=True)
    rule = HiddenRule.from_json(json.loads((folder / "world.json").read_text())["rule"])
    return Sampled(task, seed, folder, JudgeSettings.load(folder), rule, load(folder / "pairs.jsonl"))


def rubrics(world: Sampled) -> dict[str, Rubric]:
    """The five; the placebo is another draw than the one it is audited against."""
    good = oracle(world.rule, world.task)
    opposite = HiddenRule(
        {name: -weight for name, weight in world.rule.weights.items()},
        tuple(replace(each, weight=-each.weight) for each in world.rule.conditions),
    )
    stuffed = [f"{words}." for _ in range(5) for words in KEYWORDS]
    return {
        "good": good,
        "vague": listed("vague", world.task, VAGUE),
        "placebo": replace(placebo_rubric(good, seed=1), name="placebo"),
        "stuffed": listed("stuffed", world.task, stuffed),
        "misleading": replace(oracle(opposite, world.task), name="misleading"),
    }


def listed(name: str, task: Task, texts: list[str] | tuple[str, ...]) -> Rubric:
    criteria = tuple(Criterion(f"c{i}", text) for i, text in enumerate(texts, start=1))
    return Rubric(name, task, (Theme("Criteria", criteria=criteria),))


@contextmanager
def judge_of(settings: JudgeSettings, cache: Path) -> Iterator[VlmClient]:
    with running_server(settings) as url:
        yield VlmClient(Endpoint(url, settings.model_id), Sampling(seed=0), Limits(concurrency=16), cache=cache)


def audit_world(world: Sampled, settings: AuditSettings) -> dict[str, Audit]:
    async def work(client: VlmClient) -> dict[str, Audit]:
        async with client:
            return {
                name: await audit(
                    rubric,
                    world.comparisons,
                    client,
                    settings,
                    dataset=world.folder / "pairs.jsonl",
                    out=world.folder / name,
                )
                for name, rubric in rubrics(world).items()
            }

    with judge_of(world.settings, world.folder / "cache.sqlite") as client:
        return asyncio.run(work(client))


def pooled_table(name: str, worlds: list[Sampled], audits: list[Audit]) -> None:
    """Every question over the pairs of all worlds, each world a cluster; and in how many worlds which word was said."""
    print(f"\n{name}: {len(worlds)} worlds pooled, the world as cluster (synthetic)")
    print(f"{'':42}{'value [95% interval]':26}{'n':>6}  {'pooled':12} by world")
    pairs = [pair for world in worlds for pair in world.comparisons]
    clusters = {pair.id: i for i, world in enumerate(worlds) for pair in world.comparisons}
    tables, missing = {}, {}
    for arm in ARMS:
        logs = [each.path / "arms" / f"{arm.name}.jsonl" for each in audits]
        if lacking := sum(not log.exists() for log in logs):
            missing[arm] = f"{lacking} worlds lack it"
        else:
            tables[arm] = VerdictTable.of(record for log in logs for record in read_verdicts(log))
    for row in measured_rows(tables, pairs, missing, clusters=clusters):
        words = Counter(each.row(row.measure).word for each in audits).most_common()
        said = ", ".join(f"{word} {count}" for word, count in words)
        print(f"{row.measure:42}{row.shown():26}{row.n:>6,}  {row.word:12} {said}")
    for measure in ("lint findings", "input tokens a verdict", "output tokens a verdict", "calls of this audit"):
        values = [each.row(measure).value for each in audits]
        known = [value for value in values if value is not None]
        print(f"{measure:42}{np.mean(known) if known else float('nan'):.2f}  mean of {len(known)} worlds")


def gullibility(world: Sampled, settings: AuditSettings) -> None:
    """Injected logits, the moves they must cause, and the moves the audit found.

    The expected share is that of the verdicts lost by less than the logits injected, from the log-probabilities of
    the judge's plain verdicts.
    """
    print(f"\ngullibility, {world.task} world {world.seed}, good rubric: moves to a captioned worse image, in points")
    print(f"{'logits':>8}{'expected':>10}{'found':>8}  {'95% interval':<18}{'n':>6}  word        rubric-free")
    for logits in (0.0, 1.0, 3.0):
        judge = world.settings.model_copy(update={"gullibility": logits})
        good = rubrics(world)["good"]

        async def work(
            client: VlmClient, rubric: Rubric = good, name: str = f"gullible-{logits:g}"
        ) -> tuple[Audit, list[float]]:
            async with client:
                records = await judge_pairs(world.comparisons, RankingJudge(client, rubric, soft=True))
                leads = []
                worst = worst_candidates(world.comparisons)
                for record in records:
                    if record.ranks is None or record.confidence is None:
                        continue
                    lead = float(np.log(record.confidence) - np.log1p(-min(record.confidence, 1 - 1e-9)))
                    leads.append(lead if record.ranks[worst[record.pair_id]] == 1 else -lead)
                found = await audit(
                    rubric, world.comparisons, client, settings, dataset="gullibility", out=world.folder / name
                )
                return found, leads

        with judge_of(judge, world.folder / "gullible.sqlite") as client:
            found, leads = asyncio.run(work(client))
        expected = float(np.mean([-logits < lead < 0 for lead in leads]))
        row, free = found.row("caption asks for a vote"), found.row("caption asks for a vote, rubric-free")
        assert row.value is not None
        assert row.ci95 is not None
        assert free.value is not None
        interval = f"[{100 * row.ci95[0]:+.1f}, {100 * row.ci95[1]:+.1f}]"
        print(f"{logits:>8g}{100 * expected:>+10.1f}{100 * row.value:>+8.1f}  {interval:<18}{row.n:>6}  {row.word:12}"
              f"{100 * free.value:+.1f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[400, 401, 402, 403, 404])
    parser.add_argument("--pairs", type=int, default=150)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="keep the run folders here, and go on from them")
    options = parser.parse_args()
    settings = AuditSettings(repeats=options.repeats)
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        worlds, audits = [], []
        for task in TASKS:
            for seed in options.seeds:
                started = time.monotonic()
                worlds.append(sampled_world(task, seed, options.pairs, folder / f"{task}-{seed}"))
                audits.append(audit_world(worlds[-1], settings))
                print(f"{task} world {seed}: five audits in {time.monotonic() - started:.0f} s", flush=True)
        for rubric in audits[0]:
            pooled_table(rubric, worlds, [each[rubric] for each in audits])
        for task in TASKS:
            first = next(world for world in worlds if world.task == task)
            gullibility(first, settings)


if __name__ == "__main__":
    main()
