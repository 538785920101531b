"""What an evaluation leaves out is said."""

import numpy as np
import pytest

from sleap_lab.evaluation.match import FramePair
from sleap_lab.evaluation.notes import coverage_notes, nothing_matched, unseen_notes, video_notes
from sleap_lab.evaluation.videos import VideoMatch
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import EvaluatorConfig

POINT = Skeleton(("a",))
POSES = make_poses(POINT, np.zeros((5, 1, 2)), user=[False, False, True, False, False])


def pair(truth, poses, all_truth=None, all_poses=None, processed=True):
    """A frame with some rows of both records."""
    rows = [np.array(one, dtype=int) for one in (truth, poses)]
    every = [
        own if more is None else np.array(more, dtype=int)
        for own, more in zip(rows, (all_truth, all_poses), strict=True)
    ]
    return FramePair(0, 0, 0, *rows, *every, processed)


def test_where_everything_is_compared_nothing_is_said():
    assert coverage_notes(POSES, [pair([0], [0]), pair([], [])], 1, False) == []


@pytest.mark.parametrize(
    ("by_centroid", "ending"), [(True, ""), (False, "; coco/… counts their instances as missed")]
)
def test_frames_that_are_not_predicted(by_centroid, ending):
    frames = [pair([0], [0]), pair([1, 2], [], processed=False), pair([], [], processed=False)]
    assert coverage_notes(POSES, frames, 1, by_centroid) == [
        f"1 of 2 labelled frames are not in the predictions: eval/… leaves them out{ending}"
    ]


def test_instances_that_nobody_set_are_not_judged():
    frames = [pair([0], [0, 1], all_truth=[0, 1, 2])]
    assert coverage_notes(POSES, frames, 5, False) == [
        "evaluator.user_labels_only=true: 2 instances of the ground truth were not set by a "
        "person. They are not judged, and neither are the 3 predicted instances on them"
    ]


@pytest.mark.parametrize(
    ("by_centroid", "counted"), [(True, "false"), (False, "false in coco/… and identity/…")]
)
def test_predictions_where_no_animal_is(by_centroid, counted):
    frames = [pair([], [0, 1]), pair([], []), pair([0], [3])]
    assert coverage_notes(POSES, frames, 3, by_centroid) == [
        f"2 of 3 labelled frames hold no animal; 2 predictions there count as {counted}"
    ]


def test_what_a_person_labelled_is_no_prediction():
    frames = [pair([0], [0], all_poses=[0, 2]), pair([], [], all_poses=[2])]
    assert coverage_notes(POSES, frames, 1, False) == [
        "1 instance in the predictions was labelled by a person and was left out"
    ]


def test_true_instances_without_a_visible_node_are_told():
    truth = make_poses(POINT, [[[0, 0]], [[np.nan, np.nan]], [[1, 1]], [[np.nan, np.nan]]])
    assert unseen_notes(truth, [pair([0, 2], [0])]) == []
    assert unseen_notes(truth, []) == []
    # The last is in a frame that was not predicted.
    assert unseen_notes(truth, [pair([0, 1], [0]), pair([3], [], processed=False)]) == [
        "1 true instance has no visible node: eval/… counts as missed what coco/… leaves out"
    ]


def match(truth=(None, None), predicted=(None, None)):
    """Videos by index and name."""
    return VideoMatch(
        truth=truth[0],
        truth_name=truth[1],
        predicted=predicted[0],
        predicted_name=predicted[1],
        reason="",
    )


def test_videos_of_one_side_are_named_where_they_hold_frames():
    truth = make_poses(POINT, np.zeros((2, 1, 2)), video=[1, 3])
    poses = make_poses(POINT, np.zeros((1, 1, 2)), video=[4])
    matches = [
        match(truth=(0, "empty")),
        match(truth=(1, "one")),
        match(truth=(3, "three")),
        match(predicted=(4, "four")),
        match(predicted=(5, "none")),
    ]
    assert video_notes(truth, poses, matches) == [
        "2 videos of the ground truth are not in the predictions and were left out: one, three",
        "1 video of the predictions is not in the ground truth and was left out: four",
    ]
    assert video_notes(truth, poses, [match((1, "one"), (4, "four"))]) == []


@pytest.mark.parametrize(
    ("method", "threshold", "impossible"),
    [("oks", 0.99, False), ("oks", 1, True), ("oks", 2, True), ("centroid", 50, False)],
)
def test_no_match_says_whether_there_could_be_one(method, threshold, impossible):
    config = EvaluatorConfig(match_method=method, match_threshold=threshold)
    assert (f"match_threshold={threshold} is an OKS" in nothing_matched(config)) == impossible
