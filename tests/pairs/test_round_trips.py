"""What is written is read again, and a dataset's hash depends on what people compared, not on where it lies."""

import io
import json
import shutil
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from workbench.pairs.aliases import ARR_ONLY
from workbench.pairs.comparison import Comparison
from workbench.pairs.identity import dataset_identity
from workbench.pairs.labels import rank_scores
from workbench.pairs.loading import load
from workbench.pairs.parquet import write_parquet
from workbench.pairs.problems import DatasetError, Problem
from workbench.pairs.sources import ImageError
from workbench.pairs.writing import write_jsonl


def dataset_hash(comparisons) -> str:
    return dataset_identity("pairs.jsonl", comparisons)["hash"]


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2), (value, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


TEXT = st.text(min_size=1, max_size=30).filter(lambda text: bool(text.strip()))
IMAGES = st.integers(0, 3).map(png)


@st.composite
def comparisons(draw: st.DrawFn) -> list[Comparison]:
    task = draw(st.sampled_from(["t2i", "edit"]))
    made = []
    for name in draw(st.lists(TEXT, min_size=1, max_size=4, unique=True)):
        images = tuple(draw(st.lists(IMAGES, min_size=2, max_size=4)))
        values = draw(st.lists(st.floats(-9, 9), min_size=len(images), max_size=len(images)))
        label = draw(st.sampled_from(["none", "ranks", "scores"]))
        made.append(
            Comparison(
                id=name,
                task=task,
                prompt=draw(TEXT),
                images=images,
                source_image=draw(IMAGES) if task == "edit" else None,
                ranks=None if label == "none" else rank_scores(values),
                scores=tuple(values) if label == "scores" else None,
                tags=draw(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)),
            )
        )
    return made


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=comparisons())
def test_written_comparisons_are_read_again(tmp_path: Path, made: list[Comparison]) -> None:
    write_jsonl(made, tmp_path / "pairs.jsonl")
    assert load(tmp_path / "pairs.jsonl") == made
    write_parquet(made, tmp_path / "pairs.parquet")
    assert load(tmp_path / "pairs.parquet") == made
    assert dataset_hash(made) == dataset_hash(reversed(made))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["a.png", "edit"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)
KEYS = st.sampled_from(["id", "task", "prompt", "images", "source_image", "ranks", "scores", "tags", *sorted(ARR_ONLY)])


BASE = {"prompt": "x", "images": ["a.png", "a.png"], "ranks": [1, 2]}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(change=st.dictionaries(KEYS, JSON, max_size=3), dropped=st.sets(st.sampled_from(sorted(BASE)), max_size=1))
def test_whatever_a_record_holds_it_is_read_or_refused_in_words(
    tmp_path: Path, change: dict[str, object], dropped: set[str]
) -> None:
    (tmp_path / "a.png").write_bytes(png(1))
    record = {key: value for key, value in BASE.items() if key not in dropped} | change
    (tmp_path / "pairs.jsonl").write_text(json.dumps(record))
    problems: list[Problem] = []
    try:
        read = load(tmp_path / "pairs.jsonl")
    except DatasetError as error:
        problems += error.problems
    assert all(problem.problem and problem.remedy for problem in problems)
    if not problems and not (read[0].task == "edit" and read[0].source_image is None):
        write_jsonl(read, tmp_path / "again.jsonl")
        assert load(tmp_path / "again.jsonl") == read


def test_paths_are_written_relative_so_that_the_folder_can_move(tmp_path: Path) -> None:
    home = tmp_path / "here"
    (home / "images").mkdir(parents=True)
    for name in "ab":
        (home / "images" / f"{name}.png").write_bytes(png(ord(name)))
    images = (str(home / "images" / "a.png"), str(home / "images" / "b.png"))
    made = [Comparison(id="p", task="t2i", prompt="x", images=images, ranks=(1, 2))]
    write_jsonl(made, home / "pairs.jsonl")
    assert json.loads((home / "pairs.jsonl").read_text())["images"] == ["images/a.png", "images/b.png"]
    assert load(home / "pairs.jsonl") == made
    shutil.move(home, tmp_path / "there")
    moved = load(tmp_path / "there" / "pairs.jsonl")
    assert moved[0].images == (str(tmp_path / "there/images/a.png"), str(tmp_path / "there/images/b.png"))


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "pairs.parquet"
    good = Comparison(id="p", task="t2i", prompt="x", images=(png(1), png(2)))
    write_parquet([good], path)
    with pytest.raises(ImageError, match="does not exist"):
        write_parquet([good, replace(good, images=("nowhere.png", png(1)))], path)
    assert load(path) == [good]
    assert [entry.name for entry in tmp_path.iterdir()] == ["pairs.parquet"]


def test_the_hash_sees_content_and_labels_only(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(1))
    base = Comparison(id="p", task="t2i", prompt="x", images=(png(1), png(2)), ranks=(1, 2))
    same = [
        replace(base, id="q"),
        replace(base, tags={"a": "b"}),
        replace(base, images=(str(tmp_path / "a.png"), png(2))),
    ]
    other = [
        replace(base, prompt="y"),
        replace(base, task="edit"),
        replace(base, ranks=(2, 1)),
        replace(base, ranks=None),
        replace(base, scores=(1.0, 0.0)),
        replace(base, images=(png(2), png(1))),
        replace(base, images=(png(1), png(3))),
        replace(base, source_image=png(1)),
    ]
    assert {dataset_hash([c]) for c in same} == {dataset_hash([base])}
    assert len({dataset_hash([c]) for c in [base, *other]}) == len(other) + 1
    assert dataset_hash([base, base]) != dataset_hash([base])


def test_a_hundred_thousand_comparisons_stay_small(tmp_path: Path) -> None:
    count = 10_000
    path = tmp_path / "pairs.jsonl"
    with path.open("w") as file:
        for i in range(count):
            record = {
                "id": f"pair-{i:06d}",
                "task": "t2i",
                "prompt": f"a photograph of object number {i} on a table in the evening sun",
                "images": [f"images/shard-{i % 100:03d}/{i:06d}_{side}.png" for side in "ab"],
                "ranks": [1, 2],
                "tags": {"style": "photo", "source": f"model-{i % 7}"},
            }
            file.write(json.dumps(record) + "\n")
    tracemalloc.start()
    loaded = load(path, check_images=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(loaded) == count
    # A tenth of the 200 MB that 100,000 comparisons may take.
    assert peak < 20e6, f"peak {peak / 1e6:.0f} MB for {count} comparisons"
