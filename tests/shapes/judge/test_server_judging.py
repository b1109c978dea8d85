"""The judge over real HTTP: what it decides and writes, and what its flaws do to it."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from judge_client import (
    COUNT_RUBRIC,
    JUDGE,
    Client,
    Connect,
    Example,
    accuracy,
    answer,
    data_url,
    examples,
    first_rank_logprobs,
    show,
)

from workbench.shapes.defects import draw_candidate
from workbench.shapes.grammar import parse_prompt
from workbench.shapes.judge.settings import JudgeSettings, WriterHabits, perfect


def test_the_right_rubric_makes_a_perfect_judge_right(plain: Client) -> None:
    assert accuracy(plain, COUNT_RUBRIC) == 1.0


def test_rubrics_help_dilute_and_mislead(connect: Connect, flawed_settings: JudgeSettings) -> None:
    client = connect(flawed_settings)
    others = [
        "Edges are sharp.",
        "It is bright.",
        "It is balanced.",
        "The canvas is filled.",
        "It has charm.",
        "Lovely.",
    ]
    lines = "\n".join(f"- {text}" for text in ["The number of objects is right.", *others])
    none = accuracy(client, "")
    right = accuracy(client, COUNT_RUBRIC)
    diluted = accuracy(client, f"<rubric>\n{lines}\n</rubric>")
    misleading = accuracy(client, "<rubric>\n- The number of objects is wrong.\n</rubric>")
    print(f"none {none:.3f}, right {right:.3f}, diluted {diluted:.3f}, misleading {misleading:.3f}")
    assert right > none + 0.1
    assert right > diluted + 0.05
    assert misleading < none - 0.1


def test_at_compliance_0_answers_are_the_same_to_the_letter(connect: Connect, flawed_settings: JudgeSettings) -> None:
    client = connect(flawed_settings.model_copy(update={"compliance": 0.0, "broken_json": 0.1, "refusals": 0.1}))
    for example in examples()[:25]:
        for rubric in (
            COUNT_RUBRIC,
            "<rubric>\nTheme: x (weight 3)\n- Dark, moody pictures.\n- It has charm.\n</rubric>",
            "<rubric>\n- Ties are fine.\n- Score from 1 to 2, in fractions.\n</rubric>",
        ):
            free, with_rubric = (client.judge(example, basis, logprobs=True, top_logprobs=3) for basis in ("", rubric))
            assert free.choices[0].message.content == with_rubric.choices[0].message.content
            assert free.choices[0].logprobs == with_rubric.choices[0].logprobs


def test_logprobs_agree_with_the_verdict_and_hold_the_position_bias(
    connect: Connect, flawed_settings: JudgeSettings
) -> None:
    client = connect(flawed_settings)
    logits: list[tuple[float, float]] = []
    for example in examples():
        shown = []
        for reverse in (False, True):
            completion = client.judge(example, reverse=reverse, logprobs=True, top_logprobs=5)
            top = first_rank_logprobs(completion)
            assert math.exp(top["1"]) + math.exp(top["2"]) == pytest.approx(1.0)
            assert answer(completion)["rank"] == ([1, 2] if top["1"] > top["2"] else [2, 1])
            shown.append(top["1"] - top["2"])
        logits.append((shown[0], shown[1]))
    bias = np.array(logits).sum(axis=1) / 2
    error = bias.std(ddof=1) / math.sqrt(len(bias))
    print(f"position bias {bias.mean():.2f} +- {error:.2f}, set to {flawed_settings.position_bias}")
    assert bias.mean() == pytest.approx(flawed_settings.position_bias, abs=3 * error)


def test_a_miscount_is_cited(plain: Client) -> None:
    spec = parse_prompt("two red circles")
    rng = np.random.default_rng(0)
    right, wrong = (draw_candidate(spec, defects, rng) for defects in ([], ["count"]))
    assert right is not None
    assert wrong is not None
    reason = answer(plain.judge(Example(spec.prompt(), (data_url(wrong), data_url(right)), 1), COUNT_RUBRIC))["reason"]
    assert "Image 1 has" in reason
    assert "red circle" in reason
    assert "where the prompt asks for two" in reason


def test_lists_ties_and_scores(plain: Client) -> None:
    spec = parse_prompt("four yellow stars")
    rng = np.random.default_rng(1)
    scenes = [draw_candidate(spec, defects, rng) for defects in ([], ["count"], [])]
    urls = tuple(data_url(scene) for scene in scenes if scene)
    text = show(urls, f"Prompt: {spec.prompt()}")
    allowed = JUDGE.format(basis=COUNT_RUBRIC, ties="Ties are allowed.")
    assert answer(plain.ask(allowed, text))["rank"] == [1, 3, 1]
    assert sorted(answer(plain.ask(JUDGE.format(basis=COUNT_RUBRIC, ties=""), text))["rank"]) == [1, 2, 3]
    score = (
        f'{COUNT_RUBRIC}\nUse the whole scale from 0 (worst) to 10 (best).\n{{"reason": "<why>", "score": <number>}}'
    )
    scores = [answer(plain.ask(score, show((url,), f"Prompt: {spec.prompt()}")))["score"] for url in urls]
    assert scores[0] == scores[2] == 10
    assert scores[1] < 10


def test_edits_are_judged_against_their_source(connect: Connect) -> None:
    client = connect(perfect("edit"))
    rng = np.random.default_rng(0)
    source = draw_candidate(parse_prompt("a red circle left of a blue star"), [], rng)
    assert source is not None
    circle, star = sorted(source.objects, key=lambda each: each.color, reverse=True)
    done = replace(source, objects=(replace(circle, color="green"), star))
    over = replace(source, objects=(replace(circle, color="green"), replace(star, color="green")))
    labels = ("Image BASE (original image):", "Edited image 1:", "Edited image 2:")
    system = JUDGE.format(basis="<rubric>\n- Everything else stays untouched.\n</rubric>", ties="")
    for scenes, expected in (((source, done, over), [1, 2]), ((source, over, done), [2, 1])):
        content: list[dict[str, Any]] = []
        for label, scene in zip(labels, scenes, strict=True):
            content += [{"type": "text", "text": label}, {"type": "image_url", "image_url": {"url": data_url(scene)}}]
        content.append(
            {"type": "text", "text": "Edit instruction: change the red circle to green\n\nRank the 2 images."}
        )
        assert answer(client.ask(system, content))["rank"] == expected


def test_criteria_are_written_revised_and_put_in_order(plain: Client) -> None:
    example = next(example for example in examples() if example.better == 0)
    system = 'Write exactly 4 criteria.\n{"rubrics": ["<criterion>", ...], "reason": "<why>"}'
    label = f"Prompt: {example.prompt}\n\nHuman ranking, in the order shown (1 is the best): [1, 2]"
    first = answer(plain.ask(system, show(example.urls, label)))
    assert len(first["rubrics"]) == 4
    other = answer(plain.ask(system, show(example.urls, label.replace("[1, 2]", "[2, 1]"))))
    assert set(other["rubrics"]).isdisjoint(first["rubrics"])
    previous = "1. The number of objects is wrong.\n\n2. The number of objects is right."
    feedback = f"{label}\n\nPrevious criteria, rejected because they led to another ranking:\n{previous}"
    revised = answer(plain.ask(system, show(example.urls, feedback)))["rubrics"]
    assert len(revised) == 4
    assert set(revised) != set(first["rubrics"])
    assert not {"The number of objects is wrong.", "The number of objects is right."} & set(revised)
    listed = "\n\n".join(f"{i}. {text}" for i, text in enumerate(["Edges are crisp."] * 3 + ["It is bright."], start=1))
    structure = 'At most 2 themes.\n{"categories": [{"theme": "<name>", "tips": ["<c>"]}, ...], "reason": "<why>"}'
    categories = answer(plain.ask(structure, [{"type": "text", "text": listed}]))["categories"]
    assert [category["tips"] for category in categories] == [["Edges are crisp."], ["It is bright."]]


def test_a_stated_label_sways_a_suggestible_judge(connect: Connect) -> None:
    client = connect(perfect("t2i").model_copy(update={"suggestibility": 100.0}))
    for example in examples()[:10]:
        for stated in ([1, 2], [2, 1]):
            text = f"Prompt: {example.prompt}\n\nHuman ranking, in the order shown (1 is the best): {stated}"
            system = JUDGE.format(basis="", ties="")
            assert answer(client.ask(system, show(example.urls, text)))["rank"] == stated


def test_the_writers_habits_are_settings(connect: Connect) -> None:
    naming = connect(perfect("t2i").model_copy(update={"writer": WriterHabits(naming=1.0)}))
    system = 'Write exactly 3 criteria.\n{"rubrics": ["<criterion>", ...], "reason": "<why>"}'
    example = examples()[0]
    content = show(example.urls, f"Prompt: {example.prompt}\n\nHuman ranking: [1, 2]")
    assert all("Image 1" in text for text in answer(naming.ask(system, content))["rubrics"])
