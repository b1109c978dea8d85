"""Caps hold under concurrency, prices are known or asked for, and everything is counted."""

import asyncio
from pathlib import Path

import pytest
from faulty_server import FaultyServer, answer, drop, status
from vlm_helpers import client_of, question

from workbench.vlm import budget
from workbench.vlm.budget import Price, find_price, user_prices
from workbench.vlm.client import VlmClient
from workbench.vlm.errors import BudgetSpent
from workbench.vlm.settings import Endpoint, Limits, Sampling


@pytest.fixture
def priced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls cost money although the server is on loopback: $1 per million input tokens, $10 per million output."""
    monkeypatch.setattr(budget, "find_price", lambda endpoint: Price(input=1, output=10))


async def ask_all(client: VlmClient, count: int) -> list[object]:
    asked = [client.ask(question(str(number))) for number in range(count)]
    return list(await asyncio.gather(*asked, return_exceptions=True))


async def test_the_cap_on_calls_is_never_exceeded(tmp_path: Path) -> None:
    with FaultyServer([status(500)] * 3) as server:
        async with client_of(server.url, tmp_path / "c.sqlite", max_calls=20) as client:
            results = await ask_all(client, 50)
        assert len(server.requests) == client.usage.calls == 20
        stops = [result for result in results if isinstance(result, BudgetSpent)]
        assert "max_calls (20) is reached" in str(stops[0])
        assert 10 <= 50 - len(stops) <= 17
        async with client_of(server.url, tmp_path / "c.sqlite") as client:
            assert len(await ask_all(client, 50)) == 50
    assert client.usage.calls == len(stops)


@pytest.mark.usefixtures("priced")
async def test_the_cap_on_cost_is_never_exceeded() -> None:
    usage = {"prompt_tokens": 3000, "completion_tokens": 50}  # $0.0035 a call, far more than its text suggests
    with FaultyServer(lambda number, received: answer(usage=usage, delay_s=0.005)) as server:
        async with client_of(server.url, max_cost_usd=0.05, sampling=Sampling(max_tokens=50)) as client:
            results = await ask_all(client, 40)
    # 14 x 0.0035 = 0.049; one more would make 0.0525
    assert len(server.requests) == 14
    assert client.usage.cost_usd == pytest.approx(0.049)
    assert server.peak > 1
    stops = [str(result) for result in results if isinstance(result, BudgetSpent)]
    assert len(stops) == 26
    assert "max_cost_usd ($0.05) is reached" in stops[0]


@pytest.mark.usefixtures("priced")
async def test_replies_carry_their_cost() -> None:
    with FaultyServer([status(500), answer("no JSON"), answer()]) as server:
        async with client_of(server.url) as client:
            reply = await client.ask(question())
    # two answers of 100 input and 10 output tokens: 2 * (100 * 1 + 10 * 10) / 1e6; the error costs nothing
    assert reply.cost_usd == client.usage.cost_usd == pytest.approx(0.0004)
    assert (reply.calls, reply.input_tokens, reply.output_tokens) == (3, 200, 20)


@pytest.mark.usefixtures("priced")
async def test_a_broken_connection_is_charged_as_it_may_be_billed() -> None:
    with FaultyServer([drop(0.9)]) as server:
        async with client_of(server.url, sampling=Sampling(max_tokens=1000)) as client:
            reply = await client.ask(question())
    assert reply.cost_usd > 1000 * 10 / 1e6


def test_a_cap_on_cost_needs_a_price() -> None:
    with pytest.raises(ValueError, match=r"(?s)max_cost_usd is 5.*'mystery' is unknown.*prices\.yaml.*max_calls"):
        VlmClient(Endpoint("https://api.example.com/v1", "mystery"), limits=Limits(max_cost_usd=5), cache=None)


def test_the_users_prices_come_first() -> None:
    remote = Endpoint("https://api.example.com/v1", "gpt-4o")
    shipped = find_price(remote)
    assert shipped is not None
    user_prices().parent.mkdir(parents=True)
    user_prices().write_text("mine: {input: 1.5, output: 2}\ngpt-4o: {input: 9, output: 9}\n")
    assert find_price(Endpoint("https://api.example.com/v1", "mine")) == Price(input=1.5, output=2)
    assert find_price(remote) == Price(input=9, output=9) != shipped
    assert find_price(Endpoint("http://[::1]:8000/v1", "anything")) == Price(input=0, output=0)
    # A proxy on this machine passes questions on to a provider who bills; a price the user wrote down is meant.
    assert find_price(Endpoint("http://127.0.0.1:4000/v1", "mine")) == Price(input=1.5, output=2)


@pytest.mark.parametrize("text", ["m: 3", "m: {input: -1, output: 1}", "m: {in: 1, out: 2}", "- list", "m: ["])
def test_a_wrong_price_file_is_named(text: str) -> None:
    user_prices().parent.mkdir(parents=True)
    user_prices().write_text(text)
    with pytest.raises(ValueError, match=r"prices\.yaml cannot be read"):
        find_price(Endpoint("https://api.example.com/v1", "m"))


def test_the_estimate_comes_before_the_first_call() -> None:
    client = VlmClient(Endpoint("https://api.example.com/v1", "gpt-4o"), Sampling(max_tokens=200), cache=None)
    estimate = client.estimate(question("x" * 4000), count=1000)
    assert (estimate.calls, estimate.output_tokens) == (1000, 200_000)
    assert 1_000_000 < estimate.input_tokens < 1_200_000
    # gpt-4o as shipped: $2.50 and $10 per million tokens
    assert estimate.cost_usd == pytest.approx(estimate.input_tokens * 2.5e-6 + 2.0)
    assert VlmClient(Endpoint("https://x.example/v1", "?"), cache=None).estimate(question(), 1).cost_usd is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attempts", 4),
        ("concurrency", 0),
        ("deadline_s", 0),
        ("backoff_s", -1),
        ("max_calls", -1),
        ("max_cost_usd", -1),
    ],
)
def test_wrong_limits_are_named(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        Limits(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://x/v1", ""])
def test_a_wrong_base_url_is_named(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        Endpoint(url, "m")
