"""Two processes at once, and disks that fill up: nothing is lost, nothing is sent in vain."""

import resource
import shutil
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_line import (
    ShapesScript,
    asked,
    counted,
    done,
    finish,
    message,
    results,
    start,
    stored,
    wait_for,
    whole_lines,
    workbench,
)
from faulty_server import FaultyServer

from workbench.shapes.judge.settings import perfect

JUDGE = ShapesScript(perfect("t2i"), delay_s=0.02)
IN_FLIGHT = 4


def arguments(world: Path, server: FaultyServer, cache: Path, run: Path) -> list[Any]:
    """`evaluate` of all pairs."""
    endpoint = ["--base-url", server.url, "--model", JUDGE.model, "--concurrency", IN_FLIGHT]
    return ["evaluate", world / "pairs.jsonl", *endpoint, "--cache", cache, "--out", run]


def test_two_processes_share_a_cache(world: Path, tmp_path: Path) -> None:
    cache = tmp_path / "new" / "cache.sqlite"
    with FaultyServer(JUDGE) as server:
        runs = [tmp_path / "first", tmp_path / "second"]
        children = [start(*arguments(world, server, cache, run), cwd=tmp_path) for run in runs]
        for child in children:
            done(finish(child))
        assert max(Counter(asked(server)).values()) <= 2
        assert len(stored(cache)) == 80
        before = len(server.requests)
        done(workbench(*arguments(world, server, cache, tmp_path / "third"), cwd=tmp_path))
        assert not asked(server, before)
    connection = sqlite3.connect(cache)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    first, second = (counted(run) for run in runs)
    assert {key: record["ranks"] for key, record in first.items()} == {
        key: record["ranks"] for key, record in second.items()
    }
    assert len(first) == 80


def test_a_second_process_is_kept_out_of_a_run_folder(world: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with FaultyServer(ShapesScript(perfect("t2i"), delay_s=0.1)) as server:
        first = start(*arguments(world, server, tmp_path / "cache.sqlite", run), cwd=tmp_path)
        wait_for(lambda: len(server.requests) > 8)
        second = message(workbench(*arguments(world, server, tmp_path / "other.sqlite", run), cwd=tmp_path))
        assert str(run) in second
        assert f"process {first.pid}" in second
        assert "choose another folder" in second
        done(finish(first))
    assert not (tmp_path / "other.sqlite").exists()
    assert len(counted(run)) == 80


class Disk:
    """Little room for what a command writes under `folder`, until `make_room` is called."""

    def __init__(self, folder: Path, make_room: Callable[[], object], limit: Callable[[], None] | None) -> None:
        self.folder = folder
        self.make_room = make_room
        self.limit = limit


@contextmanager
def small_disk(folder: Path, kib: int, *, largest: bool = False) -> Iterator[Disk]:
    """A tiny file system where one can be mounted; else, for the `largest` file, a limit on its size. Says which."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)]
    if shutil.which("mount") and subprocess.run(mount, capture_output=True).returncode == 0:
        print(f"\nfull disk: a tmpfs of {kib} KiB")
        grow = ["mount", "-o", "remount,size=64m", str(folder)]
        try:
            yield Disk(folder, lambda: subprocess.run(grow, check=True), None)
        finally:
            subprocess.run(["umount", str(folder)], check=True)
        return
    if not largest:
        pytest.skip("a tiny file system can be mounted by root only; a limit on file sizes would hit the cache first")
    print(f"\nfull disk: nothing can be mounted here, files are limited to {kib} KiB")
    limits = [(kib * 1024, kib * 1024)]
    yield Disk(folder, limits.clear, lambda: [resource.setrlimit(resource.RLIMIT_FSIZE, each) for each in limits][:0])


@pytest.mark.parametrize(("full", "kib"), [("cache", 400), ("run", 40)])
def test_a_full_disk_stops_the_sending_and_a_re_run_goes_on(full: str, kib: int, world: Path, tmp_path: Path) -> None:
    with FaultyServer(JUDGE) as server, small_disk(tmp_path / "small", kib, largest=full == "cache") as disk:
        run = (disk.folder if full == "run" else tmp_path) / "run"
        cache = (disk.folder if full == "cache" else tmp_path) / "cache.sqlite"
        command = arguments(world, server, cache, run)
        told = message(workbench(*command, cwd=tmp_path, preexec_fn=disk.limit))
        assert str(disk.folder) in told
        assert ("cache.sqlite" if full == "cache" else "verdicts.jsonl") in told
        assert "free some disk space" in told or "make room" in told
        kept, lines = stored(cache), whole_lines(run / "verdicts.jsonl")
        assert 3 < len(asked(server)) < 80 - IN_FLIGHT
        assert len(set(asked(server)) - kept) <= 2 * IN_FLIGHT  # answers that could not be stored, and those in flight
        if disk.limit is None:  # nothing has changed: the same message, and hardly anything sent
            before = len(server.requests)
            message(workbench(*command, cwd=tmp_path))
            assert len(set(asked(server, before))) <= 2 * IN_FLIGHT
        disk.make_room()
        kept = stored(cache)
        before = len(server.requests)
        done(workbench(*command, cwd=tmp_path, preexec_fn=disk.limit))
        assert not kept & set(asked(server, before))
        assert whole_lines(run / "verdicts.jsonl").startswith(lines)
        assert len(counted(run)) == 80
        assert results(run)["outcomes"]["error"] == 0
        print(f"{full}: {len(kept)} answers kept, {len(asked(server)) - 80} asked again")


def test_an_induction_on_a_full_disk_goes_on_when_there_is_room(world: Path, tmp_path: Path) -> None:
    with FaultyServer(JUDGE) as server, small_disk(tmp_path / "small", 24) as disk:
        command = ["induce", world / "pairs.jsonl", "--base-url", server.url, "--model", JUDGE.model]
        command += ["--cache", tmp_path / "cache.sqlite", "--outputs", disk.folder, "--out", tmp_path / "rubric.yaml"]
        command += ["--concurrency", IN_FLIGHT]
        told = message(workbench(*command, cwd=tmp_path, preexec_fn=disk.limit))
        assert "events.jsonl" in told
        assert "make room" in told
        kept, sent = stored(tmp_path / "cache.sqlite"), len(asked(server))
        assert len(set(asked(server)) - kept) <= 2 * IN_FLIGHT
        assert not (tmp_path / "rubric.yaml").exists()
        disk.make_room()
        done(workbench(*command, cwd=tmp_path, preexec_fn=disk.limit))
        assert (tmp_path / "rubric.yaml").exists()
        assert not kept & set(asked(server, sent))
        assert len(asked(server)) > sent
