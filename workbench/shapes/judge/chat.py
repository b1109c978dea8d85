"""The wire: chat completion requests as vLLM takes them, and errors and answers as it gives them."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

_TOKEN = re.compile(r"\d| ?[^\W\d]{1,6}|\s+|[^\w\s]|_", re.UNICODE)


class RequestRefused(ValueError):
    """A request that cannot be served, as an OpenAI-style error body with an HTTP status."""

    def __init__(self, status: int, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.param = param

    def body(self) -> dict[str, Any]:
        """What is sent."""
        kinds = {401: "AuthenticationError", 404: "NotFoundError"}
        kind = kinds.get(self.status, "BadRequestError")
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.status}}


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class ImageUrl(_Wire):
    """Where an image is: a `data:` URL, or `file://` under the allowed folder."""

    url: str


class TextPart(_Wire):
    """Text inside a message."""

    type: Literal["text"]
    text: str


class ImagePart(_Wire):
    """An image inside a message."""

    type: Literal["image_url"]
    image_url: ImageUrl


class Message(_Wire):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart | ImagePart] | None = None

    def parts(self) -> list[TextPart | ImagePart]:
        """The content as parts."""
        if isinstance(self.content, str):
            return [TextPart(type="text", text=self.content)]
        return self.content or []

    def text(self) -> str:
        """The text parts, one after the other."""
        return "\n".join(part.text for part in self.parts() if isinstance(part, TextPart))


class JsonSchema(_Wire):
    """A named schema, as in `response_format`."""

    name: str = "answer"
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")


class ResponseFormat(_Wire):
    """The shape the answer must have."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StructuredOutputs(_Wire):
    """vLLM's own way to say it."""

    json_: dict[str, Any] | str | None = Field(default=None, alias="json")


class ChatBody(_Wire):
    """The body of `POST /v1/chat/completions`; unknown fields are ignored, as vLLM does."""

    model: str
    messages: list[Message] = Field(min_length=1)
    n: int = Field(default=1, ge=1, le=64)
    temperature: float = Field(default=1.0, ge=0, le=2)
    seed: int | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    logprobs: bool = False
    top_logprobs: int = Field(default=0, ge=0, le=20)
    stream: bool = False
    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None

    @property
    def limit(self) -> int | None:
        """The most tokens an answer may have."""
        return self.max_completion_tokens or self.max_tokens


def read_body(raw: bytes) -> ChatBody:
    """The request, or `RequestRefused` naming what is wrong with it."""
    try:
        body = ChatBody.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or None
        raise RequestRefused(400, f"{where or 'body'}: {first['msg']}", where) from error
    if body.stream:
        raise RequestRefused(400, "stream: this server does not stream; leave it out or set it to false", "stream")
    if body.response_format and body.response_format.type == "json_schema" and not body.response_format.json_schema:
        raise RequestRefused(400, "response_format: type 'json_schema' needs a 'json_schema'", "response_format")
    return body


@dataclass(frozen=True, slots=True)
class AnswerToken:
    """One token, its log-probability, and the alternatives there were, the token itself among them."""

    text: str
    logprob: float = -1e-4
    top: tuple[tuple[str, float], ...] = ()


def split_tokens(text: str) -> list[str]:
    """Text in tokens of about four characters; each digit is one, as in current vocabularies.

    >>> split_tokens('{"rank": [2, 1]}')
    ['{', '"', 'rank', '"', ':', ' ', '[', '2', ',', ' ', '1', ']', '}']
    """
    return _TOKEN.findall(text)


def choice(index: int, tokens: list[AnswerToken], body: ChatBody) -> dict[str, Any]:
    """One entry of `choices`, cut where the request says so."""
    cut = body.limit is not None and len(tokens) > body.limit
    kept = tokens[: body.limit]
    logprobs = None
    if body.logprobs:
        logprobs = {"content": [_logprob(token, body.top_logprobs) for token in kept]}
    return {
        "index": index,
        "message": {"role": "assistant", "content": "".join(token.text for token in kept), "refusal": None},
        "logprobs": logprobs,
        "finish_reason": "length" if cut else "stop",
    }


def _logprob(token: AnswerToken, most: int) -> dict[str, Any]:
    top = token.top or ((token.text, token.logprob),)
    listed = sorted(top, key=lambda entry: -entry[1])[:most]
    return {**_entry(token.text, token.logprob), "top_logprobs": [_entry(*entry) for entry in listed]}


def _entry(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}
