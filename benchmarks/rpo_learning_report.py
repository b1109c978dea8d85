"""Tables of `rpo_learning.py`'s results as Markdown.

python benchmarks/rpo_learning_report.py benchmarks/results/rpo_learning_t2i.jsonl
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rpo_learning_arms import ARMS, CONTRASTS, EXPLOIT
from rpo_learning_lines import Line, read_results

from workbench.pairs.comparison import Task
from workbench.rpo.watching.measured import Gain, gain

INTRO = """# Learning on the embedded world, {task}, {budget} a run

Synthetic; evidence: algorithm. {right} of the base's pictures are fully right, by a second measurer that no reward
uses: {prompts} prompts nobody trained on x {seeds} image seeds, the same noise before and after.
Intervals are 95%. Behind a gain they are for new prompts and new runs both (two-way cluster-robust, Satterthwaite's t);
"runs" takes these prompts as given (Student's t over the runs' means), "prompts" these runs. With one run they are over
prompts alone.
"""
LOOKED_AT: Mapping[Task, int] = {"t2i": 320}
"""So many of the first test prompts were looked at before: after five runs of `rubric`, 600 s each, budgets were made
longer and prompts more. What to go by is the gain on the others after 1,200 processor seconds."""
ON_OTHERS = """"Others" leaves out the first {n} prompts, looked at before budgets and prompts were made more.
"""


def report(lines: Sequence[Line]) -> str:
    """Everything about one file, a chapter for every budget."""
    base = next((line for line in lines if line.arm == "base"), None)
    if base is None:
        return "No results yet.\n"
    budgets = dict.fromkeys(line.budget for line in lines if line.arm != "base")
    return "\n".join(_chapter(base, [line for line in lines if line.budget == budget], budget) for budget in budgets)


def _chapter(base: Line, lines: Sequence[Line], budget: str) -> str:
    runs = {name: [line for line in lines if line.arm == name] for name in ARMS}
    runs = {name: some for name, some in runs.items() if some}
    right = base.rates.rates("right")
    intro = INTRO.format(
        task=base.task,
        budget=budget,
        right=f"{np.nanmean(right):.1%}",
        prompts=np.isfinite(right).sum(),
        seeds=base.rates.seeds,
    )
    if fresh := _fresh(base):
        intro += ON_OTHERS.format(n=fresh.start)
    parts = [intro, _gains(base, runs), _criteria(base, runs), _contrasts(runs), _costs(runs), *_exploits(runs)]
    return "\n".join(parts)


def _fresh(base: Line) -> slice | None:
    """The prompts that had never been looked at, where others had."""
    looked_at = LOOKED_AT.get(base.task, 0) if base.split == "test" else 0
    return slice(looked_at, None) if 0 < looked_at < len(base.rates.rates("right")) - 1 else None


def _gain(base: Line, some: Sequence[Line], name: str, prompts: slice = slice(None)) -> Gain:
    return gain(base.rates.rates(name)[prompts], [line.rates.rates(name)[prompts] for line in some])


def _gains(base: Line, runs: dict[str, list[Line]]) -> str:
    rows: list[list[str]] = []
    fresh = _fresh(base)
    for name, some in runs.items():
        found = _gain(base, some, "right")
        after = np.mean([np.nanmean(line.rates.rates("right")) for line in some])
        single = ", ".join(f"{100 * _gain(base, [line], 'right').value:+.1f}" for line in some)
        row = [name, f"{after:.1%}", found.points(), _ends(found.over_runs), _ends(found.over_prompts), single]
        rows.append([*row, _gain(base, some, "right", fresh).points()] if fresh else row)
    heads = ("arm", "fully right after", "gain", "runs", "prompts", "each run")
    return _table((*heads, "others") if fresh else heads, rows)


def _criteria(base: Line, runs: dict[str, list[Line]]) -> str:
    names = [name for name in base.rates.criteria if name != "right"]
    before = [f"{np.nanmean(base.rates.rates(name)):.1%}" for name in names]
    rows = [("(base)", *before, f"{np.nanmean(base.rates.rates('diversity')):.4f}")]
    for name, some in runs.items():
        gains = [_gain(base, some, each) for each in names]
        spread = _gain(base, some, "diversity")
        low, high = spread.ci95
        rows.append(
            (
                name,
                *(f"{100 * each.value:+.1f} {_ends(each.ci95)}" for each in gains),
                f"{spread.value:+.4f} [{low:+.4f}, {high:+.4f}]",
            )
        )
    return "Change in points by criterion, and of diversity (see `workbench.rpo.watching.measured`):\n\n" + _table(
        ("arm", *names, "diversity"), rows
    )


def _contrasts(runs: dict[str, list[Line]]) -> str:
    rows = []
    for first, second in CONTRASTS:
        pairs = [
            (a.rates.rates("right"), b.rates.rates("right"))
            for a in runs.get(first, [])
            for b in runs.get(second, [])
            if a.seed == b.seed
        ]
        if pairs:
            found = gain(np.zeros(len(pairs[0][0])), [a - b for a, b in pairs])
            low, high = found.ci95
            verdict = "more" if low > 0 else "less" if high < 0 else "undecided"
            rows.append((f"{first} - {second}", found.points(), _ends(found.over_runs), verdict))
    return "Arm against arm, paired by seed and prompt:\n\n" + _table(("arms", "difference", "runs", "verdict"), rows)


def _costs(runs: dict[str, list[Line]]) -> str:
    rows = []
    for name, some in runs.items():
        groups = sum(line.decided + line.tied + line.failed for line in some)
        parts = [sum(getattr(line, part) for line in some) / groups for part in ("decided", "tied", "failed")]
        seconds = {part: np.mean([line.seconds.get(part, 0.0) for line in some]) for part in some[0].seconds}
        shown = ", ".join(f"{part} {value:.0f}" for part, value in seconds.items() if part != "total" and value >= 0.5)
        rows.append(
            (
                name,
                f"{np.mean([line.images for line in some]):,.0f}",
                f"{np.mean([line.updates for line in some]):,.0f}",
                f"{seconds['total']:.0f} ({shown})",
                f"{np.mean([line.judge_calls for line in some]):,.0f}",
                " / ".join(f"{part:.1%}" for part in parts),
                f"{np.mean([line.kl or 0.0 for line in some]):.3f}",
                f"{sum(bool(line.alarms) for line in some)} of {len(some)}",
                f"{max(line.load for line in some):.1f}",
            )
        )
    heads = ("arm", "images", "updates", "seconds", "judge calls", "decided / tied / failed", "KL at the end")
    return "Means over runs; load is the machine's when a run began, at most:\n\n" + _table(
        (*heads, "with alarms at the end", "load"), rows
    )


def _exploits(runs: dict[str, list[Line]]) -> list[str]:
    """For the planted flaw: when it was caught, and what the judge and the oracle said then."""
    rows = []
    for line in runs.get(EXPLOIT.name, []):
        caught = next((look for look in line.looks if look.alarms), None)
        if caught is None:
            rows.append((str(line.seed), "never", "-", "-", "-"))
            continue
        said = [_win_rate(each) for each in (caught.judge, caught.gold)]
        rows.append((str(line.seed), f"{caught.update} of {line.updates}", *said, "; ".join(caught.alarms)))
    heads = ("seed", "first alarm at update", "judge: wins over base", "oracle: wins over base", "alarms")
    return ["A planted flaw, the judge prefers saturated pictures:\n\n" + _table(heads, rows)] if rows else []


def _win_rate(rate: dict[str, float] | None) -> str:
    if not rate or rate["value"] is None:
        return "-"
    low, high = rate["ci95"]  # type: ignore[misc]
    return f"{rate['value']:.1%} [{low:.1%}, {high:.1%}], n = {rate['n']}"


def _ends(interval: tuple[float, float] | None) -> str:
    return "-" if interval is None else f"[{100 * interval[0]:+.1f}, {100 * interval[1]:+.1f}]"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("results", type=Path)
    print(report(read_results(parser.parse_args().results)))


if __name__ == "__main__":
    main()
