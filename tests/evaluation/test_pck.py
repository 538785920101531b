import numpy as np
import pytest

from sleap_lab.evaluation.pck import hits, pck_metrics

NAN = np.nan
DISTANCES = np.array([[5, 5, 5, 5], [2, 2, NAN, 2], [10, 10, 10, NAN]], dtype=float)


def test_shares():
    result = pck_metrics(DISTANCES)
    # Errors must be below the thresholds 1 … 10 px: 5 px is at 6 … 10 (5 of 10), 2 px at 3 … 10
    # (8 of 10), 10 px never.
    np.testing.assert_allclose(result["mPCK_parts"], np.array([5 + 8, 5 + 8, 5, 5 + 8]) / 30)
    assert result["mPCK"] == pytest.approx((4 * 5 + 3 * 8) / 120)
    assert result["PCK@5"] == pytest.approx(3 / 12)  # the three nodes 2 px off
    assert result["PCK@10"] == pytest.approx((4 + 3) / 12)  # and the four that are 5 px off
    assert result["pcks"].shape == (3, 4, 10)
    assert result["pcks"].dtype == bool
    assert list(result) == ["thresholds", "pcks", "mPCK_parts", "mPCK", "PCK@5", "PCK@10"]


def test_a_distance_equal_to_the_threshold_and_a_missing_node_are_misses():
    assert hits(np.array([[3.0, NAN]]), np.array([3.0, 4.0])).tolist() == [
        [[False, True], [False, False]]
    ]


def test_named_thresholds_are_the_closest_ones():
    result = pck_metrics(np.array([[4.5]]), np.array([4.0, 9.0]))
    assert result["PCK@5"] == 0
    assert result["PCK@10"] == 1


def test_without_a_pair():
    result = pck_metrics(np.zeros((0, 4)))
    assert result["pcks"].shape == (1, 0, 10)
    assert result["mPCK_parts"].shape == (0,)
    assert all(np.isnan(result[key]) for key in ("mPCK", "PCK@5", "PCK@10"))
