"""What can go wrong between asking a model and having a valid answer."""

from dataclasses import dataclass


@dataclass(slots=True)
class Spent:
    """What one question has cost so far: requests sent, tokens of the replies, US dollars."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cost_usd + other.cost_usd,
        )


class VlmError(Exception):
    """Base of all errors of this package."""


class StopRun(VlmError):
    """Going on is pointless: every further question would fail the same way. What is cached stays cached."""


class WrongKey(StopRun):
    """The server refused the API key (401 or 403)."""


class UnknownModel(StopRun):
    """The server knows no such model or path (404)."""


class Unreachable(StopRun):
    """No attempt reached the server."""


class NoVision(StopRun):
    """The model takes no images."""


class BadRequest(StopRun):
    """The server rejects what every question would send."""


class BudgetSpent(StopRun):
    """The cap on calls or on cost, or the account's own quota, is reached."""


class StorageFailed(StopRun):
    """The cache cannot be read or written; nothing more is sent, as its answer would be lost."""


class NoAnswer(VlmError):
    """One question has no answer: attempts or time used up, refused, truncated, filtered, or an unreadable image.

    - `spent`: what it took all the same.
    """

    def __init__(self, message: str, spent: Spent | None = None) -> None:
        super().__init__(message)
        self.spent = spent or Spent()


class InvalidAnswer(VlmError):
    """The model answered twice, never in the format asked for.

    - `text`: the last raw answer; `keys`: cache keys of both answers; `spent`: what they took.
    """

    def __init__(self, message: str, text: str, keys: tuple[str, ...] = (), spent: Spent | None = None) -> None:
        super().__init__(message)
        self.text = text
        self.keys = keys
        self.spent = spent or Spent()
