"""The server's side of the protocol, asked with the openai client as any model is."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import openai
import pytest
from judge_client import (
    JUDGE,
    Client,
    Connect,
    Example,
    answer,
    data_url,
    examples,
    first_rank_logprobs,
    png,
    show,
)
from openai import OpenAI

from workbench.shapes.defects import draw_candidate
from workbench.shapes.grammar import parse_prompt
from workbench.shapes.judge.server import running_server
from workbench.shapes.judge.settings import JudgeSettings, perfect


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
