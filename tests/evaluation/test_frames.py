import numpy as np
import pytest

from sleap_lab.config import EvaluatorConfig
from sleap_lab.evaluation import METRICS, evaluate
from sleap_lab.evaluation.frames import RATIOS, ratios
from sleap_lab.poses import Skeleton, make_poses

SQUARE = np.array([[0, 0], [100, 0], [100, 100], [0, 100]], dtype=float)
TRUTH = make_poses(Skeleton(tuple("abcd")), [SQUARE, SQUARE + 300, SQUARE, SQUARE], frame=[0, 0, 1, 2])
POSES = make_poses(TRUTH.skeleton, [SQUARE + np.array([3, 4]), SQUARE, SQUARE + 500], frame=[0, 1, 1], frames=[(0, 0), (0, 1)])

THRESHOLD = {"oks": 0, "centroid": 100}


@pytest.mark.parametrize("match_method", ["oks", "centroid"])
def test_ratios_of_all_frames_are_the_headline(match_method):
    result = evaluate(
        TRUTH,
        POSES,
        EvaluatorConfig(user_labels_only=False, match_method=match_method, match_threshold=THRESHOLD[match_method]),
        videos={0: 0},
    )
    formed = {name: float(value) for name, value in ratios({k: column.sum() for k, column in result.table.columns.items()}).items()}
    headline = result.headline()
    assert {name: headline[name] for name in formed} == pytest.approx(formed, abs=1e-12)
    assert set(formed) == {name for name in RATIOS if name in headline}


def test_sums_of_each_frame():
    table = evaluate(TRUTH, POSES, EvaluatorConfig(user_labels_only=False, match_method="oks"), videos={0: 0}).table
    assert table.frame.tolist() == [0, 1, 2]
    expected = {
        "n_true": [2, 1, 1], "n_predicted": [1, 2, 0], "found_50": [1, 1, 0], "found_75": [0, 1, 0], "n_matched": [1, 1, 0],
        "n_missed": [1, 0, 0], "n_extra": [0, 1, 0], "dist_sum": [4 * 5, 0, 0], "n_labelled": [8, 4, 4],
        "pck_size_05_sum": [0, 4, 0], "pck_size_10_sum": [4, 4, 0],
    }  # fmt: skip
    for name, column in expected.items():
        np.testing.assert_allclose(table.columns[name], column, err_msg=name)


def test_nothing_to_divide_by_is_undefined():
    values = ratios({"found_50": np.array([1.0, 0]), "n_true": np.array([2.0, 0])})
    np.testing.assert_array_equal(values["coco/recall_50"], [0.5, np.nan])
    assert list(values) == ["coco/recall_50"]


def test_every_ratio_is_a_metric():
    assert set(RATIOS) <= {metric.name for metric in METRICS}
