"""The figure of the report about quality without ground truth: where signs of errors were found."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from sleap_lab.quality.assess import KINDS, Quality
from sleap_lab.report import drawing
from sleap_lab.report.frame_axis import FrameAxis, draw_frame_axis, frame_axis
from sleap_lab.report.panels import Panel, panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def quality_panels(quality: Quality) -> Iterator[Panel]:
    """Yield the figure of the places where each proxy finds something."""
    order = quality.order
    if not len(order.poses):
        return
    found = {kind: np.unique(quality.found[kind].rows) for kind in KINDS}
    axis = frame_axis(order.places)
    counted = ", ".join(f"{kind} {len(rows):,}" for kind, rows in found.items() if len(rows))
    meaning = "; ".join(f"{kind}: {text}" for kind, text in KINDS.items())
    yield panel(
        "Signs of errors",
        f"Poses that are unusual for this recording, without ground truth. {meaning}. "
        "In brackets: number of poses."
        + (f" Together with labels: {quality.labelled}." if quality.labelled else ""),
        f"Signs of errors over the frames: {counted or 'none'}.",
        _signs(axis, {kind: order.place[rows] for kind, rows in found.items()}),
        shape="wide",
    )


def _signs(axis: FrameAxis, places: dict[str, np.ndarray]) -> "Figure":
    """Draw a row per proxy, and a mark per frame in which it finds something."""
    figure, axes = drawing.canvas(drawing.WIDE, drawing.rows_height(len(places)))
    for row, place in enumerate(places.values()):
        x = axis.x[np.unique(place)]
        axes.plot(
            x,
            np.full(len(x), row),
            linestyle="none",
            marker="|",
            markersize=9,
            markeredgewidth=1.2,
            color=drawing.track_color(row),
            rasterized=True,
        )
    drawing.name_rows(axes, [f"{kind} ({len(place):,})" for kind, place in places.items()])
    draw_frame_axis(axes, axis)
    return figure
