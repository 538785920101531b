from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleap_lab.errors import ConfigError
from sleap_lab.evaluation import evaluate
from sleap_lab.evaluation.notes import nothing_matched
from sleap_lab.poses.record import Skeleton, concatenate, make_poses
from sleap_lab.settings.config import EvaluatorConfig

SKELETON = Skeleton(tuple("abcd"))
ALL = EvaluatorConfig(user_labels_only=False, match_method="oks")
FAR = 5000.0


def square(x=0.0, y=0.0, without=()):
    """A pose of side 100 whose left upper node is at (x, y)."""
    pose = np.array([[0, 0], [100, 0], [100, 100], [0, 100]], dtype=float) + np.array([x, y])
    pose[list(without)] = np.nan
    return pose


A, B, C, D = range(4)
TRUTH = make_poses(
    SKELETON,
    [square(0), square(200), square(0, without=[C]), square(0)],
    frame=[0, 0, 1, 2],
    user=True,
)  # area 10⁴, so (0.05)² · 2 · 10⁴ = 50
POSES = make_poses(
    SKELETON,
    [square(3, 4), square(200, 10, without=[D]), square(FAR), square(0, 2)],
    frame=[0, 0, 0, 1],
    instance_scores=[0.9, 0.5, 0.99, 0.8],
)


def worked_example():
    return evaluate(TRUTH, POSES, EvaluatorConfig(), videos={0: 0}, video_names=["clip.mp4"])


def test_worked_example_matches():
    result = worked_example()
    matches = result.matches
    assert [
        (pair.frame, pair.truth_rows.tolist(), pair.pose_rows.tolist())
        for pair in result.frame_pairs
    ] == [
        (0, [0, 1], [0, 1, 2]),
        (1, [2], [3]),
    ]
    assert matches.truth_rows.tolist() == [0, 1, 2]
    assert matches.pose_rows.tolist() == [0, 1, 3]
    np.testing.assert_allclose(
        matches.scores, [np.exp(-25 / 50), 3 / 4 * np.exp(-100 / 50), np.exp(-4 / 50)]
    )
    assert matches.false_negatives.tolist() == []
    assert matches.false_positives.tolist() == [2]
    (note,) = result.notes
    assert note.startswith(
        "1 of 3 labelled frames are not in the predictions: eval/… leaves them out; coco/… counts"
    )


def test_worked_example_metrics():
    metrics = worked_example().metrics
    assert list(metrics) == [
        "voc_metrics",
        "mOKS",
        "distance_metrics",
        "pck_metrics",
        "visibility_metrics",
    ]
    voc = metrics["voc_metrics"]
    # Ranked by score: e^(-25/50) = 0.607, e^(-4/50) = 0.923, 3/4 e^(-100/50) = 0.102.
    np.testing.assert_allclose(
        voc["oks_voc.match_scores"], [0.606531, 0.923116, 0.101501], atol=1e-6
    )
    np.testing.assert_allclose(voc["oks_voc.AP"], [67 / 101] * 3 + [34 / 101 / 2] * 6 + [0])
    np.testing.assert_allclose(voc["oks_voc.AR"], [2 / 3] * 3 + [1 / 3] * 6 + [0])
    assert voc["oks_voc.mAP"] == pytest.approx((3 * 67 / 101 + 6 * 17 / 101) / 10)
    assert voc["oks_voc.mAR"] == pytest.approx((3 * 2 / 3 + 6 / 3) / 10)
    # Ten thresholds: 5 px is below 5 of them, 2 px below 8, 10 px below none; a node missing on
    # one side hits none.
    np.testing.assert_allclose(voc["pck_voc.match_scores"], [5 / 10, 3 * 8 / 40, 0])
    np.testing.assert_allclose(voc["pck_voc.AP"], [67 / 101] + [34 / 101 / 2] * 2 + [0] * 7)
    assert voc["pck_voc.mAR"] == pytest.approx((2 / 3 + 2 / 3) / 10)
    assert metrics["mOKS"]["mOKS"] == pytest.approx(0.543716, abs=1e-6)
    distances = metrics["distance_metrics"]
    np.testing.assert_allclose(
        distances["dists"], [[5, 5, 5, 5], [10, 10, 10, np.nan], [2, 2, np.nan, 2]]
    )
    assert distances["frame_idxs"] == [0, 0, 1]
    assert distances["video_paths"] == ["clip.mp4"] * 3
    expected = {"avg": 5.6, "p50": 5, "p75": 8.75, "p90": 10, "p95": 10, "p99": 10}
    assert {key: distances[key] for key in expected} == pytest.approx(expected)
    pck = metrics["pck_metrics"]
    np.testing.assert_allclose(pck["mPCK_parts"], [13 / 30, 13 / 30, 5 / 30, 13 / 30])
    assert (pck["mPCK"], pck["PCK@5"], pck["PCK@10"]) == pytest.approx((44 / 120, 3 / 12, 7 / 12))
    visibility = metrics["visibility_metrics"]
    assert [visibility[key] for key in ("tp", "fp", "tn", "fn")] == [10, 1, 0, 1]
    assert (visibility["precision"], visibility["recall"]) == pytest.approx((10 / 11, 10 / 11))


def test_matching_is_greedy_by_score():
    truth = make_poses(SKELETON, [square(0), square(20)])
    poses = make_poses(SKELETON, [square(9), square(0)], instance_scores=[0.9, 0.5])
    result = evaluate(truth, poses, ALL, videos={0: 0})
    matches = result.matches
    assert result.metrics["distance_metrics"]["video_paths"] == [
        "0",
        "0",
    ]  # the index of a video without a name
    assert list(zip(matches.truth_rows.tolist(), matches.pose_rows.tolist(), strict=True)) == [
        (0, 0),
        (1, 1),
    ]
    np.testing.assert_allclose(matches.scores, [np.exp(-81 / 50), np.exp(-400 / 50)])


def voc_headline(evaluation):
    return {
        name: value for name, value in evaluation.headline().items() if name.startswith("eval/")
    }


def test_an_extra_prediction_changes_no_metric_of_the_voc_family():
    without = evaluate(TRUTH, POSES[[0, 1, 3]], EvaluatorConfig(), videos={0: 0})
    assert voc_headline(worked_example()) == voc_headline(without)
    assert worked_example().headline()["coco/precision_50"] == 2 / 4
    assert without.headline()["coco/precision_50"] == 2 / 3


def test_no_match_gives_every_key_and_a_note():
    none = make_poses(SKELETON, [], frames=[(0, 0)])
    found = evaluate(TRUTH, none, EvaluatorConfig(), videos={0: 0})
    assert nothing_matched(EvaluatorConfig()) in found.notes
    metrics = found.metrics
    assert all(value == 0 and type(value) is int for value in metrics["voc_metrics"].values())
    assert np.isnan(metrics["mOKS"]["mOKS"])
    assert metrics["distance_metrics"]["dists"].shape == (0,)
    assert metrics["distance_metrics"]["video_paths"] == []
    assert np.isnan(metrics["distance_metrics"]["p50"])
    assert metrics["pck_metrics"]["pcks"].shape == (1, 0, 10)
    assert metrics["visibility_metrics"]["tp"] == 0


def test_an_empty_predicted_frame_is_missed_and_an_absent_one_is_not():
    headline = evaluate(
        TRUTH, make_poses(SKELETON, [], frames=[(0, 0), (0, 1)]), EvaluatorConfig(), videos={0: 0}
    ).headline()
    assert (headline["eval/n_frame_pairs"], headline["eval/n_missed"]) == (2, 3)


def test_nodes_in_another_order_are_compared_by_name():
    order = [2, 0, 3, 1]
    shuffled = replace(
        POSES,
        skeleton=Skeleton(tuple("abcd"[i] for i in order)),
        points=POSES.points[:, order],
        point_scores=POSES.point_scores[:, order],
    )
    result = evaluate(TRUTH, shuffled, EvaluatorConfig(), videos={0: 0})
    assert result.headline() == worked_example().headline()
    assert "another order" in result.notes[0]


def test_another_skeleton_is_refused():
    poses = make_poses(Skeleton(tuple("abcx")), [square()])
    with pytest.raises(
        ConfigError, match="only in the ground truth: d; only in the predictions: x"
    ):
        evaluate(TRUTH, poses, EvaluatorConfig(), videos={0: 0})


def test_human_labels_among_the_predictions_are_left_out_and_counted():
    poses = replace(POSES, user=np.array([False, False, True, False]))
    result = evaluate(TRUTH, poses, EvaluatorConfig(), videos={0: 0})
    assert voc_headline(result) == voc_headline(worked_example())
    assert "1 instance in the predictions was labelled by a person" in result.notes[-1]


def test_one_spread_per_node():
    # Each node 5 px off: e^-(25/50) where the spread is 0.025, and to the power 1/4 where it is
    # doubled.
    poses = make_poses(SKELETON, [square(3, 4)])
    result = evaluate(
        TRUTH[[0]], poses, EvaluatorConfig(oks_stddev=[0.025, 0.025, 0.05, 0.05]), videos={0: 0}
    )
    assert result.headline()["eval/moks"] == pytest.approx(
        (2 * np.exp(-0.5) + 2 * np.exp(-0.125)) / 4
    )
    with pytest.raises(
        ConfigError,
        match="oks_stddev: got 2 numbers; accepted: one number, or one for each of the 4 nodes",
    ):
        evaluate(TRUTH, POSES, EvaluatorConfig(oks_stddev=[0.025, 0.05]), videos={0: 0})


def test_settings_say_what_was_used():
    assert worked_example().settings == {
        "match_method": "oks",
        "match_threshold": 0,
        "user_labels_only": True,
        "oks_stddev": 0.025,
        "oks_scale": None,
    }
    identity = evaluate(TRUTH, POSES, EvaluatorConfig(identity=True), videos={0: 0})
    assert identity.settings["identity_threshold"] == 0.5
    assert identity.identity is None
    assert "the ground truth has no tracks" in identity.notes[-1]


CENTROID_TRUTH = make_poses(
    SKELETON, [square(0), square(300), square(without=range(4)), square(0)], frame=[0, 0, 0, 1]
)
CENTROID_POSES = make_poses(
    Skeleton(("centroid",)), [[[53, 54]], [[420, 50]], [[np.nan, np.nan]]], frames=[(0, 0), (0, 1)]
)


@pytest.mark.parametrize(
    ("threshold", "counts", "ratios", "distances"),
    [
        (0, (1, 1, 3), (1 / 2, 1 / 4, 2 / 6), [5]),  # 0 becomes 50
        (50, (1, 1, 3), (1 / 2, 1 / 4, 2 / 6), [5]),
        (100, (2, 0, 2), (1, 1 / 2, 4 / 6), [5, 70]),
    ],
)
def test_centroid_example(threshold, counts, ratios, distances):
    config = EvaluatorConfig(user_labels_only=False, match_threshold=threshold)
    result = evaluate(CENTROID_TRUTH, CENTROID_POSES, config, videos={0: 0}, video_names=["v"])
    assert list(result.metrics) == ["detection_metrics", "distance_metrics"]
    detection = result.metrics["detection_metrics"]
    assert tuple(detection[key] for key in ("n_tp", "n_fp", "n_fn")) == counts
    assert tuple(detection[key] for key in ("precision", "recall", "f1")) == pytest.approx(ratios)
    np.testing.assert_allclose(result.metrics["distance_metrics"]["dists"], distances)
    assert detection["p75"] == pytest.approx(np.percentile(distances, 75))
    assert result.metrics["distance_metrics"]["video_paths"] == ["v"] * len(distances)
    assert result.settings == {
        "match_method": "centroid",
        "match_threshold": threshold or 50,
        "user_labels_only": False,
        "centroid_method": "center_of_mass",
        "centroid_fallback": "center_of_mass",
        "anchor_part": None,
    }


@pytest.mark.parametrize(
    ("options", "centroid"),
    [
        ({}, (100 / 3, 200 / 3)),  # mean of a, c, d
        ({"anchor_part": "d"}, (0, 100)),  # an anchor alone is enough
        ({"anchor_part": "b"}, (100 / 3, 200 / 3)),  # missing: the fallback
        ({"anchor_part": "b", "centroid_fallback": "bbox_center"}, (50, 50)),
        ({"anchor_part": "d", "centroid_method": "bbox_center"}, (50, 50)),
        (
            {"centroid_method": "geometric_median"},
            (100 * (3 - 3**0.5) / 6, 100 * (3 + 3**0.5) / 6),
        ),  # Fermat point
    ],
)
def test_centroid_of_the_truth(options, centroid):
    truth = make_poses(SKELETON, [square(without=[B])])
    poses = make_poses(Skeleton(("centroid",)), [[[0, 0]]])
    config = EvaluatorConfig(user_labels_only=False, match_threshold=1000, **options)
    (distance,) = evaluate(truth, poses, config, videos={0: 0}).metrics["distance_metrics"]["dists"]
    assert distance == pytest.approx(np.hypot(*centroid), abs=1e-4)


def test_whole_predictions_are_matched_by_their_first_visible_node():
    truth = make_poses(SKELETON, [square()])
    poses = make_poses(SKELETON, [square(0, without=[A])])
    config = EvaluatorConfig(user_labels_only=False, match_method="centroid", match_threshold=100)
    result = evaluate(truth, poses, config, videos={0: 0})
    assert result.metrics["distance_metrics"]["dists"] == pytest.approx(
        [np.hypot(50, 50)]
    )  # from (50, 50) to b at (100, 0)


def test_an_unknown_anchor_is_replaced_with_a_note():
    truth = make_poses(Skeleton(("head", "tail")), [[[0, 0], [10, 0]]])
    config = EvaluatorConfig(user_labels_only=False, anchor_part="heat", centroid_method="anchor")
    result = evaluate(truth, make_poses(Skeleton(("c",)), [[[5, 0]]]), config, videos={0: 0})
    assert result.metrics["distance_metrics"]["dists"].tolist() == [0]
    assert result.settings["centroid_method"] == "center_of_mass"
    assert result.settings["anchor_part"] is None
    assert "Did you mean 'head'?" in result.notes[0]


def test_the_anchor_method_needs_an_anchor():
    with pytest.raises(ConfigError, match=r"evaluator\.anchor_part"):
        evaluate(
            CENTROID_TRUTH,
            CENTROID_POSES,
            replace(ALL, match_method="centroid", centroid_method="anchor"),
            videos={0: 0},
        )


def test_identity_by_centroids_matches_up_to_the_threshold():
    truth = make_poses(SKELETON, [square(), square()], frame=[0, 1], tracks=0, track_names=("t",))
    poses = make_poses(
        Skeleton(("c",)), [[[80, 90]], [[81, 90]]], frame=[0, 1], tracks=0, track_names=("p",)
    )
    config = EvaluatorConfig(user_labels_only=False, identity=True)  # 50 and a little more px off
    result = evaluate(truth, poses, config, videos={0: 0})
    assert result.identity["misses"] == 1
    assert result.identity["motp"] == pytest.approx(1 - 50 / 100)


points = st.lists(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=4, max_size=4),
    min_size=1,
    max_size=4,
)


@settings(deadline=None, max_examples=30)
@given(points, points, st.permutations(range(4)))
def test_order_of_predictions_and_nodes_does_not_matter(true_points, predicted_points, order):
    truth = make_poses(SKELETON, true_points)
    poses = make_poses(
        SKELETON, predicted_points, instance_scores=np.linspace(0.1, 0.9, len(predicted_points))
    )
    expected = evaluate(truth, poses, ALL, videos={0: 0})
    names = tuple("abcd"[i] for i in order)
    shuffled = replace(poses[::-1], skeleton=Skeleton(names), points=poses.points[::-1][:, order])
    found = evaluate(truth, shuffled, ALL, videos={0: 0})
    assert found.headline() == pytest.approx(expected.headline(), nan_ok=True)
    assert len(expected.matches.scores) + len(expected.matches.false_negatives) == len(truth)
    assert len(expected.matches.scores) + len(expected.matches.false_positives) == len(poses)


@settings(deadline=None, max_examples=20)
@given(points)
def test_predictions_equal_to_the_truth_are_perfect(true_points):
    apart = np.array(true_points, dtype=float) + 1000 * np.arange(len(true_points))[:, None, None]
    headline = evaluate(
        make_poses(SKELETON, apart), make_poses(SKELETON, apart), ALL, videos={0: 0}
    ).headline()
    perfect = ("oks_map", "oks_mar", "moks", "pck", "visibility_precision", "visibility_recall")
    assert [headline[f"eval/{name}"] for name in perfect] == pytest.approx([1] * 6)
    assert headline["eval/dist_p99"] == 0


def test_without_details_the_numbers_are_the_same():
    plain = evaluate(TRUTH, POSES, EvaluatorConfig(), videos={0: 0}, details=False)
    assert plain.headline() == pytest.approx(worked_example().headline(), nan_ok=True)
    assert (plain.intervals, plain.breakdown) == (None, ())


# ---- truth that people have begun to proofread


def half_proofread():
    """Two animals in each of two frames: the first human-labelled, the other a prediction."""
    return make_poses(
        SKELETON,
        [square(0), square(200), square(0, 5), square(200, 5)],
        frame=[0, 0, 1, 1],
        user=[True, False] * 2,
        instance_scores=[np.nan, 0.9] * 2,
        tracks=[0, 1] * 2,
        track_names=["x", "y"],
    )


@pytest.mark.parametrize("user_labels_only", [True, False])
@pytest.mark.parametrize("first", [0.1, 0.9])  # whichever animal is predicted with the larger score
def test_predictions_equal_to_a_half_proofread_truth_are_perfect(user_labels_only, first):
    truth = half_proofread()
    poses = replace(
        truth, user=np.zeros(4, dtype=bool), instance_scores=np.array([first, 1 - first] * 2)
    )
    # A kernel so wide that the other animal, 200 px away, has an OKS above 0.
    config = EvaluatorConfig(user_labels_only=user_labels_only, identity=True, oks_stddev=0.2)
    result = evaluate(truth, poses, config, videos={0: 0})
    found = result.headline()
    perfect = [
        "eval/moks",
        "coco/ap",
        "coco/ar",
        "coco/precision_50",
        "coco/recall_75",
        "identity/hota",
        "identity/idf1",
        "identity/mota",
    ]
    assert {name: found[name] for name in perfect} == pytest.approx(dict.fromkeys(perfect, 1))
    assert found["eval/oks_map"] == pytest.approx(1)
    assert (found["eval/n_matched"], found["eval/n_missed"], found["identity/false_positives"]) == (
        2 if user_labels_only else 4,
        0,
        0,
    )
    notes = [note for note in result.notes if "user_labels_only" in note]
    assert bool(notes) is user_labels_only
    assert all(
        "2 instances of the ground truth" in note and "the 2 predicted instances" in note
        for note in notes
    )


def test_an_extra_prediction_beside_what_nobody_corrected_is_false():
    truth = half_proofread()
    extra = make_poses(
        SKELETON, [square(FAR)], track_names=["x", "y"], instance_scores=0.5, tracks=-1, frames=[]
    )
    poses = concatenate(
        [replace(truth, user=np.zeros(4, dtype=bool), instance_scores=np.full(4, 0.9)), extra]
    )
    found = evaluate(truth, poses, EvaluatorConfig(), videos={0: 0}).headline()
    assert found["coco/precision_50"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("user_labels_only", [True, False])
@pytest.mark.parametrize("method", ["oks", "centroid"])
def test_predictions_in_a_frame_that_a_person_emptied_are_false(user_labels_only, method):
    truth = make_poses(
        SKELETON,
        [square(), square(1)],
        frame=[0, 1],
        user=True,
        tracks=0,
        track_names=["x"],
        frames=[(0, 0), (0, 1), (0, 2)],
    )
    poses = make_poses(
        SKELETON,
        [square(), square(1), square(2), square(FAR)],
        frame=[0, 1, 2, 2],
        tracks=[0, 0, 0, 1],
        track_names=["x", "y"],
    )
    reach = (
        0 if method == "oks" else 200
    )  # a predicted centroid is the first node, 71 px from the true one
    config = EvaluatorConfig(
        user_labels_only=user_labels_only, identity=True, match_method=method, match_threshold=reach
    )
    result = evaluate(truth, poses, config, videos={0: 0})
    found = result.headline()
    assert found["identity/false_positives"] == 2
    assert found["identity/idp"] == pytest.approx(2 / 4)
    assert found[
        "coco/precision_50" if method == "oks" else "eval/centroid_precision"
    ] == pytest.approx(2 / 4)
    assert (found["eval/n_frames"], found["eval/n_frame_pairs"]) == (3, 3)
    assert [
        note
        for note in result.notes
        if note.startswith("1 of 3 labelled frames hold no animal; 2 predictions there")
    ]


def test_pose_and_identity_metrics_judge_the_same_frames():
    truth = make_poses(
        SKELETON,
        [square(), square(), square()],
        frame=[0, 1, 2],
        user=True,
        tracks=0,
        track_names=["x"],
    )
    poses = make_poses(
        SKELETON, [square(), square()], frame=[0, 1], tracks=0, track_names=["x"]
    )  # frame 2 was left out
    found = evaluate(truth, poses, EvaluatorConfig(identity=True), videos={0: 0}).headline()
    assert (found["eval/n_frames"], found["coco/recall_50"], found["identity/misses"]) == (
        3,
        pytest.approx(2 / 3),
        1,
    )


def test_tracks_of_one_name_are_two():
    truth = make_poses(
        SKELETON,
        [square(), square(300)] * 3,
        frame=np.repeat(range(3), 2),
        user=True,
        tracks=[0, 1] * 3,
        track_names=["m", "m"],
    )
    poses = replace(
        truth,
        user=np.zeros(6, dtype=bool),
        instance_scores=np.ones(6),
        tracks=np.array([0, 1, 0, 1, 1, 0]),
    )
    result = evaluate(truth, poses, EvaluatorConfig(identity=True), videos={0: 0})
    assert [
        (switch.truth_track, switch.from_track, switch.to_track) for switch in result.switches
    ] == [
        ("m", "m", "m_2"),
        ("m_2", "m_2", "m"),
    ]
    assert {row.animal for row in result.breakdown if row.animal is not None} == {"m", "m_2"}


def test_on_common_nodes_the_rest_does_not_count():
    other = replace(
        POSES, skeleton=Skeleton(("b", "x", "a", "c")), points=POSES.points[:, [B, D, A, C]]
    )
    config = EvaluatorConfig(nodes="common", oks_stddev=[0.025, 0.025, 0.025, 0.5])
    result = evaluate(TRUTH, other, config, videos={0: 0})
    three = replace(
        TRUTH,
        skeleton=Skeleton(("a", "b", "c")),
        points=TRUTH.points[:, :3],
        point_scores=TRUTH.point_scores[:, :3],
    )
    poses = replace(
        POSES,
        skeleton=three.skeleton,
        points=POSES.points[:, :3],
        point_scores=POSES.point_scores[:, :3],
    )
    assert result.headline() == evaluate(three, poses, EvaluatorConfig(), videos={0: 0}).headline()
    assert result.settings["nodes"] == "common"
    assert "compared on the nodes that both sides have (a, b, c); left out: d, x" in result.notes
