"""Every judge and kind of comparison through the real command, against the embedded judge."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command_line import ShapesScript, asked, counted, done, message, results, take, workbench
from faulty_server import FaultyServer, Received, Step, answer

from workbench.shapes.judge.server import running_server
from workbench.shapes.judge.settings import perfect
from workbench.shapes.world import make_world

RUBRIC = """\
schema: workbench.rubric/1
name: mine
task: t2i
themes:
- name: Content
  criteria:
  - {id: count, text: The number of objects is the one the prompt asks for.}
  - {id: colour, text: The colours of the objects are those the prompt asks for.}
  - {id: sharp, text: The image is sharp, enabled: false}
"""


@dataclass(frozen=True)
class Bench:
    """A world with its judge being served, and a folder to work in."""

    world: Path
    url: str
    folder: Path

    def evaluate(self, pairs: Path, *more: object) -> tuple[dict[str, Any], dict[tuple[str, str], dict[str, Any]]]:
        """The numbers and verdicts of one evaluation."""
        name = f"run{len(list(self.folder.glob('run*')))}"
        line = ["evaluate", pairs, "--base-url", self.url, "--out", name, "--cache", "cache.sqlite", *more]
        printed = done(workbench(*line, cwd=self.folder))
        assert f"run folder: {name}" in printed
        return results(self.folder / name), counted(self.folder / name)


@pytest.fixture(scope="module")
def bench(made_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("ways")
    world = Path(shutil.copytree(made_world, folder / "world"))
    (folder / "rubric.yaml").write_text(RUBRIC)
    with running_server(perfect("t2i")) as url:
        yield Bench(world, url, folder)


def test_unlabelled_pairs_are_judged_but_give_no_accuracy(bench: Bench) -> None:
    pairs = take(bench.world, 6, "unlabelled.jsonl", [{"ranks": None}] * 5)
    numbers, verdicts = bench.evaluate(pairs)
    assert (numbers["n_pairs"], numbers["n_unlabelled"]) == (6, 5)
    assert numbers["accuracy"]["mean"]["n"] == 1
    assert numbers["consistency"]["n"] == 6
    assert sum(record["correct"] is None for record in verdicts.values()) == 10
    alone, _ = bench.evaluate(take(bench.world, 2, "none.jsonl", [{"ranks": None}] * 2))
    assert alone["accuracy"]["mean"] == {"value": None, "ci95": None, "n": 0}


def test_a_tied_label_is_met_by_a_tie_only(bench: Bench) -> None:
    pairs = take(bench.world, 6, "tied.jsonl", [{"ranks": [1, 1]}] * 6)
    for more in ([], ["--ties"]):
        numbers, verdicts = bench.evaluate(pairs, *more)
        assert {key: record["correct"] for key, record in verdicts.items()} == {
            key: record["outcome"] == "tie" for key, record in verdicts.items()
        }
        assert numbers["accuracy"]["mean"]["n"] == 6


def test_lists_of_three_are_ranked_in_both_orders(bench: Bench) -> None:
    lines = (bench.world / "pairs.jsonl").read_text().splitlines()
    extra = json.loads(lines[20])["images"][0]
    changes = [
        {"images": [*json.loads(line)["images"], extra], "ranks": [2, 1, 3] if number % 2 else [3, 1, 2]}
        for number, line in enumerate(lines[:6])
    ]
    numbers, verdicts = bench.evaluate(take(bench.world, 6, "lists.jsonl", changes), "--soft")
    assert sum(numbers["outcomes"].values()) == 12
    assert set(numbers["outcomes"]) == {"a", "b", "c", "tie", "invalid", "error"}
    assert all(sorted(record["ranks"]) == [1, 2, 3] for record in verdicts.values())
    orders = {tuple(record["shown"]) for (_, order), record in verdicts.items() if order == "forward"}
    assert orders == {(1, 0, 2), (1, 2, 0)}  # best first, by the labels
    assert numbers["pairwise_agreement"]["n"] == 6
    # A judge without flaws ranks alike in both orders.
    assert numbers["consistency"]["value"] == 1


def test_scores_ask_once_for_each_image(bench: Bench) -> None:
    pairs = take(bench.world, 10, "scored.jsonl")
    numbers, verdicts = bench.evaluate(pairs, "--judge", "scoring", "--rubric", "rubric.yaml")
    assert numbers["calls"] == 20
    assert numbers["position_bias"]["value"] == 0
    assert all(len(record["scores"]) == 2 for record in verdicts.values())
    for record in verdicts.values():
        first, second = record["scores"]
        assert record["outcome"] == ("a" if first > second else "b" if second > first else "tie")


def test_a_score_that_never_came_makes_no_verdict_but_is_paid_for(bench: Bench) -> None:
    def script(number: int, received: Received) -> Step:
        return answer('{"reason": "", "score": 4}') if number % 2 else answer(None, refusal="no")

    pairs = take(bench.world, 1, "half.jsonl")
    with FaultyServer(script) as server:
        line = ["evaluate", pairs, "--base-url", server.url, "--model", "judge", "--judge", "scoring"]
        line += ["--out", "half", "--cache", "half.sqlite", "--concurrency", 1]
        workbench(*line, cwd=bench.folder)
        numbers = results(bench.folder / "half")
        assert numbers["calls"] == sum("messages" in received.body for received in server.requests)
    assert numbers["outcomes"]["error"] >= 1
    assert all(record["ranks"] is None or record["scores"] for record in counted(bench.folder / "half").values())


def test_criteria_and_confidence_come_with_the_verdict(bench: Bench) -> None:
    pairs = take(bench.world, 10, "criteria.jsonl")
    _, verdicts = bench.evaluate(pairs, "--rubric", "rubric.yaml", "--criteria", "--soft")
    assert all(set(record["criteria"]) == {"count", "colour"} for record in verdicts.values())
    assert all(0.5 <= record["confidence"] <= 1 for record in verdicts.values())
    forward = {pair: record["criteria"] for (pair, order), record in verdicts.items() if order == "forward"}
    assert forward == {pair: record["criteria"] for (pair, order), record in verdicts.items() if order == "reverse"}


def test_edits_are_induced_from_and_judged(tmp_path: Path) -> None:
    make_world(6, "edit", 8, tmp_path / "edits", size=64)
    rubric = tmp_path / "rubric.yaml"
    rubric.write_text(RUBRIC.replace("t2i", "edit"))
    with running_server(perfect("edit")) as url:
        bench = Bench(tmp_path / "edits", url, tmp_path)
        numbers, _ = bench.evaluate(tmp_path / "edits" / "pairs.jsonl", "--rubric", rubric)
        line = ["induce", tmp_path / "edits" / "pairs.jsonl", "--base-url", url, "--out", "induced.yaml"]
        told = done(workbench(*line, "--cache", "cache.sqlite", "--folds", 2, cwd=tmp_path))
        assert "criteria were written for 8 seed pairs" in told
        assert "(synthetic)" in told.partition("evidence: ")[2]
        bench.evaluate(tmp_path / "edits" / "pairs.jsonl", "--rubric", "induced.yaml")
    assert numbers["outcomes"]["invalid"] == numbers["outcomes"]["error"] == 0
    assert numbers["accuracy"]["mean"]["n"] == 8


def test_an_induction_says_that_sorting_failed_and_a_re_run_sorts(bench: Bench) -> None:
    judge = ShapesScript(perfect("t2i"))
    broken = [True]

    def script(number: int, received: Received) -> Step:
        sorting = "messages" in received.body and not received.urls
        return answer(None, refusal="no") if sorting and broken else judge(number, received)

    with FaultyServer(script) as server:
        line = ["induce", take(bench.world, 6, "sorted.jsonl"), "--base-url", server.url, "--model", judge.model]
        line += ["--out", "sorted.yaml", "--cache", "sorted.sqlite", "--recipe", "arr", "--folds", 0]
        told = " ".join(done(workbench(*line, cwd=bench.folder)).split())
        assert "Sorting them into themes failed" in told
        broken.clear()
        before = len(server.requests)
        assert "failed, they are" not in done(workbench(*line, cwd=bench.folder))
        assert len(asked(server, before)) == 1


def test_a_run_folder_is_not_resumed_with_other_ids_labels_or_images(bench: Bench) -> None:
    pairs = take(bench.world, 4, "ids.jsonl")
    names = [f"t2i-w5-seed-{number:05}" for number in (1, 2, 3, 4)]
    line = ["evaluate", pairs, "--base-url", bench.url, "--out", "ids", "--cache", "cache.sqlite"]
    first = done(workbench(*line, cwd=bench.folder))
    verdicts = (bench.folder / "ids" / "verdicts.jsonl").read_bytes()
    for change in ({"id": "renamed"}, {"id": names[1]}, {"ranks": [2, 1]}):
        second = {"id": names[0]} if change.get("id") == names[1] else {}
        take(bench.world, 4, "ids.jsonl", [change, second])
        told = message(workbench(*line, cwd=bench.folder))
        assert "was made with other inputs (dataset." in told
    assert (bench.folder / "ids" / "verdicts.jsonl").read_bytes() == verdicts
    take(bench.world, 4, "ids.jsonl")
    assert done(workbench(*line, cwd=bench.folder)) == first


def test_images_behind_urls_are_fetched_where_that_is_allowed(bench: Bench) -> None:
    first = json.loads((bench.world / "pairs.jsonl").read_text().splitlines()[0])
    image = (bench.world / first["images"][0]).read_bytes()

    def script(number: int, received: Received) -> Step:
        return Step(body=image, headers={"content-type": "image/png"})

    with FaultyServer(script) as server:
        address = server.url.replace("/v1", "/a.png")
        pairs = take(bench.world, 2, "urls.jsonl", [{"images": [address, first["images"][1]]}])
        numbers, _ = bench.evaluate(pairs, "--allow-urls")
        assert numbers["outcomes"]["error"] == 0
        line = ["induce", pairs, "--base-url", bench.url, "--out", "urls.yaml", "--cache", "cache.sqlite"]
        line += ["--recipe", "arr", "--folds", 0]
        assert ", 0 failed without an answer)" in done(workbench(*line, "--allow-urls", cwd=bench.folder))
