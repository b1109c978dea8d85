"""What a judge is shown of a rubric, and when two rubrics are the same."""

import math
from dataclasses import replace

import pytest

from workbench.rubrics.rubric import Criterion, Level, Rubric, RubricError, Theme

COUNT = Criterion("c1", "Three circles.", weight=2, levels=(Level(1, "three"), Level(0, "any other number")))
COLOR = Criterion("c2", "They are red.\nAll of them.")
HIDDEN = Criterion("c3", "Nobody looks at this.", enabled=False)
RUBRIC = Rubric("r", "t2i", (Theme("Content", 3, (COUNT, HIDDEN)), Theme("Look", 1, (COLOR,)), Theme("Empty")))


def with_criterion(criterion: Criterion) -> Rubric:
    return replace(RUBRIC, themes=(Theme("Content", 3, (criterion, HIDDEN)), *RUBRIC.themes[1:]))


def test_render_shows_what_counts() -> None:
    assert RUBRIC.render() == (
        "## Content (weight 3)\n"
        "- Three circles. (weight 2)\n"
        "    1: three\n"
        "    0: any other number\n"
        "\n"
        "## Look\n"
        "- They are red.\n"
        "  All of them."
    )
    assert "- [c1] Three circles. (weight 2)" in RUBRIC.render(ids=True)
    assert [criterion.id for criterion in RUBRIC.enabled_criteria()] == ["c1", "c2"]


def test_free_text_is_shown_verbatim_unless_ids_are_asked_for() -> None:
    text = "  Look closely.\n\n- Trust nobody.\n"
    rubric = Rubric("r", "t2i", (Theme("", criteria=(Criterion("text", text),)),))
    assert rubric.render() == text
    assert rubric.render(ids=True).startswith("- [text] Look closely.")
    weighed = replace(rubric, themes=(replace(rubric.themes[0], weight=2),))
    assert weighed.render().startswith("## Criteria (weight 2)\n- Look closely.")


@pytest.mark.parametrize(
    "rubric",
    [
        Rubric("empty", "t2i", ()),
        Rubric("disabled", "t2i", (Theme("a", criteria=(HIDDEN,)),)),
        Rubric("weightless", "t2i", (Theme("a", criteria=(replace(COLOR, weight=0),)),)),
        Rubric("weightless theme", "t2i", (Theme("a", 0, (COLOR,)),)),
    ],
    ids=lambda rubric: rubric.name,
)
def test_a_rubric_that_says_nothing_is_not_rendered(rubric: Rubric) -> None:
    with pytest.raises(RubricError, match=f"{rubric.name} has no enabled criterion"):
        rubric.render()


@pytest.mark.parametrize(
    "same",
    [
        replace(RUBRIC, name="other", task="edit", provenance={"model": "x"}),
        with_criterion(replace(COUNT, id="renamed", source="p1")),
        with_criterion(replace(COUNT, weight=2.0)),
        replace(RUBRIC, themes=RUBRIC.themes[:2]),
        replace(RUBRIC, themes=(replace(RUBRIC.themes[0], criteria=(COUNT,)), *RUBRIC.themes[1:])),
    ],
)
def test_what_a_judge_does_not_see_leaves_the_hash(same: Rubric) -> None:
    assert same.hash == RUBRIC.hash
    assert same.render() == RUBRIC.render()


@pytest.mark.parametrize(
    "other",
    [
        with_criterion(replace(COUNT, text="Four circles.")),
        with_criterion(replace(COUNT, weight=3)),
        with_criterion(replace(COUNT, levels=())),
        with_criterion(replace(COUNT, levels=(Level(2, "three"), Level(0, "any other number")))),
        with_criterion(replace(COUNT, enabled=False)),
        replace(RUBRIC, themes=(replace(RUBRIC.themes[0], name="Matter"), *RUBRIC.themes[1:])),
        replace(RUBRIC, themes=(replace(RUBRIC.themes[0], weight=1), *RUBRIC.themes[1:])),
        replace(RUBRIC, themes=RUBRIC.themes[::-1]),
    ],
)
def test_what_a_judge_sees_changes_the_hash(other: Rubric) -> None:
    assert other.hash != RUBRIC.hash
    assert other.render() != RUBRIC.render()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Criterion("c1", "x", weight=-1), "c1 has weight -1"),
        (lambda: Criterion("c1", "x", weight=math.nan), "c1 has weight nan"),
        (lambda: Theme("t", weight=math.inf), "'t' has weight inf"),
        (lambda: Criterion("c1", "  "), "c1 has no text"),
        (lambda: Criterion("", "x"), "must be one word"),
        (lambda: Criterion("a b", "x"), "must be one word"),
        (lambda: Criterion("c1", "x", levels=(Level(1, "a"),)), "at least two"),
        (lambda: Criterion("c1", "x", levels=(Level(1, "a"), Level(1, "b"))), "different scores"),
        (lambda: Rubric("r", "t2i", (Theme("a", 1, (COUNT,)), Theme("b", 1, (COUNT,)))), "more than once: c1"),
    ],
)
def test_impossible_rubrics_are_refused(make: object, says: str) -> None:
    with pytest.raises(RubricError, match=says):
        make()  # type: ignore[operator]
