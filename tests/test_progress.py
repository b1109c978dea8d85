"""The progress line in a log, a terminal and a notebook."""

import io
import re
import sys
from contextlib import suppress

import pytest

from workbench.progress import Progress, _clock
from workbench.vlm.budget import RunUsage


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_log_gets_plain_lines_now_and_then_and_one_at_the_end():
    log = io.StringIO()
    with Progress("judging", total=100, stream=log, every=3600) as progress:
        for _ in range(100):
            progress.advance()
    assert re.fullmatch(r"judging 100/100 · took 0:00\n", log.getvalue())


def test_a_log_line_is_written_whenever_it_is_due():
    log = io.StringIO()
    with Progress("judging", total=3, stream=log, every=0) as progress:
        for _ in range(3):
            progress.advance()
    lines = log.getvalue().splitlines()
    assert [line.split(" · ")[0] for line in lines] == [f"judging {i}/3" for i in (1, 2, 3, 3)]
    assert re.search(r"\d:\d\d left$", lines[0])
    assert not re.search(r"[\r\x1b]", log.getvalue())


def test_a_terminal_rewrites_one_line_and_ends_it():
    terminal = Terminal()
    with Progress("judging", total=2, stream=terminal) as progress:
        progress.advance()
        progress.advance()
    assert terminal.getvalue().count("\n") == 1
    assert terminal.getvalue().endswith("\n")
    assert all(part.startswith("\x1b[2K") for part in terminal.getvalue().split("\r")[1:])


def test_calls_and_cost_are_those_since_it_started():
    usage = RunUsage(calls=100, cached=50, cost_usd=9.0)
    progress = Progress("judging", 40, usage, stream=io.StringIO())
    progress.advance(12)
    usage.calls += 9
    usage.cached += 3
    usage.cost_usd += 0.0021
    assert progress.line().startswith("judging 12/40 · 9 calls, 3 cached · $0.0021 · 0:00 left")


def test_a_run_that_costs_nothing_shows_no_money():
    assert "$" not in Progress("judging", 4, RunUsage(), stream=io.StringIO()).line()


def test_an_error_still_ends_the_line_with_how_far_it_came():
    terminal = Terminal()
    with suppress(RuntimeError), Progress("judging", total=2, stream=terminal) as progress:
        progress.advance()
        raise RuntimeError
    assert "judging 1/2" in terminal.getvalue()
    assert terminal.getvalue().endswith("\n")


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3599.7, "1:00:00"), (90_061, "25:01:01")]
)
def test_time_is_shown_as_on_a_clock(seconds, shown):
    assert _clock(seconds) == shown


def test_nothing_to_do_is_done(capsys):
    with Progress("judging", total=0):
        pass
    assert capsys.readouterr().err == "judging 0/0 · took 0:00\n"


def test_a_notebook_gets_one_output_that_is_rewritten(monkeypatch):
    """Inside a kernel; the notebooks' own tests look at the real thing."""
    shown = []

    class Line:
        def update(self, data, raw):
            shown.append((data["text/plain"], raw))

    monkeypatch.setattr("workbench.progress._notebook_line", Line)
    with Progress("judging", total=1) as progress:
        progress.advance()
    assert [text.split(" · ")[0] for text, _ in shown] == ["judging 1/1"] * len(shown)
    assert all(raw for _, raw in shown)


def test_it_is_no_notebook_where_ipython_is_only_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel", object())
    log = io.StringIO()
    with Progress("judging", total=0, stream=log):
        pass
    assert log.getvalue()
