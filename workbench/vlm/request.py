"""What is asked of a vision-language model, and what comes back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.pairs.comparison import ImageSource


@dataclass(frozen=True, slots=True)
class Picture:
    """An image inside a message."""

    source: ImageSource


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    """The JSON object an answer must be.

    - `schema`: a flat JSON schema with `additionalProperties: false`; sent to servers that enforce schemas.
    - `parse`: turns the decoded object into the caller's value; raises `ValueError` saying what is wrong, which is
      also what the model is told when it is asked once more.
    """

    name: str
    schema: Mapping[str, Any]
    parse: Callable[[dict[str, Any]], Any] = field(compare=False)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One system text and one user message; text that never changes belongs in `system`, so a prefix cache works.

    - `content`: strings and pictures in the order the model sees them.
    - `logprobs`: ask for the top log-probabilities of every token.
    - `sample`: 0, 1, ... for independent repeats of one request; part of the cache key.
    - `temperature`: in place of the client's, such as for repeats that are meant to differ.
    """

    system: str
    content: tuple[str | Picture, ...]
    answer: AnswerFormat
    logprobs: bool = False
    sample: int = 0
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """One token of an answer: its text, log-probability, and those of the likeliest alternatives."""

    text: str
    logprob: float
    top: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Reply:
    """A valid answer.

    - `value`: what `AnswerFormat.parse` returned; `data`: the JSON object; `text`: the raw answer.
    - `tokens`: empty unless log-probabilities were asked for and given.
    - `calls`: requests sent for it, retries and the repair attempt included; 0 when it came from the cache.
    """

    value: Any
    data: dict[str, Any]
    text: str
    key: str
    tokens: tuple[Token, ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    calls: int = 0
    cached: bool = False


def object_schema(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of an object with just these properties, in this order, as servers that enforce schemas want it."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
