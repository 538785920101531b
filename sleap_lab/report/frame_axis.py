"""The horizontal axis of figures over time, on which every processed frame has its place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sleap_lab.report.drawing import MUTED, cut

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LETTERS_PER_INCH = 10  # of the names of videos
FEWEST_LETTERS = 4  # of a name that is cut


@dataclass(frozen=True, eq=False)
class FrameAxis:
    """A horizontal axis on which every processed frame has its place.

    Attributes:
        frames: (f, 2) int64, (video, frame), sorted.
        x: (f,) float64, place of each frame: the frame number for one video, else its position
            among all frames.
        label: What the axis shows.
        borders: Places between two videos.
        names: Name of each video, where there are several and they have names.
    """

    frames: np.ndarray
    x: np.ndarray
    label: str
    borders: tuple[float, ...]
    names: tuple[str, ...] = ()

    def index(self, video: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """Return (n,) the index into `frames` of each (video, frame); -1 if not processed."""
        if not len(self.frames):
            return np.full(len(video), -1)
        span = 1 + max(self.frames[:, 1].max(), frame.max(initial=0))
        known = self.frames[:, 0] * span + self.frames[:, 1]
        wanted = video.astype(np.int64) * span + frame
        found = np.searchsorted(known, wanted).clip(max=len(known) - 1)
        return np.where(known[found] == wanted, found, -1)


def frame_axis(frames: np.ndarray, names: Sequence[str] = ()) -> FrameAxis:
    """Lay out processed frames along one axis.

    Args:
        frames: (f, 2) (video, frame) in any order.
        names: Names of the videos, if they have any.
    """
    frames = np.unique(frames, axis=0)
    videos = np.unique(frames[:, 0]).tolist()
    if len(videos) <= 1:
        return FrameAxis(frames, frames[:, 1].astype(float), "Frame", ())
    changes = np.flatnonzero(np.diff(frames[:, 0]))
    return FrameAxis(
        frames,
        np.arange(len(frames), dtype=float),
        "Processed frame, video after video",
        tuple(changes + 0.5),
        tuple(names[video] for video in videos) if names else (),
    )


def draw_frame_axis(axes: "Axes", axis: FrameAxis) -> None:
    """Limit and label the horizontal axis, and mark where a video ends."""
    for border in axis.borders:
        axes.axvline(border, color=MUTED, linewidth=0.7, linestyle=":")
    if len(axis.x):
        pad = 0.5 + 0.005 * (axis.x[-1] - axis.x[0])
        axes.set_xlim(axis.x[0] - pad, axis.x[-1] + pad)
    axes.set_xlabel(axis.label, labelpad=16 if axis.names else None)
    if axis.names:
        _name_videos(axes, axis)


def _name_videos(axes: "Axes", axis: FrameAxis) -> None:
    """Write the name of each video below its frames, as far as there is room for it."""
    ends = [axis.x[0], *axis.borders, axis.x[-1]]
    inches = axes.bbox.width / axes.figure.dpi
    whole = LETTERS_PER_INCH * inches / (ends[-1] - ends[0])
    for name, start, end in zip(axis.names, ends, ends[1:], strict=False):
        letters = int((end - start) * whole)
        if letters >= min(FEWEST_LETTERS, len(name)):
            axes.annotate(
                cut(name, letters),
                ((start + end) / 2, 0),
                (0, -18),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="center",
                va="top",
                color=MUTED,
            )
