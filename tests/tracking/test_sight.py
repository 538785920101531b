"""How much of an animal is seen follows how much was seen."""

import numpy as np
import pytest

from sleap_lab.tracking.gaps import GAPS
from sleap_lab.tracking.sight import LEVELS, PRIOR, learn_sight

NONE = (np.zeros(0, dtype=int), np.zeros(0, dtype=int))


def poses_with(counts):
    """Poses of six nodes of which so many were found."""
    return np.where(np.arange(6) < np.array(counts)[:, None], 0j, np.nan)


def learned(counts, rows, others):
    pairs = [(np.array(rows), np.array(others))] + [NONE] * (len(GAPS) - 1)
    return learn_sight(poses_with(counts), pairs)


def test_shares_of_nodes_have_levels():
    assert learned([1, 2, 3, 4, 5, 6], [0], [1]).level.tolist() == list(range(LEVELS))


def test_the_cost_is_how_surprising_a_share_is_after_another():
    # Four whole poses and four of two nodes; each is followed by one like it.
    sight = learned([6, 6, 6, 6, 2, 2, 2, 2], [0, 1, 4, 5], [2, 3, 6, 7])
    usual = np.full(LEVELS, 1 / 6)
    usual[[5, 1]] += 4
    usual /= usual.sum()
    # Time may run either way, so there are four such links from each level.
    same = (4 + PRIOR * usual[5]) / (4 + PRIOR)
    other = PRIOR * usual[5] / (4 + PRIOR)
    cost = sight.cost(np.ones(2), np.array([0, 0]), np.array([1, 4]))
    assert cost == pytest.approx([-np.log(same / usual[5]), -np.log(other / usual[5])])


def test_what_does_not_follow_says_nothing_and_long_gaps_say_nothing():
    sight = learned([6, 2] * 8, [0, 1, 2, 3], [2, 4, 5, 7])  # 6-6, 2-6, 6-2, 2-2
    assert sight.cost(np.ones(2), np.array([0, 0]), np.array([2, 1])) == pytest.approx(0, abs=0.3)
    sight = learned([6, 6, 2, 2], [0, 2], [1, 3])
    assert sight.cost(np.full(2, 9.0), np.array([0, 0]), np.array([1, 2])).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("gap", "alike", "others"),
    [
        (1, [1], [2, 3]),
        (2, [2], [1, 3]),
        (4, [3, 4], [2, 5]),
        (6, [5, 8], [4, 9]),
        (12, [], [9, 12]),
    ],
)
def test_gaps_that_are_learned_together_tell_the_same_and_others_nothing(gap, alike, others):
    pairs = [NONE] * len(GAPS)
    pairs[GAPS.index(gap)] = (np.array([0, 2]), np.array([1, 3]))
    sight = learn_sight(poses_with([6, 6, 2, 2]), pairs)
    for each in alike:
        cost = sight.cost(np.full(2, each), np.array([0, 0]), np.array([1, 2]))
        assert cost[0] < 0 < cost[1]  # whole after whole is likely, two nodes after whole is not
    for each in others:
        assert sight.cost(np.full(1, each), np.array([0]), np.array([1])).tolist() == [0]
