"""Poses under other indices of their videos."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from sleap_lab.poses.record import Poses


def with_videos(poses: Poses, videos: Mapping[int, int]) -> Poses:
    """Return the poses of some videos by other indices.

    Args:
        poses: The poses.
        videos: Index of each video that is kept -> its new index.
    """
    kept = list(videos)
    numbers = np.zeros(max([0, *kept]) + 1, dtype=np.int64)
    numbers[kept] = list(videos.values())
    frames = poses.frames[np.isin(poses.frames[:, 0], kept)]
    poses = poses[np.isin(poses.video, kept)]
    return replace(
        poses,
        video=numbers[poses.video].astype(np.int32),
        frames=np.stack([numbers[frames[:, 0]], frames[:, 1]], axis=1),
    )
