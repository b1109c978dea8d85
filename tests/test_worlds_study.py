"""benchmarks/worlds.py and its report, on two tiny worlds."""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from workbench.pairs.loading import load
from workbench.shapes.attributes import satisfaction
from workbench.shapes.sampling import sample_pairs
from workbench.shapes.scene import exact
from workbench.shapes.world import make_world

ARMS = ["none", "arr", "placebo", "handwritten", "other_arr", "shuffled_arr", "oracle"]
STUDY = {
    "tasks": ["t2i"],
    "worlds": {"first": 701, "count": 2},
    "test_pairs": 12,
    "arms": ARMS,
    "cross_fit": ["arr"],
    "match": ["arr"],
    "processes": 1,
    "conditions": [
        {"name": "base", "seed_pairs": 6},
        {"name": "deaf", "seed_pairs": 6, "judge": {"compliance": 0.0}},
    ],
}


@pytest.fixture(scope="module")
def bench() -> Iterator[dict[str, ModuleType]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
        names = ("worlds", "worlds_study", "worlds_site", "worlds_tables", "worlds_report")
        patch.setattr(importlib.import_module("worlds_matcher"), "PAIRS", 6)
        yield {name: importlib.import_module(name) for name in names}


@pytest.fixture(scope="module")
def results(bench, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("worlds") / "results.jsonl"
    bench["worlds"].run_study(bench["worlds_study"].Study.model_validate(STUDY), out)
    return out


def by_key(bench, path):
    return {line.key: line for line in bench["worlds_study"].read_results(path)}


def numbers(line):
    return line.rubric_hash, line.judged, line.evidence, line.match


def test_every_arm_of_every_world_and_condition_has_one_line(bench, results):
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    keys = {(line["world"], line["condition"], line["arm"]) for line in lines}
    assert len(lines) == len(keys) == 2 * 2 * len(ARMS)
    assert all(line["synthetic"] and line["schema"] == "workbench.worlds/1" for line in lines)
    found = by_key(bench, results)
    induced = found["t2i", 702, "base", "arr"]
    assert induced.judged.n == 12
    assert induced.inducing.calls > 6
    assert induced.evidence["gain"]["n"] == 6
    assert set(induced.match.agreement) == set(range(702, 712))
    assert found["t2i", 702, "base", "none"].judged.gain is None
    assert found["t2i", 702, "base", "other_arr"].rubric_hash == found["t2i", 701, "base", "arr"].rubric_hash


def test_a_judge_that_follows_no_rubric_gains_nothing(bench, results):
    gains = [
        line.judged.gain.value
        for key, line in by_key(bench, results).items()
        if key[2] == "deaf" and key[3] != "none" and line.judged
    ]
    assert len(gains) >= 2 * (len(ARMS) - 2)
    assert set(gains) == {0.0}


def test_a_killed_study_goes_on_where_it_stopped(bench, results, tmp_path):
    lines = results.read_bytes().splitlines(keepends=True)
    resumed = tmp_path / "results.jsonl"
    kept = [lines[0], *lines[2 : len(lines) // 2 + 3]]
    resumed.write_bytes(b"".join(kept) + lines[-1][:100])
    study = bench["worlds_study"].Study.model_validate({**STUDY, "processes": 2})  # each goes on with one world
    bench["worlds"].run_study(study, resumed)
    assert resumed.read_bytes().startswith(b"".join(kept))
    again, before = by_key(bench, resumed), by_key(bench, results)
    assert again.keys() == before.keys()
    assert {key: numbers(line) for key, line in again.items()} == {key: numbers(line) for key, line in before.items()}


def test_results_of_other_parameters_are_refused(bench, results):
    other = bench["worlds_study"].Study.model_validate({**STUDY, "test_pairs": 14})
    with pytest.raises(ValueError, match="with other parameters"):
        bench["worlds"].run_study(other, results)


def test_the_report_shows_every_arm_and_says_synthetic(bench, results, tmp_path):
    lines = list(by_key(bench, results).values())
    text = bench["worlds_report"].report(lines)
    assert "Synthetic" in text
    assert all(f"\n{arm} " in text for arm in ARMS)
    assert "cross-fit  says helps" in text
    assert "picked out of ten" in text
    bench["worlds_report"].write_csv(lines, tmp_path / "numbers.csv")
    assert len((tmp_path / "numbers.csv").read_text().splitlines()) == len(lines) + 1


def test_pairs_are_those_make_world_writes(bench, tmp_path):
    condition = bench["worlds_study"].Condition()
    drawn = bench["worlds_site"].draw(condition.world("edit", 701), "seed", 4, tmp_path / "drawn")
    make_world(701, "edit", 4, tmp_path / "made")
    for ours, theirs in zip(drawn, load(tmp_path / "made" / "pairs.jsonl"), strict=True):
        assert (ours.id, ours.prompt, ours.ranks) == (theirs.id, theirs.prompt, theirs.ranks)
        files = zip([*ours.images, ours.source_image], [*theirs.images, theirs.source_image], strict=True)
        assert all(Path(a).read_bytes() == Path(b).read_bytes() for a, b in files)


def test_random_labels_have_nothing_to_do_with_the_images(bench):
    world = bench["worlds_study"].Condition(label_noise=0.5).world("t2i", 701)
    right = 0
    for _, pair in zip(range(300), sample_pairs(world, "seed"), strict=False):
        liked = [world.rule.utility(satisfaction("t2i", pair.prompt, exact(each))) for each in pair.candidates]
        right += (liked[0] > liked[1]) == (pair.ranks == (1, 2))
    assert 115 < right < 185  # 150, and four standard deviations of 8.7


def test_parameter_files_are_read(bench):
    files = sorted((Path(__file__).parents[1] / "benchmarks" / "params").glob("*.yaml"))
    assert files
    for file in files:
        bench["worlds_study"].Study.load(file)


def test_a_wrong_parameter_is_named(bench, tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text("worlds: {first: 1, count: 1}\narms: [none]\nconditions: [{judge: {complience: 1}}]\n")
    with pytest.raises(ValueError, match=r"wrong\.yaml.*complience"):
        bench["worlds_study"].Study.load(file)


def test_intervals_over_worlds(bench):
    tables = bench["worlds_tables"]
    assert tables.mean_interval([1.0, 3.0]) == pytest.approx((2 - 12.706, 2 + 12.706), abs=0.01)  # t(1) = 12.706
    low, high = tables.share_interval(0, 20)
    assert (low, high) == pytest.approx((0.0, 1 - 0.025**0.05))  # closed form for none of n
    half = tables.share_of_oracle({1: 1.0, 2: 3.0, 3: 2.0}, {1: 2.0, 2: 6.0, 3: 4.0})
    assert half == pytest.approx((0.5, 0.5, 0.5))
    assert tables.share_of_oracle({1: 1.0, 2: 3.0}, {1: -2.0, 2: 2.0}) is None
