"""The cross-fit says no when a rubric cannot help, and yes when it does."""

from dataclasses import replace

import numpy as np
import pytest

from workbench.evaluation.statistics import paired_difference
from workbench.induction.blind import BlindSettings, induce_blind
from workbench.induction.evidence import cross_fit, deal, widened
from workbench.induction.seeds import EmptyRubric
from workbench.pairs.comparison import Comparison
from workbench.pairs.loading import load
from workbench.rubrics.rubric import Criterion, Rubric, Theme
from workbench.shapes.judge.server import running_server
from workbench.shapes.judge.settings import JudgeSettings, perfect
from workbench.shapes.world import make_world
from workbench.vlm.client import VlmClient
from workbench.vlm.errors import NoAnswer
from workbench.vlm.settings import Endpoint

PAIRS = 60


def rubric(*texts):
    return Rubric("test", "t2i", (Theme("", criteria=tuple(Criterion(f"c{i}", t) for i, t in enumerate(texts))),))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worlds") / "seeds"
    make_world(503, "t2i", PAIRS, folder)
    return folder


@pytest.fixture
def measured(world, tmp_path):
    """The evidence for a recipe with a judge of these settings."""

    async def run(recipe, judge, *, seeds=None, folds=5):
        with running_server(judge) as url:
            async with VlmClient(Endpoint(url, judge.model_id), cache=tmp_path / "c.sqlite") as client:
                pairs = load(world / "pairs.jsonl") if seeds is None else seeds
                return await cross_fit(pairs, lambda part: recipe(part, client), client, folds=folds)

    return run


async def blind(part, client):
    return await induce_blind(part, client, client, BlindSettings(), name="fold", record=lambda _: None)


async def test_a_recipe_that_helps_is_said_to_help_with_its_interval(measured, world):
    evidence = await measured(blind, JudgeSettings.load(world))
    assert evidence.verdict == "helps"
    low, high = evidence.gain.ci95
    assert 0 < low < evidence.gain.value < high
    assert evidence.gain.n == PAIRS
    assert evidence.folds == 5
    assert "helps: +" in evidence.sentence()
    assert "(synthetic)" in evidence.sentence()
    assert evidence.to_json()["gain"]["smallest_detectable"] > 0


async def test_a_judge_that_ignores_rubrics_is_undecided_and_is_said_to_ignore_them(measured, world):
    deaf = JudgeSettings.load(world).model_copy(update={"compliance": 0.0})
    evidence = await measured(blind, deaf)
    assert evidence.verdict == "undecided"
    assert evidence.gain.value == 0
    assert evidence.changed == 0
    assert "100% of the verdicts are the same with and without it: this judge may ignore rubrics" in evidence.sentence()


async def test_a_rubric_that_misleads_is_said_to_hurt(measured):
    async def misleading(part, client):
        return rubric("The number of objects is not the one the prompt asks for.", "Colours differ from the prompt.")

    evidence = await measured(misleading, perfect("t2i"))
    assert evidence.verdict == "hurts"
    assert evidence.gain.value < 0


async def test_no_rubric_is_judged_on_a_prompt_it_was_induced_from(measured, world):
    seeds = load(world / "pairs.jsonl")
    seen: list[set[str]] = []

    async def recipe(part, client):
        seen.append({pair.prompt for pair in part})
        return rubric("The picture shows what the prompt asks for.")

    await measured(recipe, perfect("t2i"))
    prompts = {pair.prompt for pair in seeds}
    assert len(seen) == 5
    left_out = [prompts - part for part in seen]
    assert set.union(*left_out) == prompts
    assert sum(map(len, left_out)) == len(prompts)


async def test_a_part_that_leaves_no_criterion_is_judged_without_a_rubric_and_counted(measured):
    async def never(part, client):
        raise EmptyRubric("nothing survived")

    evidence = await measured(never, perfect("t2i"))
    assert evidence.empty_folds == 5
    assert evidence.gain.value == 0
    assert evidence.verdict == "undecided"


async def test_one_prompt_can_prove_nothing(measured, world):
    seeds = load(world / "pairs.jsonl")
    same = [pair for pair in seeds if pair.prompt == seeds[0].prompt]
    evidence = await measured(blind, perfect("t2i"), seeds=same)
    assert evidence.verdict == "undecided"
    assert evidence.folds == 0
    assert "two prompts at least" in evidence.sentence()


async def test_pairs_a_recipe_sets_aside_do_not_water_the_gain_down(measured, world):
    seeds = load(world / "pairs.jsonl")
    tied = [replace(pair, id=f"tied-{pair.id}", ranks=(1, 1)) for pair in seeds[:20]]

    async def recipe(part, client):
        return rubric("The picture shows what the prompt asks for.")

    clean = await measured(recipe, perfect("t2i"))
    watered = await measured(recipe, perfect("t2i"), seeds=[*seeds, *tied])
    assert watered.gain == clean.gain


class Failing(VlmClient):
    """A client whose judge fails under a rubric on some pairs."""

    async def ask(self, request):
        pictures = [part.source for part in request.content if not isinstance(part, str)]
        if "<rubric>" in request.system and sum(map(ord, str(min(pictures)))) % 4:
            raise NoAnswer("the server answered 500 six times")
        return await super().ask(request)


async def test_a_server_that_fails_under_the_rubric_does_not_make_the_rubric_hurt(world):
    async def recipe(part):
        return rubric("The picture shows what the prompt asks for.")

    judge = perfect("t2i")
    with running_server(judge) as url:
        async with Failing(Endpoint(url, judge.model_id), cache=None) as client:
            evidence = await cross_fit(load(world / "pairs.jsonl"), recipe, client)
    assert evidence.failed > 10
    assert evidence.gain.ci95[1] < 0  # with every failure counted as not right
    assert evidence.gain.verdict == evidence.verdict == "undecided"
    assert f"{evidence.failed} verdicts failed and count as not right" in evidence.sentence()


async def test_two_pairs_are_undecided_and_no_gain_could_have_been_shown(measured, world):
    seeds = load(world / "pairs.jsonl")
    pair = next(each for each in seeds if each.prompt != seeds[0].prompt)
    evidence = await measured(blind, JudgeSettings.load(world), seeds=[seeds[0], pair])
    assert evidence.verdict == "undecided"
    assert "so few pairs cannot show any gain" in evidence.sentence()


def test_intervals_are_widened_for_what_overlapping_seeds_share():
    plain = paired_difference([0.0] * 20, [1.0] * 8 + [0.0] * 12, np.arange(20))
    wide = widened(plain, 5)
    assert wide.value == plain.value
    assert wide.ci95[1] - wide.ci95[0] == pytest.approx(1.5 * (plain.ci95[1] - plain.ci95[0]))  # sqrt(1 + 5/4) = 1.5
    assert wide.smallest_detectable == pytest.approx(1.5 * plain.smallest_detectable)
    clear = paired_difference([0.0] * 20, [1.0] * 14 + [0.0] * 6, np.arange(20))
    assert widened(clear, 5).verdict == "better"
    close = paired_difference([0.0] * 20, [1.0] * 5 + [0.0] * 15, np.arange(20))
    assert (close.verdict, widened(close, 5).verdict) == ("better", "undecided")


def test_parts_hold_whole_prompts_and_are_of_about_one_size():
    pairs = [Comparison(f"p{i}", "t2i", f"prompt {i // 3}", (b"a", b"b"), ranks=(1, 2)) for i in range(30)]
    parts = deal(pairs, 5, np.random.default_rng(0))
    assert [len(part) for part in parts] == [6] * 5
    assert len({frozenset(pair.prompt for pair in part) for part in parts}) == 5
