import numpy as np
import pytest

from sleap_lab.tracking.assign import greedy, hungarian

INF = np.inf


def pairs(match, cost):
    rows, columns = match(np.array(cost, dtype=float))
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def test_hungarian_takes_the_smallest_total_greedy_the_smallest_first():
    cost = [[1, 2], [1.5, 10]]
    assert pairs(hungarian, cost) == [(0, 1), (1, 0)]  # 2 + 1.5 < 1 + 10
    assert pairs(greedy, cost) == [(0, 0), (1, 1)]


def test_order_of_the_pairs():
    cost = [[3, 9], [9, 1]]
    assert pairs(hungarian, cost) == [(0, 0), (1, 1)]  # by row
    assert pairs(greedy, cost) == [(1, 1), (0, 0)]  # by cost


@pytest.mark.parametrize("match", [hungarian, greedy])
@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        ([[INF, 1], [2, INF]], {(0, 1), (1, 0)}),
        ([[INF, INF], [INF, 5]], {(0, 0), (1, 1)}),  # impossible pairs fill up
        ([[INF, INF]], {(0, 0)}),  # even where nothing is possible
        ([[5], [1], [3]], {(1, 0)}),  # more rows than columns
        ([[5, 1, 3]], {(0, 1)}),
        ([[-5, -1], [-1, -5]], {(0, 0), (1, 1)}),
    ],
)
def test_pairs(match, cost, expected):
    assert set(pairs(match, cost)) == expected


def test_hungarian_prefers_possible_pairs_to_small_totals():
    # pairing both rows costs 100 + 100, leaving one impossible must not look cheaper
    assert pairs(hungarian, [[100, 1], [INF, 100]]) == [(0, 0), (1, 1)]


def test_greedy_takes_the_first_of_equals():
    assert pairs(greedy, [[0, 0], [0, 0]]) == [(0, 0), (1, 1)]


def test_an_impossible_pair_costs_more_than_possible_ones_that_cost_nothing():
    assert pairs(hungarian, [[INF, 0, 0], [0, INF, 0]]) == [(0, 1), (1, 0)]
    assert pairs(hungarian, [[INF, 0], [0, 0]]) == [(0, 1), (1, 0)]


def test_of_equal_costs_the_first_are_taken():
    rows, columns = greedy(np.zeros((9, 9)))
    assert rows.tolist() == columns.tolist() == list(range(9))
