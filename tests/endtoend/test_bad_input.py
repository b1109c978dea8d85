"""Datasets and rubrics that cannot be used: one message with every problem and its remedy, before anything is sent."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import message, take, workbench_each

# The second pair of three is spoiled like this; the message must hold these words beside file, line and id.
PAIR_FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "missing image": ({"images": ["images/none.png", "good.png"]}, "images/none.png", "add it"),
    "corrupt image": ({"images": ["corrupt.png", "good.png"]}, "corrupt.png", ""),
    "truncated image": ({"images": ["truncated.png", "good.png"]}, "truncated.png", ""),
    "path outside": ({"images": ["../secret.png", "good.png"]}, "../secret.png", "--allow-outside"),
    "absolute path": ({"images": ["/etc/hostname", "good.png"]}, "/etc/hostname", "--allow-outside"),
    "URL": ({"images": ["http://127.0.0.1:9/a.png", "good.png"]}, "http://127.0.0.1:9/a.png", "--allow-urls"),
    "ranks as words": ({"ranks": ["first", "second"]}, "ranks", "1 is best"),
    "three ranks": ({"ranks": [1, 2, 3]}, "3 ranks for 2 images", "one per image"),
    "ranks from 0": ({"ranks": [0, 1]}, "ranks", "1 is best"),
    "unknown key": ({"rnks": [1, 2]}, "rnks", "did you mean ranks"),
    "one image": ({"images": ["good.png"]}, "1 image", "at least two"),
    "no prompt": ({"prompt": ""}, "prompt", "add"),
}


@pytest.fixture
def spoiled(world: Path) -> Path:
    """The world with images that are damaged, and one outside of it."""
    good = (world / "images" / sorted(path.name for path in (world / "images").iterdir())[0]).read_bytes()
    (world / "good.png").write_bytes(good)
    (world / "corrupt.png").write_bytes(good[:60] + b"\xff" * 40 + good[100:])
    (world / "truncated.png").write_bytes(good[: len(good) // 2])
    (world.parent / "secret.png").write_bytes(good)
    return world


def evaluate(pairs: Path, *more: object) -> list[Any]:
    """An evaluation at an address where nothing listens: whatever is wrong must be said before asking."""
    return ["evaluate", pairs, "--base-url", "http://127.0.0.1:9/v1", "--model", "judge", *more]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A working directory apart from the data."""
    (tmp_path / "cwd").mkdir()
    return tmp_path / "cwd"


def test_all_problems_of_a_dataset_are_listed_at_once_with_their_remedies(spoiled: Path, elsewhere: Path) -> None:
    faults = [change for change, _, _ in PAIR_FAULTS.values()]
    pairs = take(spoiled, 3 + len(faults), "faulty.jsonl", [{}, *faults, {"id": "t2i-w5-seed-00001"}, {"task": "edit"}])
    with pairs.open("a") as file:
        file.write('{"id": "torn", "prompt"')
    commands = (["data", "check", pairs], evaluate(pairs), ["induce", pairs, "--out", "rubric.yaml"])
    for result in workbench_each(commands, cwd=elsewhere):
        told = message(result).splitlines()
        assert told[0] == f"{len(faults) + 3} problems in the dataset:"
        for number, (_, problem, remedy) in enumerate(PAIR_FAULTS.values(), start=2):
            line = told[number - 1]
            assert line.startswith(f"{pairs}:{number}: [t2i-w5-seed-{number:05}] ")
            assert problem in line
            assert remedy in line
        twice, edit, torn = told[-3:]
        assert "[t2i-w5-seed-00001] id already used at line 1" in twice
        assert "edit without source_image" in edit
        assert torn.startswith(f"{pairs}:{len(faults) + 4}: is not JSON")
    assert not list(elsewhere.iterdir())


def test_an_empty_file_and_mixed_tasks(spoiled: Path, elsewhere: Path) -> None:
    empty = spoiled / "empty.jsonl"
    empty.write_text("\n")
    mixed = take(spoiled, 3, "mixed.jsonl", [{}, {"task": "edit", "source_image": "good.png"}])
    lines = [evaluate(path) for path in (empty, mixed, spoiled / "none.jsonl")]
    told = [message(result) for result in workbench_each(lines, cwd=elsewhere)]
    assert f"{empty}: holds no comparisons" in told[0]
    assert "mixes tasks (1 edit and 2 t2i comparisons)" in told[1]
    assert "none.jsonl: does not exist" in told[2]


def test_what_cannot_be_compared_is_refused(spoiled: Path, elsewhere: Path) -> None:
    single = spoiled / "single.jsonl"
    single.write_text(json.dumps({"id": "alone", "prompt": "a dog", "images": ["good.png"], "scores": [3]}) + "\n")
    many = spoiled / "many.jsonl"
    many.write_text(json.dumps({"id": "crowd", "prompt": "a dog", "images": ["good.png"] * 27}) + "\n")
    induce = ["--base-url", "http://127.0.0.1:9/v1", "--model", "judge", "--out", "rubric.yaml"]
    unlabelled = ["induce", take(spoiled, 3, "unlabelled.jsonl", [{}, {"ranks": None}]), *induce]
    tied = ["induce", take(spoiled, 3, "tied.jsonl", [{}, {"ranks": [1, 1]}]), *induce, "--recipe", "arr"]
    results = workbench_each([evaluate(single), evaluate(many), unlabelled, tied], cwd=elsewhere)
    expected = [("alone", "2 to 26 images"), ("crowd", "2 to 26 images")]
    expected += [("t2i-w5-seed-00002", "without ranks"), ("t2i-w5-seed-00002", "with ties")]
    for result, words in zip(results, expected, strict=True):
        told = message(result)
        assert all(word in told for word in words)


RUBRIC = """\
schema: workbench.rubric/1
name: mine
task: t2i
themes:
- name: Content
  criteria:
  - id: c1
    text: The right number of objects.
"""

RUBRIC_FAULTS = {
    "unknown key": (RUBRIC.replace("text:", "txt:"), ["rubric.yaml:8: ", "txt", "did you mean text"]),
    "no enabled criterion": (RUBRIC + "    enabled: false\n", ["rubric.yaml", "no enabled criterion", "enable one"]),
    "another task": (RUBRIC.replace("t2i", "edit"), ["'mine'", "task edit", "task t2i", "choose a rubric for t2i"]),
    "no YAML": (RUBRIC + "  - [", ["rubric.yaml:", "not usable YAML"]),
    "no rubric": ("- 1\n", ["rubric.yaml", "workbench.rubric/1"]),
    "same id twice": (RUBRIC + "  - {id: c1, text: Sharp.}\n", ["rubric.yaml", "c1", "more than once"]),
    "empty": ("", ["rubric.yaml", "workbench.rubric/1"]),
}


def test_a_faulty_rubric_is_named_with_its_remedy(world: Path, elsewhere: Path) -> None:
    lines = []
    for number, (text, _) in enumerate(RUBRIC_FAULTS.values()):
        folder = world.parent / f"{number}"
        folder.mkdir()
        (folder / "rubric.yaml").write_text(text)
        lines.append(evaluate(world / "pairs.jsonl", "--rubric", folder / "rubric.yaml"))
    for (_, words), result in zip(RUBRIC_FAULTS.values(), workbench_each(lines, cwd=elsewhere), strict=True):
        told = message(result)
        for word in words:
            assert word in told
    assert not list(elsewhere.iterdir())


def test_options_that_do_not_fit_are_refused(world: Path, elsewhere: Path) -> None:
    pairs = world / "pairs.jsonl"
    induce = ["induce", pairs, "--base-url", "http://127.0.0.1:9/v1", "--model", "judge"]
    lines = [
        evaluate(pairs, "--judge", "scoring", "--ties"),
        evaluate(pairs, "--criteria"),
        ["evaluate", pairs],
        [*induce, "--out", "rubric.json"],
        evaluate(pairs, "--zero-shot", "--library", world),
        [*induce, "--out", "rubric.yaml", "--epochs", 3],
        [*induce, "--out", "rubric.yaml", "--recipe", "arr", "--criteria", 3],
        [*induce, "--out", "rubric.yaml", "--folds", 1],
    ]
    told = [message(result) for result in workbench_each(lines, cwd=elsewhere)]
    assert "--judge scoring takes no --ties" in told[0]
    assert "needs a rubric" in told[1]
    assert "--base-url is not given" in told[2]
    assert "workbench serve shapes" in told[2]
    assert "--out rubric.json: must end in .yaml" in told[3]
    assert "--zero-shot and --library exclude each other" in told[4]
    assert "--recipe blind takes no --epochs" in told[5]
    assert "--recipe arr takes no --criteria" in told[6]
    assert "folds=1 must be 0 (no evidence), or 2 and more" in told[7]
    assert not list(elsewhere.iterdir())
