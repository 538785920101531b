import numpy as np
import pytest

from sleap_lab.evaluation.centroid import centroid_metrics, first_visible, hungarian
from sleap_lab.evaluation.match import Matches

NAN = np.nan


@pytest.mark.parametrize(
    ("distances", "threshold", "expected"),
    [
        ([[1, 4], [2, 10]], 50, [(1, 0), (0, 1)]),  # smallest sum: 4 + 2 < 1 + 10
        (
            [[1, 4], [2, 10]],
            3,
            [(1, 0)],
        ),  # far pairs are discarded, the assignment is not solved again
        ([[5]], 5, [(0, 0)]),  # at the threshold
        ([[NAN, NAN], [7, 3]], 50, [(1, 1)]),  # a true instance without a centroid
        ([[NAN, 70], [NAN, 3]], 50, [(1, 1)]),  # a prediction without one
        (np.zeros((2, 0)), 50, []),  # no prediction
    ],
)
def test_hungarian(distances, threshold, expected):
    rows, columns = hungarian(np.array(distances, dtype=float), threshold)
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == expected


def test_first_visible_node():
    points = np.array([[[1, 2], [3, 4]], [[NAN, NAN], [5, 6]], [[NAN, NAN], [NAN, NAN]]])
    np.testing.assert_array_equal(first_visible(points), [[1, 2], [5, 6], [NAN, NAN]])


def outcome(distances, n_missed, n_extra):
    n = len(distances)
    return Matches(
        np.arange(n),
        np.arange(n),
        np.array(distances, dtype=float),
        np.arange(n_missed),
        np.arange(n_extra),
    )


def test_counts_ratios_and_distances():
    result = centroid_metrics(outcome([5, 70], n_missed=2, n_extra=0))
    assert result["precision"] == 1
    assert result["recall"] == 2 / 4
    assert result["f1"] == pytest.approx(2 * 1 * 0.5 / 1.5)
    # Percentiles between 5 and 70, 65 px apart.
    assert [result[f"p{p}"] for p in (50, 75, 90, 95, 99)] == pytest.approx(
        [5 + 65 * p / 100 for p in (50, 75, 90, 95, 99)]
    )
    assert list(result) == [
        "precision",
        "recall",
        "f1",
        "n_tp",
        "n_fp",
        "n_fn",
        "avg",
        "p50",
        "p75",
        "p90",
        "p95",
        "p99",
    ]


@pytest.mark.parametrize(("n_missed", "n_extra"), [(0, 0), (3, 0), (0, 3)])
def test_without_a_match_ratios_are_0_and_distances_undefined(n_missed, n_extra):
    result = centroid_metrics(outcome([], n_missed, n_extra))
    assert (result["precision"], result["recall"], result["f1"]) == (0, 0, 0)
    assert (result["n_tp"], result["n_fp"], result["n_fn"]) == (0, n_extra, n_missed)
    assert np.isnan(result["avg"])
