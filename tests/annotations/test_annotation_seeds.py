import pytest
from said import everything, pair, says

from workbench.annotations.seeds import labelled
from workbench.induction.seeds import usable_seeds
from workbench.pairs.comparison import Comparison
from workbench.pairs.loading import load
from workbench.pairs.writing import write_jsonl

PAIRS = [pair(i) for i in range(6)]
# p0: all say b; p1: two of three say a; p2: one each; p3: a tie; p4: only skips; p5: nobody
SAID = [
    *everything("ada", "baats"),
    *everything("ben", "babts"),
    *everything("cho", "bbtts"),
    says("ada", "gone", "a"),
]


def ranks(found) -> dict[str, tuple[int, ...]]:
    return {each.id: each.ranks for each in found.comparisons}


def test_the_majority_decides_and_what_it_leaves_open_is_left_out_and_counted():
    found = labelled(PAIRS, SAID)
    assert ranks(found) == {"p0": (2, 1), "p1": (1, 2), "p3": (1, 1)}
    assert (found.ties, found.unresolved, found.skipped, found.unlabelled, found.orphans) == (1, ("p2",), ("p4",), 1, 1)
    assert "3 labelled pairs, 1 of them ties" in found.summary()
    assert "1 unresolved, 1 skipped, 1 without a label" in found.summary()


def test_unanimous_and_one_persons_labels():
    assert ranks(labelled(PAIRS, SAID, rule="unanimous")) == {"p0": (2, 1), "p3": (1, 1)}
    cho = labelled(PAIRS, SAID, rule="cho")
    assert ranks(cho) == {"p0": (2, 1), "p1": (2, 1), "p2": (1, 1), "p3": (1, 1)}
    assert (cho.ties, cho.skipped) == (2, ("p4",))
    with pytest.raises(ValueError, match=r"rule is 'eve'.*choose one of majority, unanimous, ada, ben, cho"):
        labelled(PAIRS, SAID, rule="eve")


def test_of_several_candidates_the_one_named_is_first():
    three = Comparison("p0", "t2i", "three", (b"1", b"2", b"3"), ranks=(1, 2, 3), scores=(3.0, 2.0, 1.0))
    (found,) = labelled([three], [says("ada", "p0", "c")]).comparisons
    assert (found.ranks, found.scores) == ((2, 2, 1), None)


def test_what_is_written_is_read_back_and_taken_for_an_induction(tmp_path):
    write_jsonl(labelled(PAIRS, SAID).comparisons, tmp_path / "seeds.jsonl")
    seeds = load(tmp_path / "seeds.jsonl", check_images=False)
    usable = usable_seeds(seeds)
    assert [each.id for each in usable.pairs] == ["p0", "p1"]
    assert list(usable.aside) == ["p3"]
