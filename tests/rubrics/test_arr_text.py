"""ARR's rubric text is read as the themes it means and written back byte for byte."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from workbench.rubrics.arr_text import parse_arr_text, to_arr_text
from workbench.rubrics.rubric import Criterion, Level, Rubric, RubricError, Theme

BLOCKS = """\
Rubric 1:
Theme: Prompt adherence: objects
- Tip1: Every object is there: none is missing.
- Tip2: Größe und Farbe 颜色 stimmen.

Rubric 2:
Theme: Nothing yet

Rubric 3:
Theme: Artifacts
- Tip1: No blur."""
ITEMS = "1. Every object is there.\n\n2. No blur: none.\nNot even a little.\n\n3. 颜色."


def parse(text: str) -> Rubric:
    return parse_arr_text(text, name="r", task="t2i")


def shape(rubric: Rubric) -> list[tuple[str, list[str]]]:
    return [(theme.name, [criterion.text for criterion in theme.criteria]) for theme in rubric.themes]


def test_blocks_become_themes() -> None:
    rubric = parse(BLOCKS)
    assert shape(rubric) == [
        ("Prompt adherence: objects", ["Every object is there: none is missing.", "Größe und Farbe 颜色 stimmen."]),
        ("Nothing yet", []),
        ("Artifacts", ["No blur."]),
    ]
    assert [criterion.id for criterion in rubric.enabled_criteria()] == ["c1", "c2", "c3"]
    assert to_arr_text(rubric) == BLOCKS


def test_numbered_lists_become_one_unnamed_theme() -> None:
    rubric = parse(ITEMS)
    assert shape(rubric) == [("", ["Every object is there.", "No blur: none.\nNot even a little.", "颜色."])]
    assert to_arr_text(rubric) == ITEMS


@pytest.mark.parametrize(
    "text",
    [
        "Prefer the sharper image.",
        "  Prefer it.\n\n\nReally.\n",
        "1. Only one item",
        "2. Starts at two\n\n3. Goes on",
        "Rubric 1:\n- Tip1: no theme",
        "Rubric 1:\nTheme: a\n- Tip1: x\n\nAnd a closing remark.",
        "Rubric 1:\nTheme: a\n- Tip1:  ",
        "Intro\n\n1. a\n\n2. b",
    ],
)
def test_other_text_is_kept_and_shown_byte_for_byte(text: str) -> None:
    rubric = parse(text)
    assert rubric.render() == text
    assert to_arr_text(rubric) == text


@pytest.mark.parametrize(
    "loose", [BLOCKS + "\n", "\n\n" + BLOCKS, BLOCKS.replace("\n", "\r\n"), BLOCKS.replace("\n\n", "\n\n\n")]
)
def test_loose_spacing_means_the_same(loose: str) -> None:
    assert shape(parse(loose)) == shape(parse(BLOCKS))


LINE = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40).filter(
    lambda s: bool(s.strip())
)
TIP = st.lists(LINE, min_size=1, max_size=3).map("\n".join)
GROUPS = st.lists(st.tuples(LINE, st.lists(TIP, max_size=3)), min_size=1, max_size=4)


def make(groups: list[tuple[str, list[str]]]) -> Rubric:
    ids = iter(range(1, 100))
    themes = (Theme(name, 1.0, tuple(Criterion(f"c{next(ids)}", tip) for tip in tips)) for name, tips in groups)
    return Rubric("r", "t2i", tuple(themes))


@settings(deadline=None)
@given(groups=GROUPS | st.lists(TIP, min_size=2, max_size=4).map(lambda tips: [("", tips)]))
def test_what_is_written_is_read_again(groups: list[tuple[str, list[str]]]) -> None:
    rubric = make(groups)
    try:
        text = to_arr_text(rubric)
    except RubricError:
        marks = ("Rubric", "Theme", "- Tip", "1", "2", "3", "4")
        assume(not any(line.startswith(marks) for _, tips in groups for tip in tips for line in tip.split("\n")))
        raise
    assert parse(text) == rubric
    assert to_arr_text(parse(text)) == text


@settings(deadline=None)
@given(text=st.text(st.sampled_from("ab \n:-.123") | st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_text_is_a_rubric_that_keeps_its_words(text: str) -> None:
    assume(text.strip())
    rubric = parse(text)
    if rubric.themes[0].criteria and rubric.themes[0].criteria[0].id == "text":
        assert rubric.render() == text
    else:
        assert all(criterion.text in text for theme in rubric.themes for criterion in theme.criteria)


@pytest.mark.parametrize(
    "theme",
    [
        Theme("a", 2, (Criterion("c1", "x"),)),
        Theme("a", 1, (Criterion("c1", "x", weight=2),)),
        Theme("a", 1, (Criterion("c1", "x", enabled=False),)),
        Theme("a", 1, (Criterion("c1", "x", levels=(Level(1, "a"), Level(0, "b"))),)),
        Theme("a", 1, (Criterion("c1", "x\n\ny"),)),
        Theme("a", 1, (Criterion("c1", "x\n- Tip2: y"),)),
        Theme("a\nb", 1, (Criterion("c1", "x"),)),
    ],
)
def test_what_the_text_cannot_hold_is_refused(theme: Theme) -> None:
    with pytest.raises(RubricError, match=r"cannot hold .*: save its render\(\) as .txt"):
        to_arr_text(Rubric("r", "t2i", (theme,)))


def test_a_rubric_of_nothing_is_refused() -> None:
    with pytest.raises(RubricError, match="cannot hold"):
        to_arr_text(Rubric("r", "t2i", ()))
    with pytest.raises(RubricError, match="is empty"):
        parse(" \n")
