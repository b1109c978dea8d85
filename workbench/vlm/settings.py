"""Whom to ask, how to sample, how images travel, and where to stop."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

Structured = Literal["auto", "json_schema", "structured_outputs", "json_object", "off"]
"""How the answer's JSON schema is enforced.

- `auto`: `json_schema`, or `off` once the server has refused that.
- `json_schema`: OpenAI's `response_format`; `structured_outputs`: vLLM's own field.
- `json_object`: any JSON object, the schema stated in the prompt; `off`: the schema is only stated in the prompt.
"""

_FIXED = frozenset({"model", "messages", "stream", "n", "response_format", "structured_outputs", "logprobs", "seed"})


SYNTHETIC_MODELS = "shapes-"
"""Ids of the embedded world's models begin like this; every number from one is labelled synthetic wherever shown."""


def is_synthetic(model: str) -> bool:
    """Whether a model of this id is of the embedded world."""
    return model.startswith(SYNTHETIC_MODELS)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible server and one of its models.

    - `base_url`: up to and including `/v1`.
    - `api_key_env`: the environment variable that holds the key; servers without keys need none.
    """

    base_url: str
    model: str
    api_key_env: str = "OPENAI_API_KEY"

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"base_url is {self.shown!r}; it must look like http://127.0.0.1:8000/v1")
        if not self.model:
            raise ValueError("model is empty; name one of the server's models")

    @property
    def shown(self) -> str:
        """The base URL for messages: without user name, password and query."""
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.netloc else self.base_url

    @property
    def is_synthetic(self) -> bool:
        """Whether the model is of the embedded world."""
        return is_synthetic(self.model)

    @property
    def is_loopback(self) -> bool:
        """Whether the server runs on this machine."""
        host = urlsplit(self.base_url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the model samples; all of it is part of the cache key.

    - `seed`: sent as `seed + sample`, so that independent repeats differ.
    - `extra`: further fields of the request, such as `{"chat_template_kwargs": {"enable_thinking": False}}`; None
      leaves one out, such as `{"temperature": None}`, and `max_completion_tokens` replaces `max_tokens`.
    """

    temperature: float = 0.0
    top_p: float | None = None
    max_tokens: int = 1024
    seed: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens is {self.max_tokens}, must be at least 1")
        if taken := sorted(_FIXED & self.extra.keys()):
            raise ValueError(f"extra sets {', '.join(taken)}, which the client sets itself; remove it")


@dataclass(frozen=True, slots=True)
class ImagePolicy:
    """How images reach the server.

    - `max_side`: pixels; larger images are downscaled.
    - `transport`: `file` sends `file://` URLs of files that are fit as they are, for a server on the same machine.
    - `allow_urls`: fetch http(s) images.
    - `cache_bytes`: memory for encoded images, in bytes.
    """

    max_side: int = 2048
    transport: Literal["data", "file"] = "data"
    allow_urls: bool = False
    cache_bytes: int = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """Where to stop, and how hard to try.

    - `max_calls`: requests of the whole run, retries included; `max_cost_usd`: US dollars of the whole run.
    - `concurrency`: requests in flight at most; falls when the server says 429, and recovers.
    - `attempts`: requests for one answer, at least 5.
    - `attempt_s`: seconds one request may take; `deadline_s`: seconds from the first request for an answer to its last.
    - `backoff_s`: the first pause between attempts; it doubles each time, up to 30 s.
    """

    max_calls: int | None = None
    max_cost_usd: float | None = None
    concurrency: int = 32
    attempts: int = 6
    attempt_s: float = 60.0
    deadline_s: float = 120.0
    backoff_s: float = 0.5

    def __post_init__(self) -> None:
        if self.attempts < 5:
            raise ValueError(f"attempts is {self.attempts}, must be at least 5")
        if self.concurrency < 1:
            raise ValueError(f"concurrency is {self.concurrency}, must be at least 1")
        if min(self.attempt_s, self.deadline_s) <= 0 or self.backoff_s < 0:
            raise ValueError(
                f"attempt_s ({self.attempt_s:g}) and deadline_s ({self.deadline_s:g}) must be above 0, "
                f"backoff_s ({self.backoff_s:g}) not below"
            )
        for name in ("max_calls", "max_cost_usd"):
            if (value := getattr(self, name)) is not None and value < 0:
                raise ValueError(f"{name} is {value}, must not be negative; leave it out for no cap")
