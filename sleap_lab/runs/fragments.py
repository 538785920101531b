"""How often tracks are interrupted."""

import numpy as np

from sleap_lab.poses.record import Poses
from sleap_lab.report.frame_axis import frame_axis


def count_fragments(poses: Poses) -> int:
    """Return the number of stretches of consecutive processed frames that tracks cover."""
    tracked = poses.tracks >= 0
    axis = frame_axis(poses.frames)
    place = axis.index(poses.video[tracked], poses.frame[tracked])
    covered = np.unique(np.stack([poses.tracks[tracked], place], axis=1), axis=0)
    video = axis.frames[covered[:, 1], 0]
    goes_on = (np.diff(covered[:, 1]) == 1) & (np.diff(covered[:, 0]) == 0) & (np.diff(video) == 0)
    return len(covered) - int(goes_on.sum())
