import base64
import html
import json
import shlex
import socket
import time
from urllib.parse import quote as url_quoted

import pytest

from workbench.sharing.secrets import NotShared, Text, find, texts_of


def found(text: str, **options) -> list[tuple[str, str]]:
    return [(each.kind, each.quote) for each in find([Text("somewhere", text)], **options)]


@pytest.fixture(autouse=True)
def _machine(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "gpu-node-17.lab")
    monkeypatch.setenv("HOME", "/srv/people/ada")


@pytest.mark.parametrize(
    "key",
    [
        "sk-proj-abcdefghijklmnop1234", "hf_abcdefghijklmnopqrstuv", "ghp_abcdefghijklmnopqrst", "AKIAIOSFODNN7EXAMPLE",
        "Authorization: Bearer abcdef1234567890", "https://ada:hunter22@host/v1", "-----BEGIN RSA PRIVATE KEY-----",
        'api_key = "Xy12345678901234"', "OPENAI_API_KEY=Xy12345678901234", "x-api-key: 0123456789abcdef0123",
        "xoxb-1234567890-abcdef",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefgh123",
    ],
)  # fmt: skip
def test_keys_of_known_formats_are_found_and_never_quoted(key):
    secrets = [quote for kind, quote in found(f"text {key} text") if kind == "secret"]
    assert secrets
    assert all(key not in quote and key[6:] not in quote for quote in secrets)


def test_values_of_secret_like_variables_are_found_wherever_they_are(monkeypatch):
    monkeypatch.setenv("MY_SERVICE_TOKEN", "correct horse")
    monkeypatch.setenv("SHORT_KEY", "1234567")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Ada Lovelace")
    assert found("it said correct horse, 1234567, Ada Lovelace") == [
        ("secret", "the value of the environment variable MY_SERVICE_TOKEN (13 characters)")
    ]
    assert found("correct horse", allow=["correct horse", "secret"])  # a secret cannot be allowed


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("read /home/ada/x.png", "/home/ada"),
        ("/Users/grace.h/models", "/Users/grace.h"),
        (r"C:\Users\Alan\pairs", r"C:\Users\Alan"),
        ("file:///home/ada", "/home/ada"),
        ("in /srv/people/ada/data", "/srv/people/ada"),
        ("/mnt/c/Users/ada/pairs", "/mnt/c/Users/ada"),
        ("/c/Users/ada", "/c/Users/ada"),
        ("/var/home/ada/x", "/var/home/ada"),
    ],
)
def test_home_paths_are_found(text, quote):
    assert found(text) == [("home path", quote)]
    assert found(text, allow=[quote]) == []


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("http://gpu7:8000/v1", "gpu7"),
        ("https://api.example.com/v1/chat", "api.example.com"),
        ("served by gpu-7.cluster:8000", "gpu-7.cluster"),
        ("node-3:8000 is down", "node-3"),
        ("ssh 10.20.30.40", "10.20.30.40"),
        ("[fe80::1ff:fe23:4567:890a]", "fe80::1ff:fe23:4567:890a"),
        ("judge.cluster.internal", "judge.cluster.internal"),
        ("on GPU-node-17 today", "GPU-node-17"),
    ],
)
def test_host_names_are_found(text, host):
    assert host in [quote for kind, quote in found(text) if kind == "host name"]
    assert found(text, allow=[quote for _, quote in found(text)]) == []


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8000/v1 http://localhost:8000 http://[::1]:80/ 0.0.0.0:99 ws://a.localhost/",
        "test_card.py:120: error; ratio 16:9 at 12:30:45; step:1000; x[::2]; std::vector; 3.11.7; 1.2.3",
        "a/home/run ~/data the /home page sk-8 risk-averse-long-distance-runner Bearer of bad news",
        "$0.0000, [+1.2, +10.1], seed 12345, 52be974e11e840bf, 2026-11-21T10:00:00+00:00, p1:a",
        "data:image/png;base64,AAAA file:///tmp sqlite:///x.db",
        """<svg xmlns='http://www.w3.org/2000/svg' xmlns:dc="http://purl.org/dc/"> <x xmlns=\\"http://www.w3.org/x\\">""",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text):
    assert found(text) == []


_ESCAPES = {
    "JSON": lambda text: json.dumps(f"a\n{text}"),
    "JSON in JSON": lambda text: json.dumps(json.dumps({"said": text})),
    "HTML": html.escape,
    "a URL": lambda text: url_quoted(text, safe=""),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of a URL": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "a terminal": lambda text: f"\x1b[31m{text}\x1b[0m",
}


@pytest.mark.parametrize("escape", _ESCAPES.values(), ids=_ESCAPES)
def test_escapes_hide_nothing(escape, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", 'q"w\\<é>-\U0001f600 99\n')  # space around a value is nobody's key
    assert "MY_TOKEN" in str(found(escape('q"w\\<é>-\U0001f600 99')))
    assert ("secret", "sk-… (24 characters) that looks like an API key") in found(escape("sk-abcdefghijklmnop12345"))
    assert ("home path", "/home/ada") in found(escape("/home/ada/pairs.jsonl"))


def test_places_and_hosts_do_not_tell_the_secret_that_is_their_name(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "swordfish-1")
    said = {"sk-abcdefghijklmnop12345": "/home/ada", "swordfish-1:8000": "http://ada:sw@rd99@gpu7/?by=me@example.com"}
    message = str(NotShared(find(texts_of("pair 'swordfish-1'", said))))
    assert "sk-abc" not in message
    assert "swordfish" not in message
    assert "rd99" not in message
    assert "host name gpu7" in message


def test_what_is_to_be_copied_into_a_shell_is_one_word_there():
    hostile = "x'; touch /tmp/pwned #"
    message = str(NotShared(find([Text("pair 'p0', picture 1", "", metadata=(hostile,))])))
    assert shlex.split(message.rpartition("each by name: ")[2]) == ["--allow", hostile]


def test_every_place_is_named_and_what_to_do():
    record = {"judges": [{"verdicts": [{"reason": "see http://gpu7/x"}]}], "http://gpu8/": 1}
    findings = find(texts_of("pair 'p3'", record))
    assert [(each.place, each.quote) for each in findings] == [
        ("pair 'p3'.judges.0.verdicts.0.reason", "gpu7"),
        ("pair 'p3', a name", "gpu8"),
    ]
    message = str(NotShared([*findings, *find([Text("card, run", "/home/ada hf_" + "a" * 20)])]))
    assert "pair 'p3'.judges.0.verdicts.0.reason: host name gpu7" in message
    assert "--allow 'gpu7' --allow 'gpu8' --allow '/home/ada'" in message
    assert "card, run: secret hf_… (23 characters) that looks like a Hugging Face token" in message
    assert "replace the key" in message


@pytest.mark.parametrize(
    "part", ["x", "a.", "eyJ", "sk-", 'token="', "abc:", "a://", "Bearer ", "/home/", "1.", "a-", " "]
)
def test_a_megabyte_is_searched_at_once(part):
    start = time.monotonic()
    found(part * (200_000 // len(part)))
    assert time.monotonic() - start < 5  # a search that goes back and forth takes minutes
