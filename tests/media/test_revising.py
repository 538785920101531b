"""Labels whose poses are put back, tracked anew or filtered; all else in them stays."""

from dataclasses import replace

import numpy as np
import pytest
import sleap_io as sio

from sleap_lab.media.labels import to_poses
from sleap_lab.media.revising import kept_tracks, leave_out_empty_frames, revise_labels

BODY = sio.Skeleton(["a", "b"])


def predicted(x, track=None):
    """A prediction at (x, 0), (x, 1)."""
    return sio.PredictedInstance.from_numpy(
        np.array([[x, 0.0], [x, 1.0]]),
        skeleton=BODY,
        point_scores=np.array([0.9, 0.8]),
        score=0.7,
        track=track,
        tracking_score=0.5,
    )


def corrected(x, of):
    """What a person made of a prediction."""
    return sio.Instance.from_numpy(
        np.array([[x, 0.0], [x, 1.0]]), skeleton=BODY, from_predicted=of, track=of.track
    )


@pytest.fixture
def project():
    """Two videos: three frames with predictions of two tracks, one of them corrected; one frame.

    A third track is that of an event, a fourth is used by nothing.
    """
    one, two = (sio.Video(f"{name}.mp4", open_backend=False) for name in ("one", "two"))
    tracks = [sio.Track(name) for name in ("left", "right", "event", "spare")]
    frames = [
        sio.LabeledFrame(one, 0, [predicted(0, tracks[0]), predicted(50, tracks[1])]),
        sio.LabeledFrame(one, 1, [predicted(2, tracks[0]), (old := predicted(52, tracks[1]))]),
        sio.LabeledFrame(one, 2, [predicted(4, tracks[0])]),
        sio.LabeledFrame(two, 0, [predicted(9, tracks[0])]),
    ]
    frames[1].instances.append(corrected(53, old))
    labels = sio.Labels(frames, videos=[one, two], skeletons=[BODY], tracks=tracks)
    labels.suggestions = [sio.SuggestionFrame(one, 7), sio.SuggestionFrame(two, 8)]
    labels.provenance = {"made by": "hand"}
    return labels


def xs(labels):
    """Per frame, where its instances are, and their tracks."""
    return [
        [
            (float(own.numpy()[0, 0]), own.track.name if own.track else None)
            for own in frame.instances
        ]
        for frame in labels.labeled_frames
    ]


def test_tracks_that_no_pose_uses_are_kept(project):
    assert [track.name for track in kept_tracks(project)] == ["event", "spare"]


def test_new_tracks_replace_those_of_poses(project):
    poses = to_poses(project)
    assert poses.points[:, 0, 0].tolist() == [0, 50, 2, 53, 4, 9]  # 52 is behind 53
    tracks = np.array([1, 0, 1, 0, -1, 1])
    scores = np.array([1.0, 0.9, np.nan, 0.7, 0.6, 0.5])
    found = revise_labels(
        project,
        replace(poses, tracks=tracks, track_scores=scores, track_names=("x", "y")),
        project.videos,
        tracked=True,
        provenance={"tracked": True},
    )
    assert found is project
    # The prediction behind the corrected instance follows it.
    assert xs(found) == [
        [(0, "y"), (50, "x")],
        [(2, "y"), (52, "x"), (53, "x")],
        [(4, None)],
        [(9, "y")],
    ]
    assert [track.name for track in found.tracks] == ["x", "y", "event", "spare"]
    given = [own.tracking_score for frame in found.labeled_frames for own in frame.instances]
    assert given == [1.0, 0.9, None, None, 0.7, 0.6, 0.5]
    assert found.provenance == {"made by": "hand", "tracked": True}
    assert [one.frame_idx for one in found.suggestions] == [7, 8]


def test_what_is_filtered_out_goes(project):
    poses = to_poses(project)
    kept = poses[np.isin(poses.points[:, 0, 0], [50, 2, 53])]
    kept = replace(kept, frames=poses.frames[[1, 0]])
    found = revise_labels(project, kept, project.videos[:1], tracked=False)
    # The frames that were not requested go too; so does what belongs to the second video.
    assert xs(found) == [[(2, "left"), (52, "right"), (53, "right")], [(50, "right")]]
    assert [frame.frame_idx for frame in found.labeled_frames] == [1, 0]
    assert [video.filename for video in found.videos] == ["one.mp4"]
    assert [one.frame_idx for one in found.suggestions] == [7]
    assert [track.name for track in found.tracks] == ["left", "right", "event", "spare"]


def test_a_correction_that_is_filtered_out_takes_the_prediction_behind_it_along(project):
    poses = to_poses(project)
    kept = poses[poses.points[:, 0, 0] != 53]
    found = revise_labels(project, kept, project.videos, tracked=False)
    assert xs(found)[1] == [(2, "left")]


def test_predictions_in_a_frame_that_is_marked_as_empty_lose_their_tracks(project):
    project.labeled_frames[2].is_negative = True
    poses = to_poses(project)
    assert 4 not in poses.points[:, 0, 0]
    found = revise_labels(project, poses, project.videos, tracked=True)
    assert xs(found)[2] == [(4, None)]
    assert found.labeled_frames[2].is_negative
    assert found.labeled_frames[2].instances[0].tracking_score is None


def test_entries_of_one_frame_become_one(project):
    one = project.videos[0]
    again = sio.LabeledFrame(one, 2, [predicted(6, project.tracks[1])])
    project.labeled_frames.append(again)
    found = revise_labels(project, to_poses(project), project.videos, tracked=False)
    assert [(frame.video.filename, frame.frame_idx) for frame in found.labeled_frames] == [
        ("one.mp4", 0),
        ("one.mp4", 1),
        ("one.mp4", 2),
        ("two.mp4", 0),
    ]
    assert xs(found)[2] == [(6, "right")]  # later predictions replace earlier ones


def test_frames_without_poses_are_left_out_unless_a_person_marked_them(project):
    one = project.videos[0]
    empty, marked = (sio.LabeledFrame(one, number, []) for number in (10, 11))
    marked.is_negative = True
    project.labeled_frames += [empty, marked]
    leave_out_empty_frames(project)
    assert [frame.frame_idx for frame in project.labeled_frames] == [0, 1, 2, 0, 11]
