"""Other orders, other words, other labels."""

import json

import pytest

from workbench.audit.variants import from_coin_flips, paraphrased, reordered
from workbench.pairs.comparison import Comparison
from workbench.rubrics.rubric import Criterion, Level, Rubric, Theme
from workbench.vlm.request import Reply
from workbench.vlm.settings import Sampling


def rubric(count=3):
    levels = (Level(0, "no"), Level(1, "yes"))
    criteria = tuple(Criterion(f"c{i}", f"Text {i}.", weight=i + 1, levels=levels) for i in range(count))
    return Rubric(
        "mine", "t2i", (Theme("One", 2.0, criteria), Theme("Two", 1.0, (Criterion("off", "x", enabled=False),)))
    )


class Writer:
    """Answers by what is asked: `written` criteria, the label's ranks or none of them, and one group of all."""

    def __init__(self, written=("a", "b", "c"), tips=("a",)):
        self.written, self.tips = list(written), list(tips)
        self.sampling = Sampling()
        self.requests = []

    def identity(self):
        return {"model": "scripted"}

    async def ask(self, request):
        self.requests.append(request)
        kind = next(key for key in ("rubrics", "categories", "rank") if key in request.answer.schema["properties"])
        text = "\n".join(part for part in request.content if isinstance(part, str))
        stated = text.split("best): ")[1].splitlines()[0] if kind == "rank" else "[]"
        data = {
            "rubrics": {"rubrics": self.written, "reason": ""},
            "rank": {"reason": "", "rank": json.loads(stated)},
            "categories": {"categories": [{"theme": "All", "tips": self.tips}], "reason": ""},
        }[kind]
        return Reply(request.answer.parse(data), data, "", key="k")


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


async def test_coin_flips_take_the_place_of_labels_whatever_these_are():
    def pairs(ranks):
        return [Comparison(f"p{i}", "t2i", "a dog", (b"a", b"b"), ranks=ranks) for i in range(30)]

    async def labels_shown(ranks, seed):
        writer = Writer(tips=["a", "b", "c", "d", "e"])
        made = await from_coin_flips(
            rubric(), pairs(ranks), writer, pairs=20, epochs=2, seed=seed, record=lambda _: None
        )
        assert [c.text for c in made.enabled_criteria()] == ["a", "b", "c"]  # cut to the rubric's three
        assert len(made.provenance["seed_pairs"]) == 20
        texts = [part for r in writer.requests for part in r.content if isinstance(part, str) and "best): " in part]
        return [text.split("best): ")[1].splitlines()[0] for text in texts]

    one, other = await labels_shown((1, 2), seed=0), await labels_shown((2, 1), seed=0)
    assert one == other
    assert {"[1, 2]", "[2, 1]"} == set(one)
    assert one != await labels_shown((1, 2), seed=1)
