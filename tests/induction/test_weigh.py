"""Weighing the criteria of a rubric of one's own, with the judge of a small world."""

from dataclasses import replace

import pytest

from workbench.induction.errors import SilentJudge
from workbench.induction.weigh import weigh
from workbench.pairs.loading import load
from workbench.rubrics.rubric import Criterion, Rubric, RubricError, Theme
from workbench.shapes.judge.server import running_server
from workbench.shapes.judge.settings import perfect
from workbench.shapes.world import make_world
from workbench.vlm.client import VlmClient
from workbench.vlm.errors import NoAnswer
from workbench.vlm.settings import Endpoint

PAIRS = 40
TEXTS = {
    "count": "The picture shows as many shapes as the prompt asks for.",
    "colour": "Each shape has the colour the prompt gives it.",
    "edges": "The edges of the shapes are sharp.",
    "blurred": "The edges of the shapes are blurred.",
}


class Failing(VlmClient):
    """A client whose judge fails on so many of the pairs, in both orders."""

    failing: frozenset = frozenset()

    async def ask(self, request):
        if self.failing & {part.source for part in request.content if not isinstance(part, str)}:
            raise NoAnswer("the server answered 500 six times")
        return await super().ask(request)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worlds") / "seeds"
    make_world(7, "t2i", PAIRS, folder)
    return load(folder / "pairs.jsonl")


@pytest.fixture(scope="module")
def base_url():
    with running_server(perfect("t2i")) as url:
        yield url


def rubric(**provenance):
    criteria = tuple(Criterion(name, text) for name, text in TEXTS.items())
    return Rubric("mine", "t2i", (Theme("Looks", weight=2, criteria=criteria),), provenance)


async def weighed(pairs, base_url, mine=None, failing=()):
    async with Failing(Endpoint(base_url, perfect("t2i").model_id), cache=None) as client:
        client.failing = frozenset(failing)
        return await weigh(mine or rubric(), pairs, client)


async def test_what_people_decide_by_is_kept_and_weighed_and_the_rest_is_off_and_says_why(pairs, base_url):
    found = await weighed(pairs, base_url)
    kept = {criterion.id for criterion in found.rubric.enabled_criteria()}
    assert kept == set(found.selection.weights)
    assert "blurred" not in kept  # people of world 7 like sharp edges
    assert found.dropped["blurred"] == "people's choice goes against it more often than with it"
    assert found.agreement["blurred"] == -found.agreement["edges"]
    assert [criterion.id for theme in found.rubric.themes for criterion in theme.criteria] == list(TEXTS)


async def test_the_weighed_rubric_names_its_parent_and_keeps_what_makes_it_mean_less(pairs, base_url):
    parent = rubric(partial="the budget ended", evidence={"verdict": "helps"}, seed_pairs=["old"])
    found = await weighed(pairs, base_url, parent)
    provenance = found.rubric.provenance
    assert provenance["parent"]["hash"] == parent.hash
    assert provenance["partial"] == "the budget ended"
    assert "evidence" not in provenance
    assert provenance["seed_pairs"] == ["old", *(pair.id for pair in pairs)]


async def test_failed_verdicts_are_counted_and_their_pairs_have_no_vote(pairs, base_url):
    half = [pair.images[0] for pair in pairs[::2]]
    found = await weighed(pairs, base_url, failing=half)
    assert found.failed == len(pairs)
    assert found.separates["edges"] > 0.3  # of the pairs that were judged
    assert found.selection.accuracy.n == len(pairs) / 2


async def test_a_judge_that_never_answers_weighs_nothing(pairs, base_url):
    with pytest.raises(SilentJudge, match="80 of 80 verdicts of the judge failed"):
        await weighed(pairs, base_url, failing=[pair.images[0] for pair in pairs])


async def test_pairs_and_rubrics_that_cannot_be_weighed_are_refused(pairs, base_url):
    edit = replace(rubric(), task="edit")
    with pytest.raises(ValueError, match="edit"):
        await weighed(pairs, base_url, edit)
    with pytest.raises(ValueError, match="ties"):
        await weighed([replace(pairs[0], ranks=(1, 1))], base_url)
    empty = Rubric("mine", "t2i", (Theme("", criteria=(Criterion("c1", "x y", enabled=False),)),))
    with pytest.raises(RubricError, match="enable one"):
        await weighed(pairs, base_url, empty)
