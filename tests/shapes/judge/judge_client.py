"""A client of a judge, and pairs to ask it about."""

import base64
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from openai import OpenAI
from openai.types.chat import ChatCompletion

from workbench.shapes.attributes import satisfaction
from workbench.shapes.defects import defects_t2i, draw_candidate
from workbench.shapes.grammar import parse_prompt
from workbench.shapes.judge.settings import JudgeSettings
from workbench.shapes.render import render
from workbench.shapes.scene import Scene, exact

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
        scenes = [
            draw_candidate(spec, defects, rng) for defects in rng.permutation(defects_t2i(spec))[:2, None].tolist()
        ]
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


def first_rank_logprobs(completion: ChatCompletion) -> dict[str, float]:
    logprobs = completion.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    texts = [token.token for token in logprobs.content]
    assert "".join(texts) == completion.choices[0].message.content
    at = max(i for i, text in enumerate(texts) if text == "[") + 1
    return {top.token: top.logprob for top in logprobs.content[at].top_logprobs}


Connect = Callable[[JudgeSettings], Client]
