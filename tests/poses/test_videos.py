"""Poses under other indices of their videos."""

import numpy as np

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.poses.videos import with_videos


def poses_in(video, frames):
    """Poses at (0, 0), (1, 1), … in these videos, all in frame 7."""
    points = np.repeat(np.arange(len(video), dtype=float), 2).reshape(-1, 1, 2)
    return make_poses(
        Skeleton(("node",)), points, video=video, frame=[7] * len(video), frames=frames
    )


def test_videos_get_their_new_numbers_and_others_are_left_out():
    poses = poses_in([0, 1, 2], [(0, 7), (1, 7), (1, 8), (2, 7)])
    found = with_videos(poses, {1: 0, 2: 3})
    assert found.video.tolist() == [0, 3]
    assert found.points[:, 0, 0].tolist() == [1, 2]
    assert found.frames.tolist() == [[0, 7], [0, 8], [3, 7]]


def test_without_a_video_nothing_is_left():
    found = with_videos(poses_in([0], [(0, 7)]), {})
    assert len(found) == len(found.frames) == 0
