"""A request as the bytes that are sent, and as the canonical text its cache key is the hash of."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from workbench.vlm.images import Fingerprint
from workbench.vlm.request import ChatRequest
from workbench.vlm.settings import Sampling, Structured

_TOP_LOGPROBS = 5
_LENGTHS = ("max_tokens", "max_completion_tokens")
_BEFORE_URL = b'{"type":"image_url","image_url":{"url":"'
_AFTER_URL = b'"}}'
_COMPACT = json.JSONEncoder(separators=(",", ":"))
_CANONICAL = json.JSONEncoder(separators=(",", ":"), sort_keys=True)


@dataclass(frozen=True, slots=True)
class Repair:
    """A second try: the answer that broke the format, and what was wrong with it."""

    answer: str
    problem: str


@dataclass(frozen=True, slots=True)
class Question:
    """Everything that decides an answer: its canonical JSON, and the SHA-256 of that as cache key."""

    key: str
    request: str


def pose(
    request: ChatRequest,
    fingerprints: Sequence[Fingerprint],
    model: str,
    sampling: Sampling,
    structured: Structured,
    repair: Repair | None = None,
) -> Question:
    """The canonical form: images as hashes, no base URL, no key, and `structured` as the user chose it."""
    pictures = iter(fingerprints)
    fields = {
        "version": 1,
        "model": model,
        # How long an answer may be does not change one that is complete, and only those are kept.
        "sampling": {name: value for name, value in _sampling(request, sampling).items() if name not in _LENGTHS},
        "system": request.system,
        "content": [part if isinstance(part, str) else _identity(next(pictures)) for part in request.content],
        "schema": request.answer.schema,
        "logprobs": request.logprobs,
        "structured": structured,
        "sample": request.sample,
    }
    if repair:
        fields["repair"] = repair.answer  # what was wrong with it follows from the answer
    text = _CANONICAL.encode(fields)
    return Question(sha256(text.encode()).hexdigest(), text)


def serialise(
    request: ChatRequest,
    urls: Sequence[bytes],
    model: str,
    sampling: Sampling,
    mode: Structured,
    *,
    logprobs: bool,
    repair: Repair | None = None,
) -> bytes:
    """The JSON body: base64 is spliced in as bytes, as serialising and escaping it would cost more than sending it."""
    system = request.system if _is_enforced(mode) else f"{request.system}\n\n{_schema_text(request)}"
    head = {"model": model, **_sampling(request, sampling), **_structure(request, mode)}
    if "max_completion_tokens" in head:
        del head["max_tokens"]
    if sampling.seed is not None:
        head["seed"] = sampling.seed + request.sample
    if logprobs:
        head |= {"logprobs": True, "top_logprobs": _TOP_LOGPROBS}
    pieces = [_dump(head)[:-1], b',"messages":[', _dump({"role": "system", "content": system})]
    pieces.append(b',{"role":"user","content":')
    pictures = iter(urls)
    opening = b"["
    for part in request.content:
        pieces.append(opening)
        pieces += [_text(part)] if isinstance(part, str) else [_BEFORE_URL, next(pictures), _AFTER_URL]
        opening = b","
    pieces.append(b"]}")
    if repair:
        pieces += [b",", _dump({"role": "assistant", "content": repair.answer})]
        pieces += [b",", _dump({"role": "user", "content": _repair_text(request, repair)})]
    pieces.append(b"]}")
    return b"".join(pieces)  # the images' only copy


def unkeyed(
    request: ChatRequest, sampling: Sampling, *, logprobs: bool, repair: Repair | None, transport: str
) -> dict[str, Any]:
    """What the canonical form leaves out of a request or sorts, kept with the answer to show the request again."""
    fields: dict[str, Any] = {
        "name": request.answer.name,
        "schema": request.answer.schema,
        "lengths": {name: value for name, value in _sampling(request, sampling).items() if name in _LENGTHS},
        "logprobs": logprobs,
    }
    if transport != "data":
        fields["transport"] = transport
    return fields | {"problem": repair.problem} if repair else fields


def sampling_fields(sampling: Sampling) -> dict[str, Any]:
    """The settings as fields of a request; those left to the server are absent."""
    fields = {
        "temperature": float(sampling.temperature),  # 0 and 0.0 are one setting, and must be one cache key
        "top_p": None if sampling.top_p is None else float(sampling.top_p),
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
    }
    return {name: value for name, value in (fields | dict(sampling.extra)).items() if value is not None}


def _sampling(request: ChatRequest, sampling: Sampling) -> dict[str, Any]:
    if request.temperature is not None:
        sampling = replace(sampling, temperature=request.temperature)
    return sampling_fields(sampling)


def _identity(fingerprint: Fingerprint) -> dict[str, str]:
    return {"sha256": fingerprint.sha256, "transform": fingerprint.transform}


def _is_enforced(mode: Structured) -> bool:
    return mode in ("json_schema", "structured_outputs")


def _structure(request: ChatRequest, mode: Structured) -> dict[str, Any]:
    if mode == "json_schema":
        schema = {"name": request.answer.name, "schema": request.answer.schema, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    if mode == "structured_outputs":
        return {"structured_outputs": {"json": request.answer.schema}}
    return {"response_format": {"type": "json_object"}} if mode == "json_object" else {}


def _schema_text(request: ChatRequest) -> str:
    schema = json.dumps(request.answer.schema)
    return f"Answer with one JSON object that follows this JSON schema, and with nothing else:\n{schema}"


def _repair_text(request: ChatRequest, repair: Repair) -> str:
    return f"That answer cannot be used: {repair.problem}. Answer the same question again. {_schema_text(request)}"


def _text(text: str) -> bytes:
    return _dump({"type": "text", "text": text})


def _dump(value: dict[str, Any]) -> bytes:
    return _COMPACT.encode(value).encode()
