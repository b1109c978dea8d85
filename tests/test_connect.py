"""From a base URL to a client: an endpoint of one's own, or the embedded judge."""

import pytest
from faulty_server import FaultyServer, Step, answer, status

import workbench.connect
from workbench.connect import connect
from workbench.shapes.judge.settings import perfect
from workbench.vlm.errors import UnknownModel, Unreachable, WrongKey
from workbench.vlm.settings import Limits

NOBODY = "http://127.0.0.1:9/v1"


def serving(*models):
    body = b'{"data": [%s]}' % b",".join(b'{"id": "%s"}' % model.encode() for model in models)
    return FaultyServer(lambda _number, received: answer() if "messages" in received.body else Step(body=body))


async def test_the_only_model_of_an_endpoint_needs_no_name(tmp_path):
    with serving("my-vlm") as server:
        async with connect(server.url, cache=tmp_path / "c.sqlite") as client:
            assert client.endpoint.model == "my-vlm"
            assert not client.endpoint.is_synthetic


async def test_a_named_model_is_taken_without_asking_the_server(tmp_path):
    async with connect(NOBODY, "my-vlm", cache=tmp_path / "c.sqlite") as client:
        assert client.endpoint.model == "my-vlm"


def test_several_models_are_listed_to_choose_from(tmp_path):
    with serving("one", "two") as server, pytest.raises(UnknownModel, match=r"2 models \(one, two\).*--model"):
        connect(server.url, cache=tmp_path / "c.sqlite")


def test_a_server_that_is_not_there_or_refuses_the_key_is_named():
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9"):
        connect(NOBODY)
    with FaultyServer([status(401)]) as server, pytest.raises(WrongKey, match="OPENAI_API_KEY"):
        connect(server.url)


def test_a_page_that_is_no_api_is_refused():
    with FaultyServer([Step(body=b"<html>")]) as server, pytest.raises(Unreachable, match=r"must end in /v1"):
        connect(server.url)


def test_neither_endpoint_nor_world_says_what_to_do():
    with pytest.raises(ValueError, match=r"OPENAI_BASE_URL is not set.*workbench serve shapes"):
        connect()


def test_a_folder_that_is_no_world_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"judge\.json: cannot be read.*shapes make"):
        connect(world=tmp_path)


@pytest.fixture
def world(tmp_path):
    folder = tmp_path / "world"
    folder.mkdir()
    (folder / "judge.json").write_text(perfect("t2i").to_json())
    yield folder
    workbench.connect._servers.close()


async def test_without_a_base_url_the_worlds_judge_is_started_and_shared_by_later_calls(world):
    async with connect(world=world, limits=Limits(max_calls=3)) as client, connect(world=str(world)) as again:
        assert client.endpoint.is_synthetic
        assert client.endpoint.is_loopback
        assert client.limits.max_calls == 3
        assert again.endpoint == client.endpoint, "a cell run twice must not leave a server behind each time"


async def test_a_judge_that_died_is_started_anew(world):
    async with connect(world=world) as client:
        workbench.connect._servers.close()
        async with connect(world=world) as again:
            assert again.endpoint.base_url != client.endpoint.base_url
