"""The placebo: as long and as many, and about nothing."""

from pathlib import Path

import pytest

from workbench.audit.placebo import neutral_sentences, placebo_rubric
from workbench.rubrics.files import load_rubric
from workbench.rubrics.rubric import Criterion, Level, Rubric, Theme

RUBRICS = Path(__file__).parents[2] / "rubrics"


def word_count(rubric):
    """Words a judge is shown, levels included."""
    texts = [text for c in rubric.enabled_criteria() for text in (c.text, *(level.text for level in c.levels))]
    return sum(len(text.split()) for text in texts)


@pytest.mark.parametrize("name", ["t2i_general", "edit_general", "shapes_t2i_arr", "shapes_edit_handwritten"])
def test_a_placebo_has_the_criteria_weights_and_length_of_its_rubric_and_none_of_its_words(name):
    rubric = load_rubric(RUBRICS / f"{name}.yaml")
    placebo = placebo_rubric(rubric, seed=0)
    assert [(c.id, c.weight) for c in placebo.enabled_criteria()] == [
        (c.id, c.weight) for c in rubric.enabled_criteria()
    ]
    assert word_count(placebo) == pytest.approx(word_count(rubric), rel=0.2)
    for criterion in placebo.enabled_criteria():
        assert all(f"{sentence}." in neutral_sentences() for sentence in criterion.text.rstrip(".").split(". "))
    assert not {theme.name for theme in placebo.themes if theme.name} & {theme.name for theme in rubric.themes}


def test_the_seed_decides_and_levels_and_disabled_criteria_are_counted_as_a_judge_sees_them():
    levels = (Level(0, "one two three four five six seven eight nine ten"), Level(1, "eleven twelve"))
    shown = Criterion("c1", "Look here.", levels=levels)
    rubric = Rubric("r", "edit", (Theme("", criteria=(shown, Criterion("c2", "Hidden.", enabled=False))),))
    assert word_count(rubric) == 14
    placebo = placebo_rubric(rubric, seed=0)
    assert [c.id for c in placebo.enabled_criteria()] == ["c1"]
    assert 10 <= word_count(placebo) <= 18
    assert placebo.task == "edit"
    assert placebo.hash == placebo_rubric(rubric, seed=0).hash != placebo_rubric(rubric, seed=1).hash


def test_sentences_are_used_up_before_one_is_used_again():
    criteria = tuple(
        Criterion(f"c{i}", "one two three four five six seven eight") for i in range(len(neutral_sentences()))
    )
    placebo = placebo_rubric(Rubric("r", "t2i", (Theme("", criteria=criteria),)), seed=0)
    texts = [c.text for c in placebo.enabled_criteria()]
    assert len(set(texts)) == len(texts)
