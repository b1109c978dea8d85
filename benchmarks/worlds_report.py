"""Tables of a study over sampled worlds, and one CSV line an arm and world.

python benchmarks/worlds_report.py outputs/worlds/arms.jsonl --csv benchmarks/results/arms.csv
"""

import argparse
import csv
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from worlds_study import Line, read_results
from worlds_tables import (
    Results,
    hurting,
    table_of_conditions,
    table_of_cost,
    table_of_evidence,
    table_of_gains,
    table_of_matches,
    table_of_pairs,
)


def report(lines: Iterable[Line]) -> str:
    """All tables."""
    results = Results(list(lines))
    worlds = sorted({line.world for line in results.lines})
    pairs = sorted({line.judged.n for line in results.lines if line.judged})
    text = [
        f"{len(results.lines):,} arms judged in worlds {worlds[0]} to {worlds[-1]}, {'/'.join(map(str, pairs))} "
        "held-out pairs each, in both orders.",
        "Synthetic (evidence: calibration): how the instrument behaves, not how a real model does.",
        "'better' and 'worse' are worlds decided at 95% by their own held-out pairs.",
        "",
    ]
    for task, condition in results.groups:
        text += [*table_of_gains(results, task, condition), *table_of_pairs(results, task, condition)]
        text += [*hurting(results, task, condition), *table_of_matches(results, task, condition)]
        text += [*table_of_cost(results, task, condition), ""]
    for task in dict.fromkeys(task for task, _ in results.groups):
        if sum(each == task for each, _ in results.groups) > 1:
            text += [*table_of_conditions(results, task), ""]
    for condition in dict.fromkeys(condition for _, condition in results.groups):
        tasks = [task for task, each in results.groups if each == condition]
        for task in [*tasks, None] if len(tasks) > 1 else tasks:
            text += table_of_evidence(results, task, condition)
    if len({condition for _, condition in results.groups}) > 1:
        text += table_of_evidence(results, None, None)
    return "\n".join(text).rstrip() + "\n"


def write_csv(lines: Iterable[Line], path: Path) -> None:
    """What the tables are made of, without texts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = [
            _row(line) for line in sorted(lines, key=lambda line: (line.task, line.condition, line.world, line.arm))
        ]
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _row(line: Line) -> dict[str, object]:
    judged, evidence, match = line.judged, line.evidence, line.match
    gain = judged.gain if judged else None
    fitted = evidence["gain"] if evidence else None
    return {
        "evidence": "synthetic (calibration)",
        "task": line.task,
        "condition": line.condition,
        "world": line.world,
        "arm": line.arm,
        "n": judged.n if judged else "",
        "mean": judged.mean if judged else "",
        "forward": judged.forward if judged else "",
        "reverse": judged.reverse if judged else "",
        "resolved": judged.resolved if judged else "",
        "gain": _digits(gain.value if gain else None),
        "low": _digits(gain.ci95[0] if gain and gain.ci95 else None),
        "high": _digits(gain.ci95[1] if gain and gain.ci95 else None),
        "verdict": gain.verdict if gain else "",
        "cross_fit": evidence["verdict"] if evidence else "",
        "cross_fit_gain": _digits(fitted["value"] if fitted else None),
        "cross_fit_low": _digits(fitted["ci95"][0] if fitted and fitted["ci95"] else None),
        "cross_fit_high": _digits(fitted["ci95"][1] if fitted and fitted["ci95"] else None),
        "matched": match.picked == line.world if match else "",
        "induction_questions": line.inducing.calls + line.inducing.cached if line.inducing else "",
        "criteria": sum(len(theme.enabled_criteria()) for theme in line.themes) if line.themes else "",
        "rubric": (line.rubric_hash or "")[:12],
        "failed": line.failed,
    }


def _digits(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+", help="JSONL of worlds.py; several are put together")
    parser.add_argument("--csv", type=Path, help="write the numbers here")
    arguments = parser.parse_args()
    try:
        lines = [line for path in arguments.results for line in read_results(path)]
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    if not lines:
        sys.exit(f"{arguments.results[0]}: holds no line yet; run worlds.py first")
    if doubled := [key for key, count in Counter(line.key for line in lines).items() if count > 1]:
        sys.exit(f"{len(doubled)} lines are there twice, the first is {doubled[0]}: give every result once")
    print(report(lines), end="")
    if arguments.csv:
        write_csv(lines, arguments.csv)


if __name__ == "__main__":
    main()
