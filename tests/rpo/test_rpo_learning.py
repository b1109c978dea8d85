"""benchmarks/rpo_learning.py: every run once, in order, measured and told; on a random tiny pipeline."""

import importlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tiny_pipelines import random_flux
from toy_policy import RedJudge
from toy_runs import panel

from workbench.judges.verdict import Verdict
from workbench.pairs.comparison import Comparison
from workbench.rpo.watching.measured import Measured
from workbench.shapes.small_world import prompts


@pytest.fixture(scope="module")
def bench() -> Iterator[dict[str, ModuleType]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
        names = ("rpo_learning", "rpo_learning_arms", "rpo_learning_lines", "rpo_learning_report")
        modules = {name: importlib.import_module(name) for name in names}
        patch.setattr(modules["rpo_learning"], "TRAINED", 6)
        patch.setattr(modules["rpo_learning"], "WATCHED", 8)
        yield modules


@pytest.fixture(scope="module")
def flux(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_flux(tmp_path_factory.mktemp("flux"))


def experiment(bench: dict[str, ModuleType], flux: Path, out: Path, **changes: object):  # type: ignore[no-untyped-def]
    small = {"groups": 4, "batch": 4, "policy": {"rank": 2}, "sampling": {"steps": 6}, **changes}
    return bench["rpo_learning"].Experiment("t2i", str(flux), "dev", 4, 1, out, small)


def test_a_finished_run_is_a_line_and_is_not_run_again(
    bench: dict[str, ModuleType], flux: Path, tmp_path: Path
) -> None:
    out, budget = tmp_path / "results.jsonl", bench["rpo_learning"].Budget(images=16)
    todo = bench["rpo_learning_arms"].schedule(["shuffled", "exploit"], seeds=1)
    experiment(bench, flux, out).run(todo, [budget])
    lines = bench["rpo_learning_lines"].read_results(out)
    assert [line.arm for line in lines] == ["base", "shuffled", "exploit"]
    base, shuffled, exploit = lines
    assert (shuffled.updates, shuffled.images, shuffled.decided, shuffled.split) == (2, 16, 8, "dev")
    assert shuffled.config["sampling"]["steps"] == 6
    assert exploit.config["gold"]["kind"] == "oracle"
    assert len(base.rates.criteria["right"]) == 4

    again = experiment(bench, flux, out)
    before = out.read_bytes()
    again.run(todo, [budget])
    assert out.read_bytes() == before
    told = bench["rpo_learning_report"].report(again.lines)
    assert "| shuffled | " in told
    assert "16 images a run" in told
    with pytest.raises(ValueError, match="other weights, prompts or settings"):
        experiment(bench, flux, out, groups=8)


def test_lines_of_other_prompts_and_of_other_configurations_are_refused(
    bench: dict[str, ModuleType], flux: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, rpo_learning = tmp_path / "results.jsonl", bench["rpo_learning"]
    todo = bench["rpo_learning_arms"].schedule(["shuffled"], seeds=1)
    own = experiment(bench, flux, out)
    own.run(todo, [rpo_learning.Budget(images=8)])
    with monkeypatch.context() as patch:
        patch.setattr(rpo_learning, "prompts", lambda split, n, seed: prompts(split, n + 1, seed=seed)[1:])
        with pytest.raises(ValueError, match="other weights, prompts or settings"):
            experiment(bench, flux, out)
    with monkeypatch.context() as patch:
        arm = replace(rpo_learning.ARMS["shuffled"], changes={"objective": {"beta": 0.1}})
        patch.setitem(rpo_learning.ARMS, "shuffled", arm)
        with pytest.raises(ValueError, match="'shuffled' was run by another configuration"):
            own.run(todo, [])


def test_a_run_whose_judge_is_lost_is_no_result(
    bench: dict[str, ModuleType], flux: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lost(RedJudge):
        async def compare(self, comparison: Comparison, order: Sequence[int], sample: int = 0) -> Verdict:
            return Verdict(ranks=None, failure="error", detail="overloaded")

    rpo_learning = bench["rpo_learning"]
    monkeypatch.setattr(rpo_learning, "panel_of", lambda *_: panel(Lost()))
    lost = experiment(bench, flux, tmp_path / "results.jsonl")
    with pytest.raises(RuntimeError, match=r"shuffled, seed 0: ended before 8 images: update 1: 4 of 4 groups got no"):
        lost.run(bench["rpo_learning_arms"].schedule(["shuffled"], seeds=1), [rpo_learning.Budget(images=8)])
    assert [line.arm for line in lost.lines] == ["base"]


def test_measuring_on_the_way_changes_nothing(bench: dict[str, ModuleType], flux: Path, tmp_path: Path) -> None:
    budget = bench["rpo_learning"].Budget
    todo = bench["rpo_learning_arms"].schedule(["shuffled"], seeds=1)
    optimizer = {"lr": 0.05, "warmup": 0}
    long, on_the_way = (experiment(bench, flux, tmp_path / out, optimizer=optimizer) for out in ("long", "both"))
    long.run(todo, [budget(images=24)])
    on_the_way.run(todo, [budget(images=24), budget(images=8)])
    first, second = on_the_way.lines[1:]
    assert [(each.budget, each.updates) for each in (first, second)] == [("8 images", 1), ("24 images", 3)]
    assert (second.rates, second.decided) == (long.lines[1].rates, long.lines[1].decided)
    assert first.rates != second.rates

    on_the_way.run(todo, [budget(images=8), budget(images=16)])
    assert [each.budget for each in on_the_way.lines[1:]] == ["8 images", "24 images", "16 images"]


def test_edits_count_by_what_was_trained_and_tell_of_the_others_apart(bench: dict[str, ModuleType]) -> None:
    rpo_learning, lines = bench["rpo_learning"], bench["rpo_learning_lines"]
    trained, measured = (rpo_learning.texts("edit", split, 8) for split in ("train", "dev"))
    assert [rpo_learning.is_hard(each.text) for each in trained] == [True] * 8
    assert [rpo_learning.is_hard(each.text) for each in measured] == [True] * 8 + [False] * 2
    done = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    found = Measured(tuple(measured[6:]), (0, 1), {"instruction": done}, np.full(4, 0.1))
    rates = lines.Rates.of(found, ["add", "move", "remove", "recolor"], rpo_learning.HARD)
    assert rates.criteria == {
        "right": "22--", "instruction": "22--", "add": "2---", "move": "-2--", "reshape": "----", "others": "--11"
    }  # fmt: skip


def test_every_arm_is_a_configuration_and_groups_of_eight_have_as_many_pictures(bench: dict[str, ModuleType]) -> None:
    arms = bench["rpo_learning_arms"]
    for arm in arms.ARMS.values():
        for task in ("t2i", "edit"):
            config = arms.config_of(arm, task, "model", 3, {})
            assert (config.groups * config.sampling.group, config.seed) == (2 * arms.GROUPS, 3)
    eight = arms.config_of(arms.ARMS["groups of 8"], "t2i", "model", 0, {})
    assert (eight.sampling.group, eight.objective.advantage, eight.groups) == (8, "group", 8)
    paper = arms.config_of(arms.ARMS["paper, rubric"], "t2i", "model", 0, {})
    assert (paper.sampling.window, paper.rewards[0].rubric) == ("all", "rubrics/shapes_t2i_fidelity_v2.yaml")


def test_the_most_valuable_runs_come_first(bench: dict[str, ModuleType]) -> None:
    arms = bench["rpo_learning_arms"]
    order = [(arm.name, seed) for arm, seed in arms.schedule(list(arms.ARMS), seeds=2)]
    assert order[:4] == [("oracle", 0), ("rubric", 0), ("shuffled", 0), ("free", 0)]
    assert order.index(("oracle", 1)) == 7
    assert [name for name, _ in order[14:22]] == [arm.name for arm in arms.ABLATIONS]


def test_the_report_tells_gains_contrasts_and_when_a_flaw_was_caught(
    bench: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines, report = bench["rpo_learning_lines"], bench["rpo_learning_report"]
    rng = np.random.default_rng(0)

    def line(arm: str, seed: int, share: float, **fields: object):  # type: ignore[no-untyped-def]
        digits = "".join(map(str, rng.binomial(4, share, 300)))
        rates = lines.Rates(seeds=4, criteria={"right": digits, "count": digits}, diversity=[0.1] * 300)
        spent = {"sample": 60.0, "total": 150.0}
        return lines.Line(
            design="d", task="t2i", arm=arm, seed=seed, budget="150 s", rates=rates, decided=9, tied=1, seconds=spent,
            **fields,
        )  # fmt: skip

    looks = [
        lines.Look(update=5, reward=0.2, gold={"value": 0.5, "ci95": [0.4, 0.6], "n": 64, "failed": 0}),
        lines.Look(
            update=10,
            reward=0.4,
            gold={"value": 0.25, "ci95": [0.15, 0.35], "n": 64, "failed": 0},
            alarms=["update 10: saturation 0.6"],
        ),
    ]
    some = [line("base", 0, 0.5)]
    some += [line("oracle", seed, 0.7) for seed in range(5)] + [line("shuffled", seed, 0.5) for seed in range(5)]
    told = report.report([*some, line("exploit", 0, 0.3, updates=50, looks=looks)])
    gained, *_ = [row for row in told.splitlines() if row.startswith("| oracle |")]
    assert "5 runs x 300 prompts" in gained
    (contrast,) = [row for row in told.splitlines() if row.startswith("| oracle - shuffled |")]
    assert contrast.endswith("| more |")
    (caught,) = [row for row in told.splitlines() if "saturation 0.6" in row]
    assert "| 10 of 50 |" in caught
    assert "25.0% [15.0%, 35.0%], n = 64" in caught
    assert "others" not in told  # of 300 prompts all had been looked at
    monkeypatch.setattr(report, "LOOKED_AT", {"t2i": 100})
    (gained,) = [row for row in report.report(some).splitlines() if "5 runs x 200 prompts" in row and "oracle" in row]
    assert "5 runs x 300 prompts" in gained
    assert json.loads(some[1].model_dump_json())["rates"]["criteria"]["right"] == some[1].rates.criteria["right"]
