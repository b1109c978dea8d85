"""Datasets in every format are read alike, and everything wrong with one is said at once."""

import base64
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from workbench.pairs.comparison import Comparison
from workbench.pairs.loading import load
from workbench.pairs.parquet import write_parquet
from workbench.pairs.problems import DatasetError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory that is not the dataset's folder."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset folder with the images a.png, b.png, c.png and s.png."""
    folder = tmp_path / "data"
    folder.mkdir()
    for value, name in enumerate("abcs"):
        Image.new("RGB", (4, 4), (value, 0, 0)).save(folder / f"{name}.png")
    return folder


OWN = {"id": "p1", "task": "t2i", "prompt": "a red circle", "images": ["a.png", "b.png"], "ranks": [1, 2]}


def write(folder: Path, *records: Any, name: str = "pairs.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def names(comparison: Comparison) -> list[str]:
    return [Path(image).name for image in comparison.images if isinstance(image, str)]


def problems(path: Path, **options: Any) -> list[str]:
    with pytest.raises(DatasetError) as caught:
        load(path, **options)
    return [str(problem) for problem in caught.value.problems]


def test_jsonl_json_yaml_and_parquet_are_read_alike(folder: Path) -> None:
    records = [OWN | {"tags": {"style": "flat"}}, OWN | {"id": "p2", "ranks": [1, 1]}]
    expected = load(write(folder, *records))
    assert [c.id for c in expected] == ["p1", "p2"]
    assert expected[0].images == (str(folder / "a.png"), str(folder / "b.png"))
    assert (expected[0].ranks, expected[1].ranks) == ((1, 2), (1, 1))
    assert dict(expected[0].tags) == {"style": "flat"}
    (folder / "pairs.json").write_text(json.dumps(records, indent=2))
    (folder / "pairs.yaml").write_text(yaml.safe_dump(records))
    assert load(folder / "pairs.json") == load(folder / "pairs.yaml") == expected
    write_parquet(expected, folder / "pairs.parquet")
    embedded = load(folder / "pairs.parquet")
    assert [(c.id, c.task, c.prompt, c.ranks, dict(c.tags)) for c in embedded] == [
        (c.id, c.task, c.prompt, c.ranks, dict(c.tags)) for c in expected
    ]
    assert embedded[0].images == ((folder / "a.png").read_bytes(), (folder / "b.png").read_bytes())


def test_blank_lines_and_a_byte_order_mark_are_passed_over(folder: Path) -> None:
    path = folder / "pairs.jsonl"
    path.write_bytes(b"\xef\xbb\xbf\n" + json.dumps(OWN).encode() + b"\r\n\n")
    assert len(load(path)) == 1


def test_paths_resolve_against_the_dataset_then_the_working_directory(folder: Path) -> None:
    Image.new("RGB", (2, 2)).save("a.png")
    Image.new("RGB", (2, 2)).save("only_here.png")
    (comparison,) = load(write(folder, OWN | {"images": ["a.png", "only_here.png"]}))
    assert comparison.images == (str(folder / "a.png"), os.path.join(os.getcwd(), "only_here.png"))


def test_a_relative_dataset_path_gives_images_that_survive_a_change_of_directory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, OWN)
    monkeypatch.chdir(folder.parent)
    (comparison,) = load("data/pairs.jsonl")
    assert comparison.images[0] == str(folder / "a.png")


def test_edits_lists_of_n_and_data_urls(folder: Path) -> None:
    encoded = base64.b64encode((folder / "c.png").read_bytes()).decode()
    url = f"data:image/png;base64,{encoded}"
    record = OWN | {"task": "edit", "source_image": "s.png", "images": ["a.png", url, "b.png"], "ranks": [3, 1, 1]}
    (comparison,) = load(write(folder, record))
    assert comparison.source_image == str(folder / "s.png")
    assert comparison.images[1] == (folder / "c.png").read_bytes()
    assert comparison.ranks == (3, 1, 1)


def test_missing_ids_come_from_content_not_from_lines(folder: Path) -> None:
    first = {key: value for key, value in OWN.items() if key != "id"}
    second = first | {"prompt": "a blue square"}
    one, two = load(write(folder, first, second))
    assert one.id != two.id
    assert [c.id for c in load(write(folder, second, first | {"ranks": [2, 1]}))] == [two.id, one.id]
    assert len({c.id for c in load(write(folder, first, first))}) == 2


@pytest.mark.parametrize("alias", ["t2i", "Text-to-Image", "text2image", "IMAGE_GENERATION", "gen"])
def test_aliases_of_text_to_image(folder: Path, alias: str) -> None:
    assert load(write(folder, OWN | {"task": alias}))[0].task == "t2i"


@pytest.mark.parametrize("alias", ["edit", "image-edit", "Image_Editing", "i2i", "image_to_image"])
def test_aliases_of_editing(folder: Path, alias: str) -> None:
    assert load(write(folder, OWN | {"task": alias, "source_image": "s.png"}))[0].task == "edit"


@pytest.mark.parametrize("prompt", ["query", "prompt", "instruction"])
@pytest.mark.parametrize(
    "images", ["image_paths", "response", "responses", "images", "image", "generated_image", "generated_images"]
)
def test_arr_keys_of_text_to_image(folder: Path, prompt: str, images: str) -> None:
    record = {prompt: "a circle", images: ["a.png", "b.png"], "label_rank": [2, 1], "anything": 1}
    (comparison,) = load(write(folder, record))
    assert (comparison.task, comparison.prompt, comparison.ranks) == ("t2i", "a circle", (2, 1))
    assert names(comparison) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    "source", ["source_image", "base_image", "original_image", "input_image", "reference_image", "ref_image"]
)
@pytest.mark.parametrize(
    "images",
    [
        *("edited_image", "edited_images", "target_image", "target_images", "output_image", "output_images"),
        *("result_image", "result_images", "response", "responses", "images", "image_paths", "image"),
    ],
)
def test_arr_keys_of_editing(folder: Path, source: str, images: str) -> None:
    record = {"instruction": "make it red", source: "s.png", images: ["a.png", "b.png"], "label_rank": [1, 2]}
    (comparison,) = load(write(folder, record))
    assert (comparison.task, comparison.source_image) == ("edit", str(folder / "s.png"))
    assert names(comparison) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("record", "base", "candidates"),
    [
        ({"response": ["s.png", "a.png", "b.png"], "label_rank": [1, 2]}, "s.png", ["a.png", "b.png"]),
        ({"response": ["a.png", "b.png"], "label_rank": [1, 2]}, None, ["a.png", "b.png"]),
        ({"response": ["s.png", "a.png"], "label_score": 4}, "s.png", ["a.png"]),
        ({"response": ["s.png", "a.png", "b.png"], "response_includes_base": True}, "s.png", ["a.png", "b.png"]),
        ({"response": ["s.png", "a.png", "b.png"]}, "s.png", ["a.png", "b.png"]),
        ({"response": ["a.png", "b.png"]}, None, ["a.png", "b.png"]),
        ({"edited_images": ["a.png", "b.png", "c.png"]}, None, ["a.png", "b.png", "c.png"]),
    ],
)
def test_the_base_image_is_inferred_as_arr_does(
    folder: Path, record: dict[str, Any], base: str | None, candidates: list[str]
) -> None:
    (comparison,) = load(write(folder, {"instruction": "make it red", "task": "image_edit"} | record))
    assert comparison.source_image == (base and str(folder / base))
    assert names(comparison) == candidates


def test_a_file_called_edit_holds_edits(folder: Path) -> None:
    record = {"query": "make it red", "response": ["s.png", "a.png", "b.png"], "label_rank": [1, 2]}
    (comparison,) = load(write(folder, record, name="seed_edit.jsonl"))
    assert (comparison.task, names(comparison)) == ("edit", ["a.png", "b.png"])


def test_arr_task_type_is_a_task_or_a_tag(folder: Path) -> None:
    record = {"instruction": "x", "source_image": "s.png", "edited_images": ["a.png", "b.png"], "task_type": ["color"]}
    assert dict(load(write(folder, record))[0].tags) == {"task_type": "color"}
    record = {"query": "x", "response": ["a.png", "b.png"], "task_type": "text-to-image"}
    assert dict(load(write(folder, record))[0].tags) == {}


def test_scores_give_ranks_and_one_scored_image_stands_alone(folder: Path) -> None:
    several = {"query": "x", "response": ["a.png", "b.png", "c.png"], "label_score": [3, 5, 3.0]}
    single = {"query": "y", "response": "a.png", "label_score": 4.5}
    first, second = load(write(folder, several, single))
    assert (first.scores, first.ranks) == ((3.0, 5.0, 3.0), (2, 1, 2))
    assert (second.scores, second.ranks, len(second.images)) == ((4.5,), None, 1)


def test_one_task_is_picked_from_a_mixed_file(folder: Path) -> None:
    edit = OWN | {"id": "e1", "task": "edit", "source_image": "s.png"}
    path = write(folder, OWN, edit)
    (problem,) = problems(path)
    assert "1 edit and 1 t2i" in problem
    assert "pick it with task" in problem
    assert [c.id for c in load(path, task="edit")] == ["e1"]
    assert [c.id for c in load(path, task="t2i")] == ["p1"]
    (problem,) = problems(write(folder, OWN), task="edit")
    assert "none of 1 comparisons is of task edit" in problem


@pytest.mark.parametrize("ranks", [[1, 2], [2, 1], [1, 1], [1, 1, 2], [1, 1, 3], [2, 3, 1], [2, 1, 2]])
def test_ranks_are_kept_as_given(folder: Path, ranks: list[int]) -> None:
    images = ["a.png", "b.png", "c.png"][: len(ranks)]
    assert load(write(folder, OWN | {"images": images, "ranks": ranks}))[0].ranks == tuple(ranks)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ranks": [0, 1]}, "do not start at 1"),
        ({"ranks": [2, 2]}, "do not start at 1"),
        ({"ranks": [1, 3]}, "leave out a rank"),
        ({"ranks": [-1, 1]}, "do not start at 1"),
        ({"ranks": [1.0, 2.0]}, "not integers"),
        ({"ranks": [True, 2]}, "not integers"),
        ({"ranks": ["1", "2"]}, "not integers"),
        ({"ranks": "a"}, "not a list"),
        ({"ranks": [1, 2, 3]}, "3 ranks for 2 images"),
        ({"scores": [1.0, float("nan")]}, "not finite"),
        ({"scores": ["good", "bad"]}, "not numbers"),
        ({"ranks": [1, 2], "label_rank": [1, 2]}, "both ranks and label_rank"),
        ({"images": ["a.png"]}, "1 image to compare"),
        ({"images": []}, "no images to compare"),
        ({"images": ["a.png", "b.png", 3]}, "no path, URL or image"),
        ({"images": ["a.png", "nowhere.png"]}, "nowhere.png is not in "),
        ({"images": ["a.png", "a\0.png"]}, "characters no path can"),
        ({"images": ["a.png", "http://example.org/b.png"]}, "is a URL; download it, or allow URLs"),
        ({"images": ["a.png", "data:image/png;base64,AAAA"]}, "not an image"),
        ({"images": ["a.png", "../outside.png"]}, "lies outside"),
        ({"prompt": "  "}, "no prompt"),
        ({"prompt": None}, "no prompt"),
        ({"prompt": 3}, "not text"),
        ({"prompt": "\ud800"}, "surrogate"),
        ({"task": "video"}, "task 'video' is unknown; write t2i or edit"),
        ({"task": "edit"}, "an edit without source_image"),
        ({"source_image": "s.png"}, "source_image in a t2i comparison"),
        ({"task": "edit", "source_image": 3}, "source_image 3 is no path"),
        ({"rank": [1, 2]}, "unknown key 'rank'; did you mean ranks?"),
        ({"zzz": 1}, "unknown key 'zzz'; keys are id, task"),
        ({"id": ["x"]}, "not a name"),
        ({"tags": ["x"]}, "not an object"),
        ({"tags": {"x": ["y"]}}, "tag x"),
    ],
)
def test_each_fault_names_file_line_and_remedy(folder: Path, change: dict[str, Any], says: str) -> None:
    Image.new("RGB", (2, 2)).save(folder.parent / "outside.png")
    path = write(folder, OWN | {"id": "fine"}, OWN | change)
    (problem,) = problems(path)
    assert says in problem
    assert problem.startswith(f"{path}:2:")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("pairs.jsonl", b"", "holds no comparisons"),
        ("pairs.json", b" ", "holds no comparisons"),
        ("pairs.json", b"[]", "holds no comparisons"),
        ("pairs.yaml", b"", "holds no comparisons"),
        ("pairs.jsonl", b'{"id": "torn', ":1: is not JSON"),
        ("pairs.jsonl", b"\n[1]", ":2: is [1], not an object"),
        ("pairs.jsonl", b"\xff\xfe", "is not JSON"),
        ("pairs.jsonl", b"[" * 100_000, "is not JSON"),
        ("pairs.json", b'[\n{"id": }]', ":2: is not JSON"),
        ("pairs.json", b"{}\n{}", "called .jsonl"),
        ("pairs.json", b'{"data": []}', "not a list"),
        ("pairs.json", b'[\n1,\n\n"x"]', ":2: is 1, not an object with keys such as prompt and images"),
        ("pairs.yaml", b"a: 1", "not a YAML list"),
        ("pairs.yaml", b"- {a: 1", "not usable YAML"),
        ("pairs.yaml", b"- &a [*a]", "stand for more than"),
        (
            "pairs.yaml",
            b"".join(b"- &a%d [%s]\n" % (i, b",".join([b"*a%d" % (i - 1)] * 9) if i else b"1") for i in range(30)),
            "stand for more than",
        ),
        ("pairs.yaml", b"- {id: a,\n id: b}", ":2: is not usable YAML (key 'id' is given twice)"),
        ("pairs.yaml", b"- !!python/object:os.system {}", "not usable YAML"),
        ("pairs.parquet", b"PAR1junkPAR1", "not a whole Parquet file"),
        ("pairs.csv", b"a,b", "suffix '.csv'"),
        ("nowhere.jsonl", None, "does not exist"),
    ],
)
def test_unreadable_files_say_where(folder: Path, name: str, content: bytes | None, says: str) -> None:
    if content is not None:
        (folder / name).write_bytes(content)
    assert says in problems(folder / name)[0]


def test_lines_of_a_json_list_and_of_yaml_are_those_of_the_record(folder: Path) -> None:
    bad = OWN | {"id": "p2", "ranks": [0, 1]}
    path = folder / "pairs.json"
    path.write_text(f"[\n{json.dumps(OWN)},\n\n{json.dumps(bad)}\n]")
    assert problems(path)[0].startswith(f"{path}:4: [p2]")
    path = folder / "pairs.yaml"
    path.write_text(f"- {json.dumps(OWN)}\n\n- {json.dumps(bad)}\n")
    assert problems(path)[0].startswith(f"{path}:3: [p2]")


def test_damaged_images_are_found_unless_nobody_looks(folder: Path) -> None:
    whole = (folder / "a.png").read_bytes()
    (folder / "half.png").write_bytes(whole[:-4])
    (folder / "empty.png").write_bytes(b"")
    path = write(folder, OWN | {"images": ["a.png", "half.png"]}, OWN | {"id": "p2", "images": ["empty.png", "b.png"]})
    found = problems(path)
    assert "image half.png: truncated or corrupt PNG file" in found[0]
    assert "empty.png is empty" in found[1]
    assert len(load(path, check_images=False)) == 2


def test_duplicate_ids_name_the_first_line(folder: Path) -> None:
    (problem,) = problems(write(folder, OWN, OWN | {"prompt": "another"}))
    assert ":2: [p1] id already used at line 1; give every comparison its own id" in problem


def test_all_problems_are_listed_at_once_and_twenty_are_shown(folder: Path) -> None:
    records = [OWN | {"id": f"p{i}", "ranks": [0, 1], "prompt": ""} for i in range(15)]
    with pytest.raises(DatasetError) as caught:
        load(write(folder, *records))
    assert len(caught.value.problems) == 30
    message = str(caught.value)
    assert message.startswith("30 problems")
    assert message.endswith("and 10 more")
    assert message.count("\n") == 21


@pytest.mark.parametrize("way", ["dots", "absolute", "symlink", "folder symlink", "home"])
def test_images_outside_are_refused_unless_allowed(folder: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = folder.parent / "private"
    outside.mkdir()
    Image.new("RGB", (2, 2)).save(outside / "x.png")
    (folder / "link.png").symlink_to(outside / "x.png")
    (folder / "linked").symlink_to(outside)
    monkeypatch.setenv("HOME", str(outside))
    written = {
        "dots": "../private/x.png",
        "absolute": str(outside / "x.png"),
        "symlink": "link.png",
        "folder symlink": "linked/x.png",
        "home": "~/x.png",
    }[way]
    path = write(folder, OWN | {"images": ["a.png", written]})
    assert "lies outside" in problems(path)[0]
    assert "lies outside" in problems(path, check_images=False)[0]
    (comparison,) = load(path, allow_outside=True)
    assert isinstance(comparison.images[1], str)
    assert os.path.samefile(comparison.images[1], outside / "x.png")


def test_links_and_dots_that_stay_inside_are_fine(folder: Path) -> None:
    (folder / "link.png").symlink_to(folder / "a.png")
    (folder / "sub").mkdir()
    assert len(load(write(folder, OWN | {"images": ["link.png", "sub/../b.png"]}))) == 1


def test_urls_are_kept_unfetched_where_allowed(folder: Path) -> None:
    path = write(folder, OWN | {"images": ["a.png", "https://example.invalid/b.png"]})
    assert load(path, allow_urls=True)[0].images[1] == "https://example.invalid/b.png"


def test_foreign_parquet_with_paths_and_bytes_is_read_by_arr_keys(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, "PNG")
    rows = [
        {
            "query": "x",
            "response": [{"bytes": buffer.getvalue(), "path": None}, {"bytes": None, "path": "a.png"}],
            "label_rank": [1, 2],
        }
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "foreign.parquet")
    (comparison,) = load(folder / "foreign.parquet")
    assert comparison.images == (buffer.getvalue(), str(folder / "a.png"))
