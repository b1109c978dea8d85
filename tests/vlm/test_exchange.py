"""A stored answer's request as curl: run by a real shell, it sends what the client sent."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from faulty_server import VALID, FaultyServer, answer
from PIL import Image
from vlm_helpers import RANKING, client_of, png

from workbench.pairs.comparison import ImageSource
from workbench.vlm.cache import Cache, Entry
from workbench.vlm.errors import InvalidAnswer
from workbench.vlm.exchange import Exchange, exchange_of
from workbench.vlm.request import ChatRequest, Picture
from workbench.vlm.settings import ImagePolicy, Sampling, Structured

HOSTILE = [
    "'; touch pwned; echo '",
    "$(touch pwned) `touch pwned` ${HOME} \\$(touch pwned)",
    'quotes " and \\ and \\" and \\\' and %s %n %%',
    "two\nlines\r\n'\nEOF\n\x00\x1b[31m\u2028 ünï \u202e",
    "!! !touch -n {a,b} ~ * ; & | < > #",
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with two images whose names are awkward."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "it's $(touch pwned) a.png").write_bytes(png())
    (tmp_path / "-n").write_bytes(png("blue"))
    return tmp_path


def images() -> tuple[str, str]:
    return "it's $(touch pwned) a.png", "-n"


def question(text: str, pictures: Sequence[ImageSource], **changes: Any) -> ChatRequest:
    return ChatRequest(f"You judge. {text}", (text, *map(Picture, pictures)), RANKING, **changes)


def stored(cache: Path) -> list[Entry]:
    """The cache's entries in the order they were asked."""
    opened = Cache(cache)
    rows = opened._open().execute("SELECT key FROM answers ORDER BY rowid").fetchall()
    entries = [opened.entry(key) for (key,) in rows]
    opened.close()
    return [entry for entry in entries if entry]


def run(exchange: Exchange, folder: Path, shell: str = "sh") -> tuple[list[str], bytes]:
    """Arguments and standard input of the `curl` that the command starts, in a shell where `curl` writes them down."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "curl").write_text('#!/bin/sh\nprintf "%s\\n" "$@" > arguments\ncat > body\n')
    (tools / "curl").chmod(0o755)
    environment = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "OPENAI_API_KEY": "a-key",
        "OPENAI_BASE_URL": "http://here/v1",
    }
    done = subprocess.run([shell, "-c", exchange.curl], cwd=folder, env=environment, capture_output=True, check=True)
    assert done.stderr == b""
    assert not (folder / "pwned").exists()
    return (folder / "arguments").read_text().splitlines(), (folder / "body").read_bytes()


@pytest.mark.parametrize("mode", ["json_schema", "structured_outputs", "json_object", "off"])
@pytest.mark.parametrize("text", HOSTILE)
async def test_the_command_sends_byte_for_byte_what_the_client_sent(folder: Path, mode: Structured, text: str) -> None:
    sampling = Sampling(temperature=0.5, top_p=0.9, max_tokens=7, seed=3, extra={"top_k": 5})
    bodies: list[bytes] = []
    with FaultyServer() as server:
        async with client_of(server.url, folder / "cache", structured=mode, sampling=sampling) as client:
            posted = client._sender._post
            client._sender._post = lambda body, *rest: (bodies.append(body._data[0]), posted(body, *rest))[1]  # type: ignore[method-assign]
            await client.ask(question(text, images(), sample=2, logprobs=True))
        (entry,) = stored(folder / "cache")
        exchange = exchange_of(entry, images(), base_url=server.url)
    arguments, body = run(exchange, folder)
    assert body == bodies[0]
    assert json.loads(body) == server.requests[0].body
    assert arguments[:2] == ["-sS", f"{server.url}/chat/completions"]
    assert arguments[2:] == [
        "-H",
        "Content-Type: application/json",
        "-H",
        "Authorization: Bearer a-key",
        "--data-binary",
        "@-",
    ]
    assert exchange.reply == VALID
    assert exchange.note == ""


def test_the_key_is_never_in_the_command_and_the_path_is_relative(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-seen")
    exchange = exchange_of(
        entry_of(question_json(images())),
        [str(folder / name) for name in images()],
        base_url="http://u:secret@host/v1?k=v",
    )
    assert "sk-not" not in exchange.curl
    assert "secret" not in exchange.curl
    assert '"Authorization: Bearer $OPENAI_API_KEY"' in exchange.curl
    assert str(folder) not in exchange.curl
    assert "http://host/v1/chat/completions" in exchange.curl


@pytest.mark.parametrize("shell", ["sh", "bash"])
async def test_repairs_temperatures_and_refused_fields_are_sent_again_as_they_were(folder: Path, shell: str) -> None:
    steps = [answer("I prefer 'the first'; $(touch pwned)"), answer(VALID), answer("no"), answer("no, 'again'")]
    with FaultyServer(steps) as server:
        sampling = Sampling(extra={"temperature": None, "max_completion_tokens": 50, "chat": {"b": 1, "a": 2}})
        async with client_of(server.url, folder / "cache", structured="off", sampling=sampling) as client:
            await client.ask(question("one", images(), temperature=0.7))
            with pytest.raises(InvalidAnswer) as caught:
                await client.ask(question("two", images()))
    entries = stored(folder / "cache")
    assert [entry.key for entry in entries[2:]] == list(caught.value.keys)
    for entry, received in zip(entries, server.requests, strict=True):
        _, body = run(exchange_of(entry, images()), folder, shell)
        assert json.loads(body) == received.body
    assert len(server.requests[1].body["messages"]) == 4


async def test_an_image_that_is_not_sent_as_it_is_stands_in_the_command_itself(folder: Path) -> None:
    large, dotted = png("green", size=(90, 40)), folder / "palette.png"
    Image.new("P", (20, 20)).save(dotted)
    pictures: list[ImageSource] = [large, str(dotted), png()]
    with FaultyServer() as server:
        async with client_of(server.url, folder / "cache", images=ImagePolicy(max_side=32)) as client:
            await client.ask(question("which?", pictures))
    exchange = exchange_of(stored(folder / "cache")[0], pictures)
    arguments, body = run(exchange, folder)
    assert json.loads(body) == server.requests[0].body
    assert arguments[1] == "http://here/v1/chat/completions"
    assert "palette.png" not in exchange.curl


async def test_a_file_sent_by_its_url_is_sent_so_again(folder: Path) -> None:
    with FaultyServer() as server:
        async with client_of(server.url, folder / "cache", images=ImagePolicy(transport="file")) as client:
            await client.ask(question("which?", [*images(), png("green")]))
    _, body = run(exchange_of(stored(folder / "cache")[0], [*images(), png("green")]), folder)
    assert json.loads(body) == server.requests[0].body
    assert server.requests[0].urls[0].startswith("file://")


async def test_a_megabyte_image_does_not_become_an_argument(folder: Path) -> None:
    noise = Path("noise.png")
    Image.frombytes("RGB", (600, 600), os.urandom(600 * 600 * 3)).save(noise)
    with FaultyServer() as server:
        async with client_of(server.url, folder / "cache") as client:
            await client.ask(question("which?", [str(noise)]))
    exchange = exchange_of(stored(folder / "cache")[0], [str(noise)])
    assert noise.stat().st_size > 1_000_000
    assert len(exchange.curl) < 3000
    assert json.loads(run(exchange, folder)[1]) == server.requests[0].body


def test_an_image_that_changed_since_is_named_as_missing(folder: Path) -> None:
    entry = entry_of(question_json(images()))
    Path("-n").write_bytes(png("green"))
    exchange = exchange_of(entry, [*images(), "vanished.png"])
    assert "1 of its images changed or vanished" in exchange.note
    assert b"is not there any more" in run(exchange, folder)[1]


def test_an_answer_of_an_earlier_version_says_what_is_a_guess(folder: Path) -> None:
    entry = entry_of(question_json(images()))
    old = json.loads(entry.answer.to_json())
    del old["unkeyed"]
    exchange = exchange_of(
        Entry(entry.key, entry.model, entry.request, type(entry.answer).from_json(json.dumps(old))), images()
    )
    assert "earlier version" in exchange.note
    assert json.loads(run(exchange, folder)[1])["model"] == "judge"


def question_json(pictures: Sequence[ImageSource]) -> ChatRequest:
    return question("which?", pictures)


def entry_of(request: ChatRequest) -> Entry:
    """What the cache would keep of one question, without a server."""
    from workbench.vlm.body import pose, unkeyed
    from workbench.vlm.cache import Answer
    from workbench.vlm.images import inspect

    shown = [inspect(part.source, ImagePolicy()) for part in request.content if isinstance(part, Picture)]
    posed = pose(request, shown, "judge", Sampling(), "auto")
    beside = unkeyed(request, Sampling(), logprobs=False, repair=None, transport="data")
    return Entry(posed.key, "judge", posed.request, Answer(VALID, "stop", 1, 2, "judge", "", "json_schema", (), beside))
