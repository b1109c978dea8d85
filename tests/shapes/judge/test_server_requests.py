"""What the server makes of a request's text."""

import pytest

from workbench.rubrics.rubric import Criterion, Level, Rubric, Theme
from workbench.shapes.judge.chat import ChatBody, RequestRefused, read_body, split_tokens
from workbench.shapes.judge.eyes import Eyes
from workbench.shapes.judge.request_reading import Asked, read_request
from workbench.shapes.judge.rubric_text import find_criteria


def asked(system: str, user: str, **fields: object) -> Asked:
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    return read_request(ChatBody.model_validate({"model": "m", "messages": messages, **fields}), Eyes(), "t2i")


def test_our_own_rubric_is_read_with_weights_and_without_levels() -> None:
    levels = (Level(score=1, text="blurred"), Level(score=2, text="crisp"))
    themes = (
        Theme(
            name="Form",
            weight=2,
            criteria=(
                Criterion(id="edges", text="Edges are crisp,\neven when enlarged.", weight=3, levels=levels),
                Criterion(id="count", text="The number is right."),
            ),
        ),
        Theme(name="", criteria=(Criterion(id="light", text="It is bright."),)),
    )
    text = Rubric(name="r", task="t2i", themes=themes).render(ids=True)
    found = find_criteria(f"Judge by this rubric.\n<rubric>\n{text}\n</rubric>\nRules:\n- Be fair.")
    assert [(each.id, each.text, each.weight) for each in found][:2] == [
        ("edges", "Edges are crisp, even when enlarged.", 6.0),
        ("count", "The number is right.", 2.0),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Rubric 1:\nTheme: Form\n- Tip1: Crisp edges.\n- Tip2: No noise.", ["Crisp edges.", "No noise."]),
        ("Criteria:\n1. Crisp edges.\n\n2. No noise.\n\nRules:\n- Answer in JSON.", ["Crisp edges.", "No noise."]),
        ("Use this checklist:\n* Crisp edges. (weight 2)\n* No noise.", ["Crisp edges.", "No noise."]),
        ("<rubric>Edges are crisp. There is no noise.</rubric>", ["Edges are crisp.", "There is no noise."]),
        ("Theme: Crisp edges\n\nTheme: No noise", ["Crisp edges", "No noise"]),
        ("You compare images.\n\nRules:\n- Look at every image.\n- Ties are not allowed.", []),
        ("Judge which image people would prefer overall.", []),
    ],
)
def test_rubrics_in_any_shape(text: str, expected: list[str]) -> None:
    assert [each.text for each in find_criteria(text)] == expected


def test_what_is_asked_follows_the_schema_and_else_the_text() -> None:
    schema = {"type": "object", "properties": {"reason": {"type": "string"}, "rubrics": {"type": "array"}}}
    response_format = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert asked('{"categories": []}', "Go.", response_format=response_format).kind == "rubrics"
    assert asked("", "Go.", structured_outputs={"json": schema}).keys == ("reason", "rubrics")
    example = 'Answer:\n{"categories": [{"theme": "<name>", "tips": ["<c>", ...]}, ...], "reason": "<why>"}'
    assert asked(example, "1. Crisp.").keys == ("categories", "reason")
    assert asked("You chat.", "Hello").keys == ()


def test_numbers_in_the_text() -> None:
    one = asked('Write exactly seven criteria, in at most three themes. {"rubrics": []}', "Go.")
    assert (one.count, one.themes) == (7, 3)
    scale = asked('Use the whole scale from 0 (worst) to 10 (best). Fractions are allowed. {"rubrics": []}', "").scale
    assert (scale.low, scale.high, scale.step) == (0, 10, 0.5)
    assert asked('Ties are allowed: equal ranks. {"rubrics": []}', "").ties
    assert not asked('Ties are not allowed. {"rubrics": []}', "").ties


def test_the_prompt_is_the_users_and_not_an_exemplars() -> None:
    system = '<exemplars>\nPrompt: a red circle\nWhy: the edges are crisp\n</exemplars>\n{"rubrics": []}'
    one = asked(system, "Prompt: two blue stars left of a red circle\n\nWrite about a green square.")
    assert one.prompt == "two blue stars left of a red circle"
    assert one.rationales == ("the edges are crisp",)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"{", "body"),
        (b'{"model": "m"}', "messages"),
        (b'{"model": "m", "messages": []}', "messages"),
        (b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "temperature": 9}', "temperature"),
        (b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": true}', "stream"),
    ],
)
def test_malformed_requests_are_refused_by_name(raw: bytes, message: str) -> None:
    with pytest.raises(RequestRefused, match=message):
        read_body(raw)


def test_tokens_join_to_the_text() -> None:
    text = '{"reason": "Ein schöner Kreis, 日本語 – 42_x\\n", "rank": [2, 1]}'
    assert "".join(split_tokens(text)) == text
