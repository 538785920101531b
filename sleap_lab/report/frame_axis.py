"""The horizontal axis of figures over time, on which every processed frame has its place."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sleap_lab.report.drawing import MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class FrameAxis:
    """A horizontal axis on which every processed frame has its place.

    Attributes:
        frames: (f, 2) int64, (video, frame), sorted.
        x: (f,) float64, place of each frame: the frame number for one video, else its position
            among all frames.
        label: What the axis shows.
        borders: Places between two videos.
    """

    frames: np.ndarray
    x: np.ndarray
    label: str
    borders: tuple[float, ...]

    def index(self, video: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """Return (n,) the index into `frames` of each (video, frame); -1 if not processed."""
        if not len(self.frames):
            return np.full(len(video), -1)
        span = 1 + max(self.frames[:, 1].max(), frame.max(initial=0))
        known = self.frames[:, 0] * span + self.frames[:, 1]
        wanted = video.astype(np.int64) * span + frame
        found = np.searchsorted(known, wanted).clip(max=len(known) - 1)
        return np.where(known[found] == wanted, found, -1)


def frame_axis(frames: np.ndarray) -> FrameAxis:
    """Lay out processed frames along one axis.

    Args:
        frames: (f, 2) (video, frame) in any order.
    """
    frames = np.unique(frames, axis=0)
    if len(np.unique(frames[:, 0])) <= 1:
        return FrameAxis(frames, frames[:, 1].astype(float), "Frame", ())
    changes = np.flatnonzero(np.diff(frames[:, 0]))
    return FrameAxis(
        frames,
        np.arange(len(frames), dtype=float),
        "Processed frame, video after video",
        tuple(changes + 0.5),
    )


def draw_frame_axis(axes: "Axes", axis: FrameAxis) -> None:
    """Limit and label the horizontal axis, and mark where a video ends."""
    for border in axis.borders:
        axes.axvline(border, color=MUTED, linewidth=0.7, linestyle=":")
    if len(axis.x):
        pad = 0.5 + 0.005 * (axis.x[-1] - axis.x[0])
        axes.set_xlim(axis.x[0] - pad, axis.x[-1] + pad)
    axes.set_xlabel(axis.label)
