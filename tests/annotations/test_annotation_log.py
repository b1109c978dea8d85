import fcntl
import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from said import says

from workbench.annotations.annotation import Annotation
from workbench.annotations.log import AnnotationLog, latest, read_annotations
from workbench.annotations.merge import merge, merge_files
from workbench.runs.storage import StorageError

WORKER = """
import json, sys
from workbench.annotations.annotation import Annotation
from workbench.annotations.log import AnnotationLog
for line in sys.stdin:
    path, items = json.loads(line)
    log = AnnotationLog(path)
    for pair_id, author, label, note in items:
        log.append(Annotation(pair_id, author, "2026-11-21T10:00:00Z", label, note))
    print("done", flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "annotations.jsonl"


def test_what_people_say_is_on_disk_at_once_and_the_last_word_counts(path):
    log = AnnotationLog(path)
    for said in (says("ada", "p1", "a"), says("ben", "p1", "b"), says("ada", "p1", None, note="not sure")):
        log.append(said)
        assert read_annotations(path)[-1] == said
    assert log.latest()[("p1", "ada")].label is None
    assert [each.label for each in read_annotations(path)] == ["a", "b", None], "history stays"


def test_two_tabs_on_one_file_see_each_others_words(path):
    one, other = AnnotationLog(path), AnnotationLog(path)
    one.append(says("ada", "p1", "a"))
    assert other.latest() == one.latest() != {}
    other.append(says("ada", "p1", "b"))
    assert one.latest()[("p1", "ada")].label == "b"


def test_threads_of_one_widget_lose_nothing(path):
    log = AnnotationLog(path)
    threads = [
        threading.Thread(target=lambda n=n: [log.append(says(f"author{n}", f"p{i}", "a")) for i in range(20)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(log.latest()) == len(read_annotations(path)) == 80


FOREIGN = {
    "verdicts": (b'{"pair_id": "p1", "order": "forward", "schema": "workbench.verdict/1"}\n', "line 1.*verdict/1"),
    "html": (b"<!doctype html>\n<p>hello</p>", "line 1.*not JSON"),
    "unfinished html": (b"<html>", "line 1.*not JSON"),
    "binary": (b"\x89PNG\r\n\x1a\n\0\0\xff\xfe", "line 1.*not text in UTF-8"),
    "a list": (b"[1, 2]\n", "line 1.*a JSON list, not an object"),
    "a later line": (says("ada", "p1", "a").to_line() + b'{"hello": 1}\n', "line 2.*schema is 'None'"),
    "a torn line amid": (b'{"schema": "workbench.annotation/1", "pa\n' + says("ada", "p1", "a").to_line(), "line 1"),
    "nested": (b"[" * 100_000, "line 1.*not JSON"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_another_kind_of_file_is_refused_by_line_and_never_touched(path, kind):
    content, message = FOREIGN[kind]
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"annotations.jsonl, {message}.*expected one JSON object a line"):
        AnnotationLog(path)
    assert path.read_bytes() == content
    path.unlink()
    log = AnnotationLog(path)
    path.write_bytes(content)  # it turned foreign while it was open
    with pytest.raises(ValueError, match=message):
        log.append(says("ada", "p1", "a"))
    assert path.read_bytes() == content


@pytest.mark.parametrize("kept", [1, 20, 60, -1, -3])
def test_a_torn_last_line_is_left_out_and_cut_off_by_the_next_one(path, kept):
    whole, torn = says("ada", "p1", "a").to_line(), says("ada", "p2", "b", note="a {brace}").to_line()[:kept]
    path.parent.mkdir()
    path.write_bytes(whole + torn)
    log = AnnotationLog(path)
    complete = kept == -1  # only the newline is missing
    assert len(log.latest()) == (2 if complete else 1)
    log.append(says("ada", "p3", "tie"))
    assert [each.pair_id for each in read_annotations(path)] == ["p1", *(["p2"] if complete else []), "p3"]


def test_on_a_full_disk_nothing_is_shown_as_saved(path):
    log = AnnotationLog(path)
    log.append(says("ada", "p1", "a"))
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 40, hard))
    try:
        with pytest.raises(StorageError, match="cannot write"):
            log.append(says("ada", "p2", "b"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert set(log.latest()) == {("p1", "ada")}
    assert path.read_bytes() == before
    log.append(says("ada", "p2", "b"))
    assert len(log.latest()) == 2


def test_a_merge_into_a_file_that_is_being_written_loses_nothing(path):
    log, done = AnnotationLog(path), threading.Event()
    log.append(says("ada", "p0", "a"))

    def write() -> None:
        for i in range(1, 30):
            log.append(says("ada", f"p{i}", "a", i))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        merge_files([path], path)
    writer.join()
    assert len(read_annotations(path)) == len(log.latest()) == 30


@pytest.fixture(scope="module")
def workers() -> Iterator[list[subprocess.Popen[str]]]:
    command = [sys.executable, "-c", WORKER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(2)]
    yield processes
    for process in processes:
        process.communicate()


items = st.tuples(
    st.sampled_from(["p1", "p2", "<b>", "\u202e"]),
    st.sampled_from(["ada", "ben"]),
    st.sampled_from(["a", "b", "tie", "skip", None]),
    st.text(max_size=2000),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rounds=st.lists(st.tuples(st.lists(items, max_size=6), st.lists(items, max_size=6)), max_size=3), data=st.data())
def test_whatever_two_processes_append_every_complete_line_is_read_back(tmp_path_factory, workers, rounds, data):
    path = tmp_path_factory.mktemp("both") / "annotations.jsonl"
    for batches in rounds:
        if torn := data.draw(st.integers(0, 80)):  # a kill cut a line short
            with path.open("ab") as file:
                file.write(says("eve", "p9", "a").to_line()[:torn])
        for worker, batch in zip(workers, batches, strict=True):
            print(json.dumps([str(path), batch]), file=worker.stdin, flush=True)
        for worker in workers:
            assert worker.stdout.readline() == "done\n"
        if not any(batches) and path.exists():
            os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
    time = "2026-11-21T10:00:00Z"
    sent = [[Annotation(id, who, time, label, note) for id, who, label, note in batch] for b in rounds for batch in b]
    read = read_annotations(path) if path.exists() else []
    assert sorted(map(repr, read)) == sorted(repr(each) for batch in sent for each in batch)
    for worker in (0, 1):  # each process's lines stand in the order it wrote them
        mine = [repr(each) for batch in sent[worker::2] for each in batch]
        rest = iter(map(repr, read))
        assert all(line in rest for line in mine)


def test_what_was_said_last_counts_after_a_merge_too_though_the_clock_was_set_back(tmp_path):
    log = AnnotationLog(tmp_path / "a.jsonl")
    log.append(says("ada", "p0", "a", 50))
    log.append(says("ada", "p0", "b", 5))
    log.append(says("ada", "p1", "tie", 5))
    merged = merge([read_annotations(log.path)])
    assert latest(merged.annotations) == log.latest()
    assert log.latest()["p0", "ada"].label == "b"
    assert log.latest()["p1", "ada"] == says("ada", "p1", "tie", 5)
    assert merged.conflicts == ()


def test_a_file_system_without_locks_still_takes_annotations(tmp_path, monkeypatch):
    def unsupported(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    AnnotationLog(tmp_path / "a.jsonl").append(says("ada", "p0", "a"))
    assert AnnotationLog(tmp_path / "a.jsonl").latest()["p0", "ada"].label == "a"
