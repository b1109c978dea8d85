"""The stand-in server of benchmarks/induction_cost.py: its answers are usable, and it counts what it is asked."""

import importlib.util
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from workbench.induction.arr import ArrSettings, induce_arr
from workbench.induction.blind import BlindSettings, induce_blind
from workbench.induction.screen import screen
from workbench.judges.answers import rank_answer
from workbench.pairs.comparison import Comparison
from workbench.vlm.client import VlmClient
from workbench.vlm.settings import Endpoint, Limits


def png(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8), shade).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def stand_in() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "stand_in.py"
    spec = importlib.util.spec_from_file_location("stand_in", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def server(stand_in: ModuleType) -> Iterator[Any]:
    with stand_in.stand_in_server() as running:
        yield running


def seeds(winners_first: int, winners_second: int) -> list[Comparison]:
    ranks = [(1, 2)] * winners_first + [(2, 1)] * winners_second
    return [
        Comparison(f"s{i}", "t2i", f"a harbour, take {i}", (png(0), png(200)), ranks=each)
        for i, each in enumerate(ranks)
    ]


def client(server, stand_in, **limits) -> VlmClient:
    return VlmClient(Endpoint(server.base_url, stand_in.MODEL), limits=Limits(**limits), cache=None)


async def test_the_published_recipe_takes_2_calls_for_a_winner_shown_first_and_10_for_one_shown_second(
    server, stand_in
):
    server.take_counts()
    async with client(server, stand_in, concurrency=2) as asking:
        rubric = await induce_arr(seeds(3, 2), asking, ArrSettings(), name="arr", record=lambda event: None)
    counts = server.take_counts()
    assert (counts.calls, counts.rubrics, counts.rank, counts.categories) == (3 * 2 + 2 * 10 + 1, 13, 13, 1)
    assert 1 <= counts.peak <= 2  # two at once, if they happen to overlap
    assert len({criterion.text for criterion in rubric.enabled_criteria()}) == 3 * 5


async def test_the_blind_recipe_keeps_to_its_calls(server, stand_in):
    server.take_counts()
    settings = BlindSettings()
    async with client(server, stand_in) as asking:
        rubric = await induce_blind(seeds(5, 4), asking, asking, settings, name="blind", record=lambda event: None)
    assert 0 < server.take_counts().calls <= settings.most_calls(9)
    assert rubric.enabled_criteria()


def test_a_verdict_has_what_the_schema_asks_for(stand_in):
    format = rank_answer(3, criteria=("c1", "c2"))
    schema = {"type": "json_schema", "json_schema": {"schema": format.schema}}
    kind, data = stand_in.answer({"response_format": schema, "messages": []})
    assert kind == "rank"
    assert format.parse(data).criteria == {"c1": (1, 2, 3), "c2": (1, 2, 3)}


def test_criteria_are_distinct_and_usable(stand_in):
    written = stand_in.criteria(200, "a request")
    assert len(set(written)) == 200
    assert [text for text in written if screen(text, "a harbour")] == []
    assert not set(written[:5]) & set(stand_in.criteria(5, "another request"))


def test_what_induction_does_not_ask_is_refused(stand_in):
    with pytest.raises(ValueError, match="not for rubrics, rank, categories"):
        stand_in.answer({"messages": []})
