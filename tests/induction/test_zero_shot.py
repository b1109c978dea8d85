"""A rubric for each prompt, with a scripted writer and judge, then against the real judge of a small world."""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field, replace

import pytest

from workbench.connect import connect
from workbench.evaluation.evaluate import evaluate
from workbench.induction.zero_shot import PerPromptRubrics, ZeroShotSettings
from workbench.judges.exemplars import Exemplar
from workbench.judges.vlm_judge import RankingJudge
from workbench.pairs.comparison import Comparison
from workbench.pairs.loading import load
from workbench.rubrics.library import load_library
from workbench.shapes.judge.server import running_server
from workbench.shapes.judge.settings import JudgeSettings
from workbench.shapes.world import make_world
from workbench.vlm.errors import BudgetSpent, InvalidAnswer, NoAnswer, Spent
from workbench.vlm.request import ChatRequest, Picture, Reply
from workbench.vlm.settings import Limits, Sampling


def pair(number, prompt="a red fox", ranks=(1, 2)):
    return Comparison(f"p{number}", "t2i", prompt, (b"A%d" % number, b"B%d" % number), ranks=ranks)


SOURCES = (b"BASE", b"OTHER")
EDIT = Comparison("e1", "edit", "make the fox blue", (b"A", b"B"), source_image=b"BASE", ranks=(2, 1))


def consistent(request: ChatRequest) -> list[int]:
    """Candidate A wins wherever it is shown."""
    first = next(part.source for part in request.content if isinstance(part, Picture) and part.source not in SOURCES)
    return [1, 2] if first.startswith(b"A") else [2, 1]


def first_wins(request: ChatRequest) -> list[int]:
    """A judge that looks at nothing."""
    return [1, 2]


@dataclass
class Scripted:
    """Writes the next of `written`, the last for ever (an error is raised), and judges by `ranks`; 10 tokens a call."""

    written: list = field(default_factory=lambda: [["The fox has four legs.", "The fur is red."]])
    ranks: object = consistent
    requests: list[ChatRequest] = field(default_factory=list)

    def identity(self):
        return {"model": "scripted"}

    async def ask(self, request: ChatRequest) -> Reply:
        self.requests.append(request)
        await asyncio.sleep(0)
        if "rubrics" in request.answer.schema["properties"]:
            said = self.written[min(len(self.writes), len(self.written)) - 1]
            data = said if isinstance(said, Exception) else {"rubrics": said, "reason": "because"}
        else:
            said = self.ranks(request)
            data = said if isinstance(said, Exception) else {"reason": "seen", "rank": said}
        if isinstance(data, Exception):
            raise data
        key = f"k{len(self.requests)}"
        return Reply(request.answer.parse(data), data, json.dumps(data), key, input_tokens=10, calls=1)

    @property
    def writes(self):
        return [request for request in self.requests if "rubrics" in request.answer.schema["properties"]]

    @property
    def verdicts(self):
        return [request for request in self.requests if "rank" in request.answer.schema["properties"]]


async def made(client, comparison=None, **settings):
    source = PerPromptRubrics(client, ZeroShotSettings(**settings))
    return source, await source.rubric_for(comparison or pair(1))


def texts(rubric):
    return [criterion.text for criterion in rubric.enabled_criteria()]


async def test_the_writer_sees_the_prompt_alone_and_for_an_edit_its_source():
    client = Scripted()
    await made(client)
    (asked,) = client.writes
    assert asked.content == ("Prompt: a red fox\n\nWrite the criteria.",)
    assert (asked.temperature, asked.sample) == (0.0, 0)
    assert "exactly 5 criteria" in asked.system
    client = Scripted()
    await made(client, EDIT)
    (asked,) = client.writes
    assert asked.content[:2] == ("Image BASE (original image):", Picture(b"BASE"))
    assert asked.content[2].startswith("Edit instruction: make the fox blue\n")
    assert len(asked.content) == 3


async def test_labels_change_nothing_that_is_asked():
    asked = []
    for ranks in ((1, 2), (2, 1), None):
        client = Scripted()
        await made(client, pair(1, ranks=ranks))
        asked.append([(r.system, r.content, r.sample, r.temperature) for r in client.requests])
    assert asked[0] == asked[1] == asked[2]


async def test_it_is_verified_in_both_orders_and_by_repeats_in_both():
    client = Scripted()
    _, rubric = await made(client, samples=2)
    assert texts(rubric) == ["The fox has four legs.", "The fur is red."]
    assert rubric.provenance["agreement"] == 1
    assert (rubric.provenance["prompt"], rubric.provenance["verified_with"]) == ("a red fox", "p1")
    assert all("The fox has four legs." in request.system for request in client.verdicts)
    first = [next(p.source for p in request.content if isinstance(p, Picture)) for request in client.verdicts]
    drawn = [(request.temperature, request.sample) for request in client.verdicts]
    assert Counter(zip(first, drawn, strict=True)) == {
        (image, draw): 1 for image in (b"A1", b"B1") for draw in ((None, 0), (0.7, 1), (0.7, 2))
    }


async def test_what_verified_the_rubric_is_what_the_judge_asks_anyway():
    client = Scripted()
    source = PerPromptRubrics(client)
    await RankingJudge(client, source).compare(pair(1), (0, 1))
    *before, last = client.requests
    assert any(
        (r.system, r.content, r.sample, r.temperature) == (last.system, last.content, last.sample, last.temperature)
        for r in before
    )


async def test_a_rubric_under_which_the_orders_disagree_is_written_anew_and_at_last_the_pair_has_none():
    client = Scripted(ranks=first_wins)
    _, rubric = await made(client, max_attempts=3)
    assert rubric is None
    assert [(r.temperature, r.sample) for r in client.writes] == [(0.0, 0), (0.7, 1), (0.7, 2)]
    assert len(client.verdicts) == 3 * 2
    assert len(client.requests) <= ZeroShotSettings(max_attempts=3).most_calls(prompts=1)


def wavering(request):
    """Under the white paw one repeat of four differs, under the black paw two, under another none."""
    differs = 1 if "white" in request.system else 2 if "black" in request.system else 0
    repeat = 2 * (request.sample - 1) + (consistent(request) == [2, 1])
    return consistent(request)[::-1] if request.temperature and repeat < differs else consistent(request)


async def test_the_rubric_with_the_highest_agreement_is_used_if_that_is_high_enough():
    written = [["The paw is white."], ["The paw is black."], ["The paw is grey."]]
    _, best = await made(Scripted(written, wavering))
    assert texts(best) == ["The paw is grey."]
    assert (best.provenance["attempt"], best.provenance["agreement"]) == (2, 1)
    _, good = await made(Scripted(written[:2], wavering), max_attempts=2)
    assert texts(good) == ["The paw is white."]
    assert good.provenance["agreement"] == pytest.approx(5 / 6, abs=1e-4)
    _, strict = await made(Scripted(written[:2], wavering), max_attempts=2, threshold=0.9)
    assert strict is None


async def test_a_failed_verdict_or_a_tie_counts_as_disagreement():
    def fails(request):
        return NoAnswer("gone", Spent(calls=2)) if request.temperature else consistent(request)

    source, rubric = await made(Scripted(ranks=fails))
    assert rubric is None
    assert source.take_usage(pair(1)).calls == 3 * (1 + 2 + 4 * 2)


@pytest.mark.parametrize(
    "said",
    [
        NoAnswer("the model refused: I cannot help", Spent(calls=1)),
        InvalidAnswer("never in the format", "Sorry", (), Spent(calls=2)),
        ["Image A is sharper.", "Image B has more legs.", "The first image is brighter."],
        ["It is beautiful.", "The quality is excellent."],
    ],
)
async def test_a_writer_that_gives_nothing_usable_is_asked_again_and_then_there_is_no_rubric(said):
    client = Scripted([said])
    source, rubric = await made(client, max_attempts=2)
    assert rubric is None
    assert (len(client.writes), len(client.verdicts)) == (2, 0)
    assert source.take_usage(pair(1)).calls == 2 * (said.spent.calls if isinstance(said, Exception) else 1)
    _, second = await made(Scripted([said, ["The fox has four legs."]]))
    assert texts(second) == ["The fox has four legs."]


async def test_criteria_that_repeat_or_that_no_judge_can_use_are_left_out():
    written = ["The fox has four legs.", "Image A has the better fur.", "The fox has four legs.", "It is beautiful."]
    written += ["Sharp.", "The fox is red, it must stand in snow, the sky must be blue, and the trees must be bare."]
    _, rubric = await made(Scripted([written]))
    assert texts(rubric) == ["The fox has four legs."]


async def test_pairs_of_one_prompt_asked_at_once_share_one_rubric_and_its_calls():
    client = Scripted()
    source = PerPromptRubrics(client)
    judge = RankingJudge(client, source)
    pairs = [pair(1), pair(2), pair(3, "a dog")]
    verdicts = await asyncio.gather(*(judge.compare(p, order) for p in pairs for order in ((0, 1), (1, 0))))
    assert len(client.writes) == 2
    assert sum(verdict.usage.calls for verdict in verdicts) == len(client.requests)
    assert len({verdict.rubric for verdict in verdicts}) == 1  # this writer always writes the same


async def test_edits_of_different_images_have_different_rubrics():
    client = Scripted()
    source = PerPromptRubrics(client)
    for one in (EDIT, replace(EDIT, id="e2", source_image=b"OTHER"), replace(EDIT, id="e3", images=(b"A3", b"B3"))):
        await source.rubric_for(one)
    assert len(client.writes) == 2


@pytest.mark.parametrize("first", [0, 1])
async def test_the_first_of_the_known_pairs_verifies_whichever_is_asked_for_first(first):
    pairs = [pair(1), pair(2)]
    known, unknown = (PerPromptRubrics(Scripted(), pairs=given) for given in (pairs, ()))
    assert (await known.rubric_for(pairs[first])).provenance["verified_with"] == "p1"
    assert (await unknown.rubric_for(pairs[first])).provenance["verified_with"] == pairs[first].id
    assert (known.verifiers, unknown.verifiers) == ({"p1"}, {pairs[first].id})


async def test_who_waits_for_a_rubric_writes_it_when_the_writer_was_cancelled():
    client = Scripted()
    source = PerPromptRubrics(client)
    tasks = [asyncio.create_task(source.rubric_for(pair(1))) for _ in range(2)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    assert texts(await tasks[1]) == ["The fox has four legs.", "The fur is red."]


async def test_guide_mode_and_the_purpose_are_shown_to_the_writer_alone():
    exemplar = Exemplar(prompt="a cat", preferred="one cat", dispreferred="two cats", rationale="numbers matter")
    client = Scripted()
    await made(client, exemplars=(exemplar,), description="covers of children's books")
    assert "numbers matter" in client.writes[0].system
    assert "covers of children's books" in client.writes[0].system
    assert not any("numbers matter" in request.system for request in client.verdicts)


async def test_a_spent_budget_comes_through_after_the_answers_in_flight_and_later_asks_try_again():
    def broke(request):
        return BudgetSpent("max_calls (3) is reached") if request.sample == 2 else consistent(request)

    client = Scripted(ranks=broke)
    source = PerPromptRubrics(client)
    for _ in range(2):
        with pytest.raises(BudgetSpent, match="max_calls"):
            await source.rubric_for(pair(1))
    assert source.take_usage(pair(1)).calls == 2 * (1 + 2 + 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"criteria": 0}, "criteria=0 must be at least 1"),
        ({"max_attempts": 0}, "max_attempts=0 must be at least 1"),
        ({"samples": -1}, "samples=-1 must be at least 0"),
        ({"threshold": 0.5}, r"threshold=0\.5 must be above 0\.5"),
        ({"temperature": 0}, "temperature=0 must be above 0"),
    ],
)
def test_settings_out_of_range_name_the_parameter(settings, message):
    with pytest.raises(ValueError, match=message):
        ZeroShotSettings(**settings)


def test_settings_are_in_the_identity():
    one, other = (PerPromptRubrics(Scripted(), ZeroShotSettings(samples=n)) for n in (1, 2))
    assert one.identity() != other.identity()
    assert one.name == "zero-shot"
    assert one.most_calls([pair(1), pair(2), pair(3, "a dog"), EDIT]) == 3 * 3 * (1 + 2 * 2)


@pytest.fixture(scope="module", params=["t2i", "edit"])
def world(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("worlds") / request.param
    make_world(11, request.param, 8, folder, test=True)
    settings = JudgeSettings.load(folder).model_copy(update={"broken_json": 0.0, "refusals": 0.0})
    with running_server(settings) as url:
        yield load(folder / "pairs.jsonl"), url


@pytest.fixture
def judged(world, tmp_path):
    """Evaluates zero-shot with one run folder and one cache for each `name`."""
    pairs, url = world

    async def run(name, limits=None):
        cache = tmp_path / f"{name}.sqlite"
        async with connect(url, cache=cache, sampling=Sampling(seed=0), limits=limits or Limits()) as client:
            source = PerPromptRubrics(client, pairs=pairs)
            options = {"dataset": "t/test.jsonl", "out": tmp_path / name, "client": client, "rubric": source}
            try:
                return await evaluate(pairs, RankingJudge(client, source), **options), client.usage
            except BudgetSpent:
                return None, client.usage

    return run


async def test_the_embedded_world_writes_rubrics_for_prompts_and_a_stopped_run_asks_nothing_twice(judged, world):
    whole, usage = await judged("whole")
    assert whole.results.calls == usage.calls > 16
    assert whole.without_rubric < 8
    rubrics = load_library(whole.path / "rubrics")
    assert all(rubric.provenance["recipe"] == "zero-shot" for rubric in rubrics)
    assert {rubric.provenance["prompt"] for rubric in rubrics} <= {pair.prompt for pair in world[0]}
    stopped, first = await judged("parts", Limits(max_calls=usage.calls // 2))
    assert stopped is None
    resumed, second = await judged("parts")
    assert first.calls + second.calls == usage.calls
    assert resumed.results.accuracy == whole.results.accuracy
    assert {r.hash for r in load_library(resumed.path / "rubrics")} == {r.hash for r in rubrics}
    again, third = await judged("parts")
    assert (again.judged, third.calls) == (0, 0)
