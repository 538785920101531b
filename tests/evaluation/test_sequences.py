"""The tracks of a video as identity metrics compare them, drawn by hand."""

import numpy as np
import pytest

from sleap_lab.evaluation.match import FramePair
from sleap_lab.evaluation.sequences import (
    Neighbour,
    TrackSequence,
    build_sequences,
    has_consecutive_frames,
    tracks_once_per_frame,
)
from sleap_lab.poses.record import Skeleton, make_poses

POINT = Skeleton(("a",))


def poses_at(xs, frame, tracks, names=("one", "two", "three"), **columns):
    """Single nodes at (x, 0)."""
    points = [[[x, 0.0]] for x in xs]
    return make_poses(POINT, points, frame=frame, tracks=tracks, track_names=names, **columns)


def test_a_frame_holds_a_track_once():
    poses = poses_at(
        [0, 1, 2, 3, 4],
        frame=[0, 0, 0, 1, 1],
        tracks=[0, 0, 1, 0, 0],
        instance_scores=[0.5, 0.9, 0.1, 0.9, 0.2],
        user=[False, False, False, False, True],
    )
    # The better of two; an instance of a person before all.
    assert tracks_once_per_frame(poses).tolist() == [-1, 0, 1, -1, 0]
    equal = poses_at([0, 1], frame=[0, 0], tracks=[2, 2], instance_scores=[0.5, 0.5])
    assert tracks_once_per_frame(equal).tolist() == [2, -1]  # of equals the first


def alike(truth, poses):
    """Similarity: 1 at the same place, 0 from 10 px on."""

    def compare(rows, columns):
        far = np.abs(truth.points[rows, 0, 0][:, None] - poses.points[columns, 0, 0])
        return np.maximum(1 - far / 10, 0)

    return compare


def pair_of(frame, truth_rows, pose_rows, all_truth=None, all_poses=None):
    every = [np.array(rows) for rows in (truth_rows, pose_rows)]
    return FramePair(
        0,
        0,
        frame,
        every[0],
        every[1],
        *(
            own if more is None else np.array(more)
            for own, more in zip(every, (all_truth, all_poses), strict=True)
        ),
    )


def test_a_sequence_holds_tracks_by_number_and_name():
    truth = poses_at([0, 50, 90, 52, 1], frame=[0, 0, 0, 1, 1], tracks=[2, 1, -1, 1, 2])
    poses = poses_at([1, 50, 90, 2, 300], frame=[0, 0, 0, 1, 1], tracks=[1, 0, 2, 1, 0])
    (found,) = build_sequences(
        truth,
        poses,
        truth.tracks,
        poses.tracks,
        [pair_of(1, [3, 4], [3, 4]), pair_of(0, [0, 1, 2], [0, 1, 2])],
        alike(truth, poses),
    )
    assert found.frames == [0, 1]
    # Of the truth tracks 1 and 2 occur; the prediction on the one without a track is left out.
    assert found.truth_names == ["two", "three"]
    assert found.pose_names == ["one", "two"]
    assert [ids.tolist() for ids in found.truth_ids] == [[1, 0], [0, 1]]
    assert [ids.tolist() for ids in found.pose_ids] == [[1, 0], [1, 0]]
    np.testing.assert_allclose(found.similarities[0], [[0.9, 0], [0, 1]])
    np.testing.assert_allclose(found.similarities[1], [[0, 0], [0.9, 0]])
    # The nearest other animal of that at 50 is the one at 90, which has no track.
    assert found.neighbours == [
        [Neighbour("two", 50), Neighbour("", 40)],
        [Neighbour("three", 51), Neighbour("two", 51)],
    ]


def test_an_animal_alone_has_no_neighbour():
    truth, poses = (poses_at([0], frame=[3], tracks=[0]) for _ in range(2))
    (found,) = build_sequences(
        truth, poses, truth.tracks, poses.tracks, [pair_of(3, [0], [0])], alike(truth, poses)
    )
    ((neighbour,),) = found.neighbours
    assert neighbour.track == ""
    assert np.isnan(neighbour.distance)


def test_frames_without_animals_stay():
    truth = poses_at([], frame=[], tracks=[])
    poses = poses_at([0], frame=[2], tracks=[1])
    (found,) = build_sequences(
        truth, poses, truth.tracks, poses.tracks, [pair_of(2, np.zeros(0, int), [0])],
        lambda rows, columns: np.zeros((len(rows), len(columns))),
    )  # fmt: skip
    assert (found.frames, found.truth_names, found.pose_names) == ([2], [], ["two"])
    assert found.neighbours == [[]]
    assert found.similarities[0].shape == (0, 1)


@pytest.mark.parametrize(
    ("frames", "ids", "expected"),
    [
        ([0, 1], [[0], [0]], True),
        ([0, 1], [[0, 1], [1]], True),
        ([0, 1], [[0], [1]], False),  # another animal
        ([0, 2], [[0], [0]], False),
        ([4, 6, 7], [[0], [0], [0]], True),
        ([4], [[0]], False),
    ],
)
def test_whether_a_track_is_labelled_on_consecutive_frames(frames, ids, expected):
    sequence = TrackSequence(0, 0, frames, [np.array(one) for one in ids], [], [], [], [], [])
    assert has_consecutive_frames(sequence) == expected
