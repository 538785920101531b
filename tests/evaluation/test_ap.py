import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleap_lab.evaluation.ap import KEYS, voc


def voc_of(match_scores, instance_scores=None, n_missed=0):
    match_scores = np.array(match_scores, dtype=float)
    ranks = (
        -np.arange(len(match_scores))
        if instance_scores is None
        else np.array(instance_scores, dtype=float)
    )
    return voc(match_scores, ranks, n_missed, prefix="x.")


def test_a_perfect_result():
    result = voc_of([1.0])
    assert result["x.mAP"] == pytest.approx(1, abs=1e-12)
    assert result["x.mAR"] == 1


def test_ranked_by_prediction_score():
    result = voc_of([0.6, 0.9, 0.1], instance_scores=[0.9, 0.8, 0.5])
    np.testing.assert_allclose(result["x.match_scores"], [0.6, 0.9, 0.1])
    # 0.50 to 0.60: the first two hit, recall reaches 2/3, precision 1 at the 67 grid points up to
    # 0.66.
    # 0.65 to 0.90: only the second hits, precision 1/2 at the 34 grid points up to 0.33.
    # At 0.95: none.
    np.testing.assert_allclose(result["x.AP"], [67 / 101] * 3 + [34 / 101 / 2] * 6 + [0])
    np.testing.assert_allclose(result["x.AR"], [2 / 3] * 3 + [1 / 3] * 6 + [0])
    np.testing.assert_array_equal(result["x.recalls"], result["x.AR"])
    assert result["x.mAP"] == pytest.approx((3 * 67 / 101 + 6 * 34 / 202) / 10)
    assert result["x.mAR"] == pytest.approx((3 * 2 / 3 + 6 / 3) / 10)


@pytest.mark.parametrize(
    ("match_scores", "n_missed", "average_precision", "average_recall"),
    [
        ([1, 1], 2, 51 / 101, 1 / 2),  # half of the animals missed: the grid points 0, 0.01 … 0.5
        ([0, 1], 0, 51 / 101 / 2, 1 / 2),  # the better scored prediction is wrong
        ([1, 0], 0, 51 / 101, 1 / 2),  # the worse scored prediction is wrong
        (
            [0, 1, 1],
            0,
            67 / 101 * 2 / 3,
            2 / 3,
        ),  # precision may not rise with recall: 1/2 is raised to 2/3
        ([0, 0], 0, 0, 0),  # matched, but never well enough
    ],
)
def test_average_precision_at_any_threshold(
    match_scores, n_missed, average_precision, average_recall
):
    result = voc_of(match_scores, n_missed=n_missed)
    np.testing.assert_allclose(result["x.AP"], average_precision)
    np.testing.assert_allclose(result["x.AR"], average_recall)


def test_equal_scores_keep_their_order():
    np.testing.assert_array_equal(
        voc_of([0.1, 0.9, 0.5], instance_scores=[1, 1, 2])["x.match_scores"], [0.5, 0.1, 0.9]
    )


def test_a_match_at_the_threshold_hits():
    assert voc_of([0.5])["x.AR"].tolist() == [1] + [0] * 9


def test_shapes():
    result = voc_of([0.7, 0.8], n_missed=1)
    shapes = {key: np.shape(result["x." + key]) for key in KEYS}
    assert shapes == {
        "match_score_thresholds": (10,),
        "recall_thresholds": (101,),
        "match_scores": (2,),
        "precisions": (10, 101),
        "recalls": (10,),
        "AP": (10,),
        "AR": (10,),
        "mAP": (),
        "mAR": (),
    }
    assert list(result) == ["x." + key for key in KEYS]


@pytest.mark.parametrize("n_missed", [0, 3])
def test_without_a_pair_every_value_is_the_integer_0(n_missed):
    result = voc_of([], n_missed=n_missed)
    assert list(result) == ["x." + key for key in KEYS]
    assert all(type(value) is int and value == 0 for value in result.values())


scores = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@settings(deadline=None)
@given(scores, st.integers(0, 5))
def test_stays_in_bounds_and_falls_with_the_threshold(match_scores, n_missed):
    result = voc_of(match_scores, n_missed=n_missed)
    assert (np.diff(result["x.AR"]) <= 0).all()
    assert (np.diff(result["x.precisions"], axis=1) <= 0).all()
    # Precision is at most 1, and 0 beyond the last recall.
    assert (result["x.AP"] <= (np.floor(result["x.AR"] * 100 + 1e-9) + 1) / 101 + 1e-12).all()
    assert (result["x.AP"] >= 0).all()


@settings(deadline=None)
@given(scores)
def test_only_the_order_of_prediction_scores_matters(match_scores):
    ranks = np.linspace(0.1, 1, len(match_scores))
    np.testing.assert_array_equal(
        voc_of(match_scores, ranks)["x.AP"], voc_of(match_scores, ranks**3)["x.AP"]
    )
