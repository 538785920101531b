import numpy as np
import pytest

from sleap_lab.evaluation import evaluate
from sleap_lab.evaluation.frames import COUNTS, RATIOS, of_node, on_frames, positions, ratios
from sleap_lab.evaluation.influence import parts
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import EvaluatorConfig
from sleap_lab.settings.metrics import METRICS

SQUARE = np.array([[0, 0], [100, 0], [100, 100], [0, 100]], dtype=float)
TRUTH = make_poses(
    Skeleton(tuple("abcd")), [SQUARE, SQUARE + 300, SQUARE, SQUARE], frame=[0, 0, 1, 2]
)
POSES = make_poses(
    TRUTH.skeleton,
    [SQUARE + np.array([3, 4]), SQUARE, SQUARE + 500],
    frame=[0, 1, 1],
    frames=[(0, 0), (0, 1)],
)

THRESHOLD = {"oks": 0, "centroid": 100}


@pytest.mark.parametrize("match_method", ["oks", "centroid"])
def test_ratios_of_all_frames_are_the_headline(match_method):
    result = evaluate(
        TRUTH,
        POSES,
        EvaluatorConfig(
            user_labels_only=False,
            match_method=match_method,
            match_threshold=THRESHOLD[match_method],
        ),
        videos={0: 0},
    )
    formed = {
        name: float(value)
        for name, value in ratios(
            {k: column.sum() for k, column in result.table.columns.items()}
        ).items()
    }
    headline = result.headline()
    assert {name: headline[name] for name in formed} == pytest.approx(formed, abs=1e-12)
    assert set(formed) == {name for name in RATIOS if name in headline}


def test_sums_of_each_frame():
    table = evaluate(
        TRUTH, POSES, EvaluatorConfig(user_labels_only=False, match_method="oks"), videos={0: 0}
    ).table
    assert table.frame.tolist() == [0, 1, 2]
    expected = {
        "n_true": [2, 1, 1], "n_predicted": [1, 2, 0],
        "found_50": [1, 1, 0], "found_75": [0, 1, 0],
        "n_matched": [1, 1, 0], "n_missed": [1, 0, 0], "n_extra": [0, 1, 0],
        "dist_sum": [4 * 5, 0, 0], "n_labelled": [8, 4, 4],
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


def test_every_count_is_a_metric():
    assert set(COUNTS) <= {metric.name for metric in METRICS}


def scored(points, frame=(0, 0, 1, 2), videos=0):
    poses = make_poses(
        TRUTH.skeleton,
        points,
        frame=frame,
        video=videos,
        instance_scores=np.linspace(1, 0.5, len(points)),
    )
    truth = make_poses(TRUTH.skeleton, TRUTH.points, frame=frame, video=videos)
    return evaluate(truth, poses, EvaluatorConfig(user_labels_only=False), videos={0: 0, 1: 1})


SHAKEN = TRUTH.points + np.random.default_rng(0).normal(0, 3, TRUTH.points.shape)


def test_some_frames_are_scored_as_if_there_were_no_others():
    videos = np.array([0, 0, 0, 1])
    everything = scored(SHAKEN, videos=videos).table
    rows = np.flatnonzero(everything.video == 0)
    only = evaluate(
        make_poses(TRUTH.skeleton, TRUTH.points[:3], frame=[0, 0, 1]),
        make_poses(
            TRUTH.skeleton, SHAKEN[:3], frame=[0, 0, 1], instance_scores=np.linspace(1, 0.5, 4)[:3]
        ),
        EvaluatorConfig(user_labels_only=False),
        videos={0: 0},
    )
    found, expected = parts(on_frames(everything, rows)).values, parts(only.table).values
    assert found == pytest.approx(expected, abs=1e-12)
    # The order of the frames is that of the rows.
    turned = on_frames(everything, rows[::-1])
    assert turned.columns["n_true"].tolist() == everything.columns["n_true"][rows[::-1]].tolist()
    assert parts(turned).values == pytest.approx(expected, abs=1e-12)


def test_one_node_is_that_of_the_breakdown():
    points = SHAKEN.copy()
    points[0, 2] = np.nan
    result = scored(points)
    for node, name in enumerate(TRUTH.skeleton.nodes):
        (row,) = [
            row
            for row in result.breakdown
            if (row.node, row.video, row.animal) == (name, None, None)
        ]
        values = parts(of_node(result.table, node)).values
        for key in ("dist_avg", "dist_p50", "dist_p90", "pck", "pck_5"):
            assert values[f"eval/{key}"] == pytest.approx(getattr(row, key)), (name, key)
        assert "coco/ap" not in values


def test_pairs_are_counted_against_all_true_instances_that_were_judged():
    config = EvaluatorConfig(user_labels_only=False, match_method="oks")
    table = evaluate(TRUTH, POSES, config, videos={0: 0}).table
    # Frame 0: one of two is matched; frame 1: the only one; frame 2 has no predictions.
    assert table.pairs.n_truth.tolist() == [1 + 1, 1 + 0, 0]


def test_instances_in_no_frame_have_no_place():
    found = positions([None, None], [np.array([3, 1]), np.array([4])], 6)
    assert found.tolist() == [-1, 0, -1, 0, 1, -1]
