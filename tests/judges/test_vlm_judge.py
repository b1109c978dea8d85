"""Judges, with a scripted client in place of a server: what they ask, and what becomes of the answers."""

import math

import pytest
from scripted_client import ScriptedClient, ranks, shown, tokens

from workbench.judges.vlm_judge import RankingJudge, ScoringJudge
from workbench.pairs.comparison import Comparison
from workbench.rubrics.rubric import Criterion, Rubric, Theme
from workbench.vlm.errors import InvalidAnswer, NoAnswer, Spent, StopRun, WrongKey

RUBRIC = Rubric(
    name="counts",
    task="t2i",
    themes=(
        Theme("Number", criteria=(Criterion("c1", "As many objects as asked for."), Criterion("c2", "No extra ones."))),
        Theme("Off", criteria=(Criterion("c3", "Never shown.", enabled=False),)),
    ),
)
PAIR = Comparison("p", "t2i", "two red circles", (b"A", b"B"), ranks=(1, 2))
EDIT = Comparison("e", "edit", "make it blue", (b"A", b"B"), source_image=b"BASE", ranks=(1, 2))
THREE = Comparison("t", "t2i", "a dog", (b"A", b"B", b"C"), ranks=(1, 2, 3))


async def test_the_system_text_holds_all_that_never_changes_and_images_come_before_the_prompt():
    client = ranks(1, 2)
    judge = RankingJudge(client, RUBRIC)
    await judge.compare(PAIR, (0, 1))
    await judge.compare(Comparison("q", "t2i", "another prompt", (b"C", b"D")), (1, 0))
    first, second = client.requests
    assert first.system == second.system
    assert "As many objects as asked for." in first.system
    assert "Never shown." not in first.system
    assert "two red circles" not in first.system
    assert shown(first) == ["Image 1:", "<A>", "Image 2:", "<B>", "Prompt: two red circles\n\nRank the 2 images."]
    assert shown(second)[:4] == ["Image 1:", "<D>", "Image 2:", "<C>"]


async def test_a_rubric_free_judge_is_told_no_criteria_and_differs_in_nothing_else():
    free, guided = ranks(1, 2), ranks(1, 2)
    await RankingJudge(free).compare(PAIR, (0, 1))
    await RankingJudge(guided, RUBRIC).compare(PAIR, (0, 1))
    assert "rubric" not in free.requests[0].system.lower()
    assert free.requests[0].content == guided.requests[0].content
    assert free.requests[0].answer.schema == guided.requests[0].answer.schema


async def test_an_edit_shows_its_base_image_first_and_says_which_it_is():
    client = ranks(1, 2)
    await RankingJudge(client).compare(EDIT, (1, 0))
    assert shown(client.requests[0]) == [
        "Image BASE (original image):", "<BASE>", "Edited image 1:", "<B>", "Edited image 2:", "<A>",
        "Edit instruction: make it blue\n\nRank the 2 images.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("order", "answered", "expected", "outcome"),
    [
        ((0, 1), (1, 2), (1, 2), "a"),
        ((1, 0), (1, 2), (2, 1), "b"),
        ((2, 0, 1), (1, 2, 3), (2, 3, 1), "c"),
        ((1, 2, 0), (3, 1, 2), (2, 3, 1), "c"),
    ],
)
async def test_ranks_come_back_in_the_datasets_order(order, answered, expected, outcome):
    verdict = await RankingJudge(ranks(*answered)).compare(THREE if len(order) == 3 else PAIR, order)
    assert (verdict.ranks, verdict.outcome) == (expected, outcome)


async def test_ties_are_asked_for_and_accepted_only_when_allowed():
    client = ranks(1, 1)
    verdict = await RankingJudge(client, ties=True).compare(PAIR, (0, 1))
    assert (verdict.ranks, verdict.outcome) == ((1, 1), "tie")
    assert "Ties are allowed" in client.requests[0].system
    strict = RankingJudge(client).request(PAIR, (0, 1))
    assert "each of the ranks 1 to 2 exactly once. Ties are not allowed." in strict.system
    with pytest.raises(ValueError, match="each exactly once"):
        strict.answer.parse({"reason": "", "rank": [1, 1]})


async def test_verdicts_on_each_criterion_are_asked_for_by_id_and_come_back_in_the_datasets_order():
    per_criterion = [{"id": "c1", "rank": [2, 1]}, {"id": "c2", "rank": [1, 2]}]
    client = ScriptedClient(lambda _: {"reason": "", "criteria": per_criterion, "rank": [1, 2]})
    verdict = await RankingJudge(client, RUBRIC, criteria=True).compare(PAIR, (1, 0))
    assert verdict.criteria == {"c1": (1, 2), "c2": (2, 1)}
    assert verdict.ranks == (2, 1)
    request = client.requests[0]
    assert list(request.answer.schema["properties"]) == ["reason", "criteria", "rank"]
    item = request.answer.schema["properties"]["criteria"]["items"]
    assert item["properties"]["id"]["enum"] == ["c1", "c2"]
    assert "c1" in request.system
    assert '"criteria"' in request.system


def test_criteria_without_a_rubric_are_refused():
    with pytest.raises(ValueError, match="criteria=True needs a rubric"):
        RankingJudge(ranks(1, 2), criteria=True)


async def test_exemplars_are_shown_beside_the_rubric_and_are_part_of_the_identity():
    client = ranks(1, 2)
    judge = RankingJudge(client, RUBRIC, exemplars="people chose the calmer picture")
    await judge.compare(PAIR, (0, 1))
    assert "people chose the calmer picture" in client.requests[0].system
    assert judge.identity() != RankingJudge(client, RUBRIC).identity()


def test_everything_that_decides_a_verdict_is_in_the_identity():
    client = ranks(1, 2)
    judges = [
        RankingJudge(client), RankingJudge(client, RUBRIC), RankingJudge(client, ties=True),
        RankingJudge(client, soft=True), RankingJudge(client, RUBRIC, criteria=True), ScoringJudge(client),
        ScoringJudge(client, RUBRIC), ScoringJudge(client, high=10),
    ]  # fmt: skip
    identities = [str(judge.identity()) for judge in judges]
    assert len(set(identities)) == len(judges)
    assert all("'model': 'scripted'" in identity for identity in identities)


# P("1") / (P("1") + P("2")) with P = 0.6 and 0.2 is 0.75.
LIKELY, UNLIKELY = math.log(0.6), math.log(0.2)


@pytest.mark.parametrize(
    ("answered", "order", "outcome"),
    [((1, 2), (0, 1), "a"), ((1, 2), (1, 0), "b"), ((2, 1), (0, 1), "b"), ((2, 1), (1, 0), "a")],
)
async def test_a_soft_verdict_is_the_probability_of_its_winner(answered, order, outcome):
    said, other = (str(rank) for rank in answered)
    parts = tokens('{"reason": "", "rank": [', (said, {said: LIKELY, other: UNLIKELY}), f", {other}]}}")
    client = ScriptedClient(lambda _: {"reason": "", "rank": list(answered)}, tokens=parts)
    verdict = await RankingJudge(client, soft=True).compare(PAIR, order)
    assert client.requests[0].logprobs
    assert verdict.outcome == outcome
    assert verdict.probability == pytest.approx(0.75)


async def test_a_tie_has_no_winner_whose_probability_could_be_told():
    parts = tokens('{"reason": "", "rank": [', ("1", {"1": LIKELY, "2": UNLIKELY}), ", 1]}")
    client = ScriptedClient(lambda _: {"reason": "", "rank": [1, 1]}, tokens=parts)
    verdict = await RankingJudge(client, soft=True, ties=True).compare(PAIR, (0, 1))
    assert (verdict.outcome, verdict.probability) == ("tie", None)


async def test_a_server_without_log_probabilities_gives_hard_verdicts_and_lists_are_never_soft():
    verdict = await RankingJudge(ranks(1, 2), soft=True).compare(PAIR, (0, 1))
    assert (verdict.outcome, verdict.probability) == ("a", None)
    assert not RankingJudge(ranks(1, 2, 3), soft=True).request(THREE, (0, 1, 2)).logprobs


async def test_what_was_said_and_what_it_took_are_kept():
    verdict = await RankingJudge(ranks(1, 2)).compare(PAIR, (0, 1))
    assert (verdict.reason, verdict.keys, verdict.cached) == ("seen", ("k1",), False)
    usage = verdict.usage
    assert (usage.calls, usage.input_tokens, usage.output_tokens, usage.cost_usd) == (1, 100, 10, 0.5)


SPENT = Spent(calls=2, input_tokens=7, output_tokens=3, cost_usd=0.25)
FAILURES = pytest.mark.parametrize(
    ("failure", "outcome", "keys"),
    [
        (NoAnswer("the server went away", SPENT), "error", ()),
        (InvalidAnswer("never in the format", "[1, 1]", ("k1", "k2"), SPENT), "invalid", ("k1", "k2")),
    ],
)


@FAILURES
@pytest.mark.parametrize("kind", [RankingJudge, ScoringJudge])
async def test_a_failure_is_no_vote_and_is_paid_for(kind, failure, outcome, keys):
    verdict = await kind(ScriptedClient(lambda _: failure)).compare(PAIR, (0, 1))
    assert (verdict.ranks, verdict.outcome, verdict.keys) == (None, outcome, keys)
    assert verdict.detail == str(failure)
    assert not verdict.cached


@FAILURES
async def test_the_usage_of_a_failed_call_is_counted(failure, outcome, keys):
    usage = (await RankingJudge(ScriptedClient(lambda _: failure)).compare(PAIR, (0, 1))).usage
    assert (usage.calls, usage.input_tokens, usage.output_tokens, usage.cost_usd) == (2, 7, 3, 0.25)


@pytest.mark.parametrize("kind", [RankingJudge, ScoringJudge])
@pytest.mark.parametrize("error", [StopRun("enough"), WrongKey("no")])
async def test_what_makes_going_on_pointless_is_raised(kind, error):
    with pytest.raises(type(error)):
        await kind(ScriptedClient(lambda _: error)).compare(PAIR, (0, 1))


def by_image(**scores):
    return ScriptedClient(lambda r: {"reason": shown(r)[1], "score": scores[shown(r)[1].strip("<>")]})


async def test_scores_rank_candidates_whatever_the_order_shown():
    for order in ((0, 1, 2), (2, 1, 0)):
        client = by_image(A=2, B=4.5, C=2)
        verdict = await ScoringJudge(client, RUBRIC).compare(THREE, order)
        assert verdict.ranks == (2, 1, 2)
        assert verdict.scores == (2.0, 4.5, 2.0)
        assert verdict.keys == ("k1", "k2", "k3")
        assert verdict.usage.calls == 3
        assert verdict.usage.cost_usd == pytest.approx(1.5)
    assert (await ScoringJudge(by_image(A=3, B=3)).compare(PAIR, (0, 1))).outcome == "tie"


async def test_a_scored_candidate_is_alone_with_its_base_image_and_prompt():
    client = by_image(A=1, B=2, BASE=0)
    request = ScoringJudge(client, RUBRIC, low=0, high=10).request(EDIT, 1)
    assert shown(request) == [
        "Image BASE (original image):", "<BASE>", "Edited image 1:", "<B>",
        "Edit instruction: make it blue\n\nScore the image.",
    ]  # fmt: skip
    assert "As many objects as asked for." in request.system
    assert "from 0 (worst) to 10 (best)" in request.system
    assert request.answer.schema["properties"]["score"] == {"type": "number", "minimum": 0, "maximum": 10}


async def test_one_failed_score_fails_the_comparison_and_what_the_others_took_is_counted():
    def script(request):
        return NoAnswer("gone", SPENT) if "<B>" in shown(request) else {"reason": "", "score": 3}

    verdict = await ScoringJudge(ScriptedClient(script)).compare(THREE, (0, 1, 2))
    assert (verdict.outcome, verdict.scores) == ("error", None)
    assert (verdict.usage.calls, verdict.usage.cost_usd) == (2 + 2, 0.25 + 1.0)


async def test_prompts_are_taken_verbatim_even_where_they_look_like_places_to_fill():
    client = ranks(1, 2)
    rubric = Rubric("odd", "t2i", (Theme("T", criteria=(Criterion("c1", "costs $5, see $task and ${rubric}"),)),))
    await RankingJudge(client, rubric).compare(Comparison("p", "t2i", "$basis {0} %s", (b"A", b"B")), (0, 1))
    assert "costs $5, see $task and ${rubric}" in client.requests[0].system
    assert shown(client.requests[0])[-1].startswith("Prompt: $basis {0} %s\n")
