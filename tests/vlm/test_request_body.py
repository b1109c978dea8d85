"""What the server is sent: text before images, fit files unchanged, the schema in the way the server takes it."""

import asyncio
import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faulty_server import VALID, FaultyServer, Received, Step, answer, status
from openai.types.chat import ChatCompletion
from vlm_helpers import PIXEL, SCHEMA, client_of, png, question

from workbench.pairs.images import Prepared, prepare
from workbench.vlm.settings import ImagePolicy, Sampling, Structured


async def sent(server: FaultyServer, *images: str | bytes, **settings: Any) -> Received:
    """The request a client with these settings sends."""
    async with client_of(server.url, **settings) as client:
        await client.ask(question('say "hi" \\ \u2028 ünïcode', *images))
    return server.requests[-1]


async def test_the_body_is_the_json_openai_expects() -> None:
    with FaultyServer() as server:
        sampling = Sampling(temperature=0.5, top_p=0.9, max_tokens=7, seed=3, extra={"top_k": 5})
        body = (await sent(server, sampling=sampling)).body
    blue = png("blue")
    assert body == {
        "model": "judge",
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 7,
        "seed": 3,
        "top_k": 5,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "ranking", "schema": SCHEMA, "strict": True},
        },
        "messages": [
            {"role": "system", "content": "You judge images."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": 'say "hi" \\ \u2028 ünïcode'},
                    {"type": "image_url", "image_url": {"url": _data_url(PIXEL)}},
                    {"type": "image_url", "image_url": {"url": _data_url(blue)}},
                ],
            },
        ],
    }


def test_the_servers_completions_are_what_openai_reads() -> None:
    assert (
        ChatCompletion.model_validate({"created": 1, **json.loads(answer().body)}).choices[0].message.content == VALID
    )


@pytest.mark.parametrize(
    ("mode", "fields", "stated"),
    [
        ("json_schema", {"response_format"}, False),
        ("structured_outputs", {"structured_outputs"}, False),
        ("json_object", {"response_format"}, True),
        ("off", set(), True),
    ],
)
async def test_the_schema_is_enforced_or_stated(mode: Structured, fields: set[str], stated: bool) -> None:
    with FaultyServer() as server:
        body = (await sent(server, structured=mode)).body
    assert {"response_format", "structured_outputs", "guided_json"} & body.keys() == fields
    assert (json.dumps(SCHEMA) in body["messages"][0]["content"]) == stated
    if mode == "structured_outputs":
        assert body["structured_outputs"] == {"json": SCHEMA}


async def test_a_refused_schema_falls_back_once_for_the_client(tmp_path: Path) -> None:
    def script(number: int, received: Received) -> Step:
        if "response_format" in received.body:
            return status(400, "response_format type json_schema is not supported")
        return answer(f"Here you are: {VALID}")

    with FaultyServer(script) as server:
        async with client_of(server.url, tmp_path / "c.sqlite") as client:
            first = await client.ask(question("first"))
            second = await client.ask(question("second"))
            assert client.cache is not None
            entry = client.cache.entry(second.key)
            assert client.usage.retries == 0
    assert (first.calls, second.calls) == (2, 1)
    assert entry is not None
    assert (entry.answer.mode, json.loads(entry.request)["structured"]) == ("off", "auto")
    with FaultyServer() as server:  # another server, which does enforce it: the key is the same
        async with client_of(server.url, tmp_path / "c.sqlite") as client:
            assert (await client.ask(question("first"))).cached


async def test_log_probabilities_come_back_and_are_done_without(tmp_path: Path) -> None:
    top = [{"token": "1", "logprob": -0.1}, {"token": "2", "logprob": -2.4}]
    logprobs = {"content": [{"token": "1", "logprob": -0.1, "top_logprobs": top}]}
    with FaultyServer([answer(logprobs=logprobs), status(400, "logprobs are not supported")]) as server:
        async with client_of(server.url, tmp_path / "c.sqlite") as client:
            reply = await client.ask(question("first", logprobs=True))
            assert reply.tokens == (await client.ask(question("first", logprobs=True))).tokens
            assert (await client.ask(question("second", logprobs=True))).tokens == ()
    assert reply.tokens[0].top == {"1": -0.1, "2": -2.4}
    assert server.requests[0].body["logprobs"] is True
    assert "logprobs" not in server.requests[2].body


async def test_repeats_differ_in_seed() -> None:
    with FaultyServer() as server:
        async with client_of(server.url, sampling=Sampling(seed=10)) as client:
            for sample in range(3):
                await client.ask(question(sample=sample))
    assert [received.body["seed"] for received in server.requests] == [10, 11, 12]


async def test_max_completion_tokens_replaces_max_tokens() -> None:
    with FaultyServer() as server:
        body = (await sent(server, sampling=Sampling(extra={"max_completion_tokens": 9}))).body
    assert body["max_completion_tokens"] == 9
    assert "max_tokens" not in body


@pytest.mark.parametrize("name", ["messages", "seed"])  # repeats would all be sent with one seed
def test_extra_fields_cannot_replace_the_clients_own(name: str) -> None:
    with pytest.raises(ValueError, match=f"extra sets {name}"):
        Sampling(extra={name: []})


async def test_a_large_image_is_made_smaller() -> None:
    with FaultyServer() as server:
        received = await sent(server, png("red", (400, 200)), PIXEL, images=ImagePolicy(max_side=100))
    large, small = (base64.b64decode(url.partition(",")[2]) for url in received.urls)
    assert small == PIXEL
    assert large[16:24] == (100).to_bytes(4) + (50).to_bytes(4)  # width and height in a PNG's header


async def test_file_urls_only_for_fit_files_and_with_the_same_key(tmp_path: Path) -> None:
    fit, unfit = tmp_path / "a fit.png", tmp_path / "unfit.gif"
    fit.write_bytes(PIXEL)
    unfit.write_bytes(base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"))
    keys = []
    with FaultyServer() as server:
        for transport in ("file", "data"):
            async with client_of(server.url, images=ImagePolicy(transport=transport)) as client:
                keys.append((await client.ask(question("q", str(fit), str(unfit), png("blue")))).key)
    by_file, by_data = (received.urls for received in server.requests)
    assert by_file[0] == fit.as_uri()
    assert by_file[1:] == by_data[1:]
    assert all(url.startswith("data:image/png;base64,") for url in by_data)
    assert keys[0] == keys[1]


async def test_an_image_is_encoded_once_however_many_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []

    def counted(data: bytes, max_side: int) -> Prepared:
        encoded.append(len(data))
        return prepare(data, max_side)

    monkeypatch.setattr("workbench.vlm.images.prepare", counted)
    path = tmp_path / "a.png"
    path.write_bytes(PIXEL)
    with FaultyServer() as server:
        async with client_of(server.url) as client:
            await asyncio.gather(*[client.ask(question(str(number), str(path))) for number in range(20)])
    assert len(encoded) == 1


async def test_memory_for_encoded_images_is_bounded() -> None:
    one = len(_data_url(png("#000000")))
    with FaultyServer() as server:
        async with client_of(server.url, images=ImagePolicy(cache_bytes=one * 3)) as client:
            for number in range(10):
                await client.ask(question("q", png(f"#{number:06x}")))
            kept = client._images._urls.values()
            assert 1 <= len(kept) <= 3
            assert sum(map(len, kept)) == client._images._bytes <= one * 3


async def test_a_changed_file_is_another_question(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with FaultyServer() as server:
        async with client_of(server.url) as client:
            keys = []
            for color in ("red", "green"):
                path.write_bytes(png(color, (16, 16 if color == "red" else 17)))
                keys.append((await client.ask(question("q", str(path)))).key)
    assert keys[0] != keys[1]
    assert server.requests[0].urls != server.requests[1].urls


def _data_url(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


async def test_a_question_may_have_a_temperature_of_its_own_and_is_then_another_question() -> None:
    with FaultyServer() as server:
        async with client_of(server.url, sampling=Sampling(temperature=0.0)) as client:
            plain = await client.ask(question("how good?"))
            warm = await client.ask(replace(question("how good?"), temperature=0.7))
    assert [request.body["temperature"] for request in server.requests] == [0.0, 0.7]
    assert plain.key != warm.key
