"""Worlds on disk: a data set of pairs with its pictures, the secret behind the labels, and its judge's settings."""

import io
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from workbench.atomic import replacing
from workbench.pairs import parquet
from workbench.pairs.comparison import Comparison, Task
from workbench.pairs.writing import write_jsonl
from workbench.shapes.exemplars import write_exemplars
from workbench.shapes.judge.settings import SETTINGS_FILE, sample_settings
from workbench.shapes.render import render
from workbench.shapes.sampling import ShapePair, World, sample_pairs, sample_world
from workbench.shapes.scene import Scene

WORLD_FILE = "world.json"
WORLD_SCHEMA = "workbench.world/1"
SIZE = 128
COMMITTED_SEED = 7
COMMITTED_SEED_PAIRS = 60
COMMITTED_TEST_PAIRS = 1500


def make_world(
    seed: int,
    task: Task,
    pairs: int,
    out: str | Path,
    *,
    size: int = SIZE,
    label_noise: float = 0.05,
    test: bool = False,
) -> None:
    """Write `pairs.jsonl`, `images/*.png`, `world.json` (the secret) and `judge.json` of a world into a folder.

    The same seed gives the same bytes, and more pairs begin with the same ones. `test` draws from the prompts kept
    apart for testing. Raises ValueError where the folder already holds another world.
    """
    if pairs < 1:
        raise ValueError(f"pairs: {pairs} is not a number of pairs; ask for at least 1.")
    if not 16 <= size <= 2048:
        raise ValueError(f"size: {size} is not a width in pixels from 16 to 2048.")
    out = Path(out)
    world = sample_world(seed, task, label_noise)
    _write_world(world, out)
    drawn = islice(sample_pairs(world, "test" if test else "seed"), pairs)
    write_jsonl(_drawn_files(drawn, world, out / "images", size), out / "pairs.jsonl")


def write_parquet(pairs: Iterable[ShapePair], world: World, path: str | Path, *, size: int = SIZE) -> None:
    """Write pairs into one Parquet file with their pictures inside, as WebP without loss."""
    parquet.write_parquet((_embedded(pair, world, size) for pair in pairs), path)


def make_committed_worlds(out: str | Path = "data/shapes") -> None:
    """Write the worlds that come with the project: for each task 60 seed pairs as files and 1,500 test pairs inside
    one file, of other prompts."""
    tasks: tuple[Task, ...] = ("t2i", "edit")
    for task in tasks:
        folder = Path(out) / task
        world = sample_world(COMMITTED_SEED, task)
        _write_world(world, folder)
        seeds = islice(sample_pairs(world, "seed"), COMMITTED_SEED_PAIRS)
        write_jsonl(_drawn_files(seeds, world, folder / "seeds" / "images", SIZE), folder / "seeds" / "pairs.jsonl")
        write_parquet(islice(sample_pairs(world, "test"), COMMITTED_TEST_PAIRS), world, folder / "test.parquet")
        write_exemplars(sample_pairs(world, "seed"), world, folder / "exemplars.yaml")


def encode(scene: Scene, size: int, kind: Literal["PNG", "WEBP"] = "PNG") -> bytes:
    """The picture of a scene as a file, without loss."""
    buffer = io.BytesIO()
    if kind == "PNG":
        render(scene, size).save(buffer, "PNG", optimize=True)
    else:
        render(scene, size).save(buffer, "WEBP", lossless=True, method=4)
    return buffer.getvalue()


def _write_world(world: World, out: Path) -> None:
    secret: dict[str, Any] = {
        "schema": WORLD_SCHEMA,
        "world": world.seed,
        "task": world.task,
        "label_noise": world.label_noise,
        "rule": world.rule.to_json(),
        "rule_in_words": world.rule.as_rubric_sentences(),
    }
    file = out / WORLD_FILE
    if file.exists() and json.loads(file.read_text(encoding="utf-8")) != secret:
        raise ValueError(
            f"{file}: the folder holds another world than {world.task} {world.seed}; choose another folder."
        )
    with replacing(file) as temporary:
        temporary.write_text(json.dumps(secret, indent=2) + "\n", encoding="utf-8")
    with replacing(out / SETTINGS_FILE) as temporary:
        temporary.write_text(sample_settings(world.task, world.seed).to_json(), encoding="utf-8")


def _drawn_files(pairs: Iterable[ShapePair], world: World, images: Path, size: int) -> Iterator[Comparison]:
    """Comparisons whose pictures have just been written; pairs of one prompt share the source's file."""
    images.mkdir(parents=True, exist_ok=True)
    for pair in pairs:
        files = [images / f"{pair.id}-{i}.png" for i in (1, 2)]
        for file, scene in zip(files, pair.candidates, strict=True):
            file.write_bytes(encode(scene, size))
        source = images / f"source-{pair.prompt_id}.png"
        if pair.source and not source.exists():
            source.write_bytes(encode(pair.source, size))
        yield _comparison(pair, world, (str(files[0]), str(files[1])), str(source) if pair.source else None)


def _embedded(pair: ShapePair, world: World, size: int) -> Comparison:
    first, second = (encode(scene, size, "WEBP") for scene in pair.candidates)
    return _comparison(pair, world, (first, second), encode(pair.source, size, "WEBP") if pair.source else None)


def _comparison(
    pair: ShapePair, world: World, images: tuple[str | bytes, str | bytes], source: str | bytes | None
) -> Comparison:
    tags = {"defects": "+".join(pair.defects), "prompt_id": pair.prompt_id}
    return Comparison(pair.id, world.task, pair.prompt, images, source, pair.ranks, tags=tags)
