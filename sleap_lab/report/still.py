"""Pictures of single frames with predicted poses and any ground truth drawn over the image."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sleap_lab.poses.record import Poses
from sleap_lab.report.drawing import INK, track_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PICTURE_SIDE = 4.5  # inches, the longer side
PICTURE_DPI = 200
SMALLEST_WINDOW = 96  # px, each side, where the image is that large


@dataclass(frozen=True)
class Window:
    """A rectangle of the image in whole pixels; `right` and `bottom` are exclusive."""

    left: int
    top: int
    right: int
    bottom: int


def window_around(points: np.ndarray, image_shape: tuple[int, ...]) -> Window:
    """Return the part of an image that shows these points with some surroundings.

    Args:
        points: (..., 2) px, image space; nan is left out.
        image_shape: (h, w, c) of the image; the window never leaves it.
    """
    height, width = image_shape[:2]
    flat = points.reshape(-1, 2)
    flat = flat[np.isfinite(flat).all(axis=1)].clip([0, 0], [width - 1, height - 1])
    if not len(flat):
        return Window(0, 0, width, height)
    low, high = flat.min(axis=0), flat.max(axis=0)
    side = max(SMALLEST_WINDOW, 1.4 * float((high - low).max()))
    left, top = np.floor((low + high) / 2 - side / 2).astype(int).clip(0)
    right, bottom = min(int(left + side), width), min(int(top + side), height)
    return Window(max(0, int(right - side)), max(0, int(bottom - side)), right, bottom)


def colors(poses: Poses) -> list[str]:
    """Return one colour per instance of a frame: by its track, or by its place without a track."""
    return [
        track_color(int(track) if track >= 0 else place) for place, track in enumerate(poses.tracks)
    ]


def draw(
    image: np.ndarray,
    poses: Poses,
    truth: Poses | None = None,
    offsets: np.ndarray | None = None,
    window: Window | None = None,
) -> "Figure":
    """Draw the poses of one frame over its image.

    Args:
        image: (h, w, c) uint8, c 1 or 3.
        poses: Predicted instances of this frame, coloured by track.
        truth: Ground truth instances of this frame, drawn as white rings.
        offsets: (m, 2, 2) px, lines from a true to the predicted node, as ((x, y), (x, y)); nan
            rows are left out.
        window: Part of the image to show; default: all of it.
    """
    from matplotlib.figure import Figure

    window = window or Window(0, 0, image.shape[1], image.shape[0])
    width, height = window.right - window.left, window.bottom - window.top
    unit = PICTURE_SIDE / max(width, height)
    figure = Figure(figsize=(width * unit, height * unit), dpi=PICTURE_DPI)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    part = image[window.top : window.bottom, window.left : window.right]
    # Integer coordinates are pixel centres, so the picture begins half a pixel before the first.
    extent = (window.left - 0.5, window.right - 0.5, window.bottom - 0.5, window.top - 0.5)
    gray = part.shape[-1] == 1
    axes.imshow(
        part[..., 0] if gray else part,
        cmap="gray",
        vmin=0,
        vmax=255,
        extent=extent,
        interpolation="hanning",
    )
    for color, instance in zip(colors(poses), poses.points, strict=True):
        _draw_pose(axes, instance, poses.skeleton.edges, color)
    if truth is not None:
        _draw_truth(
            axes, truth.points.reshape(-1, 2), np.zeros((0, 2, 2)) if offsets is None else offsets
        )
    axes.set_xlim(extent[:2])
    axes.set_ylim(extent[2:])
    return figure


def _draw_pose(
    axes: "Axes", points: np.ndarray, edges: tuple[tuple[int, int], ...], color: str
) -> None:
    from matplotlib.collections import LineCollection

    segments = points[np.array(edges, dtype=int).reshape(-1, 2)]
    segments = segments[np.isfinite(segments).all(axis=(1, 2))]
    axes.add_collection(
        LineCollection(list(segments), colors=color, linewidths=1.1, alpha=0.9), autolim=False
    )
    axes.scatter(
        points[:, 0], points[:, 1], s=9, color=color, edgecolors=INK, linewidths=0.3, zorder=3
    )


def _draw_truth(axes: "Axes", points: np.ndarray, offsets: np.ndarray) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=1.5, foreground=INK)]
    offsets = offsets[np.isfinite(offsets).all(axis=(1, 2))]
    axes.add_collection(
        LineCollection(list(offsets), colors="white", linewidths=0.7, path_effects=halo, zorder=4),
        autolim=False,
    )
    axes.scatter(
        points[:, 0],
        points[:, 1],
        s=26,
        facecolors="none",
        edgecolors="white",
        linewidths=0.7,
        path_effects=halo,
        zorder=5,
    )
