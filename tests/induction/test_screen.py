"""Which criteria are screened out, and as what."""

import pytest

from workbench.induction.answers import Group
from workbench.induction.pool import screened
from workbench.induction.screen import screen, screen_each


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Both hands have five fingers.", ""),
        ("Sharp.", "too short"),
        ("It is beautiful.", "vague"),
        ("Image B is sharper.", "comparative"),
        ("The red fox has four legs.", "about this prompt"),
    ],
)
def test_a_criterion_is_refused_with_its_reason(text, why):
    assert screen(text, "a red fox in snow") == why


def test_of_those_alike_the_first_that_can_be_used_stays():
    texts = ["Image A has sharp edges.", "The edges are sharp.", "Edges of objects look sharp.", "Nothing is cropped."]
    assert [why for _, why in screen_each(texts)] == ["comparative", "", "redundant", ""]
    assert [why for _, why in screen_each(texts, ["Nothing is cropped."])][-1] == "redundant"


def test_groups_share_what_is_known_and_empty_ones_go():
    groups = [Group("A", ("The edges are sharp.",)), Group("B", ("Edges of objects look sharp.",))]
    refused = []
    assert screened(groups, [], lambda text, why: refused.append(why)) == groups[:1]
    assert refused == ["redundant"]
