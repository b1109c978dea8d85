"""Endpoints that cannot be used, or stop being usable half-way: one clear message, and what was judged stays."""

import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command_line import (
    ShapesScript,
    asked,
    counted,
    done,
    finish,
    inherited,
    message,
    records,
    results,
    start,
    stored,
    take,
    wait_for,
    whole_lines,
    workbench,
)
from faulty_server import FaultyServer, Received, Step, answer, status

from workbench.shapes.judge.server import running_server
from workbench.shapes.judge.settings import perfect

JUDGE = ShapesScript(perfect("t2i"), delay_s=0.01)


def evaluate(world: Path, url: str, *more: object) -> list[Any]:
    """The command for all pairs, beside the world."""
    folder = world.parent
    here = ["--cache", folder / "cache.sqlite", "--out", folder / "run"]
    return ["evaluate", world / "pairs.jsonl", "--base-url", url, *here, *more]


@dataclass(frozen=True)
class Slow:
    """Two evaluations that take seconds to give up, under way while other tests run: of servers that are gone."""

    world: Path
    dead: "subprocess.Popen[str]"
    dead_url: str
    dying: "subprocess.Popen[str]"
    dying_url: str


@pytest.fixture(scope="module", autouse=True)
def slow(made_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slow]:
    folder = tmp_path_factory.mktemp("slow")
    world = Path(shutil.copytree(made_world, folder / "world"))
    environment = inherited(NO_PROXY="*")
    dead_url = "http://127.0.0.1:9/v1"
    command = ["evaluate", world / "pairs.jsonl", "--base-url", dead_url, "--model", "judge"]
    command += ["--cache", folder / "dead.sqlite", "--out", folder / "dead"]
    with FaultyServer(JUDGE) as server:
        line = evaluate(world, server.url, "--model", JUDGE.model, "--concurrency", 4)
        dying = start(*line, cwd=folder, env=environment)
        wait_for(lambda: len(server.requests) > 25)
    slow = Slow(world, start(*command, cwd=folder, env=environment), dead_url, dying, server.url)
    yield slow
    for child in (slow.dead, slow.dying):
        child.kill()
        child.wait()


def always(step: Step) -> Any:
    return lambda number, received: step


@pytest.fixture
def dead_url() -> Any:
    """An address at which nothing listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}/v1"


def test_without_a_model_a_dead_endpoint_is_told_at_once(world: Path, tmp_path: Path, dead_url: str) -> None:
    told = message(workbench(*evaluate(world, dead_url), cwd=tmp_path))
    assert dead_url in told
    assert "check" in told


@pytest.mark.parametrize(("key", "model"), [("sk-wrong-0123456789abcdef", []), ("", ["--model", JUDGE.model])])
def test_a_wrong_key_is_named_but_not_shown(key: str, model: list[str], world: Path, tmp_path: Path) -> None:
    with running_server(perfect("t2i"), api_key="right") as url:
        line = evaluate(world, url, *model)
        told = message(workbench(*line, cwd=tmp_path, env=inherited(OPENAI_API_KEY=key)))
        assert "OPENAI_API_KEY" in told
        assert url in told
        assert not key or key not in told
        assert not (tmp_path / "run").exists() or not records(tmp_path / "run")
        done(workbench(*line, cwd=tmp_path, env=inherited(OPENAI_API_KEY="right")))
    for file in [*(tmp_path / "run").iterdir(), tmp_path / "cache.sqlite"]:
        assert b"sk-wrong" not in file.read_bytes()


@pytest.mark.parametrize(
    ("command", "step", "words"),
    [
        ("evaluate", status(400, "judge is not a multimodal model"), "vision-language model"),
        ("evaluate", status(404, "The model `judge` does not exist"), "model's name"),
        ("induce", status(400, "judge is not a multimodal model"), "vision-language model"),
        ("induce", status(402, "Insufficient credits"), "top it up"),
    ],
)
def test_what_every_question_meets_stops_the_run(
    command: str, step: Step, words: str, world: Path, tmp_path: Path
) -> None:
    with FaultyServer(always(step)) as server:
        line = evaluate(world, server.url, "--model", "judge", "--concurrency", 4)
        if command == "induce":
            line = ["induce", world / "pairs.jsonl", "--base-url", server.url, "--model", "judge", "--concurrency", 4]
            line += ["--cache", tmp_path / "cache.sqlite", "--out", tmp_path / "rubric.yaml"]
        told = message(workbench(*line, cwd=tmp_path))
        assert len(asked(server)) <= 4
    assert words in told
    assert server.url in told
    assert "'judge'" in told
    assert not (tmp_path / "rubric.yaml").exists()


def test_an_evaluation_without_one_verdict_is_a_failure(world: Path, tmp_path: Path, dead_url: str) -> None:
    with FaultyServer(always(status(500, "out of memory"))) as server:
        line = evaluate(world, server.url, "--model", "judge", "--limit", 5, "--timeout", 0.5)
        assert "not one verdict came" in message(workbench(*line, cwd=tmp_path))
    assert results(tmp_path / "run")["outcomes"]["error"] == 10
    assert all("out of memory" in record["detail"] for record in records(tmp_path / "run"))
    line = evaluate(world, dead_url, "--model", "judge", "--timeout", 1.5, "--out", tmp_path / "dead")
    assert "cannot be reached" in message(workbench(*line, cwd=tmp_path))
    assert not records(tmp_path / "dead")


def test_a_key_that_is_revoked_half_way_stops_the_run_and_keeps_what_was_judged(world: Path, tmp_path: Path) -> None:
    def script(number: int, received: Received) -> Step:
        return JUDGE(number, received) if number < 30 else status(401, "revoked")

    with FaultyServer(script) as server:
        told = message(
            workbench(*evaluate(world, server.url, "--model", JUDGE.model, "--concurrency", 4), cwd=tmp_path)
        )
        assert "OPENAI_API_KEY" in told
        assert len(server.requests) <= 30 + 4
    kept = stored(tmp_path / "cache.sqlite")
    assert 25 <= len(kept) <= 30
    assert not any(record["outcome"] == "error" for record in records(tmp_path / "run"))
    with FaultyServer(JUDGE) as server:
        done(workbench(*evaluate(world, server.url, "--model", JUDGE.model), cwd=tmp_path))
        assert not kept & set(asked(server))
    assert len(counted(tmp_path / "run")) == 80


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A job in the background ignores SIGINT, and so do its children, unless it is told not to."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so_and_resumes(sent: signal.Signals, world: Path, tmp_path: Path) -> None:
    slow = ShapesScript(perfect("t2i"), delay_s=0.05)  # 80 answers take a second, so the signal finds some to come
    with FaultyServer(slow) as server:
        line = evaluate(world, server.url, "--model", slow.model, "--concurrency", 4)
        child = start(*line, cwd=tmp_path)
        wait_for(lambda: len(server.requests) > 25)
        child.send_signal(sent)
        ended = finish(child)
        assert ended.returncode != 0
        assert "Traceback" not in ended.stderr, ended.stderr
        assert "interrupted" in done(workbench("runs", "list", tmp_path, cwd=tmp_path))
        kept, before = stored(tmp_path / "cache.sqlite"), len(server.requests)
        done(workbench(*line, cwd=tmp_path))
        assert not kept & set(asked(server, before))
    assert len(counted(tmp_path / "run")) == 80


def test_a_cap_on_calls_stops_and_a_higher_one_goes_on(world: Path, tmp_path: Path) -> None:
    with FaultyServer(JUDGE) as server:
        line = evaluate(world, server.url, "--model", JUDGE.model)
        told = message(workbench(*line, "--max-calls", 20, cwd=tmp_path))
        assert re.search(r"max_calls \(20\) is reached.*raise it", told)
        assert len(server.requests) - _look_ups(server) == 20
        assert len(records(tmp_path / "run")) == len(stored(tmp_path / "cache.sqlite")) == 20
        told = message(workbench(*line, "--max-calls", 20, cwd=tmp_path))
        assert len(asked(server)) == 40
        result = workbench(*line, "--max-calls", 40, cwd=tmp_path)
        assert "80 questions" in result.stderr
        done(result)
        assert len(asked(server)) == 80
    assert results(tmp_path / "run")["calls"] == 80


def _look_ups(server: FaultyServer) -> int:
    return sum("messages" not in received.body for received in server.requests)


def test_an_inductions_cap_on_calls_loses_nothing_that_was_paid_for(world: Path, tmp_path: Path) -> None:
    with FaultyServer(JUDGE) as server:
        line = ["induce", take(world, 30, "seeds.jsonl"), "--base-url", server.url, "--model", JUDGE.model]
        line += ["--cache", tmp_path / "cache.sqlite", "--out", tmp_path / "rubric.yaml"]
        line += ["--recipe", "arr", "--folds", 0]
        for sent in (10, 20, 30):
            assert "max_calls (10)" in message(workbench(*line, "--max-calls", 10, cwd=tmp_path))
            assert len(asked(server)) == len(stored(tmp_path / "cache.sqlite")) == sent
        done(workbench(*line, cwd=tmp_path))
        assert len(asked(server)) == len(set(asked(server)))
    assert (tmp_path / "rubric.yaml").exists()


def test_a_cap_on_cost_needs_a_price(world: Path, tmp_path: Path) -> None:
    line = evaluate(world, "http://judge.invalid/v1", "--model", "judge-xl", "--max-cost", 1)
    told = message(workbench(*line, cwd=tmp_path))
    assert "judge-xl" in told
    assert "prices.yaml" in told
    assert not (tmp_path / "run").exists()


def test_a_server_that_is_no_endpoint_is_told(world: Path, tmp_path: Path) -> None:
    with FaultyServer(always(Step(200, b"<html>It works!</html>"))) as server:
        told = message(workbench(*evaluate(world, server.url), cwd=tmp_path))
    assert server.url in told
    assert "/v1" in told
    told = message(workbench(*evaluate(world, "127.0.0.1:8000", "--model", "m"), cwd=tmp_path))
    assert "must look like http://" in told


def test_a_finished_run_needs_no_server(world: Path, tmp_path: Path, dead_url: str) -> None:
    with FaultyServer(always(answer())) as server:
        first = done(workbench(*evaluate(world, server.url, "--model", "judge"), cwd=tmp_path))
    assert done(workbench(*evaluate(world, dead_url, "--model", "judge"), cwd=tmp_path)) == first


def test_a_dead_endpoint_is_named(slow: Slow) -> None:
    told = message(finish(slow.dead))
    assert slow.dead_url in told
    assert "server is running" in told
    assert not records(slow.world.parent / "dead")


def test_a_server_that_dies_half_way_leaves_what_was_judged(slow: Slow) -> None:
    told = message(finish(slow.dying))
    assert slow.dying_url in told
    assert "answers so far are cached" in told
    folder, run = slow.world.parent, slow.world.parent / "run"
    kept, lines = stored(folder / "cache.sqlite"), whole_lines(run / "verdicts.jsonl")
    assert len(kept) > 20
    assert lines.count(b"\n") > 20
    assert not (run / "results.json").exists()
    assert "failed" in done(workbench("runs", "list", folder, cwd=folder))
    with FaultyServer(JUDGE) as server:  # at another address
        done(workbench(*evaluate(slow.world, server.url, "--model", JUDGE.model), cwd=folder))
        assert not kept & set(asked(server))
    assert whole_lines(run / "verdicts.jsonl").startswith(lines)
    assert results(run)["outcomes"]["error"] == 0
    assert len(counted(run)) == 80
