"""The blind recipe against the real judge of a small world: what it asks, what it leaves out, where it stops."""

from dataclasses import replace

import pytest

from workbench.induction.blind import BlindSettings, induce_blind, tried_first
from workbench.induction.errors import PartialRubric, SilentJudge
from workbench.induction.events import Event
from workbench.induction.pool import capped
from workbench.induction.seeds import EmptyRubric
from workbench.pairs.comparison import Comparison
from workbench.pairs.loading import load
from workbench.rubrics.rubric import Criterion, Theme
from workbench.shapes.judge.server import running_server
from workbench.shapes.judge.settings import JudgeSettings, WriterHabits
from workbench.shapes.world import make_world
from workbench.vlm.client import VlmClient
from workbench.vlm.errors import BudgetSpent, NoAnswer
from workbench.vlm.request import ChatRequest, Reply
from workbench.vlm.settings import Endpoint, Limits

PAIRS = 18


class Recording(VlmClient):
    """A client that remembers what it was asked, and in which state its budget was."""

    requests: list[ChatRequest]

    async def ask(self, request):
        self.__dict__.setdefault("requests", []).append(request)
        return await super().ask(request)

    def asked(self, key: str) -> list[ChatRequest]:
        return [each for each in self.requests if key in each.answer.schema["properties"]]


def text_of(request: ChatRequest) -> str:
    return "\n".join([request.system, *(part for part in request.content if isinstance(part, str))])


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worlds") / "seeds"
    make_world(21, "t2i", PAIRS, folder)
    return folder


@pytest.fixture(scope="module")
def seeds(world):
    return load(world / "pairs.jsonl")


@pytest.fixture(scope="module")
def judge(world):
    return JudgeSettings.load(world).model_copy(update={"broken_json": 0.0, "refusals": 0.0})


@pytest.fixture
def induced(tmp_path):
    """Induces with a judge of these settings; gives rubric, events and client."""

    async def run(seeds, judge, *, limits=Limits(), cache="c.sqlite"):
        events: list[Event] = []
        with running_server(judge) as url:
            async with Recording(Endpoint(url, judge.model_id), limits=limits, cache=tmp_path / cache) as client:
                rubric = await induce_blind(seeds, client, client, BlindSettings(), name="test", record=events.append)
        return rubric, events, client

    return run


async def test_the_judge_never_sees_the_label_and_sees_every_pair_in_both_orders(induced, seeds, judge):
    rubric, _, client = await induced(seeds, judge)
    judged = client.asked("rank")
    assert judged
    assert not any("uman ranking" in text_of(request) for request in judged)
    shown = [tuple(part.source for part in each.content if not isinstance(part, str)) for each in judged]
    assert {images[::-1] for images in shown} == set(shown)
    assert {frozenset(images) for images in shown} == {frozenset(seed.images) for seed in seeds}
    assert all("uman ranking" in text_of(each) for each in client.asked("rubrics") if len(each.content) > 1)
    assert rubric.provenance["recipe"] == "blind"


async def test_six_calls_a_pair_are_enough(induced, seeds, judge):
    _, _, client = await induced(seeds, judge)
    assert len(client.requests) <= BlindSettings().most_calls(PAIRS) <= 6 * PAIRS
    assert client.usage.calls <= 6 * PAIRS


@pytest.mark.parametrize("pairs", [1, 2, 3, 5, 20, 60, 100, 1000])
def test_no_number_of_pairs_is_promised_more_than_six_calls_each(pairs):
    assert BlindSettings().most_calls(pairs) <= 6 * pairs
    assert tried_first(pairs) <= pairs


async def test_the_judges_own_words_go_into_the_revision_and_what_is_revised_is_verified(induced, seeds, judge):
    _, events, client = await induced(seeds, judge)
    revisions = [text_of(each) for each in client.asked("rubrics") if "Feedback:" in text_of(each)]
    assert revisions
    reasons = {event.reason for event in events if event.step == "verified" and event.epoch == 0}
    assert any(reason and reason in revision for reason in reasons for revision in revisions)
    revised = {text for event in events if event.step == "revised" for text in event.rubrics}
    pooled = {event.epoch: event.rubrics for event in events if event.step == "structured"}
    verified = "\n".join(text_of(each) for each in client.asked("criteria"))
    assert any(text in verified for text in revised & set(pooled[1]))


async def test_the_finished_rubric_is_verified_and_says_what_it_did_on_the_seeds(induced, seeds, judge):
    rubric, events, _client = await induced(seeds, judge)
    last = [event for event in events if event.step == "verified" and event.epoch == 2]
    assert {event.pair_id for event in last} == {seed.id for seed in seeds}
    chosen = rubric.provenance["chosen"]
    assert chosen["kept"] in ("selected", "pool")
    assert 0 <= chosen["selected"] <= 1
    assert sum(event.step == "kept" for event in events) == 1


async def test_criteria_carry_weights_and_what_each_is_worth(induced, seeds, judge):
    rubric, _, _ = await induced(seeds, judge)
    kept = rubric.enabled_criteria()
    assert 1 <= len(kept) <= 8
    if "selection" in rubric.provenance:
        assert set(rubric.provenance["selection"]["criteria"]) == {criterion.id for criterion in kept}
    assert [criterion.id for criterion in kept] == [f"c{i}" for i in range(1, len(kept) + 1)]


async def test_the_same_seed_gives_the_same_rubric_and_asks_nothing_twice(induced, seeds, judge):
    first, _, _ = await induced(seeds, judge)
    again, _, client = await induced(seeds, judge)
    assert again.hash == first.hash
    assert client.usage.calls == 0


async def test_no_criterion_names_a_candidate_praises_or_repeats_its_prompt(induced, seeds, judge):
    careless = judge.model_copy(update={"writer": WriterHabits(naming=0.5, vagueness=0.4, duplicates=0.4)})
    rubric, events, client = await induced(seeds, careless)
    screened = {event.detail for event in events if event.step == "screened"}
    assert {"comparative", "vague"} <= screened
    judged = "\n".join(text_of(each).split("<rubric>")[1].split("</rubric>")[0] for each in client.asked("rank"))
    assert "Image 1" not in judged
    texts = [criterion.text for criterion in rubric.enabled_criteria()]
    assert len(texts) == len(set(texts))


async def test_a_writer_that_only_names_images_leaves_nothing_and_the_message_says_why(induced, seeds, judge):
    naming = judge.model_copy(update={"writer": WriterHabits(naming=1.0)})
    with pytest.raises(EmptyRubric, match=r"no criterion was left of \d+ written .* comparative"):
        await induced(seeds[:4], naming)


async def test_a_writer_that_refuses_leaves_nothing_and_the_message_says_why(induced, seeds, judge):
    with pytest.raises(EmptyRubric, match=r"4 without an answer"):
        await induced(seeds[:4], judge.model_copy(update={"refusals": 1.0}))


@pytest.mark.parametrize("count", [1, 2, 3])
async def test_very_few_seed_pairs_still_give_a_rubric(induced, seeds, judge, count):
    rubric, _, _client = await induced(seeds[:count], judge)
    assert rubric.enabled_criteria()
    assert rubric.provenance["counts"]["seed_pairs"] == count


async def test_ties_and_contradictions_are_set_aside_by_name(induced, seeds, judge):
    turned = replace(seeds[0], id="turned", ranks=seeds[0].ranks[::-1])
    swapped = replace(seeds[1], id="swapped", images=seeds[1].images[::-1], ranks=seeds[1].ranks)
    tied = replace(seeds[2], id="tied", ranks=(1, 1))
    rubric, events, _client = await induced([*seeds[:6], turned, swapped, tied], judge)
    aside = rubric.provenance["set_aside"]
    assert set(aside) == {seeds[0].id, "turned", seeds[1].id, "swapped", "tied"}
    assert "also labelled the other way" in aside["turned"]
    assert {event.pair_id for event in events if event.step == "dropped"} == set(aside)
    assert "contradictory" in aside["swapped"]


async def test_labels_that_are_all_ties_are_refused(induced, seeds, judge):
    with pytest.raises(ValueError, match=r"none of 3 seed pairs can be learned from .*tied"):
        await induced([replace(seed, ranks=(1, 1)) for seed in seeds[:3]], judge)


async def test_a_winner_always_in_first_place_is_shown_to_the_writer_in_either(induced, seeds, judge):
    sorted_seeds = [
        seed if seed.ranks == (1, 2) else replace(seed, images=seed.images[::-1], ranks=(1, 2)) for seed in seeds
    ]
    _, _, client = await induced(sorted_seeds, judge)
    written = [text_of(each) for each in client.asked("rubrics") if "Feedback:" not in text_of(each)]
    first = sum("[1, 2]" in text for text in written)
    assert 3 <= first <= len(written) - 3


async def test_a_budget_that_ends_anywhere_leaves_what_there_is_marked_partial(induced, seeds, judge):
    stages = set()
    for calls in (1, 7, 9, 14, 25, 40):
        with pytest.raises(PartialRubric) as stopped:
            await induced(seeds[:8], judge, limits=Limits(max_calls=calls), cache=f"{calls}.sqlite")
        rubric = stopped.value.rubric
        stages.add(rubric.provenance["partial"].split("not done: ")[1])
        assert 1 <= len(rubric.enabled_criteria()) <= 8
        assert rubric.render()
    assert len(stages) >= 3


async def test_a_partial_induction_goes_on_with_a_larger_budget(induced, seeds, judge):
    with pytest.raises(PartialRubric, match=r"not done: .*verifying the result"):
        await induced(seeds[:8], judge, limits=Limits(max_calls=12))
    whole, _, rest = await induced(seeds[:8], judge)
    alone, _, undisturbed = await induced(seeds[:8], judge, cache="other.sqlite")
    assert "partial" not in whole.provenance
    assert whole.hash == alone.hash
    assert 12 + rest.usage.calls == undisturbed.usage.calls


def test_a_cap_takes_the_first_of_every_theme_before_the_second_of_any():
    themes = [
        Theme("A", criteria=(Criterion("c1", "one"), Criterion("c2", "two"))),
        Theme("B", criteria=(Criterion("c3", "three"),)),
        Theme("C", criteria=(Criterion("c4", "four"), Criterion("c5", "five"))),
    ]
    assert [c.id for theme in capped(themes, 4) for c in theme.criteria] == ["c1", "c2", "c3", "c4"]
    assert [c.id for theme in capped(themes, 2) for c in theme.criteria] == ["c1", "c3"]


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="criteria=0 must be at least 1"):
        BlindSettings(criteria=0)


async def test_seeds_without_labels_are_named(induced, judge):
    with pytest.raises(ValueError, match="seed pairs without ranks: p"):
        await induced([Comparison("p", "t2i", "a red circle", (b"a", b"b"))], judge)


async def test_a_budget_that_ends_before_the_first_answer_leaves_no_rubric(induced, seeds, judge):
    with pytest.raises(BudgetSpent):
        await induced(seeds[:2], judge, limits=Limits(max_calls=0))


class Spoiled(Recording):
    """A client whose verdicts all fail, or whose grouping is made up."""

    rank_fails = False
    grouped = ()

    async def ask(self, request):
        properties = request.answer.schema["properties"]
        if self.rank_fails and "rank" in properties:
            raise NoAnswer("the server answered 500 six times")
        if self.grouped and "categories" in properties:
            data = {"categories": [{"theme": "Made up", "tips": list(self.grouped)}], "reason": ""}
            return Reply(request.answer.parse(data), data, "", key="made-up")
        return await super().ask(request)


async def spoiled(seeds, judge, **how):
    with running_server(judge) as url:
        async with Spoiled(Endpoint(url, judge.model_id), cache=None) as client:
            client.__dict__.update(how)
            events: list[Event] = []
            rubric = await induce_blind(seeds, client, client, BlindSettings(), name="x", record=events.append)
            return rubric, events


async def test_a_judge_that_never_answers_gives_no_rubric(seeds, judge):
    with pytest.raises(SilentJudge, match=r"18 of 18 verdicts of the judge failed.*the server answered"):
        await spoiled(seeds[:9], judge, rank_fails=True)


async def test_what_a_writer_makes_up_while_grouping_is_screened_too(seeds, judge):
    made_up = (
        "Image 1 is much better than image 2.",
        "The edges of shapes are crisp.",
        "Edges of the shapes look crisp!",
    )
    rubric, events = await spoiled(seeds[:9], judge, grouped=made_up)
    assert [criterion.text for criterion in rubric.enabled_criteria()] == ["The edges of shapes are crisp."]
    assert {"comparative", "redundant"} <= {event.detail for event in events if event.step == "screened"}
