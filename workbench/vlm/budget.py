"""What requests cost, what a run may spend, and what it has spent."""

import asyncio
import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from workbench.vlm.errors import BudgetSpent, StopRun
from workbench.vlm.settings import Endpoint, Limits


class Price(BaseModel):
    """US dollars per million tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    input: float = Field(ge=0)
    output: float = Field(ge=0)

    def of(self, input_tokens: int, output_tokens: int) -> float:
        """The cost of one reply, in US dollars."""
        return (input_tokens * self.input + output_tokens * self.output) / 1e6


@dataclass(slots=True)
class RunUsage:
    """What a client has done so far.

    - `calls`: requests sent, retries and repairs included; `retries`: those after the first for one answer.
    - `cached`: answers taken from the cache; `cost_usd`: 0 where the price is unknown.
    """

    calls: int = 0
    retries: int = 0
    cached: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What questions take at most, if each is answered at once: calls, tokens, US dollars (None: unknown price)."""

    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None

    def line(self) -> str:
        """The estimate as text: `480 questions, up to 610,000 tokens in, 490,000 out, $1.20`."""
        cost = "price unknown" if self.cost_usd is None else f"${self.cost_usd:.2f}"
        tokens = f"up to {self.input_tokens:,} tokens in, {self.output_tokens:,} out"
        return f"{self.calls:,} questions, {tokens}, {cost}; less what is cached, more for answers asked for twice"


@dataclass(frozen=True, slots=True)
class Reservation:
    """The tokens and dollars set aside for one request in flight."""

    input_tokens: int
    cost_usd: float


class Budget:
    """Caps on calls and cost that concurrency cannot exceed: what is in flight is set aside at its highest cost.

    Input tokens are an estimate until replies report them; the highest ratio seen corrects later estimates, and until
    the first is seen a capped run sends one request at a time.
    """

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        self.usage = RunUsage()
        self.price = find_price(endpoint)
        self._limits = limits
        if limits.max_cost_usd is not None and self.price is None:
            raise ValueError(
                f"max_cost_usd is {limits.max_cost_usd:g}, but the price of model {endpoint.model!r} is unknown: add "
                f"`{endpoint.model}: {{input: ..., output: ...}}` (US dollars per million tokens) to {user_prices()}, "
                "or cap max_calls instead"
            )
        self._reserved = 0.0
        self._in_flight = 0
        self._ratio: float | None = None
        self._changed = asyncio.Event()
        self._stopped: StopRun | None = None

    def stop(self, error: StopRun) -> None:
        """Nothing more may be sent: every reservation from now on raises this error."""
        self._stopped = self._stopped or error
        self._changed.set()

    async def reserve(self, input_tokens: int, output_tokens: int) -> Reservation:
        """Set aside one call and its highest cost; waits while only requests in flight stand in the way.

        Raises `BudgetSpent`, or the error the run was stopped with.
        """
        cap = self._limits.max_cost_usd
        while True:
            if self._stopped:
                raise type(self._stopped)(*self._stopped.args)  # anew: raised again, one would collect every traceback
            if self._limits.max_calls is not None and self.usage.calls >= self._limits.max_calls:
                raise BudgetSpent(
                    f"max_calls ({self._limits.max_calls:,}) is reached: answers so far are cached; "
                    "raise it and run again to go on"
                )
            cost = self.price.of(round(input_tokens * (self._ratio or 1)), output_tokens) if self.price else 0.0
            if cap is None or cost == 0:
                break
            if self.usage.cost_usd + cost > cap:
                raise BudgetSpent(
                    f"max_cost_usd (${cap:g}) is reached: ${self.usage.cost_usd:.4f} spent, the next call may cost "
                    f"${cost:.4f}; answers so far are cached; raise it and run again to go on"
                )
            if not self._in_flight or (self._ratio and self.usage.cost_usd + self._reserved + cost <= cap):
                break
            self._changed.clear()
            await self._changed.wait()
        self.usage.calls += 1
        self._in_flight += 1
        self._reserved += cost
        return Reservation(input_tokens, cost)

    def settle(self, reservation: Reservation, input_tokens: int, output_tokens: int) -> float:
        """A reply came: count what it took, and return its cost; a server that reports no tokens is charged in full."""
        self.usage.input_tokens += input_tokens
        self.usage.output_tokens += output_tokens
        if input_tokens == 0 or not self.price:
            return self.charge(reservation)
        self._ratio = max(self._ratio or 1.0, input_tokens / max(1, reservation.input_tokens))
        cost = self.price.of(input_tokens, output_tokens)
        self._release(reservation, cost)
        return cost

    def charge(self, reservation: Reservation) -> float:
        """No reply came, though the server may have worked and billed: count the highest cost, and return it."""
        self._release(reservation, reservation.cost_usd)
        return reservation.cost_usd

    def free(self, reservation: Reservation) -> None:
        """The server refused the request: nothing to pay."""
        self._release(reservation, 0.0)

    def cancel(self, reservation: Reservation) -> None:
        """The request never reached a server: it does not count."""
        self.usage.calls -= 1
        self._release(reservation, 0.0)

    def _release(self, reservation: Reservation, cost: float) -> None:
        self._in_flight -= 1
        self._reserved = max(0.0, self._reserved - reservation.cost_usd) if self._in_flight else 0.0
        self.usage.cost_usd += cost
        self._changed.set()


def text_tokens(text: str) -> int:
    """An estimate: four characters a token.

    >>> text_tokens("eight by")
    2
    """
    return -(-len(text) // 4)


def image_tokens(size: tuple[int, int]) -> int:
    """An estimate: one token per 28 x 28 pixels, rounded up, as models of the Qwen-VL family count.

    >>> image_tokens((1024, 1024))
    1369
    """
    return -(-size[0] // 28) * -(-size[1] // 28)


def find_price(endpoint: Endpoint) -> Price | None:
    """The model's price: from the user's file, else 0 on this machine, else as shipped; None if unknown."""
    # The user's comes first: behind a port of this machine may be a proxy to a provider who bills.
    own = _read(user_prices()) if user_prices().is_file() else {}
    if endpoint.model in own:
        return own[endpoint.model]
    if endpoint.is_loopback:
        return Price(input=0, output=0)
    return _read(Path(str(files("workbench.vlm") / "prices.yaml"))).get(endpoint.model)


def user_prices() -> Path:
    """Where a user's own prices are: `workbench/prices.yaml` in `XDG_CONFIG_HOME`."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "workbench" / "prices.yaml"


def _read(path: Path) -> dict[str, Price]:
    try:
        return TypeAdapter(dict[str, Price]).validate_python(yaml.safe_load(path.read_text()) or {})
    except (yaml.YAMLError, ValidationError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}\nwrite `model: {{input: 1.0, output: 2.0}}` lines") from error
