"""How unusual each frame looks."""

import numpy as np
import pytest

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.quality.assess import assess
from sleap_lab.quality.frames import frame_signs


@pytest.mark.parametrize("name", ["animals", "hidden", "confidence", "step", "bone", "jump"])
def test_the_frame_with_a_fault_has_the_largest_number(scene, changed, name):
    poses = scene(n_frames=60, n_animals=2)
    rows = np.flatnonzero(poses.frame == 30)
    if name == "animals":
        keep = np.ones(len(poses), dtype=bool)
        keep[rows[0]] = False
        poses = poses[keep]
    elif name == "hidden":
        poses = changed(poses, rows[:1], np.where(np.arange(6)[:, None] < 4, np.nan, 1.0))
    elif name == "confidence":
        poses.point_scores[rows[0]] = 0.1
    elif name == "bone":
        poses.points[rows[0], 5] -= 200
    else:
        poses.points[rows[0]] += 300
    found = frame_signs(assess(poses))[name]
    assert found.shape == (60,)
    assert (found >= 0).all()
    assert 30 in np.flatnonzero(found == found.max())


def test_what_cannot_be_told_is_nothing_unusual():
    poses = make_poses(Skeleton(("a",)), [[[3.0, 4.0]]], frames=[(0, 0), (0, 1)])
    found = frame_signs(assess(poses))
    assert all((column == 0).all() for name, column in found.items() if name != "animals")
    assert found["animals"].tolist() == [0, 1]


def test_a_result_without_poses_has_counts_only():
    nobody = make_poses(Skeleton(("a", "b"), edges=((0, 1),)), [], frames=[(0, 0), (1, 3)])
    assert all(column.tolist() == [0, 0] for column in frame_signs(assess(nobody)).values())
