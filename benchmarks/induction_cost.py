"""What inducing a rubric from 60 seed pairs costs: calls and wall time of `arr`, `blind`, and py-openjudge 0.2.4.

    python benchmarks/induction_cost.py [--openjudge-venv DIR]

The first table is measured against a stand-in server (`stand_in.py`) that answers every question after 200 ms, the same
server for all systems in the same run; the second against the embedded judge of the committed world at the same
latency. Every measurement starts with an empty cache. Rows alternate within a round, so that a noisy machine hits all.
DIR is a virtual environment for py-openjudge, made with pip if it is missing.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import tempfile
import time
import venv
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stand_in import MODEL, Counts, StandIn, stand_in_server

from workbench.induction.arr import ArrSettings, induce_arr
from workbench.induction.blind import BlindSettings, induce_blind
from workbench.induction.evidence import cross_fit
from workbench.pairs.comparison import Comparison
from workbench.pairs.loading import load
from workbench.rubrics.rubric import Rubric
from workbench.shapes.judge.server import running_server
from workbench.shapes.judge.settings import JudgeSettings
from workbench.vlm.client import VlmClient
from workbench.vlm.settings import Endpoint, Limits

ROOT = Path(__file__).parents[1]
WORLD = ROOT / "data" / "shapes" / "t2i"
LATENCY = 0.2  # seconds
OPENJUDGE = "0.2.4"
UNBOUND = 1000
"""So many calls in flight that the limit never binds, as py-openjudge has none."""
LEVELS = (16, 64, UNBOUND)

Recipe = Callable[[Sequence[Comparison], VlmClient], Awaitable[Rubric]]


async def arr(seeds: Sequence[Comparison], client: VlmClient) -> Rubric:
    """The published recipe."""
    return await induce_arr(seeds, client, ArrSettings(), name="arr", record=lambda event: None)


async def blind(seeds: Sequence[Comparison], client: VlmClient) -> Rubric:
    """The blind recipe; one model writes and judges."""
    return await induce_blind(seeds, client, client, BlindSettings(), name="blind", record=lambda event: None)


RECIPES: dict[str, Recipe] = {"arr": arr, "blind": blind}


@dataclass(frozen=True, slots=True)
class Cost:
    """One measurement: wall time, the client's CPU time; `criteria` is None where the work is no rubric."""

    seconds: float
    cpu: float
    counts: Counts
    criteria: int | None


@dataclass
class Row:
    """The measurements of one system at one concurrency."""

    name: str
    level: int
    costs: list[Cost] = field(default_factory=list)


async def measure(
    seeds: Sequence[Comparison], endpoint: Endpoint, recipe: Recipe, level: int, take: Callable[[VlmClient], Counts]
) -> tuple[Cost, Cost]:
    """What an induction costs, and what its cross-fit costs on top: questions asked by then are in the cache."""
    with tempfile.TemporaryDirectory() as folder:
        limits = Limits(concurrency=level)
        async with VlmClient(endpoint, limits=limits, cache=Path(folder, "cache.sqlite")) as client:
            timed = Timer(lambda: take(client))
            rubric = await recipe(seeds, client)
            induced = timed.cost(len(rubric.enabled_criteria()))
            await cross_fit(seeds, lambda pairs: recipe(pairs, client), client)
            return induced, timed.cost(None)


class Timer:
    """What was spent since it was made, or since the last cost was taken."""

    def __init__(self, take: Callable[[], Counts]) -> None:
        self.take = take
        take()
        self.seconds, self.cpu = time.perf_counter(), time.process_time()

    def cost(self, criteria: int | None) -> Cost:
        """The cost so far."""
        seconds, cpu = self.seconds, self.cpu
        self.seconds, self.cpu = time.perf_counter(), time.process_time()
        return Cost(self.seconds - seconds, self.cpu - cpu, self.take(), criteria)


def workbench_rows(
    rows: dict[tuple[str, int], Row],
    seeds: Sequence[Comparison],
    endpoint: Endpoint,
    take: Callable[[VlmClient], Counts],
    level: int,
) -> None:
    """One round of both recipes and their cross-fits at one concurrency."""
    for name, recipe in RECIPES.items():
        induced, fitted = asyncio.run(measure(seeds, endpoint, recipe, level, take))
        rows.setdefault((name, level), Row(name, level)).costs.append(induced)
        rows.setdefault((f"{name}: cross-fit", level), Row(f"{name}: cross-fit", level)).costs.append(fitted)


class OpenJudge:
    """A running `openjudge_worker.py`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.versions = self._read()

    def generate(self, seeds: Sequence[Comparison], server: StandIn, level: int | None) -> Cost:
        """One induction of the same pairs; `level` None leaves the package as it is, without a bound."""
        job = {"base_url": server.base_url, "model": MODEL, "rows": text_rows(seeds), "concurrency": level}
        server.take_counts()
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        result = self._read()
        return Cost(result["seconds"], result["cpu"], server.take_counts(), result["criteria"])

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the py-openjudge worker stopped; what it said stands above")
        return dict(json.loads(line))


def text_rows(seeds: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Seed pairs as py-openjudge reads them: a text stands in for every image."""
    return [
        {
            "query": seed.prompt,
            "responses": [f"[image {i} of {seed.id}]" for i in range(1, len(seed.images) + 1)],
            "label_rank": list(seed.ranks or ()),
        }
        for seed in seeds
    ]


@contextmanager
def openjudge(folder: Path) -> Iterator[OpenJudge]:
    """A worker in the virtual environment `folder`, which is made if it is missing."""
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"making {folder} with py-openjudge {OPENJUDGE} (about a minute)", flush=True)
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", f"py-openjudge=={OPENJUDGE}"], check=True)
    command = [python, "-W", "ignore::UserWarning", Path(__file__).with_name("openjudge_worker.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            worker = OpenJudge(process)
            if worker.versions["py-openjudge"] != OPENJUDGE:
                raise SystemExit(f"{folder} has py-openjudge {worker.versions['py-openjudge']}, not {OPENJUDGE}")
            yield worker
        finally:
            process.terminate()


def against_stand_in(seeds: Sequence[Comparison], rounds: int, other: OpenJudge | None) -> list[Row]:
    """All systems against one stand-in server."""
    rows: dict[tuple[str, int], Row] = {}
    with stand_in_server(LATENCY) as server:
        endpoint = Endpoint(server.base_url, MODEL)

        def take(client: VlmClient) -> Counts:
            return server.take_counts()

        workbench_rows({}, seeds[:6], endpoint, take, 16)  # imports and first connections are not measured
        if other:
            other.generate(seeds[:6], server, 16)
        for _ in range(rounds):
            for level in LEVELS:
                workbench_rows(rows, seeds, endpoint, take, level)
                if other:
                    cost = other.generate(seeds, server, None if level == UNBOUND else level)
                    rows.setdefault(("py-openjudge", level), Row("py-openjudge", level)).costs.append(cost)
    return list(rows.values())


def against_embedded_judge(seeds: Sequence[Comparison], rounds: int) -> list[Row]:
    """Both recipes against the judge of the committed world, which looks at the images; its client counts the calls."""
    settings = JudgeSettings.load(WORLD).model_copy(update={"latency_s": LATENCY})
    rows: dict[tuple[str, int], Row] = {}
    counted = {"calls": 0}

    def take(client: VlmClient) -> Counts:
        before, counted["calls"] = counted["calls"], client.usage.calls
        return Counts(rank=max(0, client.usage.calls - before))

    with running_server(settings) as base_url:
        endpoint = Endpoint(base_url, settings.model_id)
        for _ in range(rounds):
            for level in LEVELS:
                counted["calls"] = 0
                workbench_rows(rows, seeds, endpoint, take, level)
    return list(rows.values())


def table(rows: Sequence[Row], *, kinds: bool) -> str:
    """Medians over rounds, with the least and the most in brackets where they differ."""
    by_kind = f"{'rubrics':>9}{'rank':>7}{'groups':>8}{'peak':>6}" if kinds else ""
    lines = [f"{'system':18}{'in flight':>10}{'calls':>18}{by_kind}{'criteria':>10}{'CPU s':>7}  seconds"]
    names = list(dict.fromkeys(row.name for row in rows))
    for row in sorted(rows, key=lambda row: (names.index(row.name), row.level)):
        found = [cost.counts for cost in row.costs]
        line = f"{row.name:18}{'no bound' if row.level == UNBOUND else row.level:>10}"
        line += f"{_spread([counts.calls for counts in found]):>18}"
        if kinds:
            line += f"{_median(c.rubrics for c in found):>9}{_median(c.rank for c in found):>7}"
            line += f"{_median(c.categories for c in found):>8}{max(c.peak for c in found):>6}"
        criteria = [cost.criteria for cost in row.costs if cost.criteria is not None]
        line += f"{_median(criteria) if criteria else '':>10}"
        seconds = [cost.seconds for cost in row.costs]
        line += f"{statistics.median(cost.cpu for cost in row.costs):>7.1f}"
        lines.append(f"{line}  {statistics.median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})")
    return "\n".join(lines)


def _median(values: Iterable[int]) -> str:
    return f"{statistics.median(values):.0f}"


def _spread(values: Sequence[int]) -> str:
    middle = f"{statistics.median(values):,.0f}"
    return middle if min(values) == max(values) else f"{middle} ({min(values):,}-{max(values):,})"


def notes(seeds: Sequence[Comparison]) -> str:
    """How to read the first table; the published loop takes 2 calls for a pair whose winner stands first."""
    pairs, second = len(seeds), sum(seed.ranks != (1, 2) for seed in seeds)
    arr_calls, other_calls = (2 * (pairs - second) + never * second + 1 for never in (10, 11))
    return f"""\
Seconds are medians over rounds (least to most). The server counts requests; CPU seconds are the client's.
- The stand-in prefers the candidate shown first, always, which is the costly case: in {second} of {pairs} pairs the
  winner stands second, so that arr and py-openjudge revise to the end: {arr_calls} calls for arr, {other_calls} for
  py-openjudge, whose last revision nobody verifies (436 with 35 such pairs). In both orders it is never right twice,
  so blind revises every pair it tries first. It takes at most {BlindSettings().most_calls(pairs)} calls.
- A rank request of blind asks for the ranks under each criterion too, in both orders and without the label; arr and
  py-openjudge show the label, in one order.
- A cross-fit comes on top: 5 inductions, each without a part of the prompts, and every pair judged in both orders with
  and without a rubric. What the induction has asked by then comes from the cache."""


def openjudge_notes(versions: dict[str, str]) -> str:
    """What was equal for py-openjudge, and what was not."""
    own, openai = versions["py-openjudge"], versions["openai"]
    return f"""\
- py-openjudge {own} (openai {openai}) ran with arr's values: 5 criteria a pair, 5 epochs, at most 5 themes,
  temperature 0. It starts all pairs at once: 'no bound' is the package as it is; in the other rows a semaphore stands
  around its model call. Texts stand in for images, so its requests are smaller; it keeps no answers."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--openjudge-venv", type=Path, metavar="DIR", help="where py-openjudge is, or is to be put")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    seeds = load(WORLD / "seeds" / "pairs.jsonl")
    machine = f"{os.cpu_count()} cores (load {os.getloadavg()[0]:.1f})"
    print(f"{len(seeds)} seed pairs, {LATENCY * 1e3:.0f} ms latency, {options.rounds} rounds, {machine}")
    about_other = "- py-openjudge was not measured: name a folder for its virtual environment with --openjudge-venv DIR"
    if options.openjudge_venv:
        with openjudge(options.openjudge_venv.absolute()) as other:
            rows = against_stand_in(seeds, options.rounds, other)
            about_other = openjudge_notes(other.versions)
    else:
        rows = against_stand_in(seeds, options.rounds, None)
    print(f"\nA stand-in server, the same for all\n{table(rows, kinds=True)}\n\n{notes(seeds)}\n{about_other}")
    rows = against_embedded_judge(seeds, options.rounds)
    print("\nThe embedded judge of the committed world (synthetic); its client counts the calls, retries included")
    print(f"{table(rows, kinds=False)}\n")
    print("- py-openjudge cannot take part here: it shows no images, and this judge goes by what it sees.")
    print("- The judge computes on the same cores, so what it takes beyond its latency is in the seconds.")


if __name__ == "__main__":
    main()
