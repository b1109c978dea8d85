"""Blind inductions that are cut short: what was answered is kept, what is left is marked, the same command goes on."""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command_line import ShapesScript, asked, done, message, stored, take, workbench, workbench_each
from faulty_server import FaultyServer, Received, Step, status

from workbench.rubrics.files import load_rubric
from workbench.shapes.judge.settings import perfect

JUDGE = ShapesScript(perfect("t2i"))
SEEDS, FOLDS = 8, 2


def induce(world: Path, url: str, *more: object) -> list[Any]:
    """An induction from the world's first pairs, into the working directory."""
    line = ["induce", take(world, SEEDS, "seeds.jsonl"), "--base-url", url, "--model", JUDGE.model]
    return [*line, "--cache", "cache.sqlite", "--out", "rubric.yaml", "--folds", FOLDS, *more]


@dataclass(frozen=True)
class Calm:
    """What an induction nobody disturbed wrote, with evidence and without, and how many questions each took."""

    with_evidence: bytes
    questions: int
    without: bytes
    questions_without: int


@pytest.fixture(scope="module")
def calm(made_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Calm:
    folder = tmp_path_factory.mktemp("calm")
    world = Path(shutil.copytree(made_world, folder / "world"))
    found: list[tuple[bytes, int]] = []
    for more in ([], ["--folds", 0]):
        with FaultyServer(JUDGE) as server:
            done(workbench(*induce(world, server.url, *more, "--cache", f"{len(found)}.sqlite"), cwd=folder))
            found.append(((folder / "rubric.yaml").read_bytes(), len(asked(server))))
            (folder / "rubric.yaml").unlink()  # evidence for the same criteria would be kept
    return Calm(*found[0], *found[1])


def broken_after(questions: int, step: Step) -> tuple[Any, list[bool]]:
    """A judge that gives `step` after so many questions, until the list is emptied."""
    broken, sent = [True], [0]

    def script(number: int, received: Received) -> Step:
        sent[0] += "messages" in received.body
        return step if broken and sent[0] > questions else JUDGE(number, received)

    return script, broken


def test_a_spent_budget_leaves_a_rubric_marked_partial_and_a_larger_one_finishes_it(
    world: Path, tmp_path: Path, calm: Calm
) -> None:
    partial = tmp_path / "partial.yaml"
    with FaultyServer(JUDGE) as server:
        line = induce(world, server.url)
        # While writing, while verifying, in the cross-fit.
        reached = (SEEDS - 3, calm.questions_without - 4, calm.questions - 10)
        caps = (reached[0], reached[1] - reached[0], reached[2] - reached[1])
        undone = (
            "writing, ordering, trying",
            "choosing, verifying the result|verifying the result",
            "cross-fit",
        )
        for cap, missing in zip(caps, undone, strict=True):
            before = len(asked(server))
            told = message(workbench(*line, "--max-calls", cap, cwd=tmp_path))
            assert f"max_calls ({cap}) is reached" in told
            assert "rubric.yaml" in told
            assert len(asked(server)) - before == cap
            assert len(stored(tmp_path / "cache.sqlite")) == len(asked(server))
            rubric = load_rubric(tmp_path / "rubric.yaml")
            assert rubric.enabled_criteria()
            assert re.search(rf"not done: .*({missing})", rubric.provenance["partial"]), rubric.provenance["partial"]
            assert "evidence" not in rubric.provenance
            if not partial.exists():
                shutil.copy(tmp_path / "rubric.yaml", partial)
        assert "failed" in done(workbench("runs", "list", cwd=tmp_path))
        told = done(workbench(*line, "--max-calls", calm.questions, cwd=tmp_path))
        assert "evidence: " in told
        assert len(asked(server)) == len(set(asked(server)))
        used = workbench(
            *["evaluate", world / "seeds.jsonl", "--rubric", partial, "--base-url", server.url],
            *["--model", JUDGE.model, "--cache", "cache.sqlite", "--limit", 2],
            cwd=tmp_path,
        )
        done(used)
    assert "partial.yaml is unfinished, go on with `workbench induce`" in used.stderr
    assert (tmp_path / "rubric.yaml").read_bytes() == calm.with_evidence
    assert b"partial:" not in calm.with_evidence


def test_a_key_revoked_half_way_stops_and_a_re_run_goes_on(world: Path, tmp_path: Path, calm: Calm) -> None:
    script, broken = broken_after(calm.questions // 2, status(401, "revoked"))
    with FaultyServer(script) as server:
        line = induce(world, server.url, "--concurrency", 4)
        assert "OPENAI_API_KEY" in message(workbench(*line, cwd=tmp_path))
        kept, sent = stored(tmp_path / "cache.sqlite"), len(server.requests)
        assert calm.questions // 2 - 4 <= len(kept) <= sent <= calm.questions // 2 + 4
        broken.clear()
        done(workbench(*line, cwd=tmp_path))
        assert not kept & set(asked(server, sent))
    assert (tmp_path / "rubric.yaml").read_bytes() == calm.with_evidence


def test_a_server_that_crashes_half_way_is_no_judge_without_opinions(world: Path, tmp_path: Path, calm: Calm) -> None:
    """Some verdicts come, the rest fail: there is a rubric and a warning, but no claim that it helps."""
    (tmp_path / "other").mkdir()
    half = calm.questions_without * 2 // 3
    crash = status(500, "worker crashed")
    (first, broken), (second, also_broken) = broken_after(half, crash), broken_after(half, crash)
    with FaultyServer(first) as server, FaultyServer(second) as other:
        line = induce(world, server.url, "--folds", 0, "--timeout", 1)
        lines = [[*line, "--outputs", "one"], [*induce(world, other.url, "--timeout", 1), "--outputs", "two"]]
        lines[1] += ["--cache", "other/cache.sqlite", "--out", "other/rubric.yaml"]
        warned, stopped = workbench_each(lines, cwd=tmp_path)
        done(warned)
        (failed,) = re.findall(r"WARNING: (\d+) of the judge's verdicts failed", warned.stderr)
        assert 0 < int(failed) < 4 * SEEDS
        told = message(stopped)
        assert "verdicts of the judge failed, too many to conclude anything" in told
        assert "worker crashed" in told
        broken.clear()
        also_broken.clear()
        kept, sent = stored(tmp_path / "cache.sqlite"), len(server.requests)
        again, resumed = workbench_each(lines, cwd=tmp_path)
        done(again)
        done(resumed)
        assert "WARNING" not in again.stderr
        assert not kept & set(asked(server, sent))
        assert len(asked(server, sent)) == calm.questions_without - len(kept)
    assert (tmp_path / "rubric.yaml").read_bytes() == calm.without
    assert (tmp_path / "other" / "rubric.yaml").read_bytes() == calm.with_evidence


def test_the_writer_writes_and_the_judge_judges(world: Path, tmp_path: Path) -> None:
    writer, judge = (ShapesScript(perfect("t2i", world=number)) for number in (1, 2))
    with FaultyServer(writer) as writing, FaultyServer(judge) as judging:
        line = ["induce", take(world, 4, "seeds.jsonl"), "--base-url", writing.url, "--judge-base-url", judging.url]
        line += ["--model", writer.model, "--judge-model", judge.model, "--folds", 2]
        line += ["--cache", "cache.sqlite", "--out", "rubric.yaml"]
        done(workbench(*line, cwd=tmp_path))
        assert {"rank" in asks(received) for received in writing.requests if received.body} == {False}
        assert {"rank" in asks(received) for received in judging.requests if received.body} == {True}
    provenance = load_rubric(tmp_path / "rubric.yaml").provenance
    assert (provenance["writer"]["model"], provenance["judge"]["model"]) == (writer.model, judge.model)


def asks(received: Received) -> set[str]:
    """The fields a question wants."""
    return set(re.findall(r'"(rank|rubrics|categories)"', json.dumps(received.body.get("response_format", {}))))
