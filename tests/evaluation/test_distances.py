import numpy as np
import pytest

from sleap_lab.evaluation.distances import summarize

NAN = np.nan


def test_mean_and_percentiles_of_what_is_known():
    summary = summarize(np.array([[5, 5, 5, 5], [2, 2, NAN, 2], [10, 10, 10, NAN]], dtype=float))
    assert summary["avg"] == pytest.approx((4 * 5 + 3 * 2 + 3 * 10) / 10)
    # Sorted: 2 2 2 5 5 5 5 10 10 10; position 0.75 · 9 = 6.75 lies between 5 and 10.
    assert summary["p50"] == 5
    assert summary["p75"] == pytest.approx(5 + 0.75 * 5)
    assert [summary[key] for key in ("p90", "p95", "p99")] == [10, 10, 10]
    assert list(summary) == ["avg", "p50", "p75", "p90", "p95", "p99"]


@pytest.mark.parametrize("distances", [np.zeros(0), np.zeros((0, 4)), np.full((2, 2), NAN)])
def test_nothing_known_is_nan(distances):
    assert all(np.isnan(value) for value in summarize(distances).values())
