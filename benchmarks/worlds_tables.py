"""The tables of a study over sampled worlds, line by line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from worlds_study import Arm, Asked, Line

from workbench.pairs.comparison import Task

ORDER: tuple[Arm, ...] = (
    "none",
    "placebo",
    "handwritten",
    "other_arr",
    "other_blind",
    "shuffled_arr",
    "shuffled_blind",
    "arr",
    "arr_guided",
    "blind",
    "blind_guided",
    "oracle",
)
SEED = 0
DRAWS = 10_000
VERDICTS = {"better": "helps", "worse": "hurts", "undecided": "undecided"}


@dataclass(frozen=True, slots=True)
class Results:
    """All lines of a study."""

    lines: Sequence[Line]

    @property
    def groups(self) -> list[tuple[Task, str]]:
        """Task and condition, in the order met."""
        return sorted(
            dict.fromkeys((line.task, line.condition) for line in self.lines), key=lambda each: each[0] != "t2i"
        )

    def of(self, task: Task, condition: str, arm: Arm) -> dict[int, Line]:
        """An arm's lines by world."""
        return {
            line.world: line for line in self.lines if (line.task, line.condition, line.arm) == (task, condition, arm)
        }

    def arms(self, task: Task, condition: str) -> list[Arm]:
        return [arm for arm in ORDER if self.of(task, condition, arm)]

    def gains(self, task: Task, condition: str, arm: Arm) -> dict[int, float]:
        """Points of mean accuracy over rubric-free, by world, where there was a rubric."""
        return {
            world: 100 * line.judged.gain.value
            for world, line in self.of(task, condition, arm).items()
            if line.judged and line.judged.gain and line.judged.gain.value is not None
        }


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """95%, by Student's t over worlds."""
    if len(values) < 2:
        return (-np.inf, np.inf)
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values) - half), float(np.mean(values) + half)


def share_interval(count: int, n: int) -> tuple[float, float]:
    """Clopper and Pearson's exact 95% interval of a share."""
    low, high = stats.binomtest(count, n).proportion_ci(method="exact")
    return float(low), float(high)


def share_of_oracle(gains: dict[int, float], oracle: dict[int, float]) -> tuple[float, float, float] | None:
    """Mean gain over the oracle's mean gain with its bootstrap interval over worlds; None where the oracle's may be 0.

    A ratio of means: in a world whose oracle gains next to nothing a ratio says nothing.
    """
    worlds = sorted(gains.keys() & oracle.keys())
    if len(worlds) < 2:
        return None
    pairs = np.array([(gains[world], oracle[world]) for world in worlds])
    drawn = np.random.default_rng(SEED).integers(len(worlds), size=(DRAWS, len(worlds)))
    means = pairs[drawn].mean(axis=1)  # (DRAWS, 2)
    if (means[:, 1] <= 0).mean() > 0.001:
        return None
    low, high = np.quantile(means[:, 0] / means[:, 1], [0.025, 0.975])
    return float(pairs[:, 0].mean() / pairs[:, 1].mean()), float(low), float(high)


def table_of_gains(results: Results, task: Task, condition: str) -> Iterator[str]:
    """One line an arm."""
    yield f"{task}, {condition}: gain in mean accuracy over rubric-free, in points, over worlds"
    yield (
        f"{'arm':16}{'worlds':>7}{'accuracy':>10}{'gain':>7}  {'95% interval':<16}{'sd':>6}{'min':>7}{'q1':>7}"
        f"{'med':>7}{'q3':>7}{'max':>7}{'better':>8}{'worse':>7}  of the oracle's gain"
    )
    oracle = results.gains(task, condition, "oracle")
    for arm in results.arms(task, condition):
        lines = results.of(task, condition, arm)
        judged = [line.judged for line in lines.values() if line.judged]
        accuracy = np.mean([each.mean for each in judged]) if judged else np.nan
        gains = results.gains(task, condition, arm)
        row = f"{arm:16}{len(judged):>7}{accuracy:>10.1%}"
        if gains:
            values = list(gains.values())
            interval = "[{:+.1f}, {:+.1f}]".format(*mean_interval(values))
            quarters = "".join(f"{q:>+7.1f}" for q in np.quantile(values, [0, 0.25, 0.5, 0.75, 1]))
            decided = [each.gain.verdict for each in judged if each.gain]
            share = share_of_oracle(gains, oracle) if arm != "oracle" else None
            spread = np.std(values, ddof=1) if len(values) > 1 else 0.0
            row += f"{np.mean(values):>+7.1f}  {interval:<16}{spread:>6.1f}{quarters}"
            row += f"{decided.count('better') / len(decided):>8.0%}{decided.count('worse') / len(decided):>7.0%}"
            row += "  {:.0%} [{:.0%}, {:.0%}]".format(*share) if share else ""
        failed = len(lines) - len(judged)
        yield row + (f"  ({failed} worlds without a rubric)" if failed else "")


def table_of_pairs(results: Results, task: Task, condition: str) -> Iterator[str]:
    """Differences between two arms in the same worlds."""
    couples: tuple[tuple[Arm, Arm], ...] = (
        ("blind", "arr"),
        ("blind", "placebo"),
        ("blind", "shuffled_blind"),
        ("blind", "handwritten"),
        ("blind", "other_blind"),
        ("arr", "placebo"),
        ("arr", "shuffled_arr"),
        ("arr", "other_arr"),
        ("arr_guided", "arr"),
        ("blind_guided", "blind"),
    )
    for one, other in couples:
        a, b = results.gains(task, condition, one), results.gains(task, condition, other)
        differences = [a[world] - b[world] for world in sorted(a.keys() & b.keys())]
        if len(differences) > 1:
            low, high = mean_interval(differences)
            above = sum(each > 0 for each in differences)
            yield (
                f"  {one} minus {other}: {np.mean(differences):+.1f} [{low:+.1f}, {high:+.1f}], "
                f"above in {above} of {len(differences)} worlds"
            )


def hurting(results: Results, task: Task, condition: str) -> Iterator[str]:
    """Worlds in which a rubric of this world is decidedly worse than none."""
    for arm in ("arr", "arr_guided", "blind", "blind_guided", "oracle"):
        found = [
            f"{world} ({100 * gain.value:+.1f} [{100 * gain.ci95[0]:+.1f}, {100 * gain.ci95[1]:+.1f}])"
            for world, line in sorted(results.of(task, condition, arm).items())
            if line.judged and (gain := line.judged.gain) and gain.verdict == "worse" and gain.ci95
        ]
        if found:
            yield f"  {arm} decidedly hurts in {len(found)} worlds: {', '.join(found)}"


def table_of_conditions(results: Results, task: Task) -> Iterator[str]:
    """Mean gains, a line an arm, a column a condition."""
    conditions = [condition for each, condition in results.groups if each == task]
    arms = [arm for arm in ORDER if any(results.of(task, each, arm) for each in conditions) and arm != "none"]
    width = max(24, *(len(each) + 2 for each in conditions))
    yield f"{task}: mean gain in points by condition, with its 95% interval over worlds"
    yield f"{'arm':16}" + "".join(f"{each:>{width}}" for each in conditions)
    for arm in arms:
        cells = []
        for condition in conditions:
            gains = list(results.gains(task, condition, arm).values())
            interval = mean_interval(gains) if gains else (0.0, 0.0)
            cells.append("{:+.1f} [{:+.1f}, {:+.1f}]".format(np.mean(gains), *interval) if gains else "-")
        yield f"{arm:16}" + "".join(f"{each:>{width}}" for each in cells)


def table_of_evidence(results: Results, task: Task | None, condition: str | None) -> Iterator[str]:
    """What cross-fitting claims from the seed pairs, and what the held-out pairs say; None puts all together."""
    lines = [line for line in results.lines if condition in (None, line.condition) and task in (None, line.task)]
    for arm in ORDER:
        found = [line for line in lines if line.arm == arm and line.evidence]
        if not found:
            continue
        where = f"{task or 'both tasks'}, {condition or 'all conditions'}"
        yield f"{where}, {arm}: share of {len(found)} worlds (exact 95% interval)"
        claims = [line.evidence["verdict"] for line in found if line.evidence]
        held_out = [VERDICTS[line.judged.gain.verdict] for line in found if line.judged and line.judged.gain]
        for who, said in (("cross-fit", claims), ("held-out", held_out)):
            shares = [f"{verdict} {_share(said.count(verdict), len(said))}" for verdict in VERDICTS.values()]
            yield f"  {who:10} says {', '.join(shares)}"
        wrong = sum(_opposed(line) for line in found)
        yield f"  claimed by the cross-fit and decidedly contradicted by the held-out pairs: {wrong}"


def table_of_matches(results: Results, task: Task, condition: str) -> Iterator[str]:
    for arm in results.arms(task, condition):
        matched = [line for line in results.of(task, condition, arm).values() if line.match]
        if matched:
            hits = sum(line.match.picked == line.world for line in matched if line.match)
            yield f"  {arm:16} its own rule picked out of ten: {_share(hits, len(matched))}; by chance 10%"


def table_of_cost(results: Results, task: Task, condition: str) -> Iterator[str]:
    for arm in results.arms(task, condition):
        lines = list(results.of(task, condition, arm).values())
        inducing = _took([line.inducing for line in lines if line.inducing])
        fitting = _took([line.cross_fitting for line in lines if line.cross_fitting])
        if inducing:
            yield f"  {arm:16} inducing: {inducing}" + (f"; cross-fit: {fitting}" if fitting else "")


def _opposed(line: Line) -> bool:
    held_out = line.judged.gain.verdict if line.judged and line.judged.gain else "undecided"
    claim = line.evidence["verdict"] if line.evidence else "undecided"
    return {claim, VERDICTS[held_out]} == {"helps", "hurts"}


def _took(asked: Sequence[Asked]) -> str:
    if not asked:
        return ""
    questions = [each.calls + each.cached for each in asked]
    cached, seconds = np.mean([each.cached for each in asked]), np.mean([each.seconds for each in asked])
    return (
        f"{np.mean(questions):.0f} questions (at most {max(questions)}), of which {cached:.0f} were answered already, "
        f"{seconds:.1f} s"
    )


def _share(count: int, n: int) -> str:
    if n == 0:
        return "of no world"
    low, high = share_interval(count, n)
    return f"{count / n:.1%} ({count}) [{low:.1%}, {high:.1%}]"
