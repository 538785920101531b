"""How often tracks are interrupted."""

import numpy as np
import pytest

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.runs.fragments import count_fragments


def poses(frame, tracks, frames, video=None):
    points = np.ones((len(frame), 2, 2))
    return make_poses(
        Skeleton(("a", "b"), ()),
        points,
        frame=frame,
        video=video or [0] * len(frame),
        instance_scores=1.0,
        tracks=tracks,
        track_names=["one", "two"],
        frames=frames,
    )


@pytest.mark.parametrize(
    ("frame", "tracks", "expected"),
    [
        ([0, 2, 4], [0, 0, 0], 1),  # every second frame was processed: nothing is missing
        ([0, 4, 6], [0, 0, 0], 2),
        ([0, 2, 4], [0, 1, 0], 3),
        ([0, 2], [-1, -1], 0),
    ],
)
def test_fragments_are_stretches_of_processed_frames(frame, tracks, expected):
    processed = np.array([(0, number) for number in (0, 2, 4, 6)])
    assert count_fragments(poses(frame, tracks, processed)) == expected


def test_a_stretch_ends_with_its_video():
    processed = np.array([(0, 0), (1, 0)])
    assert count_fragments(poses([0, 0], [0, 0], processed, video=[0, 1])) == 2
