"""The figure of the report about quality without ground truth: where signs of errors were found."""

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sleap_lab.quality.assess import Quality
from sleap_lab.quality.kinds import KINDS
from sleap_lab.report import drawing
from sleap_lab.report.frame_axis import FrameAxis, draw_frame_axis, frame_axis
from sleap_lab.report.panels import Panel, panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def quality_panels(quality: Quality, names: Sequence[str] = ()) -> Iterator[Panel]:
    """Yield the figure of the places where each sign is, if there is one.

    Args:
        quality: Where they do.
        names: Names of the videos, if they have any.
    """
    order, found = quality.order, _found(quality)
    if not found:
        return
    axis = frame_axis(order.places, names)
    counted = ", ".join(f"{kind} {len(rows):,}" for kind, rows in found.items())
    meaning = ", ".join(f"{kind} ({KINDS[kind].meaning})" for kind in found)
    others = _others(quality, found)
    yield panel(
        "Signs of errors",
        f"Poses that are unusual for this recording, found without ground truth: {meaning}. "
        "Beside the figure, in brackets: number of poses."
        + others
        + (f" Together with labels: {quality.labelled}." if quality.labelled else ""),
        f"Signs of errors over the frames: {counted}.",
        _signs(axis, {kind: order.place[rows] for kind, rows in found.items()}),
        shape="wide",
    )


def no_signs(quality: Quality | None) -> str:
    """Say that there is no sign; empty where there is one, or there is nothing to look at."""
    if quality is None or not len(quality.order.poses) or _found(quality):
        return ""
    return f"Signs of errors.{_others(quality, ())}"


def _others(quality: Quality, found: Collection[str]) -> str:
    """Say which signs are nowhere, and which are not looked for."""
    unknown = quality.not_looked_for
    nothing = [kind for kind in KINDS if kind not in found and kind not in unknown]
    said = {"not found": nothing, "not looked for": unknown}
    parts = [f"{how}: {', '.join(kinds)}" for how, kinds in said.items() if kinds]
    return f" {'; '.join(parts).capitalize()}." if parts else ""


def _found(quality: Quality) -> dict[str, np.ndarray]:
    """Return the rows of poses with each sign, without the signs that are nowhere."""
    found = {kind: np.unique(quality.found[kind].rows) for kind in KINDS}
    return {kind: rows for kind, rows in found.items() if len(rows)}


def _signs(axis: FrameAxis, places: dict[str, np.ndarray]) -> "Figure":
    """Draw a row per sign, and a mark per frame in which it is."""
    figure, axes = drawing.canvas(drawing.WIDE, drawing.rows_height(len(places)))
    for row, place in enumerate(places.values()):
        x = axis.x[np.unique(place)]
        axes.plot(
            x,
            np.full(len(x), row),
            linestyle="none",
            marker="|",
            markersize=9,
            markeredgewidth=1.6,
            color=drawing.CONTRAST,
            rasterized=True,
        )
    drawing.name_rows(axes, [f"{kind} ({len(place):,})" for kind, place in places.items()])
    draw_frame_axis(axes, axis)
    return figure
