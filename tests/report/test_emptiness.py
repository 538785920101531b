"""Pictures of empty frames show what the networks see there."""

import numpy as np

from sleap_lab.poses.emptiness import Emptiness, EmptyFrame
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.report.emptiness import empty_pictures

POSES = make_poses(
    Skeleton(("a",), (), name="one"), np.zeros((0, 1, 2)), frame=[], frames=[(0, 3), (0, 5)]
)


def read(video, frame):
    if frame == 5:
        raise ValueError("broken")
    return np.zeros((40, 60, 1), dtype=np.uint8)


def test_a_picture_shows_map_and_numbers_and_an_unreadable_frame_is_left_out():
    seen, nothing = np.zeros((10, 15), np.float32), np.zeros((10, 15), np.float32)
    seen[5, 5] = 0.125
    for confidence, threshold, says in (
        (seen, 0.2, "highest confidence 0.12, threshold 0.2"),
        (nothing, 0.0, "highest confidence 0.00, threshold 0"),
    ):
        frames = [EmptyFrame(0, frame, confidence, 4.0) for frame in (3, 5)]
        (picture,) = empty_pictures(Emptiness("…", frames, threshold), POSES, read)
        assert (picture.title, picture.caption) == ("Frame 3", says)
        assert picture.image.startswith("data:image/png;base64,")
    assert empty_pictures(Emptiness(), POSES, read) == []
