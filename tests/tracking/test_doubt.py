import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.tracking import doubt
from sleap_lab.tracking.assign import greedy, hungarian
from sleap_lab.tracking.doubt import (
    beyond_doubt,
    body_length,
    decided,
    exchangeable,
    has_twin,
    in_order,
    tied,
)

NAN, INF = np.nan, np.inf
GAP = [NAN, NAN]


def test_the_body_is_as_long_as_the_median_diagonal_of_poses_that_have_one():
    poses = [[[0, 0], [3, 4]], [[0, 0], [6, 8]], [[0, 0], [30, 40]], [[1, 1], GAP]]
    assert body_length(make_poses(Skeleton(("a", "b")), poses)) == 10


def test_poses_without_an_extent_are_a_third_as_long_as_the_way_to_the_nearest_other():
    points = [[[0, 0]], [[6, 8]], [[0, 0]], [[30, 40]]]
    point = Skeleton(("a",))
    assert body_length(make_poses(point, points, frame=[0, 0, 1, 1])) == pytest.approx(10)
    assert body_length(make_poses(point, points, frame=[0, 1, 2, 3])) == INF
    # Frames of a single animal tell nothing: (0, 0) and (6, 8) are 10 px apart.
    points = [[[0, 0]], [[6, 8]], [[9, 9]], [[1, 1]], [[2, 2]]]
    assert body_length(make_poses(point, points, frame=[0, 0, 1, 2, 3])) == pytest.approx(10 / 3)


def test_poses_that_are_there_twice():
    pose = [[0, 0], [1, 2], GAP]
    others = [[[0, 0], [1, 3], GAP], [[0, 0], GAP, [1, 2]], [[9, 0], [1, 2], GAP]]
    found = has_twin(np.array([pose, *others, pose], dtype=float))
    assert found.tolist() == [True, False, False, False, True]


def test_distances_decide_where_costs_are_equal():
    nothing_said = np.zeros((2, 2))  # every OKS is 0
    crossed = np.array([[9.0, 1.0], [1.0, 9.0]])
    np.testing.assert_allclose(decided(nothing_said, crossed, 0.1), 0.1 * crossed)
    said = np.array([[-0.9, -0.0], [-0.0, -0.8]])
    _, columns = hungarian(decided(said, crossed, 0.01))
    assert columns.tolist() == [0, 1]  # 0.18 - 1.7 is less than 0.02


def test_pairs_that_cannot_be_compared_come_last_and_the_nearest_of_them_first():
    cost = np.array([[-0.5, INF, INF], [INF, INF, INF]])
    distances = np.array([[1, 2, 3], [NAN, 5, 4.0]])
    table = decided(cost, distances, 0.1)
    np.testing.assert_allclose(table, [[-0.4, 12, 13], [INF, 15, 14]])  # 10 more than the largest


@pytest.mark.parametrize(
    ("cost", "doubtful"),
    [
        ([[0, 5], [5, 0]], [False, False]),
        ([[1, 1], [1, 1]], [True, True]),  # the pairs can be exchanged
        ([[1, 2], [2, 3]], [True, True]),  # 1 + 3 = 2 + 2
        ([[1], [1]], [True]),  # the other detection is as near
        ([[1, 1]], [True]),  # the other track is as near
        ([[1, 1.1]], [False]),
        ([[INF, INF], [INF, INF]], [True, True]),
        ([[0, INF], [INF, INF]], [False, False]),
        ([[INF, INF], [2, 4]], [False, False]),
        ([[0, 5], [5, 1], [0, 9]], [True, False]),  # the third detection is as near as the first
        ([[0, 5, 0], [5, 1, 9]], [True, False]),
    ],
)
def test_pairs_that_could_be_others_at_no_cost(cost, doubtful):
    cost = np.array(cost, dtype=float)
    pairs = hungarian(cost)
    assert exchangeable(cost, pairs).tolist() == doubtful
    assert not (beyond_doubt(cost, pairs) and any(doubtful))


def test_what_is_cheapest_in_its_row_and_column_is_beyond_doubt():
    for cost, clear in (
        ([[0, 5], [5, 0]], True),
        ([[0, 5], [5, 0], [6, 7]], True),
        ([[0, 5], [5, 2], [6, 2]], False),
        ([[0, 0], [5, 2]], False),
        ([[1, 2], [1.5, 10]], False),  # has to be looked at
    ):
        table = np.array(cost, dtype=float)
        assert beyond_doubt(table, hungarian(table)) == clear


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32 - 1), st.sampled_from([2, 9, 99]))
def test_beyond_doubt_is_told_alike_of_few_and_many(k, t, seed, grid):
    cost = np.random.default_rng(seed).integers(0, grid, (k, t)).astype(float)
    cost[cost == 1] = INF
    cost[cost == 2] = 3 + doubt.TIE / 2  # no more than a tie with 3
    rows, columns = hungarian(cost)
    expected = all(
        sum(other <= cost[row, column] + doubt.TIE for other in cost[row]) == 1
        and sum(other <= cost[row, column] + doubt.TIE for other in cost[:, column]) == 1
        for row, column in zip(rows, columns, strict=True)
    )
    assert beyond_doubt(cost, (rows, columns)) == expected


@pytest.mark.parametrize(
    ("cost", "doubtful"),
    [
        ([[0, 5], [5, 0]], [False, False]),
        ([[1, 2], [1.5, 10]], [False, False]),  # though 2 + 1.5 would be less than 1 + 10
        ([[1, 1], [5, 9]], [True, False]),  # once one is taken the rest is no choice
        ([[1, 3], [2, 3]], [False, False]),  # the cost 3 of a row that is taken is no other choice
        ([[1], [1]], [True]),
    ],
)
def test_the_cheapest_pairs_that_were_not_the_only_cheapest(cost, doubtful):
    cost = np.array(cost, dtype=float)
    assert tied(cost, greedy(cost)).tolist() == doubtful


@given(st.permutations(range(6)))
def test_the_order_of_detections_is_their_score_then_their_place(shuffled):
    x = np.array([0, 50, 20, 20, NAN, 10])
    scores = np.array([0.5, 0.9, 0.9, 0.9, 0.9, 0.2])
    y = np.array([0, 0, 8, 3, NAN, 0])
    order = np.array(shuffled)
    poses = make_poses(
        Skeleton(("a",)),
        np.stack([x, y], axis=1)[order],
        instance_scores=scores[order],
        user=(np.arange(6) == 5)[order],
    )
    rows = in_order(poses, np.arange(6))
    assert order[rows].tolist() == [5, 3, 2, 1, 4, 0]
