"""The real command in processes of its own, a judge of a small world on loopback, and what both left behind."""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from faulty_server import FaultyServer, Received, Step

from workbench.shapes.judge.chat import RequestRefused
from workbench.shapes.judge.server import Brain
from workbench.shapes.judge.settings import JudgeSettings

COMMAND = [sys.executable, "-m", "workbench.cli"]


def start(*arguments: object, cwd: Path, **options: Any) -> "subprocess.Popen[str]":
    """`workbench` with these arguments, under way."""
    words = [*COMMAND, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, cwd=cwd, stdout=pipe, stderr=pipe, text=True, **options)


def finish(child: "subprocess.Popen[str]", seconds: float = 60) -> "subprocess.CompletedProcess[str]":
    """What it said, once it has ended."""
    out, err = child.communicate(timeout=seconds)
    return subprocess.CompletedProcess(child.args, child.returncode, out, err)


def workbench(*arguments: object, cwd: Path, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run `workbench` to its end."""
    return finish(start(*arguments, cwd=cwd, **options))


def workbench_each(lines: Sequence[Sequence[object]], cwd: Path) -> "list[subprocess.CompletedProcess[str]]":
    """Run several command lines at once."""
    children = [start(*line, cwd=cwd) for line in lines]
    return [finish(child) for child in children]


def done(result: "subprocess.CompletedProcess[str]") -> str:
    """What a command that went well printed."""
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    return result.stdout


def message(result: "subprocess.CompletedProcess[str]") -> str:
    """The one message of a command that failed as expected."""
    assert result.returncode == 1, (result.returncode, result.stdout, result.stderr)
    assert "Traceback" not in result.stderr, result.stderr
    assert result.stderr.count("workbench: ") == 1, result.stderr
    return result.stderr.partition("workbench: ")[2]


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    """Until it holds; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.002)


def identity(received: Received) -> str:
    """The hash of what was asked."""
    return hashlib.sha256(json.dumps(received.body, sort_keys=True).encode()).hexdigest()[:16]


class ShapesScript:
    """Answers as the judge of a shapes world does; every answer carries the identity of its question."""

    def __init__(self, settings: JudgeSettings, delay_s: float = 0.0) -> None:
        self.brain = Brain(settings)
        self.model = settings.model_id
        self.delay_s = delay_s

    def __call__(self, number: int, received: Received) -> Step:
        if "messages" not in received.body:
            return Step(404, b"{}")
        try:
            body = self.brain.complete(json.dumps(received.body).encode())
        except RequestRefused as refusal:
            return Step(refusal.status, json.dumps(refusal.body()).encode())
        return Step(body=json.dumps({**body, "system_fingerprint": identity(received)}).encode(), delay_s=self.delay_s)


def asked(server: FaultyServer, since: int = 0) -> list[str]:
    """The identities of the questions received, in order."""
    return [identity(received) for received in server.requests[since:] if "messages" in received.body]


def stored(cache: Path) -> set[str]:
    """The identities of the questions whose answers are on disk."""
    if not cache.exists():
        return set()
    connection = sqlite3.connect(cache)
    try:
        made = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'answers'").fetchone()[0]
        rows = connection.execute("SELECT response FROM answers").fetchall() if made else []
    finally:
        connection.close()
    return {json.loads(row[0])["fingerprint"] for row in rows}


def whole_lines(file: Path) -> bytes:
    """A file up to its last line that is whole."""
    content = file.read_bytes() if file.exists() else b""
    return content[: content.rfind(b"\n") + 1]


def records(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's verdicts."""
    return [json.loads(line) for line in whole_lines(run / "verdicts.jsonl").splitlines()]


def counted(run: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """The verdict that counts for every pair and order."""
    return {(record["pair_id"], record["order"]): record for record in records(run)}


def results(run: Path) -> dict[str, Any]:
    """A run's numbers."""
    numbers: dict[str, Any] = json.loads((run / "results.json").read_text())
    return numbers


def take(world: Path, count: int, name: str, changes: Sequence[dict[str, Any]] = ()) -> Path:
    """A dataset of a world's first pairs, some of them changed, beside it."""
    pairs = [json.loads(line) for line in (world / "pairs.jsonl").read_text().splitlines()[:count]]
    pairs = [pair | changes[i] if i < len(changes) else pair for i, pair in enumerate(pairs)]
    path = world / name
    path.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    return path


def inherited(**changes: str) -> dict[str, str]:
    """This process's environment with changes."""
    return {**os.environ, **changes}
