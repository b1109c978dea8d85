"""kill -9 at random moments: no verdict is lost, and no answer that reached the disk is asked for again."""

import json
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from command_line import (
    ShapesScript,
    asked,
    counted,
    done,
    finish,
    records,
    results,
    start,
    stored,
    take,
    wait_for,
    whole_lines,
    workbench,
)
from faulty_server import FaultyServer

from workbench.shapes.judge.settings import JudgeSettings

IN_FLIGHT = 4


def judge_of(world: Path) -> ShapesScript:
    """The world's judge, slow, and broken often enough that answers are repaired or stay invalid."""
    settings = JudgeSettings.load(world).model_copy(update={"broken_json": 0.15, "refusals": 0.0})
    return ShapesScript(settings, delay_s=0.02)


class Killer:
    """Runs one command again and again, kills it at random moments, and checks the disk after each."""

    def __init__(
        self, server: FaultyServer, arguments: list[object], cwd: Path, log: Path, seed: int, most: int = 7
    ) -> None:
        self.server = server
        self.arguments = arguments
        self.cwd = cwd
        self.log = log
        self.cache = cwd / "cache.sqlite"
        self.random = random.Random(seed)
        self.most = most  # answers in one session, about
        self.lost = 0
        self.interrupted = 0

    def kill_once(self) -> None:
        before, kept, lines = len(self.server.requests), stored(self.cache), whole_lines(self.log)
        child = start(*self.arguments, cwd=self.cwd)
        if self.random.random() < 0.25:  # while it starts, or soon after
            time.sleep(self.random.uniform(0.05, 0.9))
        else:
            more = self.random.randint(1, self.most)
            wait_for(lambda: len(self.server.requests) >= before + more or child.poll() is not None)
            time.sleep(self.random.uniform(0.0, 0.03))
        self.interrupted += child.poll() is None
        child.kill()
        finish(child)
        time.sleep(0.05)  # the server reads what was on its way
        self.check(before, kept, lines)
        lost = set(asked(self.server, before)) - stored(self.cache)
        assert len(lost) <= IN_FLIGHT
        self.lost += len(lost)

    def check(self, before: int, kept: set[str], lines: bytes) -> None:
        """What was on disk before this session is there, and was not asked for in it."""
        assert not kept & set(asked(self.server, before))
        assert kept <= stored(self.cache)
        assert whole_lines(self.log).startswith(lines)

    def end(self) -> str:
        """Let it finish; gives what it printed."""
        before, kept, lines = len(self.server.requests), stored(self.cache), whole_lines(self.log)
        printed = done(workbench(*self.arguments, cwd=self.cwd))
        self.check(before, kept, lines)
        return printed

    def report(self, name: str, kills: int) -> None:
        questions = Counter(asked(self.server))
        repeated = sum(questions.values()) - len(questions)
        assert repeated <= self.lost
        print(
            f"\n{name}: {kills} kills ({self.interrupted} of a running process), {len(questions)} questions, "
            f"{sum(questions.values())} requests, {repeated} repeated, {self.lost} in flight at a kill, "
            f"0 stored answers asked again"
        )


def test_an_evaluation_killed_twenty_times_loses_nothing(world: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    judge = judge_of(world)
    with FaultyServer(judge) as server:
        arguments: list[object] = ["evaluate", world / "pairs.jsonl", "--base-url", server.url]
        arguments += ["--model", judge.model, "--concurrency", IN_FLIGHT]
        killed = [*arguments, "--out", run, "--cache", tmp_path / "cache.sqlite"]
        killer = Killer(server, killed, tmp_path, run / "verdicts.jsonl", seed=0)
        for _ in range(20):
            killer.kill_once()
        assert killer.interrupted >= 15
        killer.end()
        killer.report("evaluate", 20)
        done(workbench(*arguments, "--out", tmp_path / "calm", "--cache", tmp_path / "calm.sqlite", cwd=tmp_path))
    assert len(records(run)) == len(counted(run)) == 80
    numbers = results(run)
    assert (numbers["n_pairs"], numbers["n_missing"], sum(numbers["outcomes"].values())) == (40, 0, 80)
    assert numbers["outcomes"]["error"] == 0
    assert numbers["outcomes"]["invalid"] > 0
    # The same verdicts as a run that nobody disturbed.
    told = {key: (record["ranks"], record["reason"]) for key, record in counted(run).items()}
    assert told == {key: (record["ranks"], record["reason"]) for key, record in counted(tmp_path / "calm").items()}
    assert numbers["accuracy"] == results(tmp_path / "calm")["accuracy"]


@pytest.mark.parametrize("recipe", [("blind", 10, 2), ("arr", 16, 0)], ids=lambda recipe: str(recipe[0]))
def test_a_killed_induction_ends_with_the_rubric_of_one_nobody_disturbed(
    recipe: tuple[str, int, int], world: Path, tmp_path: Path
) -> None:
    name, pairs, folds = recipe
    judge = judge_of(world)
    with FaultyServer(judge) as server:
        arguments: list[object] = ["induce", take(world, pairs, "seeds.jsonl"), "--base-url", server.url]
        arguments += ["--model", judge.model, "--concurrency", IN_FLIGHT, "--out", "rubric.yaml"]
        arguments += ["--recipe", name, "--folds", folds]
        calm = tmp_path / "calm"
        calm.mkdir()
        done(workbench(*arguments, "--cache", calm / "cache.sqlite", cwd=calm))
        events = next(calm.glob("outputs/*/events.jsonl"))
        questions = len(asked(server))
        server.requests.clear()
        killed = [*arguments, "--cache", tmp_path / "cache.sqlite"]
        log = tmp_path / events.relative_to(calm)
        killer = Killer(server, killed, tmp_path, log, seed=1, most=questions // 4)
        for _ in range(5):
            killer.kill_once()
        assert killer.interrupted >= 4
        killer.end()
        killer.report(f"induce, {name}", 5)
    assert (tmp_path / "rubric.yaml").read_bytes() == (calm / "rubric.yaml").read_bytes()
    assert {step_of(line) for line in records_of(log)} == {step_of(line) for line in records_of(events)}
    assert len(records_of(log)) == len(records_of(events))


def records_of(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in whole_lines(log).splitlines()]


def step_of(event: dict[str, object]) -> tuple[object, ...]:
    return event["pair_id"], event["step"], event["epoch"], str(event["rubrics"])
