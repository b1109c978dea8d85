"""The judge over real HTTP, asked with the openai client as any model is."""

import base64
import io
import json
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletion

from workbench.shapes.attributes import satisfaction
from workbench.shapes.defects import defects_t2i, draw_candidate, split_defects
from workbench.shapes.grammar import parse_prompt
from workbench.shapes.render import render
from workbench.shapes.scene import Scene, exact
from workbench.shapes.server import running_server
from workbench.shapes.settings import JudgeSettings, WriterHabits, perfect, sample_settings

PROMPTS = ("two red circles left of a blue star", "three green squares above a purple diamond", "four yellow stars")
JUDGE = (
    'You compare images.\n{basis}\nRules:\n- Be fair.\n{ties}\n\nAnswer:\n{{"reason": "<why>", "rank": [<numbers>]}}'
)
COUNT_RUBRIC = "<rubric>\n- [c1] The number of objects is right.\n</rubric>"
N = 150


@dataclass(frozen=True, slots=True)
class Example:
    """A pair of images as data URLs; `better` by count, None where they do not differ in it."""

    prompt: str
    urls: tuple[str, str]
    better: int | None


@dataclass(frozen=True, slots=True)
class Client:
    """A judge to talk to."""

    openai: OpenAI
    base_url: str
    model: str

    def ask(self, system: str, content: list[dict[str, Any]], **options: Any) -> ChatCompletion:
        messages: Any = [{"role": "system", "content": system}, {"role": "user", "content": content}]
        return self.openai.chat.completions.create(
            model=self.model, messages=messages, **{"temperature": 0, "seed": 0, **options}
        )

    def judge(self, example: Example, basis: str = "", *, reverse: bool = False, **options: Any) -> ChatCompletion:
        urls = example.urls[::-1] if reverse else example.urls
        return self.ask(JUDGE.format(basis=basis, ties=""), show(urls, f"Prompt: {example.prompt}"), **options)

    def ranks(self, example: Example, basis: str = "", *, reverse: bool = False, **options: Any) -> list[int]:
        """In the dataset's order."""
        ranks: list[int] = answer(self.judge(example, basis, reverse=reverse, **options))["rank"]
        return ranks[::-1] if reverse else ranks


def show(urls: tuple[str, ...], text: str) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    for i, url in enumerate(urls, start=1):
        content += [{"type": "text", "text": f"Image {i}:"}, {"type": "image_url", "image_url": {"url": url}}]
    return [*content, {"type": "text", "text": text}]


def answer(completion: ChatCompletion) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(completion.choices[0].message.content or "")
    return data


def data_url(scene: Scene, width: int = 128) -> str:
    return "data:image/png;base64," + base64.b64encode(png(scene, width)).decode()


def png(scene: Scene, width: int = 128) -> bytes:
    buffer = io.BytesIO()
    render(scene, width).save(buffer, "PNG")
    return buffer.getvalue()


@cache
def examples() -> tuple[Example, ...]:
    """Pairs with defects on both sides."""
    rng = np.random.default_rng(7)
    found: list[Example] = []
    while len(found) < N:
        prompt = PROMPTS[rng.integers(len(PROMPTS))]
        spec = parse_prompt(prompt)
        scenes = [draw_candidate(spec, defects, rng) for defects in split_defects(defects_t2i(spec), rng)]
        if scenes[0] is None or scenes[1] is None:
            continue
        counts = [satisfaction("t2i", prompt, exact(scene))["count"] for scene in scenes if scene]
        better = None if abs(counts[0] - counts[1]) < 0.1 else int(counts[1] > counts[0])
        found.append(Example(prompt, (data_url(scenes[0]), data_url(scenes[1])), better))
    return tuple(found)


def accuracy(client: Client, basis: str) -> float:
    """Share of counted pairs judged by their count, both orders."""
    counted = [example for example in examples() if example.better is not None]
    return float(
        np.mean(
            [
                client.ranks(example, basis, reverse=reverse)[example.better] == 1
                for example in counted
                if example.better is not None
                for reverse in (False, True)
            ]
        )
    )


Connect = Callable[[JudgeSettings], Client]


@pytest.fixture(scope="module")
def connect() -> Iterator[Connect]:
    """Clients of judges with given settings; each judge is started once."""
    running: dict[str, Client] = {}
    with ExitStack() as stack:

        def to(settings: JudgeSettings) -> Client:
            if settings.model_id not in running:
                base_url = stack.enter_context(running_server(settings))
                api = stack.enter_context(OpenAI(base_url=base_url, api_key="none", max_retries=0))
                running[settings.model_id] = Client(api, base_url, settings.model_id)
            return running[settings.model_id]

        yield to


@pytest.fixture(scope="module")
def plain(connect: Connect) -> Client:
    """A judge without flaws."""
    return connect(perfect("t2i"))


@pytest.fixture(scope="module")
def flawed_settings() -> JudgeSettings:
    """Every flaw of the mind, but answers that can be read."""
    flaws = {
        "broken_json": 0.0,
        "refusals": 0.0,
        "compliance": 0.9,
        "attention": 6.0,
        "position_bias": 1.2,
        "taste": {},
    }
    return sample_settings("t2i", 3).model_copy(update=flaws)


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
        ):
            free, with_rubric = (client.judge(example, basis, logprobs=True, top_logprobs=3) for basis in ("", rubric))
            assert free.choices[0].message.content == with_rubric.choices[0].message.content
            assert free.choices[0].logprobs == with_rubric.choices[0].logprobs


def first_rank_logprobs(completion: ChatCompletion) -> dict[str, float]:
    logprobs = completion.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    texts = [token.token for token in logprobs.content]
    assert "".join(texts) == completion.choices[0].message.content
    at = max(i for i, text in enumerate(texts) if text == "[") + 1
    return {top.token: top.logprob for top in logprobs.content[at].top_logprobs}


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


def test_sampling_needs_a_temperature_and_follows_the_seed(connect: Connect, flawed_settings: JudgeSettings) -> None:
    client = connect(flawed_settings)
    close = min(
        examples(),
        key=lambda each: abs(
            np.subtract(*first_rank_logprobs(client.judge(each, logprobs=True, top_logprobs=2)).values())
        ),
    )
    several = client.judge(close, n=40, temperature=1.0, seed=3)
    assert [choice.index for choice in several.choices] == list(range(40))
    first = [json.loads(choice.message.content or "")["rank"][0] for choice in several.choices]
    assert 0 < first.count(1) < 40
    again = client.judge(close, n=40, temperature=1.0, seed=3)
    assert [c.message.content for c in again.choices] == [c.message.content for c in several.choices]
    assert len({client.judge(close, seed=seed).choices[0].message.content for seed in range(5)}) == 1


RANKING_SCHEMA = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "criteria": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string", "enum": ["c1", "c2"]},
                    "rank": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
                },
                "required": ["id", "rank"],
                "additionalProperties": False,
            },
        },
        "rank": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
        "mood": {"type": "string", "enum": ["calm", "busy"]},
        "sure": {"type": "boolean"},
    },
    "required": ["reason", "criteria", "rank", "mood", "sure"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("style", ["response_format", "structured_outputs"])
def test_schemas_are_satisfied_in_their_order(plain: Client, style: str) -> None:
    rubric = "<rubric>\n- [c1] The number of objects is right. (weight 3)\n- [c2] The picture is bright.\n</rubric>"
    if style == "response_format":
        schema = {"name": "ranking", "schema": RANKING_SCHEMA, "strict": True}
        options: dict[str, Any] = {"response_format": {"type": "json_schema", "json_schema": schema}}
    else:
        options = {"extra_body": {"structured_outputs": {"json": RANKING_SCHEMA}}}
    for example in [example for example in examples() if example.better is not None][:10]:
        data = answer(plain.judge(example, rubric, **options))
        jsonschema.validate(data, RANKING_SCHEMA)
        assert list(data) == list(RANKING_SCHEMA["properties"])
        by_count = {entry["id"]: entry["rank"] for entry in data["criteria"]}["c1"]
        assert example.better is not None
        assert by_count[example.better] == 1


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
    assert "The number of objects is right." in revised
    assert "The number of objects is wrong." not in revised
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


def test_broken_answers_and_refusals_come_at_their_rate_and_not_at_all_at_0(connect: Connect, plain: Client) -> None:
    broken = connect(perfect("t2i").model_copy(update={"broken_json": 0.4, "refusals": 0.2}))

    def readable(client: Client) -> float:
        good = 0
        for example in examples():
            text = client.judge(example).choices[0].message.content or ""
            try:
                good += len(json.loads(text)["rank"]) == 2
            except json.JSONDecodeError:
                continue
        return good / len(examples())

    assert readable(plain) == 1.0
    # 0.8 * 0.6 = 0.48 of the answers are whole; 150 of them have a standard error of 0.04.
    assert readable(broken) == pytest.approx(0.48, abs=0.13)
    said = {broken.judge(example).choices[0].message.content or "" for example in examples()}
    assert any(text.startswith("I'm sorry") for text in said)
    assert any(text.startswith("Sure") for text in said)


def test_the_writers_habits_are_settings(connect: Connect) -> None:
    naming = connect(perfect("t2i").model_copy(update={"writer": WriterHabits(naming=1.0)}))
    system = 'Write exactly 3 criteria.\n{"rubrics": ["<criterion>", ...], "reason": "<why>"}'
    example = examples()[0]
    content = show(example.urls, f"Prompt: {example.prompt}\n\nHuman ranking: [1, 2]")
    assert all("Image 1" in text for text in answer(naming.ask(system, content))["rubrics"])


def test_usage_and_cut_answers(plain: Client) -> None:
    completion = plain.judge(examples()[0], max_tokens=5)
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 5
    # A 128-pixel image takes 5 x 5 patches of 28 pixels.
    assert 50 < completion.usage.prompt_tokens < 50 + 200 / 4
    assert plain.judge(examples()[0]).choices[0].finish_reason == "stop"


def test_what_it_sees_in_plain_words(plain: Client) -> None:
    spec = parse_prompt("two red circles")
    scene = draw_candidate(spec, [], np.random.default_rng(0))
    assert scene is not None
    said = plain.ask("You are helpful.", show((data_url(scene),), "What do you see?")).choices[0].message.content
    assert said == "Image 1: two red circles."


def test_models_version_and_health(plain: Client) -> None:
    assert [model.id for model in plain.openai.models.list()] == [plain.model]
    assert plain.model.startswith("shapes-t2i-w0-")
    root = plain.base_url.removesuffix("/v1")
    assert "shapes" in plain.openai.get(f"{root}/version", cast_to=dict[str, str])["version"]
    assert plain.openai.get(f"{root}/health", cast_to=str) == ""


def test_bad_requests_get_openai_style_errors(plain: Client) -> None:
    example = examples()[0]
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        Client(plain.openai, plain.base_url, "gpt-9").judge(example)
    with pytest.raises(openai.BadRequestError, match="temperature") as caught:
        plain.judge(example, temperature=-1)
    assert caught.value.body is not None
    assert isinstance(caught.value.body, dict)
    assert {"message", "type", "param", "code"} <= set(caught.value.body)
    for url, message in (
        ("data:image/png;base64,AAAA", "not an image"),
        ("data:image/png;base64,!!", "base64"),
        ("https://example.com/a.png", "fetches none"),
        ("file:///etc/passwd", "not allowed"),
    ):
        with pytest.raises(openai.BadRequestError, match=message):
            plain.judge(Example(example.prompt, (url, example.urls[0]), None))
    with pytest.raises(openai.BadRequestError, match="no image"):
        plain.ask(JUDGE.format(basis="", ties=""), [{"type": "text", "text": "Rank them."}])
    with pytest.raises(openai.NotFoundError):
        plain.openai.get("/nothing", cast_to=str)


def test_keys_and_files(tmp_path: Path) -> None:
    scene = draw_candidate(parse_prompt("four yellow stars"), [], np.random.default_rng(0))
    assert scene is not None
    (tmp_path / "open").mkdir()
    for name in ("open/a b.png", "secret.png"):
        (tmp_path / name).write_bytes(png(scene))
    settings = perfect("t2i")
    with running_server(settings, api_key="right", image_root=tmp_path / "open") as base_url:
        with pytest.raises(openai.AuthenticationError), OpenAI(base_url=base_url, api_key="wrong") as api:
            api.models.list()
        with OpenAI(base_url=base_url, api_key="right", max_retries=0) as api:
            client = Client(api, base_url, settings.model_id)
            inside = (tmp_path / "open/a b.png").as_uri()
            said = client.ask("", show((inside,), "What is it?")).choices[0].message.content
            assert said == "Image 1: four yellow stars."
            for outside in ((tmp_path / "secret.png").as_uri(), f"file://{tmp_path}/open/../secret.png"):
                with pytest.raises(openai.BadRequestError, match="outside"):
                    client.ask("", show((outside,), "What is it?"))


def test_a_taken_port_is_said_to_be_taken(plain: Client) -> None:
    port = int(plain.base_url.split(":")[2].removesuffix("/v1"))
    with pytest.raises(RuntimeError, match=f"port {port} taken"), running_server(perfect("t2i"), port):
        pass
