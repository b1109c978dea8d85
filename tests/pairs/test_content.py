"""Which comparisons show the same, and which of these contradict each other."""

from itertools import permutations

import pytest

from workbench.pairs.comparison import Comparison
from workbench.pairs.content import contents, contradictory
from workbench.pairs.identity import dataset_identity


def pair(id, images, ranks=(1, 2), prompt="a fox", source=None):
    return Comparison(id, "edit" if source else "t2i", prompt, images, source, ranks)


def contrary(*comparisons):
    return contradictory(comparisons, contents(comparisons))


@pytest.fixture
def files(tmp_path):
    """Three pictures and a copy of the first, by name."""
    data = {"one.png": b"one", "two.png": b"two", "three.png": b"three", "copy.png": b"one"}
    for name, written in data.items():
        (tmp_path / name).write_bytes(written)
    return [str(tmp_path / name) for name in data]


def test_the_same_pictures_under_other_names_are_the_same(files):
    one, two, three, copy = files
    seen = contents([pair("a", (one, two)), pair("b", (two, copy), prompt=" A  Fox"), pair("c", (one, three))])
    assert seen["a"] != seen["b"]
    assert seen["a"].unordered == seen["b"].unordered != seen["c"].unordered
    assert contrary(pair("a", (one, two)), pair("b", (copy, two), (2, 1))) == ("a", "b")


def test_candidates_swapped_with_their_ranks_are_the_same_label():
    assert contrary(pair("a", (b"1", b"2"), (1, 2)), pair("b", (b"2", b"1"), (2, 1))) == ()
    assert contrary(pair("a", (b"1", b"2"), (1, 2)), pair("b", (b"2", b"1"), (1, 2))) == ("a", "b")


def test_another_prompt_and_another_source_are_another_question():
    images = (b"1", b"2")
    assert contrary(pair("a", images), pair("b", images, (2, 1), "a dog")) == ()
    assert contrary(pair("a", images, source=b"s"), pair("b", images, (2, 1), source=b"t")) == ()
    assert contrary(pair("a", images, source=b"s"), pair("b", images, (2, 1), source=b"s")) == ("a", "b")


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_of_three_candidates_every_order_of_one_ranking_agrees_and_of_another_does_not(order):
    first = pair("a", (b"1", b"2", b"3"), (1, 2, 3))
    images = tuple(first.images[i] for i in order)
    assert contrary(first, pair("b", images, tuple((1, 2, 3)[i] for i in order))) == ()
    assert contrary(first, pair("b", images, tuple((1, 3, 2)[i] for i in order))) == ("a", "b")


def test_part_of_a_ranking_contradicts_it_ties_and_unlabelled_ones_do_not():
    ranked = pair("a", (b"1", b"2", b"3"), (1, 2, 3))
    assert contrary(ranked, pair("b", (b"1", b"3"), (2, 1)), pair("c", (b"2", b"3"))) == ("a", "b")
    assert contrary(ranked, pair("b", (b"1", b"3"), (1, 1)), pair("c", (b"1", b"3"), None)) == ()


def test_an_image_that_cannot_be_read_is_known_by_its_name():
    url, other, gone = "https://nowhere.invalid/1.png", "https://nowhere.invalid/2.png", "/nowhere/3.png"
    assert contrary(pair("a", (url, gone)), pair("b", (gone, url))) == ("a", "b")
    assert contrary(pair("a", (url, gone)), pair("b", (gone, other))) == ()


def test_each_image_is_read_once(files, monkeypatch):
    one, two, three, _ = files
    read = []

    def reading(source, *, allow_urls=False):
        read.append(source)
        return b"x"

    monkeypatch.setattr("workbench.pairs.content.read_bytes", reading)
    comparisons = [pair("a", (one, two), source=three), pair("b", (two, one), source=three)]
    contents(comparisons)
    assert sorted(read) == sorted([one, two, three])
    read.clear()
    dataset_identity("data/test.jsonl", comparisons)
    assert sorted(read) == sorted([one, two, three])


@pytest.mark.parametrize(("file", "name"), [("data/test.jsonl", "data-test"), ("test.jsonl", "test")])
def test_a_dataset_is_called_after_its_file_and_the_folder_that_is_given(file, name):
    assert dataset_identity(file, [pair("a", (b"1", b"2"))])["name"] == name
