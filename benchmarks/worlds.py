"""What rubrics do to judges over many sampled worlds, every arm beside every other. Synthetic (calibration).

    python benchmarks/worlds.py benchmarks/params/arms.yaml --out outputs/worlds/arms.jsonl

One JSON line an arm, world and condition, appended as it goes; given again, the same command goes on where it stopped.
Everything a judge or a writer says comes over HTTP. `worlds_report.py` turns the lines into tables.
"""

import argparse
import asyncio
import math
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from worlds_matcher import Matcher
from worlds_site import CONCURRENCY, Clock, Place, Site
from worlds_study import Arm, Condition, Judged, Line, Study, read_results

from workbench.evaluation.compare import JudgedRun, compare_runs
from workbench.evaluation.judging import judge_pairs
from workbench.evaluation.record import VerdictRecord
from workbench.judges.vlm_judge import RankingJudge
from workbench.pairs.comparison import Task
from workbench.runs.lines import LineLog
from workbench.vlm.errors import StopRun

Key = tuple[Any, ...]
Job = tuple[Task, int]


class Runner:
    """Runs worlds one after the other, appending lines.

    - `lines`: those written before; grows.
    """

    def __init__(self, study: Study, lines: Mapping[Key, Line], append: Callable[[bytes], None]) -> None:
        self.study = study
        self.lines = dict(lines)
        self.append = append
        self._matchers: dict[Task, Matcher] = {}

    async def run(self, jobs: Sequence[Job]) -> None:
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="worlds-")))
            if self.study.match:
                for task in dict.fromkeys(task for task, _ in jobs):
                    self._matchers[task] = await Matcher.start(task, folder, stack)
            for i, (task, seed) in enumerate(jobs, start=1):
                started = time.monotonic()
                await self.run_world(task, seed)
                print(f"{task} {seed}: {time.monotonic() - started:.1f} s ({i} of {len(jobs)})", flush=True)

    async def run_world(self, task: Task, seed: int) -> None:
        """All conditions of one world, on the same pictures and servers."""
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="world-")))
            place = Place(folder, stack)
            for condition in self.study.conditions:
                missing = self.missing(task, seed, condition)
                if missing:
                    site = Site(place, task, seed, condition, self.study.model_of_placebo, self.lines)
                    await self._run_arms(site, missing)

    def missing(self, task: Task, seed: int, condition: Condition) -> list[Arm]:
        """The arms without a line. Raises `ValueError` where there is one made with other parameters."""
        lacking: list[Arm] = []
        for arm in self.study.arms:
            line = self.lines.get((task, seed, condition.name, arm))
            if line is None:
                lacking.append(arm)
            elif line.design != self.study.design(condition, arm):
                raise ValueError(
                    f"the results hold {task} {seed}, condition {condition.name!r}, arm {arm} with other parameters "
                    f"(design {line.design}, now {self.study.design(condition, arm)}); name another --out"
                )
        return lacking

    async def _run_arms(self, site: Site, arms: Sequence[Arm]) -> None:
        free, _ = await self._judge(site, "none")
        for arm in arms:
            line = await self._line(site, arm, free)
            self.lines[line.key] = line
            self.append(line.to_line())

    async def _line(self, site: Site, arm: Arm, free: list[VerdictRecord]) -> Line:
        made = await site.make(arm)
        judged = judging = evidence = cross_fitting = match = None
        if arm == "none" or made.rubric:
            records, judging = await self._judge(site, arm)
            judged = numbers(records, None if arm == "none" else free)
        if arm in self.study.cross_fit:
            evidence, cross_fitting = await site.cross_fit(arm)
        if arm in self.study.match and made.rubric:
            match = await self._matchers[site.task].match(made.rubric, site.condition, site.seed)
        return Line(
            design=self.study.design(site.condition, arm),
            world=site.seed,
            task=site.task,
            condition=site.condition.name,
            arm=arm,
            rubric_hash=made.rubric.hash if made.rubric else None,
            themes=made.rubric.themes if made.rubric else None,
            failed=made.failed,
            judged=judged,
            evidence=evidence,
            match=match,
            inducing=made.asked,
            cross_fitting=cross_fitting,
            judging=judging,
            judge=site.judge_settings,
            writer=site.writer_settings,
        )

    async def _judge(self, site: Site, arm: Arm) -> tuple[list[VerdictRecord], Any]:
        judge = await site.judge()
        clock = Clock(judge)
        rubric = (await site.make(arm)).rubric
        pairs = site.pairs("test", self.study.test_pairs)
        records = await judge_pairs(pairs, RankingJudge(judge, rubric), concurrency=CONCURRENCY)
        return records, clock.read()


def numbers(records: Sequence[VerdictRecord], free: Sequence[VerdictRecord] | None) -> Judged:
    """An arm's accuracies; against the verdicts without a rubric, where those are given, with paired differences."""
    judged = JudgedRun.of("arm", "test", records)
    compared = compare_runs(JudgedRun.of("none", "test", free or records), judged)
    differences = compared.differences
    accuracy = {name: differences[name].after for name in ("mean", "forward", "reverse", "resolved")}
    outcomes = judged.table.outcomes()
    return Judged(
        n=compared.n_pairs,
        **{name: math.nan if value is None else round(value, 6) for name, value in accuracy.items()},
        invalid=outcomes["invalid"],
        error=outcomes["error"],
        gain=differences["mean"] if free else None,
        resolved_gain=differences["resolved"] if free else None,
    )


def jobs_of(study: Study) -> list[Job]:
    seeds = range(study.worlds.first, study.worlds.first + study.worlds.count)
    return [(task, seed) for task in study.tasks for seed in seeds]


def run_study(study: Study, out: Path) -> None:
    """Append to `out` the lines it lacks. Raises `ValueError` for lines of other parameters."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with LineLog(out) as log:  # cuts off a torn last line
        lines = {line.key: line for line in read_results(out)}
        runner = Runner(study, lines, log.append)
        jobs = [job for job in jobs_of(study) if any(runner.missing(*job, each) for each in study.conditions)]
        # Neighbouring worlds in one process: each needs rubrics of the one before it.
        size = math.ceil(len(jobs) / study.processes) or 1
        chunks = [jobs[start : start + size] for start in range(0, len(jobs), size)]
        # Forked, the processes share the open file: every line is one write to its end.
        context = multiprocessing.get_context("fork")
        started = [context.Process(target=_run_chunk, args=(runner, chunk)) for chunk in chunks[1:]]
        for process in started:
            process.start()
        try:
            if chunks:
                _run_chunk(runner, chunks[0])
        finally:
            for process in started:
                process.join()
    if failed := [process.exitcode for process in started if process.exitcode]:
        raise RuntimeError(f"{len(failed)} of {len(chunks)} processes failed; run the same command again to go on")


def _run_chunk(runner: Runner, jobs: Sequence[Job]) -> None:
    asyncio.run(runner.run(jobs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parameters", type=Path, help="a file of benchmarks/params")
    parser.add_argument("--out", type=Path, help="JSONL; outputs/worlds/NAME.jsonl unless given")
    arguments = parser.parse_args()
    out = arguments.out or Path("outputs/worlds") / f"{arguments.parameters.stem}.jsonl"
    started = time.monotonic()
    try:
        run_study(Study.load(arguments.parameters), out)
    except (ValueError, RuntimeError, StopRun) as error:
        sys.exit(str(error))
    print(f"{out}: {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
