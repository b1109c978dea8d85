import json
from collections import Counter
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from workbench.pairs.comparison import Task
from workbench.pairs.loading import load
from workbench.shapes.judge.settings import JudgeSettings
from workbench.shapes.rule import HiddenRule
from workbench.shapes.sampling import sample_pairs, sample_world
from workbench.shapes.world import WORLD_SCHEMA, make_world, write_parquet

TASKS: tuple[Task, ...] = ("t2i", "edit")
COMMITTED = Path(__file__).parents[2] / "data" / "shapes"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("task", TASKS)
def test_the_same_seed_writes_the_same_bytes_and_more_pairs_extend(task: Task, tmp_path: Path) -> None:
    make_world(3, task, 12, tmp_path / "a", size=48)
    make_world(3, task, 12, tmp_path / "b", size=48)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    make_world(3, task, 20, tmp_path / "b", size=48)
    first, more = (contents(tmp_path / name) for name in ("a", "b"))
    assert more["pairs.jsonl"].startswith(first.pop("pairs.jsonl"))
    assert first.items() <= more.items()


@pytest.mark.parametrize("task", TASKS)
def test_a_world_loads_as_pairs_with_its_judge_and_its_secret(task: Task, tmp_path: Path) -> None:
    make_world(3, task, 10, tmp_path, size=48)
    loaded = list(load(tmp_path / "pairs.jsonl"))
    assert len(loaded) == 10
    for comparison in loaded:
        assert set(comparison.ranks or ()) == {1, 2}
        assert set(comparison.tags) == {"defects", "prompt_id"}
        assert (comparison.source_image is None) == (task == "t2i")
    secret = json.loads((tmp_path / "world.json").read_text())
    assert secret["schema"] == WORLD_SCHEMA
    assert HiddenRule.from_json(secret["rule"]) == sample_world(3, task).rule
    assert JudgeSettings.load(tmp_path).task == task


def test_image_names_do_not_tell_the_winner(tmp_path: Path) -> None:
    make_world(3, "t2i", 40, tmp_path, size=32)
    winners = Counter(
        str(comparison.images[(comparison.ranks or ()).index(1)])[-5:] for comparison in load(tmp_path / "pairs.jsonl")
    )
    assert min(winners.values()) >= 10


def test_a_folder_of_another_world_is_refused(tmp_path: Path) -> None:
    make_world(3, "t2i", 1, tmp_path, size=32)
    with pytest.raises(ValueError, match=r"world\.json: the folder holds another world"):
        make_world(4, "t2i", 1, tmp_path, size=32)


def test_sizes_and_numbers_out_of_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pairs: 0"):
        make_world(3, "t2i", 0, tmp_path)
    with pytest.raises(ValueError, match="size: 5"):
        make_world(3, "t2i", 1, tmp_path, size=5)


def test_a_parquet_file_holds_the_same_pairs_as_the_files(tmp_path: Path) -> None:
    world = sample_world(3, "edit")
    make_world(3, "edit", 8, tmp_path, size=48)
    write_parquet(islice(sample_pairs(world, "seed"), 8), world, tmp_path / "pairs.parquet", size=48)
    for a, b in zip(load(tmp_path / "pairs.jsonl"), load(tmp_path / "pairs.parquet"), strict=True):
        assert (a.id, a.prompt, a.ranks, a.tags) == (b.id, b.prompt, b.ranks, b.tags)
        assert all(isinstance(image, bytes) for image in (*b.images, b.source_image))


@pytest.mark.parametrize("task", TASKS)
def test_the_committed_world_is_the_sampled_one(task: Task) -> None:
    folder = COMMITTED / task
    seeds, test = list(load(folder / "seeds" / "pairs.jsonl")), pq.read_table(folder / "test.parquet")
    assert (len(seeds), len(test)) == (60, 1500)
    assert {each.prompt for each in seeds}.isdisjoint(test["prompt"].to_pylist())
    secret = json.loads((folder / "world.json").read_text())
    world = sample_world(secret["world"], task, secret["label_noise"])
    assert HiddenRule.from_json(secret["rule"]) == world.rule
    drawn = islice(sample_pairs(world, "test"), 50)
    for pair, row in zip(drawn, test.slice(0, 50).to_pylist(), strict=True):
        assert (pair.id, pair.prompt, list(pair.ranks)) == (row["id"], row["prompt"], row["ranks"])


def test_the_committed_worlds_stay_small() -> None:
    assert sum(file.stat().st_size for file in COMMITTED.rglob("*") if file.is_file()) < 25 * 2**20
