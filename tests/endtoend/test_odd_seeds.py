"""Seed pairs, judges and writers a rubric can hardly be induced with, and what a user is told about them."""

import json
import re
from pathlib import Path
from typing import Any

from command_line import ShapesScript, done, message, take, workbench, workbench_each
from faulty_server import FaultyServer, Received, Step, answer

from workbench.rubrics.files import load_rubric
from workbench.rubrics.lint import lint
from workbench.rubrics.rubric import Rubric
from workbench.shapes.judge.server import running_server
from workbench.shapes.judge.settings import JudgeSettings, WriterHabits, perfect

PERFECT = perfect("t2i")


def read(world: Path, count: int) -> list[dict[str, Any]]:
    """The world's first pairs."""
    return [json.loads(line) for line in (world / "pairs.jsonl").read_text().splitlines()[:count]]


def write(world: Path, name: str, pairs: list[dict[str, Any]]) -> Path:
    """A dataset beside the world's images."""
    path = world / name
    path.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    return path


def contrary(pair: dict[str, Any]) -> dict[str, Any]:
    """The same pair, labelled the other way."""
    return {**pair, "id": f"{pair['id']}-again", "ranks": pair["ranks"][::-1]}


def induce(pairs: Path, url: str, name: str, *more: object) -> list[Any]:
    """An induction into `name`.yaml."""
    return ["induce", pairs, "--base-url", url, "--out", f"{name}.yaml", "--cache", f"{name}.sqlite", *more]


def flat(text: str) -> str:
    """Text without its line breaks."""
    return " ".join(text.split())


def texts(rubric: Rubric) -> list[str]:
    return [criterion.text for criterion in rubric.enabled_criteria()]


def test_labels_that_say_nothing_are_refused_before_anything_is_asked(world: Path, tmp_path: Path) -> None:
    contradictory = write(world, "contrary.jsonl", [x for pair in read(world, 4) for x in (pair, contrary(pair))])
    tied = take(world, 4, "tied.jsonl", [{"ranks": [1, 1]}] * 4)
    with FaultyServer(ShapesScript(PERFECT)) as server:
        model = ["--model", PERFECT.model_id]
        lines = [
            induce(contradictory, server.url, "contrary", *model),
            induce(tied, server.url, "tied", *model),
            ["plan", contradictory],
            ["plan", tied],
        ]
        of_contrary, of_tied, contrary_plan, tied_plan = workbench_each(lines, cwd=tmp_path)
        assert not server.requests
    assert "none of 8 seed pairs can be learned from (t2i-w5-seed-00001: contradictory" in message(of_contrary)
    assert "none of 4 seed pairs can be learned from (t2i-w5-seed-00001: tied" in message(of_tied)
    assert "label pairs people do separate" in message(of_tied)
    assert "! contradictory labels      8 of 8 pairs" in done(contrary_plan)
    assert "! ties                      all 4 labels are ties" in done(tied_plan)
    assert "no --base-url: kinds of pairs" in tied_plan.stderr
    assert not list(tmp_path.glob("*.yaml"))


def test_a_few_contradictions_and_ties_are_set_aside_and_named(world: Path, tmp_path: Path) -> None:
    pairs = read(world, 8)
    pairs[1]["ranks"] = [1, 1]
    seeds = write(world, "some.jsonl", [*pairs, contrary(pairs[0])])
    with running_server(PERFECT) as url:
        told = flat(done(workbench(*induce(seeds, url, "some", "--folds", 0), cwd=tmp_path)))
    assert "3 seed pairs were set aside (tied or contradictory)" in told
    aside = load_rubric(tmp_path / "some.yaml").provenance["set_aside"]
    assert set(aside) == {pairs[0]["id"], pairs[1]["id"], contrary(pairs[0])["id"]}


def test_winners_always_in_first_place_are_noticed_and_not_taught(world: Path, tmp_path: Path) -> None:
    pairs = [
        pair if pair["ranks"] == [1, 2] else {**pair, "ranks": [1, 2], "images": pair["images"][::-1]}
        for pair in read(world, 10)
    ]
    seeds = write(world, "first.jsonl", pairs)
    with FaultyServer(ShapesScript(PERFECT)) as server:
        lines = [induce(seeds, server.url, "first", "--model", PERFECT.model_id, "--folds", 0), ["plan", seeds]]
        induced, planned = workbench_each(lines, cwd=tmp_path)
        shown = [
            re.findall(r"\[([12]), [12]\]", received.text)[0] for received in server.requests if labelled(received)
        ]
    assert "! winner position           all 10 winners stand first" in done(planned)
    done(induced)
    assert len(shown) == len(pairs)
    assert set(shown) == {"1", "2"}, "the writer saw the winner in one place only"


def labelled(received: Received) -> bool:
    """Whether a writer is shown a pair with its label, for the first time."""
    return '"rubrics"' in json.dumps(received.body) and "Feedback" not in received.text and bool(received.urls)


def test_one_and_two_seed_pairs_give_a_rubric_and_no_claim(world: Path, tmp_path: Path) -> None:
    pairs = read(world, 40)
    other = next(pair for pair in pairs if pair["prompt"] != pairs[0]["prompt"])
    one, two = write(world, "one.jsonl", pairs[:1]), write(world, "two.jsonl", [pairs[0], other])
    with running_server(PERFECT) as url:
        lines = [induce(one, url, "one"), induce(two, url, "two"), induce(one, url, "arr", "--recipe", "arr")]
        results = workbench_each(lines, cwd=tmp_path)
    for name, result in zip(("one", "two", "arr"), results, strict=True):
        assert "evidence: undecided" in done(result), name
        assert texts(load_rubric(tmp_path / f"{name}.yaml")), name
    assert "takes seed pairs of two prompts" in done(results[0])
    (low, high), *_ = re.findall(r"interval (-[\d.]+) to \+([\d.]+)", flat(done(results[1])))
    assert float(low) < -50
    assert float(high) > 50


def test_of_a_judge_that_ignores_rubrics_it_is_said(world: Path, tmp_path: Path) -> None:
    deaf = PERFECT.model_copy(update={"compliance": 0.0, "noise": 1.0, "position_bias": 0.5})
    with running_server(deaf) as url:
        told = flat(done(workbench(*induce(take(world, 12, "seeds.jsonl"), url, "deaf", "--folds", 2), cwd=tmp_path)))
    assert "evidence: undecided: +0.0 points" in told
    assert "100% of the verdicts are the same with and without it: this judge may ignore rubrics" in told
    evidence = load_rubric(tmp_path / "deaf.yaml").provenance["evidence"]
    assert (evidence["verdict"], evidence["changed"]) == ("undecided", 0)


def test_writers_that_repeat_name_images_or_refuse(world: Path, tmp_path: Path) -> None:
    def settings(**habits: float) -> JudgeSettings:
        return PERFECT.model_copy(update={"writer": WriterHabits(**habits)})

    seeds = take(world, 8, "seeds.jsonl")
    with (
        running_server(settings(duplicates=1)) as repeating,
        running_server(settings(naming=0.5)) as careless,
        running_server(settings(naming=1)) as naming,
        running_server(PERFECT.model_copy(update={"refusals": 1.0})) as refusing,
    ):
        urls = {"repeating": repeating, "careless": careless, "naming": naming, "refusing": refusing}
        lines = [induce(seeds, url, name, "--folds", 0) for name, url in urls.items()]
        results = dict(zip(urls, workbench_each(lines, cwd=tmp_path), strict=True))
    for name in ("repeating", "careless"):
        done(results[name])
        rubric = load_rubric(tmp_path / f"{name}.yaml")
        assert not [finding for finding in lint(rubric) if finding.kind in ("redundant", "comparative")]
        assert not re.search(r"(?i)\b(image|candidate|picture) (1|2|a|b|one|two)\b", rubric.render())
    (screened,) = re.findall(r"(\d+) screened out", flat(done(results["careless"])))
    assert int(screened) > 5
    told = message(results["naming"])
    assert "no criterion was left of 40 written (0 without an answer; screened out: 40 comparative)" in told
    assert "screened out: 40 comparative" in told
    assert "try another writer" in told
    assert "no criterion was left of 0 written (8 without an answer" in message(results["refusing"])
    assert not (tmp_path / "naming.yaml").exists()


def test_a_writer_that_says_the_same_of_image_a_every_time(world: Path, tmp_path: Path) -> None:
    judge = ShapesScript(PERFECT)
    sound = ["All the objects named are there.", "The objects have the colours asked for."]
    written = [*sound, "Image A shows more objects.", "The winner is sharper than image B.", *sound, "It looks good."]

    def script(number: int, received: Received) -> Step:
        if labelled(received):
            return answer(json.dumps({"rubrics": written[number % 2 :], "reason": "Image A wins."}))
        return judge(number, received)

    with FaultyServer(script) as server:
        line = induce(take(world, 6, "seeds.jsonl"), server.url, "same", "--folds", 0, "--model", judge.model)
        told = flat(done(workbench(*line, cwd=tmp_path)))
    assert "screened out" in told
    kept = texts(load_rubric(tmp_path / "same.yaml"))
    assert len(kept) == len(set(kept))
    assert set(kept) & set(sound)
    assert not [text for text in kept if "mage A" in text or "mage B" in text or "looks good" in text]
