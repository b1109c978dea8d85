"""`workbench plan`, and `evaluate` with a rubric for each prompt."""

import json
from pathlib import Path

import pytest

from workbench.rubrics.library import load_library


@pytest.fixture
def pools(world: Path) -> tuple[Path, Path]:
    """Half of the world's pairs with their labels, and half without."""
    pairs = [json.loads(line) for line in (world / "pairs.jsonl").read_text().splitlines()]
    labelled, pool = world / "labelled.jsonl", world / "pool.jsonl"
    labelled.write_text("".join(json.dumps(pair) + "\n" for pair in pairs[:12]))
    pool.write_text("".join(json.dumps({**pair, "ranks": None}) + "\n" for pair in pairs[12:]))
    return labelled, pool


def test_a_plan_without_an_endpoint_looks_at_labels_alone(command, pools):
    result = command("plan", pools[0], "--unlabelled", pools[1])
    assert result.exit_code == 0, result.exception
    assert "winner position" in result.stdout
    assert "12 of 24 pairs have no label" in result.stdout
    assert "\nlabel next (" not in result.stdout
    assert result.stderr == "no --base-url: kinds of pairs, and which to label next, were not looked at\n"


def test_a_plan_with_one_names_kinds_and_what_to_label_next(command, pools, url):
    result = command("plan", pools[0], "--unlabelled", pools[1], "--count", 3, "--base-url", url)
    assert result.exit_code == 0, result.exception
    assert "at most 48 questions" in result.stderr
    assert "kind: " in result.stdout
    listed = result.stdout.partition("\nlabel next (")[2]
    assert [line[:4] for line in listed.splitlines()[1:] if line[:3].strip().isdigit()] == ["  1.", "  2.", "  3."]
    assert "Synthetic." in result.stdout


def test_a_plan_from_a_spent_budget_says_that_it_is_partial(command, pools, url):
    result = command("plan", pools[0], "--base-url", url, "--max-calls", 9)
    assert result.exit_code == 0, result.exception
    assert "Partial: max_calls (9) is reached" in " ".join(result.stdout.split())


def test_a_rubric_for_each_prompt_and_then_the_nearest_prompts(command, pools, url):
    line = ["evaluate", pools[0], "--base-url", url, "--seed", 1]  # repeats are drawn, and drawn alike every time
    written = command(*line, "--zero-shot")
    assert written.exit_code == 0, written.exception
    assert "accuracy, mean" in written.stdout
    assert "were chosen for being judged consistently on these very pairs" in written.stderr
    library = Path(written.stdout.rpartition("the rubrics used: ")[2].strip())
    assert len(load_library(library)) == len({json.loads(line)["prompt"] for line in pools[0].read_text().splitlines()})
    retrieved = command(*line, "--library", library)
    assert retrieved.exit_code == 0, retrieved.exception
    assert "12 of 12 pairs have a prompt the library was made for" in retrieved.stderr
    assert "24 verdicts: " in retrieved.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--zero-shot", "--rubric", "r.yaml"], "--rubric and --zero-shot exclude each other"),
        (["--zero-shot", "--criteria"], "--criteria needs --rubric"),
        (["--guide", "g.yaml"], "--guide is for the writer of --zero-shot"),
        (["--library", "labelled.jsonl"], "is no folder"),
        (["--zero-shot", "--judge", "scoring"], "--judge scoring takes no"),
    ],
)
def test_sources_of_rubrics_that_do_not_fit_are_refused(options, words, command, pools):
    result = command("evaluate", pools[0], "--base-url", "http://127.0.0.1:9/v1", "--model", "m", *options)
    assert result.exit_code == 1
    assert words in str(result.exception)
