"""A stored answer as what went over the wire: the request as a curl command without the key, and the raw reply."""

import base64
import hashlib
import json
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.pairs.comparison import ImageSource
from workbench.pairs.images import plan, prepare
from workbench.pairs.sources import ImageError, is_data_url, is_url, read_bytes
from workbench.vlm.body import Repair, serialise
from workbench.vlm.cache import Entry
from workbench.vlm.request import AnswerFormat, ChatRequest, Picture
from workbench.vlm.settings import Endpoint, Sampling, Structured

_MARK = b"\0"  # JSON in ASCII holds none, so what stands between two is an image
_SIZED = re.compile(r"lanczos(\d+)x(\d+)")
_UNLIMITED = 1 << 30


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question and its answer.

    - `curl`: a command for a POSIX shell that sends the same request; the key comes from `OPENAI_API_KEY`.
    - `reply`: the answer's text as the server sent it. - `facts`: model, tokens and how the schema was enforced.
    - `note`: why the command may not send quite the same; empty where it does.
    """

    curl: str
    reply: str
    facts: str
    note: str


def exchange_of(
    entry: Entry, images: Iterable[ImageSource], *, base_url: str = "", allow_urls: bool = False
) -> Exchange:
    """What was asked and answered in a cache's entry; `images` are those it may show, found again by their content.

    - `base_url`: of the server; where it is empty the command takes `OPENAI_BASE_URL`.

    Files sent as they are appear by their path, from the working directory where they lie in it; others by their data.
    """
    asked, answer = json.loads(entry.request), entry.answer
    sources = _by_hash(images, allow_urls)
    pictures = [part for part in asked["content"] if isinstance(part, dict)]
    urls = [_MARK + str(i).encode() + _MARK for i in range(len(pictures))]
    body = _body(asked, answer.unkeyed, urls, answer.mode)
    pieces = body.split(_MARK)
    commands, missing = [], 0
    for i, piece in enumerate(pieces):
        if i % 2 == 0:
            commands.append(_print(piece.decode()))
            continue
        picture = pictures[int(piece)]
        found = _picture(picture, sources.get(picture["sha256"]), answer.unkeyed.get("transport", "data"), allow_urls)
        missing += found is None
        commands += found or [_print(f"(the image with the SHA-256 {picture['sha256']} is not there any more)")]
    facts = f"{answer.model or entry.model}, {answer.fingerprint or 'no fingerprint'}, schema mode {answer.mode}, "
    facts += f"{answer.input_tokens:,} tokens in, {answer.output_tokens:,} out, ended with {answer.finish_reason}"
    return Exchange(_curl(commands, base_url), answer.text, facts, _note(answer.unkeyed, missing))


def _body(asked: Mapping[str, Any], unkeyed: Mapping[str, Any], urls: list[bytes], mode: str) -> bytes:
    """`serialise` of the same request, with `urls` in the images' places."""
    pictures = iter(urls)
    content = tuple(part if isinstance(part, str) else Picture(next(pictures)) for part in asked["content"])
    schema = unkeyed.get("schema", asked["schema"])
    logprobs = bool(unkeyed.get("logprobs", asked["logprobs"]))
    request = ChatRequest(
        asked["system"], content, AnswerFormat(str(unkeyed.get("name", "answer")), schema, dict), sample=asked["sample"]
    )
    repair = Repair(asked["repair"], str(unkeyed.get("problem", ""))) if "repair" in asked else None
    sampling = _sampling({**asked["sampling"], **unkeyed.get("lengths", {})})
    structured: Structured = mode  # type: ignore[assignment]  # a cache holds what the client wrote
    return serialise(request, urls, asked["model"], sampling, structured, logprobs=logprobs, repair=repair)


def _sampling(fields: Mapping[str, Any]) -> Sampling:
    """The settings that are sent as `fields`, and as no others."""
    extra: dict[str, Any] = {name: value for name, value in fields.items() if name not in _OWN}
    extra |= {name: None for name in ("temperature", "max_tokens") if name not in fields}
    own = {name: fields[name] for name in _OWN if name in fields}
    return Sampling(**own, extra=extra)


_OWN = ("temperature", "top_p", "max_tokens", "seed")


def _by_hash(images: Iterable[ImageSource], allow_urls: bool) -> dict[str, ImageSource]:
    found = {}
    for image in images:
        try:
            found[hashlib.sha256(read_bytes(image, allow_urls=allow_urls)).hexdigest()] = image
        except ImageError:  # it vanished
            continue
    return found


def _picture(
    picture: Mapping[str, str], source: ImageSource | None, transport: str, allow_urls: bool
) -> list[str] | None:
    """The commands that print an image's URL; None where the image cannot be made again."""
    if source is None:
        return None
    is_file = isinstance(source, str) and not is_url(source) and not is_data_url(source)
    unchanged = picture["transform"] == "none"
    if is_file and unchanged and transport == "file":
        return [_print(Path(str(source)).resolve().as_uri())]
    data = read_bytes(source, allow_urls=allow_urls)
    if is_file and unchanged and str(source).isprintable():
        path = shlex.quote(_relative(str(source)))
        return [_print(f"data:{plan(data, _UNLIMITED).mime};base64,"), f"base64 < {path} | tr -d '\\n'"]
    sized = _SIZED.search(picture["transform"])
    prepared = prepare(data, max(map(int, sized.groups())) if sized else _UNLIMITED)
    if prepared.transform != picture["transform"]:
        return None
    return [_print(f"data:{prepared.mime};base64,{base64.b64encode(prepared.data).decode()}")]


def _relative(path: str) -> str:
    full, here = os.path.abspath(path), os.getcwd()
    return os.path.relpath(full, here) if full.startswith(here + os.sep) else full


def _print(text: str) -> str:
    return f"printf %s {shlex.quote(text)}"


def _curl(commands: list[str], base_url: str) -> str:
    """Images go through a pipe: as an argument a large one would be more than a system takes."""
    url = shlex.quote(_address(base_url)) if base_url else '"$OPENAI_BASE_URL/chat/completions"'
    lines = "\n".join(f"  {command}" for command in commands)
    headers = "-H 'Content-Type: application/json' -H \"Authorization: Bearer $OPENAI_API_KEY\""
    return f"{{\n{lines}\n}} | curl -sS {url} {headers} --data-binary @-"


def _address(base_url: str) -> str:
    return Endpoint(base_url, "any").shown.rstrip("/") + "/chat/completions"


def _note(unkeyed: Mapping[str, Any], missing: int) -> str:
    said = []
    if not unkeyed:
        said.append(
            "stored by an earlier version: the schema's name and order are guesses, its limit on the answer is left out"
        )
    if missing:
        said.append(f"{missing} of its images changed or vanished since, so the command cannot be sent as it is")
    return "; ".join(said)
