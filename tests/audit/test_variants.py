"""Other orders, other words, other labels."""

import json
from dataclasses import replace

import pytest

from workbench.audit.variants import coin_flip_settings, from_coin_flips, paraphrased, reordered
from workbench.pairs.comparison import Comparison
from workbench.rubrics.rubric import Criterion, Level, Rubric, Theme
from workbench.vlm.request import Picture, Reply
from workbench.vlm.settings import Limits, Sampling


def rubric(count=3):
    levels = (Level(0, "no"), Level(1, "yes"))
    criteria = tuple(Criterion(f"c{i}", f"Text {i}.", weight=i + 1, levels=levels) for i in range(count))
    return Rubric(
        "mine", "t2i", (Theme("One", 2.0, criteria), Theme("Two", 1.0, (Criterion("off", "x", enabled=False),)))
    )


def kind(request):
    return next(key for key in ("rubrics", "categories", "rank") if key in request.answer.schema["properties"])


def label_shown(request):
    """The ranks of people that a request states; empty where it states none."""
    texts = [part for part in request.content if isinstance(part, str) and "best): " in part]
    return texts[0].split("best): ")[1].splitlines()[0] if texts else ""


class Writer:
    """Answers by what is asked: `written` criteria, one group of `tips`, the label or else the image that ends in a."""

    def __init__(self, written=("a", "b", "c"), tips=("a",)):
        self.written, self.tips = list(written), list(tips)
        self.sampling, self.limits = Sampling(), Limits()
        self.requests = []

    def identity(self):
        return {"model": "scripted"}

    async def ask(self, request):
        self.requests.append(request)
        data = {"rubrics": self._write, "rank": self._rank, "categories": self._group}[kind(request)](request)
        return Reply(request.answer.parse(data), data, "", key="k")

    def _write(self, _):
        return {"rubrics": self.written, "reason": ""}

    def _group(self, _):
        return {"categories": [{"theme": "All", "tips": self.tips}], "reason": ""}

    def _rank(self, request):
        images = [part.source for part in request.content if isinstance(part, Picture)]
        ranks = json.loads(label_shown(request) or json.dumps([1 if name.endswith(b"a") else 2 for name in images]))
        asked = request.answer.schema["properties"].get("criteria")
        ids = asked["items"]["properties"]["id"]["enum"] if asked else ()
        return {"reason": "", "criteria": [{"id": id, "rank": ranks} for id in ids], "rank": ranks}


def test_another_order_keeps_every_criterion_and_weight():
    other = reordered(rubric(), seed=0)
    assert other.hash != rubric().hash
    assert sorted((c.id, c.text, c.weight) for c in other.enabled_criteria()) == sorted(
        (c.id, c.text, c.weight) for c in rubric().enabled_criteria()
    )
    assert {theme.name: theme.weight for theme in other.themes} == {"One": 2.0, "Two": 1.0}
    assert reordered(rubric(), seed=0) == other


def test_one_criterion_has_one_order():
    assert reordered(rubric(1), seed=0) is None


async def test_a_paraphrase_is_one_call_that_shows_every_criterion_and_changes_words_alone():
    writer = Writer()
    other = await paraphrased(rubric(), writer)
    (request,) = writer.requests
    assert request.content == ("1. Text 0.\n2. Text 1.\n3. Text 2.",)
    assert "exactly 3" in request.system
    assert [c.text for c in other.enabled_criteria()] == ["a", "b", "c"]
    assert [(c.id, c.weight, c.levels) for c in other.enabled_criteria()] == [
        (c.id, c.weight, c.levels) for c in rubric().enabled_criteria()
    ]


async def test_another_number_of_criteria_is_no_paraphrase():
    with pytest.raises(ValueError, match="has 2 criteria; it must have exactly 3"):
        await paraphrased(rubric(), Writer(written=("a", "b")))


def coin_pairs(ranks, count=30):
    return [
        Comparison(f"p{i}", "t2i", f"a dog, {i}", (f"{i}a".encode(), f"{i}b".encode()), ranks=ranks)
        for i in range(count)
    ]


async def coin_flipped(writer, ranks=(1, 2), *, seed=0, recipe="by hand"):
    audited = replace(rubric(), provenance={"recipe": recipe})
    return await from_coin_flips(audited, coin_pairs(ranks), writer, pairs=20, seed=seed, record=lambda _: None)


async def test_coin_flips_take_the_place_of_labels_whatever_these_are():
    async def labels_shown(ranks, seed):
        writer = Writer(tips=["a", "b", "c", "d", "e"])
        made = await coin_flipped(writer, ranks, seed=seed)
        assert [c.text for c in made.enabled_criteria()] == ["a", "b", "c"]  # cut to the rubric's three
        assert len(made.provenance["seed_pairs"]) == 20
        return [label_shown(request) for request in writer.requests if label_shown(request)]

    one, other = await labels_shown((1, 2), seed=0), await labels_shown((2, 1), seed=0)
    assert one == other
    assert {"[1, 2]", "[2, 1]"} == set(one)
    assert one != await labels_shown((1, 2), seed=1)


@pytest.mark.parametrize(("recipe", "used"), [("arr", "arr"), ("blind", "blind"), ("by hand", "arr"), (["x"], "arr")])
async def test_the_control_is_made_by_the_audited_rubrics_recipe(recipe, used):
    clear = ("Lines are sharp.", "All objects are there.", "Colours are bright.", "Edges are clean.")
    writer = Writer(written=clear, tips=clear)
    made = await coin_flipped(writer, recipe=recipe)
    assert made.provenance["recipe"] == used
    assert 1 <= len(made.enabled_criteria()) <= 3
    audited = replace(rubric(), provenance={"recipe": recipe})
    assert len(writer.requests) <= coin_flip_settings(audited, seed=0).most_calls(20)
    verifications = [request for request in writer.requests if kind(request) == "rank"]
    assert verifications
    assert all(bool(label_shown(request)) == (used == "arr") for request in verifications), "who sees the label"
