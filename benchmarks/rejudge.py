"""From an edit of a rubric to the flips on a panel of 24 pairs: seconds, and requests sent.

    python benchmarks/rejudge.py

The embedded judge on this machine (synthetic), a fresh cache, and the panel as a notebook has it: automatic, without a
browser. Each row is one edit; seconds run from the change of the rubric to its verdicts being compared, with the pause
of 0.3 s that waits for further changes. What no judge sees, undo and redo must send nothing.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from workbench.connect import connect
from workbench.pairs.loading import load
from workbench.rubrics.files import load_rubric
from workbench.rubrics.rubric import Rubric
from workbench.widgets.rejudge_panel import RejudgePanel
from workbench.widgets.rubric_editor import RubricEditor

WORLD = Path("data/shapes/t2i")
RUBRIC = Path("rubrics/shapes_t2i_handwritten.yaml")


def edits(start: Rubric, count: int) -> Iterator[tuple[str, Rubric]]:
    """Edits of several kinds, each of the rubric as the one before left it."""
    rubric = start
    for i in range(count):
        theme = rubric.themes[0]
        at = i % len(theme.criteria)
        criterion = theme.criteria[at]
        kinds = {
            "weight": replace(criterion, weight=criterion.weight + 1),
            "text": replace(criterion, text=f"{criterion.text} Look twice."),
            "switched": replace(criterion, enabled=not criterion.enabled),
        }
        kind = list(kinds)[i % len(kinds)]
        criteria = (*theme.criteria[:at], kinds[kind], *theme.criteria[at + 1 :])
        rubric = replace(rubric, themes=(replace(theme, criteria=criteria), *rubric.themes[1:]))
        unseen = " (off)" if not criterion.enabled and kind != "switched" else ""
        yield f"{kind} of {criterion.id}{unseen}", rubric
    theme = rubric.themes[0]
    own = tuple(replace(criterion, source="somebody") for criterion in theme.criteria)
    yield "name and sources", replace(rubric, name="renamed", themes=(replace(theme, criteria=own), *rubric.themes[1:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--edits", type=int, default=9)
    options = parser.parse_args()
    start = load_rubric(RUBRIC)
    panel_on = list(load(WORLD / "test.parquet"))[: options.pairs]
    with tempfile.TemporaryDirectory() as folder:
        editor = RubricEditor(start)
        panel = RejudgePanel(editor, panel_on, connect(world=WORLD, cache=Path(folder) / "answers.sqlite"))
        print(f"{'edit':24}{'seconds':>9}{'requests':>10}{'fixed':>7}{'broken':>8}{'swap-only':>11}   (synthetic)")
        started = time.monotonic()
        panel.judge()
        told("first judgement", time.monotonic() - started, panel, 0)
        panel.automatic = True
        waited = [judged(name, panel, editor, rubric) for name, rubric in edits(start, options.edits)]
        for name, turn in (("undo", editor.undo), ("undo", editor.undo), ("redo", editor.redo)):
            judged(name, panel, editor, turn)
        seconds = [each for each, sent in waited if sent]
        middle, slowest = statistics.median(seconds), max(seconds)
        print(f"median of {len(seconds)} edits that a judge sees: {middle:.2f} s, slowest {slowest:.2f} s")
        panel.close()


def judged(name: str, panel: RejudgePanel, editor: RubricEditor, edit) -> tuple[float, int]:  # type: ignore[no-untyped-def]
    """Make an edit and wait for its verdicts: seconds, and requests sent."""
    before = panel._rejudging.client.usage.calls
    started = time.monotonic()
    editor.set(edit) if isinstance(edit, Rubric) else edit()
    while panel.state.rubric != editor.rubric or panel.state.doing or not panel.state.judged:
        time.sleep(0.002)
    panel.changes()
    took = time.monotonic() - started
    told(name, took, panel, before)
    return took, panel._rejudging.client.usage.calls - before


def told(name: str, seconds: float, panel: RejudgePanel, before: int) -> None:
    """One row."""
    found = panel.changes("previous") or panel.changes()
    counts = found.flip_counts if found else {"fixed": 0, "broken": 0, "swap_only": 0}
    sent = panel._rejudging.client.usage.calls - before
    print(f"{name:24}{seconds:>9.2f}{sent:>10}{counts['fixed']:>7}{counts['broken']:>8}{counts['swap_only']:>11}")


if __name__ == "__main__":
    main()
