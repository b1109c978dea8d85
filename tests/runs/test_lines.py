import os
import subprocess
import sys
import textwrap
import time
import tracemalloc
from pathlib import Path

import pytest

from workbench.evaluation.record import VerdictRecord, last_outcomes, read_verdicts
from workbench.judges.verdict import Verdict
from workbench.pairs.comparison import Comparison
from workbench.runs.lines import LineLog
from workbench.runs.storage import StorageError, write_json


def record(number: int = 0, verdict: Verdict | None = None, **options) -> VerdictRecord:
    comparison = Comparison(f"p{number}", "t2i", "a cat", ("0.png", "1.png"), ranks=(1, 2))
    verdict = verdict or Verdict(ranks=(1, 2), reason="because of the cat", keys=("ab" * 32,))
    return VerdictRecord.of(comparison, "forward", verdict, **options)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "verdicts.jsonl"


def test_what_is_appended_is_read_back_in_order(path):
    with LineLog(path) as log:
        for number in range(3):
            log.append(record(number).to_line())
    with LineLog(path) as log:
        log.append(record(3).to_line())
    assert list(read_verdicts(path)) == [record(number) for number in range(4)]


def test_a_record_is_on_disk_before_the_log_is_closed(path):
    log = LineLog(path)
    log.append(record().to_line())
    assert list(read_verdicts(path)) == [record()]
    log.close()
    log.close()


def test_the_last_line_of_a_verdict_counts(path):
    with LineLog(path) as log:
        log.append(record(verdict=Verdict(ranks=None, failure="error")).to_line())
        log.append(record(sample=1).to_line())
        log.append(record().to_line())
    assert last_outcomes(path) == {("p0", "forward", 0): "a", ("p0", "forward", 1): "a"}
    assert last_outcomes(path.with_name("absent.jsonl")) == {}


@pytest.mark.parametrize("kept", [1, 40, -2])
def test_a_torn_last_line_is_dropped_and_cut_off_on_resume(path, kept):
    whole = record(0).to_line()
    path.write_bytes(whole + record(1).to_line()[:kept])
    assert list(read_verdicts(path)) == [record(0)]
    with LineLog(path) as log:
        assert path.read_bytes() == whole
        log.append(record(2).to_line())
    assert [r.pair_id for r in read_verdicts(path)] == ["p0", "p2"]


def test_a_line_that_lacks_only_its_newline_is_kept(path):
    path.write_bytes(record(0).to_line() + record(1).to_line()[:-1])
    with LineLog(path) as log:
        log.append(record(2).to_line())
    assert [r.pair_id for r in read_verdicts(path)] == ["p0", "p1", "p2"]


def test_a_torn_line_longer_than_what_is_read_at_once_is_cut_off(path):
    long = record(1, Verdict(ranks=(1, 2), reason="x" * 300_000)).to_line()
    for whole in (b"", record(0).to_line()):
        path.write_bytes(whole + long[:-5])
        LineLog(path).close()
        assert path.read_bytes() == whole


def test_another_bad_line_is_an_error_naming_file_and_line(path):
    path.write_bytes(record(0).to_line() + b'{"pair_id": 3}\n' + record(1).to_line())
    with pytest.raises(ValueError, match=r"verdicts\.jsonl, line 2: not a verdict \(pair_id: .*response cache"):
        list(read_verdicts(path))


def test_a_full_disk_leaves_no_part_of_a_line_and_is_named(path):
    """The operating system takes part of a line and refuses the rest, as a nearly full disk does."""
    script = textwrap.dedent(f"""
        import resource, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_lines import LineLog, StorageError, record
        log = LineLog({str(path)!r})
        log.append(record(0).to_line())
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(record(0).to_line()) + 100, resource.RLIM_INFINITY))
        try:
            log.append(record(1).to_line())
        except StorageError as error:
            print(error)
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert f"cannot write {path}" in done.stdout
    assert "MiB free on its disk" in done.stdout
    assert "run the same command again to resume" in done.stdout
    assert path.read_bytes() == record(0).to_line()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full, a device that is always full, is missing")
def test_a_device_that_is_full_is_a_storage_error():
    log = LineLog("/dev/full")
    with pytest.raises(StorageError, match="No space left on device"):
        log.append(record().to_line())
    log.close()


def test_killing_the_writer_at_any_moment_loses_nothing_that_was_acknowledged(path):
    script = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_lines import LineLog, record
        log = LineLog({str(path)!r})
        for number in range(10**9):
            log.append(record(number).to_line())
            sys.stdout.write(f"{{number}}\\n")
            sys.stdout.flush()
    """)
    for pause in (0.0, 0.003, 0.02):
        path.unlink(missing_ok=True)
        writer = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(pause)
        writer.kill()
        acknowledged = 1 + sum(line.endswith("\n") for line in writer.stdout)
        writer.stdout.close()
        writer.wait()
        found = [r.pair_id for r in read_verdicts(path)]
        assert found == [f"p{number}" for number in range(len(found))]
        assert acknowledged <= len(found) <= acknowledged + 1


def test_long_logs_are_read_quickly_as_a_stream(path):
    line = record(verdict=Verdict(ranks=(1, 2), reason="a long reason " * 20)).to_line()
    path.write_bytes(line * 40_000)
    started = time.perf_counter()
    assert sum(r.correct is True for r in read_verdicts(path)) == 40_000
    assert time.perf_counter() - started < 2.0  # 200,000 lines in 10 s on a machine many times slower than usual
    tracemalloc.start()
    for _ in read_verdicts(path):
        pass
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_json_files_are_replaced_as_a_whole(tmp_path):
    target = tmp_path / "results.json"
    write_json(target, {"n": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(target, {"n": float("nan")})
    with pytest.raises(StorageError, match=r"cannot write .*results\.json"):
        write_json(target / "results.json", {})
    assert target.read_text() == '{\n  "n": 1\n}\n'
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]
