from functools import partial

import numpy as np
import pytest

from sleap_lab.poses.boxes import bounding_boxes
from sleap_lab.settings.config import TrackerConfig
from sleap_lab.settings.similarities import SIMILARITIES
from sleap_lab.tracking.features import FEATURES, keypoints
from sleap_lab.tracking.similarity import (
    BLOCK,
    EPSILON,
    MEASURES,
    cosine_sim,
    euclidean_dist,
    iou,
    largest,
    mean,
    node_distances,
    oks,
    pose_sizes,
    quantile,
    reduction,
    scoring,
)

NAN = np.nan
# Area 100: with σ = 0.025 the denominator is 0.05² · 2 · 100 = 0.5.
SQUARE = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], dtype=float)


def shifted(*shifts):
    """Squares moved to the right, as one track of len(shifts) candidates, (1, window, 4, 2)."""
    return np.stack([SQUARE + np.array([shift, 0]) for shift in shifts])[None]


def without_node(points, node):
    points = points.copy()
    points[..., node, :] = NAN
    return points


def test_oks_of_shifted_squares():
    scores = oks(SQUARE[None], shifted(0, 1, 2), 0.025)
    assert scores.shape == (1, 1, 3)
    np.testing.assert_allclose(scores[0, 0], [1, np.exp(-1 / 0.5), np.exp(-4 / 0.5)])
    assert mean(scores[..., 1:]).item() == pytest.approx(0.06784, abs=5e-6)


def test_oks_misses_count_in_the_candidate_only():
    hit = np.exp(-1 / 0.5)
    assert oks(SQUARE[None], without_node(shifted(1), 0), 0.025).item() == pytest.approx(
        3 / 4 * hit
    )
    # the three nodes left span the same box
    assert oks(without_node(SQUARE[None], 0), shifted(1), 0.025).item() == pytest.approx(hit)
    assert oks(
        without_node(SQUARE[None], 0), without_node(shifted(1), 1), 0.025
    ).item() == pytest.approx(2 / 3 * hit)


def test_oks_of_far_poses_is_the_kernel_to_the_last_bit():
    # exp(-745) is the smallest number there is, exp(-746) is 0
    shifts = np.sqrt(np.array([700, 745, 745.2, 746, 747, 1e6, np.inf]) * 0.5)
    kernel = np.exp((SQUARE[0, 0] - shifts) ** 2 / (-2 * (2 * 0.025) ** 2 * (100 + EPSILON)))
    scores = oks(SQUARE[None], shifted(*shifts), 0.025)[0, 0]
    np.testing.assert_array_equal(scores > 0, kernel > 0)
    np.testing.assert_allclose(scores, kernel, rtol=1e-9)
    assert oks(SQUARE[None], without_node(shifted(*shifts), 0), 0.025)[0, 0, 3:].max() == 0


def test_oks_is_scaled_by_the_detection():
    large = 2 * SQUARE  # distances to the small one: 0, 10, √200, 10; area 400
    expected = (1 + 2 * np.exp(-100 / 2) + np.exp(-200 / 2)) / 4
    assert oks(large[None], SQUARE[None, None], 0.025).item() == pytest.approx(expected)


def test_oks_of_many_poses_is_that_of_each():
    rng = np.random.default_rng(0)
    detections, candidates = rng.random((50, 20, 2)), rng.random((10, 50, 20, 2))
    detections[rng.random((50, 20)) < 0.2] = np.nan
    assert candidates.size > BLOCK
    alone = np.concatenate([oks(detections[[i]], candidates, 0.05) for i in range(50)])
    np.testing.assert_array_equal(oks(detections, candidates, 0.05), alone)
    in_parts = [oks(detections, candidates[:, i : i + 5], 0.05) for i in range(0, 50, 5)]
    np.testing.assert_array_equal(
        oks(detections, candidates, 0.05), np.concatenate(in_parts, axis=-1)
    )


def test_oks_without_visible_node_is_undefined():
    assert np.isnan(oks(np.full((1, 4, 2), NAN), shifted(0), 0.025)).all()


def test_oks_without_area_is_a_test_of_equality():
    line = SQUARE * [1, 0]
    np.testing.assert_array_equal(
        oks(line[None], np.stack([line, line + np.array([1, 0])])[None], 0.025), [[[1, 0]]]
    )


def test_iou_includes_the_corner_pixels():
    # 10 · 11 px shared; 11 · 11 px each
    assert iou(bounding_boxes(SQUARE[None]), bounding_boxes(shifted(1))).item() == pytest.approx(
        110 / (121 + 121 - 110)
    )
    assert iou(bounding_boxes(SQUARE[None]), bounding_boxes(shifted(11))).item() == 0
    assert np.isnan(iou(np.full((1, 4), NAN), bounding_boxes(shifted(1)))).all()


def test_euclidean_dist():
    assert euclidean_dist(np.array([[5.0, 5.0]]), np.array([[[6.0, 5.0]]])).item() == -1
    assert euclidean_dist(SQUARE[None], shifted(3)).item() == -np.sqrt(4 * 3**2)


def test_cosine_sim():
    scores = cosine_sim(
        np.array([[1.0, 0.0]]),
        np.array([[[2.0, 0.0], [0.0, 3.0], [1.0, 1.0], [-1.0, 0.0], [0.0, 0.0]]]),
    )
    np.testing.assert_allclose(scores[0, 0], [1, 0, np.sqrt(0.5), -1, NAN])


@pytest.mark.parametrize("score", [euclidean_dist, cosine_sim])
def test_one_missing_node_makes_a_pair_incomparable(score):
    assert np.isnan(score(SQUARE[None], without_node(shifted(1), 2))).all()
    assert np.isnan(score(without_node(SQUARE[None], 2), shifted(1))).all()


def test_pairs_with_missing_nodes_are_compared_over_the_nodes_both_have():
    # three of four nodes, each 3 px away: scaled up to four
    assert euclidean_dist(
        SQUARE[None], without_node(shifted(3), 2), shared=True
    ).item() == pytest.approx(-np.sqrt(4 / 3 * 3 * 3**2))
    assert euclidean_dist(SQUARE[None], shifted(3), shared=True) == euclidean_dist(
        SQUARE[None], shifted(3)
    )
    # (10, 0) and (10, 0) remain of (10, 0, 1, 1) and (10, 0, nan, nan)
    partly = np.array([[[[10, 0], [NAN, NAN]]]])
    assert cosine_sim(np.array([[[10.0, 0], [1, 1]]]), partly, shared=True).item() == pytest.approx(
        1
    )
    assert cosine_sim(partly[0], partly, shared=True).item() == pytest.approx(1)
    assert cosine_sim(SQUARE[None], shifted(3), shared=True).item() == pytest.approx(
        cosine_sim(SQUARE[None], shifted(3)).item()
    )


@pytest.mark.parametrize("score", [euclidean_dist, cosine_sim])
def test_poses_that_share_no_node_cannot_be_compared(score):
    first, second = (
        without_node(without_node(SQUARE, 0), 1),
        without_node(without_node(SQUARE, 2), 3),
    )
    assert np.isnan(score(first[None], second[None, None], shared=True)).all()


@pytest.mark.parametrize(
    ("method", "shape"),
    [("oks", (6, 2)), ("iou", (4,)), ("euclidean_dist", (2,)), ("cosine_sim", (6, 2))],
)
def test_all_pairs_are_scored_as_each_by_itself(method, shape):
    rng = np.random.default_rng(1)
    detections, candidates = rng.uniform(0, 50, (3, *shape)), rng.uniform(0, 50, (4, 2, *shape))
    config = TrackerConfig(scoring_method=method, oks_stddev=0.5)
    score = scoring(config, np.array([[900.0, 6], [400, 4], [100, 2]]))
    scores = score(np.arange(3), detections, candidates)
    assert scores.shape == (3, 4, 2)
    for k, t, w in np.ndindex(3, 4, 2):
        assert scores[k, t, w] == pytest.approx(
            score([k], detections[[k]], candidates[t : t + 1, w : w + 1]).item()
        )


def of_square(**settings):
    """Return the function that scores the square against candidates."""
    return partial(scoring(TrackerConfig(**settings), pose_sizes(SQUARE[None])), [0])


def test_scoring_takes_the_size_of_a_detection_from_its_row():
    score = scoring(TrackerConfig(), np.array([[1.0, 4], [100.0, 4]]))
    assert score([1], SQUARE[None], shifted(1)).item() == pytest.approx(np.exp(-1 / 0.5))


def test_every_name_has_a_function_and_every_function_a_name():
    assert MEASURES.keys() == SIMILARITIES.keys()


@pytest.mark.parametrize(
    ("method", "features"),
    [(name, features) for name, kind in SIMILARITIES.items() for features in kind.features],
)
def test_whatever_can_be_compared_is_scored_highest_where_it_is_the_same(method, features):
    rng = np.random.default_rng(2)
    points = rng.uniform(0, 50, (3, 6, 2))
    compared = FEATURES.get(features, keypoints)(points)  # a patch of the image is a vector too
    score = scoring(TrackerConfig(scoring_method=method), pose_sizes(points))
    scores = score(np.arange(3), compared, compared[:, None])[..., 0]
    assert scores.argmax(axis=1).tolist() == [0, 1, 2]
    if SIMILARITIES[method].bounded:
        assert scores.min() >= 0
        np.testing.assert_allclose(np.diag(scores), 1)


def test_scoring_takes_the_spread_from_the_settings():
    default, wide, by_node, absent = (
        of_square(**settings)(SQUARE[None], shifted(1)).item()
        for settings in (
            {},
            {"oks_stddev": 0.1},
            {"use_kalman": True, "kf_track_features": "keypoints"},
            {"method": "ocsort"},
        )
    )
    assert default == pytest.approx(np.exp(-1 / 0.5))
    assert wide == by_node == absent == pytest.approx(np.exp(-1 / 8))


@pytest.mark.parametrize("method", ["euclidean_dist", "cosine_sim"])
def test_scoring_takes_the_treatment_of_missing_nodes_from_the_settings(method):
    better, reference = (
        of_square(scoring_method=method, missing_nodes=rule) for rule in ("shared", "reference")
    )
    assert np.isfinite(better(SQUARE[None], without_node(shifted(3), 2))).all()
    assert np.isnan(reference(SQUARE[None], without_node(shifted(3), 2))).all()


def test_distances_are_medians_over_the_shared_nodes():
    pose = [[0, 0], [10, 0], [20, 0]]
    moved = [[3, 4], [10, 1], [NAN, NAN]]  # 5 and 1 px
    turned = [[0, 2], [10, 3], [20, 40]]  # 2, 3 and 40 px
    distances = node_distances(np.array([pose]), np.array([moved, turned], dtype=float))
    np.testing.assert_allclose(distances, [[(5 + 1) / 2, 3]])
    shifts = np.array([[[9, 0], [2, 0], [1, 0]], [[8, 0], [1, 0], [7, 0]]], dtype=float)
    found = node_distances(np.array([pose, pose]) + shifts, np.array([pose], dtype=float))
    np.testing.assert_allclose(found, [[2], [7]])


def test_poses_without_shared_nodes_are_as_far_as_their_centroids():
    a, b, nothing = (
        [[0, 0], [2, 0], [NAN, NAN]],
        [[NAN, NAN], [NAN, NAN], [1, 7]],
        [[NAN, NAN], [NAN, NAN], [NAN, NAN]],
    )
    distances = node_distances(np.array([a]), np.array([b, nothing]))
    np.testing.assert_allclose(distances, [[7, NAN]])


def test_reductions_of_shifted_squares():
    scores = oks(SQUARE[None], shifted(5, 4, 1), 0.1)
    np.testing.assert_allclose(scores[0, 0], [0.04394, 0.13534, 0.88250], atol=5e-6)
    assert mean(scores).item() == pytest.approx(0.35392, abs=5e-6)
    assert largest(scores).item() == pytest.approx(0.88250, abs=5e-6)
    assert quantile(scores, 0.5).item() == pytest.approx(0.13534, abs=5e-6)
    assert quantile(scores, 0.95).item() == pytest.approx(0.80778, abs=5e-6)
    assert quantile(scores, 1.0) == largest(scores)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("mean", [(1 + 4) / 2, 2, NAN]),
        ("max", [4, 2, NAN]),
        ("robust_quantile", [1 + 0.25 * 3, 2, NAN]),
    ],
)
def test_reductions_leave_out_nan(method, expected):
    scores = np.array([[[1, NAN, 4], [NAN, 2, NAN], [NAN, NAN, NAN]]])
    reduce = reduction(TrackerConfig(scoring_reduction=method, robust_best_instance=0.25))
    np.testing.assert_allclose(reduce(scores), [expected])


@pytest.mark.parametrize("q", [0.0, 0.1, 0.5, 0.77, 1.0])
def test_quantile_is_numpys(q):
    scores = np.random.default_rng(2).normal(size=(3, 4, 7))
    scores[scores > 0.8] = NAN
    np.testing.assert_allclose(quantile(scores, q), np.nanquantile(scores, q, axis=-1))


def test_without_candidates_there_is_nothing_to_compare():
    assert oks(SQUARE[None], np.zeros((0, 5, 4, 2)), 0.025).shape == (1, 0, 5)
