"""Checks of the endpoint and this machine before anything is paid for; each failure names its remedy."""

import io
import shutil
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from workbench.judges.answers import probability_first, rank_answer
from workbench.judges.vlm_judge import RankingJudge
from workbench.pairs.comparison import Comparison
from workbench.runs.environment import describe_environment
from workbench.vlm.cache import default_path
from workbench.vlm.client import VlmClient
from workbench.vlm.errors import VlmError
from workbench.vlm.request import ChatRequest, Reply
from workbench.vlm.server import look_up
from workbench.vlm.settings import Endpoint, Limits, Sampling

_SPACE_GB = 2.0
_CALLS_FOR_LATENCY = 3


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: `ok`, `note` (works, but worth knowing) or `failed`, with what to do."""

    name: str
    state: str
    found: str
    remedy: str = ""

    @property
    def failed(self) -> bool:
        """Whether a judge cannot be run like this."""
        return self.state == "failed"

    def line(self) -> str:
        """The check as one line of text."""
        mark = {"ok": "✓", "note": "·", "failed": "✗"}[self.state]
        return f"{mark} {self.name:14} {self.found}" + (f"\n  {'':14} → {self.remedy}" if self.remedy else "")


async def check_all(base_url: str, model: str = "") -> list[Check]:
    """The machine's checks, and the endpoint's when there is one; `model` may be empty where only one is served."""
    checks = [_disk(), _gpu()]
    if not base_url:
        remedy = "pass --base-url, or start the embedded judge: workbench serve shapes"
        return [*checks, Check("endpoint", "failed", "no base URL given", remedy)]
    try:
        server = look_up(base_url)
        chosen = model or server.only_model()
    except (VlmError, ValueError) as error:  # no answer, or an address that is none
        return [*checks, Check("endpoint", "failed", str(error), "start the server, or correct --base-url or the key")]
    version = f", version {server.version}" if server.version else ""
    checks.append(Check("endpoint", "ok", f"{server.base_url} serves {', '.join(server.models)}{version}"))
    limits = Limits(concurrency=1, attempt_s=60, deadline_s=90)
    async with VlmClient(Endpoint(base_url, chosen), Sampling(max_tokens=300), limits, cache=None) as client:
        for name, check in (
            ("vision", _vision),
            ("JSON schema", _schema),
            ("log-probs", _logprobs),
            ("latency", _latency),
        ):
            checks.append(await _guarded(name, check, client))
            if checks[-1].failed:
                break
    return checks


async def _guarded(name: str, check: Callable[[VlmClient], Awaitable[Check]], client: VlmClient) -> Check:
    try:
        return await check(client)
    except VlmError as error:
        remedy = {
            "vision": "choose a vision-language model; with vLLM allow images: --limit-mm-per-prompt '{\"image\": 3}'",
            "JSON schema": "choose a model that follows instructions better, or raise max_tokens",
        }.get(name, "look at the server's log")
        return Check(name, "failed", str(error), remedy)


async def _vision(client: VlmClient) -> Check:
    """Two images at once, of which one shows what the prompt asks for, in both orders: a blind judge gets one right."""
    replies = [await client.ask(_request(client, sample=0, order=order)) for order in ((0, 1), (1, 0))]
    right = [reply.value.ranks for reply in replies] == [(1, 2), (2, 1)]
    found = f"takes two images and {'names' if right else 'does not name'} the right one of two in both orders"
    return Check("vision", "ok" if right else "note", found, "" if right else "do not trust this model as a judge")


async def _schema(client: VlmClient) -> Check:
    """Whether the schema was enforced, and the answer needed no repair."""
    reply = await client.ask(_request(client, sample=1))
    enforced = client.schema_mode != "off"
    found = "accepted by the server" if enforced else "refused by the server; stated in the prompt instead"
    if reply.calls > 1:
        return Check("JSON schema", "note", f"{found}; the answer took {reply.calls} calls", "expect invalid verdicts")
    return Check("JSON schema", "ok" if enforced else "note", found)


async def _logprobs(client: VlmClient) -> Check:
    """Whether soft verdicts are to be had."""
    reply: Reply = await client.ask(_request(client, sample=2, logprobs=True))
    probability = probability_first(reply.tokens)
    if probability is None:
        return Check("log-probs", "note", "not given: no soft verdicts, hard ones work", "")
    return Check("log-probs", "ok", f"given: P(first is better) = {probability:.3f} for the example")


async def _latency(client: VlmClient) -> Check:
    started = time.monotonic()
    for sample in range(_CALLS_FOR_LATENCY):
        await client.ask(_request(client, sample=10 + sample))
    seconds = (time.monotonic() - started) / _CALLS_FOR_LATENCY
    return Check("latency", "ok", f"{seconds * 1e3:.0f} ms a call, one at a time")


def _request(client: VlmClient, sample: int, *, order: tuple[int, int] = (0, 1), logprobs: bool = False) -> ChatRequest:
    images = (_square("red"), _square("blue"))
    comparison = Comparison("doctor", "t2i", "a red square", images)
    request = RankingJudge(client, soft=logprobs).request(comparison, order, sample)
    return ChatRequest(request.system, request.content, rank_answer(2), logprobs, sample)


def _square(color: str) -> bytes:
    image = Image.new("RGB", (224, 224), "white")
    ImageDraw.Draw(image).rectangle((62, 62, 162, 162), fill=color)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _disk() -> Check:
    folders = {"working directory": Path.cwd(), "response cache": _existing(default_path().parent)}
    free = {name: shutil.disk_usage(folder).free / 1e9 for name, folder in folders.items()}
    found = ", ".join(f"{gb:.1f} GB free for the {name}" for name, gb in free.items())
    if min(free.values()) < _SPACE_GB:
        return Check("disk", "failed", found, f"free {_SPACE_GB:g} GB, or move the cache with --cache")
    return Check("disk", "ok", found)


def _existing(folder: Path) -> Path:
    return next(each for each in (folder, *folder.parents) if each.exists())


def _gpu() -> Check:
    hardware: dict[str, Any] = describe_environment()["hardware"]
    gpus = hardware.get("gpus") or []
    if gpus:
        return Check("GPU", "ok", ", ".join(map(str, gpus)))
    return Check("GPU", "note", "none on this machine; judging needs none, training real generators does")
