"""The doctor: what it finds at a good endpoint and a bad one, each failure with its remedy."""

import json
import shutil
from collections import namedtuple

import pytest
from faulty_server import FaultyServer, Received, Step, answer, status

from workbench.doctor import Check, check_all
from workbench.shapes.judge.server import running_server
from workbench.shapes.judge.settings import perfect


def by_name(checks):
    return {check.name: check for check in checks}


def endpoint(*steps):
    """A server with one model that answers chats with these steps, then always ranks the first image first."""
    chats = iter(steps)

    def script(_number, received):
        if "messages" in received.body:
            return next(chats, answer())
        return Step(body=b'{"data": [{"id": "my-vlm"}], "version": "0.32.0"}')

    return FaultyServer(script)


async def test_the_embedded_judge_passes_every_check():
    with running_server(perfect("t2i")) as base_url:
        checks = by_name(await check_all(base_url))
    assert list(checks) == ["disk", "GPU", "endpoint", "vision", "JSON schema", "log-probs", "latency"]
    assert {name for name, check in checks.items() if check.state != "ok"} <= {"GPU"}
    assert perfect("t2i").model_id in checks["endpoint"].found
    assert "version shapes-v1" in checks["endpoint"].found
    assert checks["log-probs"].found.startswith("given: P(first is better) = ")
    assert " ms a call" in checks["latency"].found


async def test_without_an_endpoint_the_machine_is_checked_and_the_remedy_is_said():
    checks = by_name(await check_all(""))
    assert checks["endpoint"].failed
    assert "workbench serve shapes" in checks["endpoint"].remedy


async def test_an_endpoint_that_is_not_there_ends_the_checks():
    checks = await check_all("http://127.0.0.1:9/v1")
    assert checks[-1].name == "endpoint"
    assert checks[-1].failed
    assert "127.0.0.1:9" in checks[-1].found
    assert checks[-1].line().startswith("✗ endpoint ")
    assert "→ start the server" in checks[-1].line()


@pytest.mark.parametrize("base_url", ["nonsense", "ftp://x/v1", "http://", "http://[::1"])
async def test_an_address_that_is_none_is_one_failed_check(base_url):
    check = (await check_all(base_url))[-1]
    assert (check.name, check.failed) == ("endpoint", True)
    assert check.remedy


async def vision_of(red_first: str, blue_first: str) -> Check:
    """The check of a judge that gives these ranks when the red square, which is right, is shown first or second."""
    red: list[str] = []  # shown first in the first question

    def judge(_: int, request: Received) -> Step:
        if not request.body:
            return Step(body=json.dumps({"data": [{"id": "served"}]}).encode())
        content = request.body["messages"][1]["content"]
        first = next(part["image_url"]["url"] for part in content if "image_url" in part)
        red.append(first)
        return answer(f'{{"reason": "seen", "rank": {red_first if first == red[0] else blue_first}}}')

    with FaultyServer(judge) as server:
        return by_name(await check_all(server.url, "served"))["vision"]


async def test_a_judge_that_always_names_the_first_image_is_not_said_to_see():
    blind = await vision_of("[1, 2]", "[1, 2]")
    assert blind.state == "note"
    assert "do not trust" in blind.remedy
    assert (await vision_of("[1, 2]", "[2, 1]")).state == "ok"


async def test_a_model_without_vision_fails_with_what_to_choose_and_is_asked_no_more():
    refusal = status(400, "my-vlm is not a multimodal model: image_url is not supported")
    with endpoint(*[refusal] * 20) as server:
        checks = await check_all(server.url)
    assert checks[-1].name == "vision"
    assert checks[-1].failed
    assert "vision-language model" in checks[-1].remedy


async def test_a_server_that_refuses_schemas_works_and_says_so():
    def script(_number, received):
        if "messages" not in received.body:
            return Step(body=b'{"data": [{"id": "my-vlm"}]}')
        return status(400, "response_format is not supported") if "response_format" in received.body else answer()

    with FaultyServer(script) as server:
        check = by_name(await check_all(server.url))["JSON schema"]
    assert check.state == "note"
    assert "stated in the prompt instead" in check.found


async def test_a_server_without_log_probabilities_only_lacks_soft_verdicts():
    with endpoint() as server:
        check = by_name(await check_all(server.url))["log-probs"]
    assert (check.state, check.remedy) == ("note", "")


async def test_a_full_disk_fails_with_what_to_free(monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 10**9))
    check = by_name(await check_all(""))["disk"]
    assert check.failed
    assert "1.0 GB free for the working directory" in check.found
    assert "free 2 GB" in check.remedy
