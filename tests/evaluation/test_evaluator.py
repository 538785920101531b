import os
from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.evaluation import Evaluator, load_metrics

REFERENCE = Path(
    os.environ.get("SLEAP_LAB_REFERENCE", Path(__file__).parents[3] / "shared" / "reference")
)
GOLDEN = REFERENCE / "evaluation" / "single_instance_with_metrics"


def square(x=0.0, y=0.0):
    """A pose of side 100 whose first node is at (x, y)."""
    return np.array([(x, y), (x + 100, y), (x + 100, y + 100), (x, y + 100)])


def labels(instances, *, user):
    """Labels with one pose per frame."""
    skeleton = sio.Skeleton(list("abcd"))
    video = sio.Video(filename="clip.mp4", open_backend=False)
    make = sio.Instance.from_numpy if user else sio.PredictedInstance.from_numpy
    return sio.Labels(
        [
            sio.LabeledFrame(
                video=video,
                frame_idx=i,
                instances=[make(points, skeleton=skeleton, **({} if user else {"score": 0.9}))],
            )
            for i, points in enumerate(instances)
        ]
    )


def test_what_is_not_compared_is_said(caplog):
    truth = labels([square()], user=True)
    Evaluator(truth, truth)
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "1 instance in the predictions was labelled by a person and was left out"
    assert said[1].startswith("No prediction was matched")


def test_evaluator_takes_labels():
    evaluator = Evaluator(
        labels([square(), square()], user=True), labels([square(3, 4), square(0, 2)], user=False)
    )
    metrics = evaluator.evaluate()
    assert metrics["mOKS"]["mOKS"] == pytest.approx((np.exp(-25 / 50) + np.exp(-4 / 50)) / 2)
    assert metrics["distance_metrics"]["video_paths"] == ["clip.mp4"] * 2
    assert len(evaluator.frame_pairs) == 2
    assert evaluator.positive_pairs == [
        (0, 0, pytest.approx(np.exp(-25 / 50))),
        (1, 1, pytest.approx(np.exp(-4 / 50))),
    ]
    assert evaluator.false_negatives == []
    assert evaluator.false_positives == []
    assert evaluator.dists_dict["frame_idxs"] == [0, 1]


def test_evaluator_takes_thresholds_and_methods_as_they_are():
    truth, poses = labels([square()], user=True), labels([square(3, 4)], user=False)
    by_anchor = Evaluator(truth, poses, match_method="centroid", match_threshold=20, anchor_ind=0)
    assert by_anchor.evaluate()["distance_metrics"]["dists"] == pytest.approx(
        [5]
    )  # both anchored at node a
    assert Evaluator(truth, poses, match_method="centroid", anchor_part="a").false_negatives == [
        0
    ]  # 0 px stays 0 px
    assert Evaluator(truth, poses, oks_stddev=0.05).evaluation.settings["oks_stddev"] == 0.05


def test_evaluator_refuses_what_it_cannot_read():
    truth, poses = labels([square()], user=True), labels([square(3, 4)], user=False)
    with pytest.raises(ConfigError, match=r"^Evaluator: pred_labels is str; accepted: open labels"):
        Evaluator(truth, "poses.slp")
    with pytest.raises(ConfigError, match=r"oks_stddev: got '0\.1'; accepted: a number"):
        Evaluator(truth, poses, oks_stddev="0.1")


def test_evaluator_keeps_to_human_labels_unless_told_otherwise():
    truth, poses = labels([square()], user=False), labels([square()], user=False)
    with pytest.raises(RunError, match="user_labels_only"):
        Evaluator(truth, poses)
    assert Evaluator(truth, poses, user_labels_only=False).false_negatives == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"match_method": "centroids"}, "Did you mean 'centroid'"),
        ({"anchor_ind": 4}, "accepted are 0 to 3"),
        ({"centroid_method": "middle"}, "center_of_mass"),
    ],
)
def test_evaluator_refuses_what_it_does_not_know(options, message):
    with pytest.raises(ConfigError, match=message):
        Evaluator(labels([square()], user=True), labels([square()], user=False), **options)


@pytest.mark.conformance
@pytest.mark.skipif(not GOLDEN.is_dir(), reason="needs the reference folder (SLEAP_LAB_REFERENCE)")
@pytest.mark.parametrize("split", ["val", "train"])
def test_reproduces_the_metrics_of_the_reference(split):
    truth = sio.load_slp(GOLDEN / f"labels_{split}_gt_0.slp", open_videos=False)
    poses = sio.load_slp(GOLDEN / f"pred_{split}_0.slp", open_videos=False)
    found, expected = Evaluator(truth, poses).evaluate(), load_metrics(GOLDEN, split=split)
    assert list(found) == list(expected)
    for group, values in expected.items():
        # Files of older versions have no PCK@5 and PCK@10.
        assert [key for key in found[group] if not key.startswith("PCK@")] == list(values)
        for key, value in values.items():
            if key == "video_paths":
                assert found[group][key] == value
            else:
                assert np.shape(found[group][key]) == np.shape(value)
                np.testing.assert_allclose(found[group][key], value, rtol=0, atol=1e-9)
    assert found["mOKS"]["mOKS"] == pytest.approx(0.00019369857854995766, abs=1e-12)


@pytest.mark.conformance
@pytest.mark.skipif(not GOLDEN.is_dir(), reason="needs the reference folder (SLEAP_LAB_REFERENCE)")
def test_a_wider_kernel_gives_the_other_known_value():
    truth = sio.load_slp(GOLDEN / "labels_val_gt_0.slp", open_videos=False)
    poses = sio.load_slp(GOLDEN / "pred_val_0.slp", open_videos=False)
    assert Evaluator(truth, poses, oks_stddev=0.05).evaluate()["mOKS"]["mOKS"] == pytest.approx(
        0.04171, abs=5e-6
    )


def test_rows_of_the_evaluator_count_all_instances_of_the_labels():
    skeleton = sio.Skeleton(list("abcd"))
    guess = sio.PredictedInstance.from_numpy(square(), skeleton=skeleton, score=0.5)
    fixed = sio.Instance.from_numpy(square(1, 0), skeleton=skeleton)
    fixed.from_predicted = guess
    missed = sio.Instance.from_numpy(square(5000, 0), skeleton=skeleton)
    video = sio.Video("v.mp4")
    truth = sio.Labels([sio.LabeledFrame(video, 0, [guess, missed, fixed])])
    found = sio.Labels(
        [
            sio.LabeledFrame(
                video,
                0,
                [sio.PredictedInstance.from_numpy(square(1, 0), skeleton=skeleton, score=0.5)],
            )
        ]
    )
    evaluator = Evaluator(truth, found)
    assert (evaluator.positive_pairs, evaluator.false_negatives) == ([(2, 0, 1.0)], [1])


def test_a_pck_on_a_threshold_reaches_it():
    skeleton = sio.Skeleton(["a", "b"])
    truth = np.array([[0.0, 0.0], [40.0, 30.0]])
    off = truth + np.array([[4.5, 0], [3.5, 0]])  # hit at 6 and 7 of the ten thresholds: 13 / 20
    video = sio.Video("a.mp4", open_backend=False)
    true = sio.Instance.from_numpy(truth, skeleton=skeleton)
    found = sio.PredictedInstance.from_numpy(
        off, skeleton=skeleton, point_scores=np.ones(2), score=1.0
    )
    sides = [
        sio.Labels([sio.LabeledFrame(video, 0, [i])], videos=[video], skeletons=[skeleton])
        for i in (true, found)
    ]
    voc = Evaluator(*sides).evaluate()["voc_metrics"]
    assert voc["pck_voc.match_scores"].tolist() == [0.65]
    np.testing.assert_array_equal(voc["pck_voc.AR"], [1] * 4 + [0] * 6)  # 0.5 to 0.65
