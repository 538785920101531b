"""The purpose of the demo: a tracker of poses keeps animals apart, one of centroids does not."""

from dataclasses import replace

import numpy as np

from sleap_lab.poses.record import Poses
from sleap_lab.settings.config import TrackerConfig
from sleap_lab.tracking import track


def switches(truth: Poses, **settings: str) -> int:
    tracked = track(
        replace(truth, tracks=np.full(len(truth), -1, np.int32), track_names=()),
        TrackerConfig(tracking=True, **settings),
    )
    order = np.lexsort((tracked.points[:, 0, 0], tracked.frame))
    same = np.lexsort((truth.points[:, 0, 0], truth.frame))
    found = np.empty(len(truth), np.int32)
    found[same] = tracked.tracks[order]
    by_animal = [found[truth.tracks == animal] for animal in range(len(truth.track_names))]
    return sum(int((np.diff(ids) != 0).sum()) for ids in by_animal)


def test_poses_keep_identities(truth: Poses) -> None:
    assert switches(truth, features="keypoints", scoring_method="oks") == 0


def test_centroids_swap_identities(truth: Poses) -> None:
    assert switches(truth, features="centroids", scoring_method="euclidean_dist") >= 2
