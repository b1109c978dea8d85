"""A client that answers from a script and remembers what it was asked."""

import json
from collections.abc import Callable
from typing import Any

from workbench.vlm.request import ChatRequest, Picture, Reply, Token

Answer = dict[str, Any] | Exception


class ScriptedClient:
    """Gives `script(request)`: an answer's JSON, which is parsed as the client would, or an error, which is raised."""

    def __init__(self, script: Callable[[ChatRequest], Answer], **reply: Any) -> None:
        self.script = script
        self.reply = {"input_tokens": 100, "output_tokens": 10, "cost_usd": 0.5, "calls": 1} | reply
        self.requests: list[ChatRequest] = []

    def identity(self) -> dict[str, Any]:
        return {"model": "scripted"}

    async def ask(self, request: ChatRequest) -> Reply:
        self.requests.append(request)
        answer = self.script(request)
        if isinstance(answer, Exception):
            raise answer
        key = f"k{len(self.requests)}"
        return Reply(request.answer.parse(answer), answer, json.dumps(answer), key, **self.reply)


def ranks(*values: int) -> ScriptedClient:
    """Always the same ranks."""
    return ScriptedClient(lambda _: {"reason": "seen", "rank": list(values)})


def shown(request: ChatRequest) -> list[str]:
    """The user message with images as `<their bytes>`."""
    return [f"<{p.source.decode()}>" if isinstance(p, Picture) else p for p in request.content]


def tokens(*parts: tuple[str, dict[str, float]] | str) -> tuple[Token, ...]:
    """Tokens; a part with alternatives has their log-probabilities, the first being its text."""
    made = []
    for part in parts:
        text, top = part if isinstance(part, tuple) else (part, {part: -0.01})
        made.append(Token(text, top[text], top))
    return tuple(made)
