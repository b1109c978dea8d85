"""Reading what a server sent: an answer, a reason to try again, or a reason to stop."""

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from workbench.vlm.cache import Answer
from workbench.vlm.json_text import clean_text
from workbench.vlm.rejections import Rejection
from workbench.vlm.request import Token
from workbench.vlm.transport import Response

_SHORT = 600
_RETRIED = frozenset({408, 409, 425, 429})


class TryAgain(Exception):
    """This attempt brought nothing; another may.

    - `wait_s`: how long the server asks to wait; `overloaded`: it said 429.
    """

    def __init__(self, message: str, wait_s: float | None = None, *, overloaded: bool = False) -> None:
        super().__init__(message)
        self.wait_s = wait_s
        self.overloaded = overloaded


class Unusable(Exception):
    """A reply that is final yet no answer: refused, filtered or truncated. Carries the tokens it took."""

    def __init__(self, message: str, input_tokens: int, output_tokens: int) -> None:
        super().__init__(message)
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens


def read_reply(response: Response, mode: str, now: float) -> Answer | Rejection:
    """The answer in a response, or the rejection it is; `now` is in seconds since 1970.

    Raises `TryAgain` for what another attempt may change, `Unusable` for what it would not.
    """
    decoded = _decode(response.body)
    status = response.status
    if 200 <= status < 300 and isinstance(error := decoded.get("error"), dict):
        status = error["code"] if isinstance(error.get("code"), int) else 502  # some gateways put errors in a 200
    if 200 <= status < 300:
        return _read_completion(decoded, mode)
    text = _error_text(decoded, response.body)
    rejection = Rejection(status, text)
    if rejection.is_no_quota or (status not in _RETRIED and status < 500) or rejection.is_no_vision:
        return rejection
    wait_s = _retry_after(response.headers, now)
    raise TryAgain(f"status {status}: {text}", wait_s, overloaded=status == 429)


def _decode(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _read_completion(decoded: Mapping[str, Any], mode: str) -> Answer:
    try:
        choice = decoded["choices"][0]
        message = choice["message"]
        content, refusal = message.get("content"), message.get("refusal")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise TryAgain("status 200 with a body that is no chat completion") from None
    usage = decoded.get("usage")
    input_tokens = _count(usage, "prompt_tokens")
    output_tokens = _count(usage, "completion_tokens")
    reason = str(choice.get("finish_reason") or "stop")
    text = clean_text(content) if isinstance(content, str) else ""
    if refusal:
        raise Unusable(f"the model refused: {_shorten(str(refusal))}", input_tokens, output_tokens)
    if reason == "content_filter":
        raise Unusable("the provider's content filter stopped the answer", input_tokens, output_tokens)
    if reason == "length":
        problem = f"the answer was cut off after {output_tokens} tokens; raise max_tokens"
        raise Unusable(problem, input_tokens, output_tokens)
    if not text.strip():
        raise TryAgain("status 200 with an empty answer")
    return Answer(
        text=text,
        finish_reason=reason,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        model=clean_text(str(decoded.get("model") or "")),
        fingerprint=clean_text(str(decoded.get("system_fingerprint") or "")),
        mode=mode,
        tokens=_read_tokens(choice.get("logprobs")),
    )


def _read_tokens(logprobs: object) -> tuple[Token, ...]:
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    try:
        return tuple(
            Token(
                text=clean_text(str(entry["token"])),
                logprob=float(entry["logprob"]),
                top={clean_text(str(top["token"])): float(top["logprob"]) for top in entry.get("top_logprobs") or ()},
            )
            for entry in content or ()
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return ()  # a verdict without a probability is still a verdict


def _count(usage: object, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and value > 0 else 0


def _error_text(decoded: Mapping[str, Any], body: bytes) -> str:
    error = decoded.get("error", decoded)
    parts = [error.get("message"), error.get("code"), error.get("detail")] if isinstance(error, dict) else [error]
    said = "; ".join(str(part) for part in parts if part) or body.decode(errors="replace")
    return _shorten(said) or "(no explanation)"


def _shorten(text: str) -> str:
    line = " ".join(clean_text(text).split())
    return line if len(line) <= _SHORT else line[:_SHORT] + "..."


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds, from `retry-after-ms`, or `retry-after` as seconds or as an HTTP date."""
    try:
        return max(0.0, float(headers["retry-after-ms"]) / 1000)
    except (KeyError, ValueError):
        pass
    value = headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError):
        return None
