"""Labels by coin flip."""

from workbench.pairs.comparison import Comparison
from workbench.pairs.labels import coin_flips


def pair(id, ranks, scores=None):
    images = tuple(f"{n}.png" for n in range(len(ranks or (1, 2))))
    return Comparison(str(id), "t2i", "a red circle", images, ranks=ranks, scores=scores)


def test_every_label_is_tossed_whatever_it_was():
    pairs = [pair(i, (1, 2)) for i in range(200)]
    flipped = coin_flips(pairs, seed=1)
    assert [(each.id, each.images) for each in flipped] == [(each.id, each.images) for each in pairs]
    assert 70 < sum(each.ranks == (1, 2) for each in flipped) < 130  # 100 +- 4 standard deviations of 7.1
    assert coin_flips(pairs, seed=1) == flipped != coin_flips(pairs, seed=2)


def test_of_three_candidates_every_ranking_comes_and_no_other():
    flipped = coin_flips([pair(i, (1, 2, 3)) for i in range(200)], seed=0)
    assert len({each.ranks for each in flipped}) == 6
    assert all(sorted(each.ranks) == [1, 2, 3] for each in flipped)


def test_ties_and_missing_labels_stay_and_scores_go():
    tied, unlabelled, scored = coin_flips([pair(1, (1, 1)), pair(2, None), pair(3, (1, 2), (5.0, 3.0))], seed=0)
    assert (tied.ranks, unlabelled.ranks, scored.scores) == ((1, 1), None, None)
