"""What is said of comparisons that cannot be used."""

import pytest

from workbench.pairs.checks import check_images, check_ranked, check_task, one_task
from workbench.pairs.comparison import Comparison


def pair(id="p", ranks=(1, 2), task="t2i", images=(b"1", b"2")):
    return Comparison(id, task, "a fox", images, ranks=ranks)


def test_a_tie_is_two_candidates_of_one_rank():
    assert [pair(ranks=ranks).tied for ranks in ((1, 1), (1, 2, 2), (2, 1), (3, 1, 2), None)] == [
        True, True, False, False, False,
    ]  # fmt: skip


def test_ranked_comparisons_of_one_task_pass():
    assert check_ranked([pair("a"), pair("b", (2, 1))]) == one_task([pair()]) == "t2i"
    check_task([pair()], "mine", "t2i")
    check_images([pair(images=(b"",) * 26)])


@pytest.mark.parametrize(
    ("comparisons", "message"),
    [
        ([], "no seeds were given"),
        ([pair("a"), pair("b", None)], "1 of 2 seeds without ranks: b; label them, or leave them out"),
        ([pair("a", (1, 1)), pair("b")], "1 of 2 seeds with ties: a; decide which"),
        ([pair("a"), pair("b", task="edit")], "seeds of several tasks: edit, t2i"),
        ([pair("a", (1,), images=(b"1",))], "1 of 1 seeds without 2 to 26 images: a"),
        ([pair("a", tuple(range(1, 28)), images=(b"",) * 27)], "1 of 1 seeds without 2 to 26 images: a"),
        ([pair(f"p{i}", None) for i in range(9)], "9 of 9 seeds without ranks: p0, p1, p2, p3, p4 and 4 more"),
        ([pair("\x1b[2Jx", None)], r"ranks:  \[2Jx"),
    ],
)
def test_a_fault_names_how_many_and_which(comparisons, message):
    with pytest.raises(ValueError, match=message):
        check_ranked(comparisons, "seeds")


def test_a_rubric_for_another_task_is_named():
    with pytest.raises(ValueError, match="rubric 'mine' is for task edit, the pairs are of task t2i"):
        check_task([pair()], "mine", "edit", "pairs")
