"""Which seed pairs can be learned from, and that the planner says the same."""

import pytest

from workbench.induction.planner import plan_seeds
from workbench.induction.seeds import usable_seeds
from workbench.pairs.comparison import Comparison


def seed(id, images, ranks=(1, 2), prompt="a fox"):
    return Comparison(id, "t2i", prompt, images, ranks=ranks)


def test_what_is_set_aside_is_what_the_planner_calls_contradictory(tmp_path):
    for name, data in (("one.png", b"one"), ("two.png", b"two"), ("copy.png", b"one")):
        (tmp_path / name).write_bytes(data)
    one, two, copy = (str(tmp_path / name) for name in ("one.png", "two.png", "copy.png"))
    seeds = [
        seed("a", (one, two)),
        seed("b", (two, copy), prompt="A fox "),
        seed("same", (two, one), (2, 1)),
        seed("dog", (two, one), prompt="a dog"),
        seed("three", (b"1", b"2", b"3"), (1, 2, 3)),
        seed("part", (b"3", b"1")),
        seed("alone", (b"4", b"5")),
    ]
    usable = usable_seeds(seeds)
    assert [pair.id for pair in usable.pairs] == ["dog", "alone"]
    assert all(why.startswith("contradictory") for why in usable.aside.values())
    (note,) = [note for note in plan_seeds(seeds).notes if note.topic == "contradictory labels"]
    assert set(note.pair_ids) == set(usable.aside)


def test_ties_are_set_aside_and_leave_what_they_tie():
    usable = usable_seeds([seed("tied", (b"1", b"2"), (1, 1)), seed("a", (b"2", b"1"))])
    assert ([pair.id for pair in usable.pairs], list(usable.aside)) == (["a"], ["tied"])
    assert usable.task == "t2i"


def test_seeds_of_which_none_is_left_are_refused_with_the_reason():
    with pytest.raises(ValueError, match=r"none of 2 seed pairs can be learned from \(a: contradictory"):
        usable_seeds([seed("a", (b"1", b"2")), seed("b", (b"2", b"1"))])
