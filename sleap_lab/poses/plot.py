"""Poses drawn with matplotlib, for notebooks."""

from typing import TYPE_CHECKING

import numpy as np

from sleap_lab.poses.record import Poses

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = 10
"""Colours of matplotlib's default cycle."""


def draw_frame(
    poses: Poses, video: int, frame: int, image: np.ndarray | None, axes: "Axes | None" = None
) -> "Axes":
    """Draw the poses of a frame; a track has the same colour in all frames.

    Args:
        poses: The poses.
        video: Video of the frame.
        frame: The frame.
        image: (h, w, c) of the frame; None draws the poses alone.
        axes: Where to draw; new axes by default.

    Returns:
        The axes.
    """
    from matplotlib import pyplot  # slow to import

    axes = pyplot.subplots()[1] if axes is None else axes
    if image is not None:
        axes.imshow(image.squeeze(), cmap="gray" if image.shape[2] == 1 else None)
    else:
        axes.set_aspect("equal")
        axes.yaxis.set_inverted(True)
    rows = np.flatnonzero((poses.video == video) & (poses.frame == frame))
    for place, row in enumerate(rows):
        track, points = int(poses.tracks[row]), poses.points[row]
        color = f"C{(track if track >= 0 else place) % COLORS}"
        name = poses.track_names[track] if track >= 0 else None
        axes.plot(*points.T, "o", markersize=3, color=color, label=name)
        for ends in poses.skeleton.edges:
            axes.plot(*points[list(ends)].T, "-", color=color)
    if len(rows) and (poses.tracks[rows] >= 0).any():
        axes.legend(fontsize="small")
    axes.set(title=f"frame {frame}" + (f" of video {video}" if video else ""))
    axes.set_axis_off()
    return axes
