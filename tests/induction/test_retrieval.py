"""The rubric of the nearest prompts: which are near, what is merged, and what is refused."""

import pytest

from workbench.induction.retrieval import Neighbour, RetrievedRubrics, merge
from workbench.pairs.comparison import Comparison
from workbench.rubrics.rubric import Criterion, Rubric, Theme


def rubric(prompt, *texts, task="t2i", name="r", theme="", **criterion):
    criteria = tuple(Criterion(f"c{i}", text, **criterion) for i, text in enumerate(texts, start=1))
    return Rubric(name, task, (Theme(theme, criteria=criteria),), {"prompt": prompt})


def pair(prompt, ranks=(1, 2), task="t2i"):
    return Comparison("p", task, prompt, (b"A", b"B"), ranks=ranks)


FOX = rubric("a red fox in deep snow", "The fox has four legs.", "Snow lies on the ground.", name="fox")
WOLF = rubric("a grey wolf in deep snow", "The wolf has two ears.", "Snow lies on the ground.", name="wolf")
CITY = rubric("skyline of Tokyo at night, neon signs", "Signs are lit.", name="city")
LIBRARY = (FOX, WOLF, CITY)


def texts(found):
    return [criterion.text for criterion in found.enabled_criteria()]


async def test_the_nearest_prompts_rubric_is_given_and_says_which_that_was():
    source = RetrievedRubrics(LIBRARY)
    found = await source.rubric_for(pair("a red fox in snow"))
    assert texts(found) == texts(FOX)
    assert found.hash == FOX.hash
    (used,) = found.provenance["nearest"]
    assert (used["prompt"], used["rubric"]) == (FOX.provenance["prompt"], FOX.hash)
    assert 0.5 < used["similarity"] < 1
    assert texts(await source.rubric_for(pair("neon signs in Tokyo"))) == ["Signs are lit."]


async def test_misspelt_and_inflected_words_are_near_by_their_letters():
    assert texts(await RetrievedRubrics(LIBRARY).rubric_for(pair("foxes, redd"))) == texts(FOX)


async def test_several_rubrics_are_merged_nearest_first_without_repeats_and_with_new_ids():
    found = await RetrievedRubrics(LIBRARY, k=2).rubric_for(pair("a grey wolf in deep snow"))
    assert texts(found) == ["The wolf has two ears.", "Snow lies on the ground.", "The fox has four legs."]
    assert [(c.id, c.source) for c in found.enabled_criteria()] == [("c1", "wolf"), ("c2", "wolf"), ("c3", "fox")]
    first, second = found.provenance["nearest"]
    assert (first["similarity"], first["prompt"], second["prompt"]) == (
        1.0,
        "a grey wolf in deep snow",
        "a red fox in deep snow",
    )


def test_themes_of_one_name_and_weight_become_one_and_what_is_off_stays_out():
    near = [
        Neighbour(rubric("a", "Edges are crisp.", theme="Form", weight=2.0), 0.9),
        Neighbour(rubric("b", "Lines are straight.", theme="Form"), 0.8),
        Neighbour(rubric("c", "It glows.", theme="Light"), 0.7),
        Neighbour(rubric("d", "It is dark.", theme="Off", enabled=False), 0.6),
    ]
    merged = merge(near)
    assert [(t.name, [(c.text, c.weight) for c in t.criteria]) for t in merged.themes] == [
        ("Form", [("Edges are crisp.", 2.0), ("Lines are straight.", 1.0)]),
        ("Light", [("It glows.", 1.0)]),
    ]


async def test_a_prompt_unlike_any_other_has_no_rubric():
    source = RetrievedRubrics(LIBRARY)
    assert await source.rubric_for(pair("Quantenphysik")) is None
    assert await RetrievedRubrics(LIBRARY, least_similarity=0).rubric_for(pair("Quantenphysik")) is not None
    assert await source.rubric_for(pair("")) is None


async def test_of_equally_near_prompts_the_librarys_first_is_taken():
    twins = [rubric("a fox", f"Criterion {word}.", name=word) for word in ("one", "two", "three")]
    for library in (twins, twins[::-1]):
        assert texts(await RetrievedRubrics(library).rubric_for(pair("a fox"))) == texts(library[0])


async def test_scripts_without_spaces_and_prompts_of_signs_work():
    source = RetrievedRubrics([rubric("雪の中の赤い狐", "狐がいる。"), rubric("!!!", "Three signs.")])
    assert texts(await source.rubric_for(pair("赤い狐"))) == ["狐がいる。"]
    assert texts(await source.rubric_for(pair("!!!"))) == ["Three signs."]


async def test_the_pairs_own_label_changes_nothing_and_nothing_is_asked():
    source = RetrievedRubrics(LIBRARY)
    found = [await RetrievedRubrics(LIBRARY).rubric_for(pair("a red fox", ranks)) for ranks in ((1, 2), (2, 1), None)]
    assert len({one.hash for one in found}) == 1
    assert source.take_usage(pair("a red fox")).calls == source.most_calls([pair("a red fox")]) == 0


def test_pairs_whose_prompt_is_in_the_library_are_counted():
    prompts = ["a red fox in deep snow", "A red  fox in deep snow", "a red fox"]
    assert RetrievedRubrics(LIBRARY).exact_hits([pair(prompt) for prompt in prompts]) == 2


def test_library_and_settings_are_in_the_identity():
    sources = [
        RetrievedRubrics(LIBRARY),
        RetrievedRubrics(LIBRARY, k=2),
        RetrievedRubrics(LIBRARY, least_similarity=0.5),
        RetrievedRubrics(LIBRARY[:2]),
        RetrievedRubrics([*LIBRARY[:2], rubric("another prompt", "Signs are lit.")]),
    ]
    assert len({str(source.identity()) for source in sources}) == len(sources)


@pytest.mark.parametrize(
    ("library", "options", "message"),
    [
        ([], {}, "library is empty"),
        ([FOX, rubric("x", "y z.", task="edit")], {}, "several tasks: edit, t2i"),
        ([Rubric("bare", "t2i", FOX.themes)], {}, "bare names no prompt"),
        ([FOX], {"k": 0}, "k=0 must be at least 1"),
        ([FOX], {"least_similarity": 1.5}, "least_similarity=1.5 must be from 0 to 1"),
    ],
)
def test_what_cannot_be_retrieved_from_is_refused(library, options, message):
    with pytest.raises(ValueError, match=message):
        RetrievedRubrics(library, **options)


async def test_a_comparison_of_another_task_is_refused_by_id():
    with pytest.raises(ValueError, match="library is for task t2i, comparison 'p' is of task edit"):
        await RetrievedRubrics(LIBRARY).rubric_for(pair("x", task="edit"))
