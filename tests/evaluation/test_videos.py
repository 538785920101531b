from dataclasses import replace

import numpy as np
import pytest
import sleap_io as sio

from sleap_lab.errors import ConfigError
from sleap_lab.evaluation import evaluate
from sleap_lab.evaluation.videos import compared, map_notes, match_videos
from sleap_lab.media.labels import to_labels, to_poses
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import EvaluatorConfig

NODES = ("a", "b", "c")
TRIANGLE = np.array([[0, 0], [40, 0], [0, 40]], dtype=float)


def labels_on(*names, moved=0.0, order=(0, 1, 2), used=None):
    """Labels of one animal on frame 0 of every video, further right in each.

    Nodes are in the given order.
    """
    videos = [
        sio.Video(name, open_backend=False, backend_metadata={"shape": (9, 48, 64, 1)})
        for name in names
    ]
    numbers = range(len(names)) if used is None else used
    points = [(TRIANGLE + 100 * number + moved)[list(order)] for number in numbers]
    skeleton = Skeleton(tuple(NODES[i] for i in order))
    return to_labels(make_poses(skeleton, points, video=list(numbers), instance_scores=0.5), videos)


def reasons(truth, labels, video_map=None):
    return [(m.predicted, m.truth, m.reason) for m in match_videos(truth, labels, video_map)]


def test_videos_are_matched_by_file(video_path):
    truth, labels = labels_on("/a/first.mp4", str(video_path)), labels_on(str(video_path), moved=1)
    assert reasons(truth, labels) == [
        (0, 1, "same file"),
        (None, 0, "no such video in the predictions"),
    ]


def test_videos_of_other_folders_are_matched_by_name():
    truth, labels = (
        labels_on("/a/one.mp4", "/a/two.mp4"),
        labels_on("/b/two.mp4", "/b/one.mp4", moved=1),
    )
    same = "same size and number of frames"
    assert reasons(truth, labels) == [
        (0, 1, f"same name two.mp4, {same}"),
        (1, 0, f"same name one.mp4, {same}"),
    ]
    assert compared(match_videos(truth, labels)) == {0: 1, 1: 0}


def test_the_end_of_the_name_that_two_videos_share_is_told():
    truth, labels = (
        labels_on("/a/of/monday/one.mp4", "/a/two.mp4"),
        labels_on("/b/of/monday/one.mp4", moved=1),
    )
    assert reasons(truth, labels)[0] == (
        0,
        0,
        "same name of/monday/one.mp4, same size and number of frames",
    )


def test_frames_of_a_package_are_those_of_the_file_they_were_taken_from():
    truth, labels = labels_on("/a/one.mp4"), labels_on("/b/labels.pkg.slp", moved=1)
    labels.videos[0].source_video = sio.Video("/a/one.mp4", open_backend=False)
    assert reasons(truth, labels) == [(0, 0, "same file")]


def test_renamed_videos_are_matched_by_identical_poses():
    assert reasons(labels_on("/a/one.mp4"), labels_on("/b/other.mp4")) == [(0, 0, "same poses")]


def test_videos_that_cannot_be_told_apart_are_refused():
    truth, labels = labels_on("/a/x.mp4", "/b/x.mp4"), labels_on("/c/x.mp4", "/d/x.mp4", moved=1)
    with pytest.raises(
        ConfigError,
        match=r"^evaluator\.video_map: video 0 /c/x.mp4 .* could be any of .*: "
        r"0 /a/x.mp4, 1 /b/x.mp4; .*\{0:0\}",
    ):
        match_videos(truth, labels)
    with pytest.raises(ConfigError, match=r"^videos: video 0 .*; give the same videos the same"):
        match_videos(truth, labels, mappable=False)
    assert reasons(truth, labels, {0: 1, "/d/x.mp4": "a/x.mp4"}) == [
        (0, 1, "evaluator.video_map"),
        (1, 0, "evaluator.video_map"),
    ]


def test_a_video_that_the_map_leaves_out_need_not_be_told_apart():
    truth, labels = labels_on("/a/x.mp4", "/b/x.mp4"), labels_on("/c/x.mp4", moved=1)
    assert compared(match_videos(truth, labels, {0: None})) == {}


def test_a_video_without_frames_need_not_be_told_apart():
    truth, labels = (
        labels_on("/a/x.mp4", "/b/x.mp4", "/b/y.mp4"),
        labels_on("/c/x.mp4", "/c/y.mp4", moved=1, used=[1]),
    )
    assert compared(match_videos(truth, labels)) == {1: 2}


def test_videos_of_another_size_are_not_candidates():
    truth, labels = labels_on("/a/x.mp4", "/b/x.mp4"), labels_on("/c/y.mp4", moved=1)
    truth.videos[0].backend_metadata["shape"] = (9, 20, 20, 1)
    assert compared(match_videos(truth, labels)) == {}


def test_two_videos_cannot_be_compared_with_the_same_one():
    truth, labels = labels_on("/a/x.mp4"), labels_on("/c/x.mp4", "/d/x.mp4", moved=1)
    with pytest.raises(
        ConfigError,
        match=r"0 /c/x\.mp4 and 1 /d/x.mp4 of the predictions "
        r"would both be compared with 0 /a/x\.mp4",
    ):
        match_videos(truth, labels)
    assert compared(match_videos(truth, labels, {1: None})) == {0: 0}


@pytest.mark.parametrize(
    ("video_map", "message"),
    [
        (
            {"z.mp4": 0},
            "z.mp4: the predictions have no such video; "
            "accepted is an index or a name of: 0 /c/x.mp4, 1 /d/x.mp4",
        ),
        ({5: 0}, "5: the predictions have no such video"),
        ({"x.mp4": 0}, "x.mp4: 2 videos of the predictions are called so"),
        ({0: "z.mp4"}, "z.mp4: the ground truth have no such video"),
    ],
)
def test_a_map_that_names_no_video_is_refused(video_map, message):
    with pytest.raises(ConfigError, match=message):
        match_videos(labels_on("/a/x.mp4"), labels_on("/c/x.mp4", "/d/x.mp4"), video_map)


def evaluation(truth, labels, video_map=None):
    matches = match_videos(truth, labels, video_map)
    config = EvaluatorConfig(user_labels_only=False, match_method="oks")
    return evaluate(
        to_poses(truth), to_poses(labels), config, videos=compared(matches), video_matches=matches
    )


def test_swapped_videos_and_permuted_nodes_give_the_same_metrics_with_a_map_and_an_error_without():
    truth = labels_on("/a/x.mp4", "/b/x.mp4")
    straight, order = labels_on("/c/x.mp4", "/d/x.mp4", moved=1), (2, 0, 1)
    swapped = labels_on("/d/x.mp4", "/c/x.mp4", moved=1, order=order)
    poses = to_poses(swapped)
    swapped = to_labels(replace(poses, points=poses.points[::-1]), swapped.videos)
    with pytest.raises(ConfigError, match=r"evaluator\.video_map"):
        evaluation(truth, swapped)
    expected = evaluation(truth, straight, {0: 0, 1: 1}).headline()
    assert expected["eval/dist_avg"] == pytest.approx(2**0.5)
    assert evaluation(
        truth, swapped, {"c/x.mp4": "a/x.mp4", "d/x.mp4": "b/x.mp4"}
    ).headline() == pytest.approx(expected)


def test_videos_that_are_not_compared_are_named():
    truth, labels = labels_on("/a/x.mp4", "/a/y.mp4"), labels_on("/a/x.mp4", "/a/z.mp4", moved=1)
    result = evaluation(truth, labels, {1: None})
    assert result.notes == (
        "1 video of the ground truth is not in the predictions and was left out: /a/y.mp4",
        "1 video of the predictions is not in the ground truth and was left out: /a/z.mp4",
    )
    assert [match.reason for match in result.videos][1:] == [
        "left out by evaluator.video_map",
        "no such video in the predictions",
    ]


def test_a_map_of_videos_with_other_pictures_is_told():
    truth, labels = labels_on("/a/one.mp4", "/a/two.mp4"), labels_on("small.mp4", "/a/two.mp4")
    labels.videos[0].backend_metadata["shape"] = (4, 24, 32, 1)
    matches = match_videos(truth, labels, {"small.mp4": "one.mp4"})
    assert map_notes(matches, labels.videos, truth.videos) == [
        "evaluator.video_map: small.mp4 has 32x24 px, /a/one.mp4 of the ground truth 64x48 px; "
        "poses are compared as they are, in px of their own video",
        "evaluator.video_map: small.mp4 has 4 frames, /a/one.mp4 of the ground truth 9; "
        "frames are paired by number",
    ]
    labels.videos[0].backend_metadata["shape"] = truth.videos[0].backend_metadata["shape"]
    assert map_notes(matches, labels.videos, truth.videos) == []


def test_a_file_is_itself_whatever_number_of_frames_labels_store(video_path):
    # SLEAP stores what the header says, here of the frames before an edit list.
    truth, labels = labels_on(str(video_path)), labels_on(str(video_path), moved=1)
    truth.videos[0].backend_metadata["shape"] = (30, 48, 64, 1)
    matches = match_videos(truth, labels)
    assert compared(matches) == {0: 0}
    assert map_notes(matches, labels.videos, truth.videos) == [
        f"{video_path} has 9 frames, {video_path} of the ground truth 30; "
        "frames are paired by number"
    ]
    truth.videos[0].backend_metadata["shape"] = (30, 32, 64, 1)
    assert compared(match_videos(truth, labels)) == {}
