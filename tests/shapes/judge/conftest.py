"""Running judges, each started once for all tests of the shapes world."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from judge_client import Client, Connect
from openai import OpenAI

from workbench.shapes.judge.server import running_server
from workbench.shapes.judge.settings import JudgeSettings, perfect, sample_settings


@pytest.fixture(scope="session")
def connect() -> Iterator[Connect]:
    """Clients of judges with given settings; each judge is started once."""
    running: dict[str, Client] = {}
    with ExitStack() as stack:

        def to(settings: JudgeSettings) -> Client:
            if settings.model_id not in running:
                base_url = stack.enter_context(running_server(settings))
                api = stack.enter_context(OpenAI(base_url=base_url, api_key="none", max_retries=0))
                running[settings.model_id] = Client(api, base_url, settings.model_id)
            return running[settings.model_id]

        yield to


@pytest.fixture(scope="session")
def plain(connect: Connect) -> Client:
    """A judge without flaws."""
    return connect(perfect("t2i"))


@pytest.fixture(scope="session")
def flawed_settings() -> JudgeSettings:
    """Every flaw of the mind, but answers that can be read."""
    flaws = {
        "broken_json": 0.0,
        "refusals": 0.0,
        "compliance": 0.9,
        "attention": 6.0,
        "position_bias": 1.2,
        "taste": {},
    }
    return sample_settings("t2i", 3).model_copy(update=flaws)
