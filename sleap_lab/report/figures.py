"""The report's figures: each function draws a matplotlib `Figure` from plain arrays.

Draw and encode them inside `house_style`, so that no figure depends on the user's matplotlib
settings.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sleap_lab.report.drawing import (
    ACCENT,
    BETWEEN,
    CONTRAST,
    INK,
    MUTED,
    NARROW,
    PALE,
    PAPER,
    WIDE,
    canvas,
    cut,
    legend_above,
    name_rows,
    rows_height,
    track_color,
)
from sleap_lab.report.frame_axis import FrameAxis, draw_frame_axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MAX_TRACK_ROWS = 40
HISTOGRAM, TALLEST = 2.5, 4.0  # heights, inches
STRETCHES = 60  # of a timeline, each with its median
MAX_COLUMNS = 1500  # of a timeline


def node_errors(nodes: Sequence[str], distances: np.ndarray) -> "Figure":
    """Draw the error distribution of each node: 5-95% range, quartile box and median.

    Args:
        nodes: Names.
        distances: (p, nodes) px per matched pair; nan where the node is missing on either side.
    """
    figure, axes = canvas(NARROW, rows_height(len(nodes), roomy=True))
    for row in range(len(nodes)):
        values = distances[:, row][np.isfinite(distances[:, row])]
        if len(values):
            low, first, median, third, high = np.percentile(values, [5, 25, 50, 75, 95])
            axes.plot([low, high], [row, row], color=ACCENT, linewidth=1)
            axes.barh(
                row,
                third - first,
                left=first,
                height=0.62,
                color=ACCENT,
                alpha=0.35,
                edgecolor=ACCENT,
                linewidth=0.8,
            )
            axes.plot([median], [row], marker="|", markersize=8, markeredgewidth=2, color=INK)
    name_rows(axes, nodes)
    axes.set_xlim(left=0)
    axes.set_xlabel("Error (px)")
    return figure


def pck_curves(
    nodes: Sequence[str], thresholds: np.ndarray, shares: np.ndarray, *, highlighted: int = 3
) -> "Figure":
    """Draw the share of nodes found within each distance, one line per node; the worst are named.

    Args:
        nodes: Names.
        thresholds: (k,) px.
        shares: (nodes, k) share of matched pairs with an error below the threshold, in [0, 1].
        highlighted: How many of the worst nodes get a colour and a name.
    """
    figure, axes = canvas(NARROW, 3.1)
    order = np.argsort(shares.mean(axis=1), kind="stable")
    for node in order[highlighted:]:
        axes.plot(thresholds, 100 * shares[node], color=PALE, linewidth=1)
    worst = [
        axes.plot(thresholds, 100 * shares[n], color=track_color(i), linewidth=1.6)[0]
        for i, n in enumerate(order[:highlighted])
    ]
    (mean,) = axes.plot(thresholds, 100 * shares.mean(axis=0), color=INK, linewidth=2.2)
    labels = [f"{cut(nodes[n])} ({100 * shares[n].mean():.1f}%)" for n in order[:highlighted]]
    legend_above(axes, [mean, *worst], [f"mean of nodes ({100 * shares.mean():.1f}%)", *labels])
    axes.set_ylim(0, 102)
    axes.set_xlabel("Error below (px)")
    axes.set_ylabel("Matched nodes (%)")
    return figure


def errors_over_frames(axis: FrameAxis, index: np.ndarray, errors: np.ndarray) -> "Figure":
    """Draw the mean error of each matched pair by frame, and the median over stretches of frames.

    Args:
        axis: Where the frames are.
        index: (p,) index of each pair's frame on the axis.
        errors: (p,) px, mean over the pair's nodes; nan where no node can be compared.
    """
    figure, axes = canvas(WIDE, 2.5)
    index, errors = index[np.isfinite(errors)], errors[np.isfinite(errors)]
    opacity = min(0.45, max(0.06, 900 / max(1, len(errors))))
    axes.scatter(
        axis.x[index],
        errors,
        s=9,
        color=BETWEEN,
        alpha=opacity,
        linewidths=0,
        rasterized=True,
        label="one matched pair",
    )
    if len(errors) > 2 * STRETCHES:
        edges = np.linspace(axis.x[index].min(), axis.x[index].max(), STRETCHES + 1)
        stretch = np.digitize(axis.x[index], edges[1:-1])
        used = np.unique(stretch)
        medians = [np.median(errors[stretch == s]) for s in used]
        axes.plot(
            (edges[:-1] + edges[1:])[used] / 2,
            medians,
            color=CONTRAST,
            linewidth=1.5,
            label=f"median of {edges[1] - edges[0]:.0f} frames",
        )
    legend_above(axes, *axes.get_legend_handles_labels())
    top = errors.max(initial=1.0)
    if top > 10 * max(1, np.percentile(errors, 90)):
        # A few pairs that are far off would press all others to the floor.
        axes.set_yscale("symlog", linthresh=1)
        ticks = [0, *(t for e in range(7) for t in (10**e, 3 * 10**e) if t < 1.2 * top)]
        axes.set_yticks(ticks, [str(t) for t in ticks])
        axes.minorticks_off()
        axes.set_ylim(0, 1.5 * top)
    else:
        axes.set_ylim(0, 1.1 * top)
    draw_frame_axis(axes, axis)
    axes.set_ylabel("Mean error (px)")
    return figure


def nodes_found(nodes: Sequence[str], shares: np.ndarray) -> "Figure":
    """Draw in how many of the instances each node was found.

    Args:
        nodes: Names.
        shares: (nodes,) in [0, 1].
    """
    figure, axes = canvas(NARROW, rows_height(len(nodes)))
    axes.barh(range(len(nodes)), 100 * shares, height=0.62, color=ACCENT, alpha=0.75)
    name_rows(axes, nodes)
    axes.set_xlim(0, 100)
    axes.set_xlabel("Instances with this node (%)")
    return figure


def histogram(
    groups: Mapping[str, np.ndarray],
    *,
    xlabel: str,
    ylabel: str,
    limits: tuple[float, float] | None = None,
    height: float = HISTOGRAM,
) -> "Figure":
    """Draw a histogram, stacked where there are several groups.

    Args:
        groups: Values by name; up to three groups; nan is left out.
        xlabel: What the values are, with their unit.
        ylabel: What is counted.
        limits: Smallest and largest value shown; default: those that occur.
        height: Of the figure, inches.
    """
    figure, axes = canvas(NARROW, height)
    finite = {name: values[np.isfinite(values)] for name, values in groups.items()}
    colors = (ACCENT, CONTRAST, PALE)[: len(finite)]
    axes.hist(
        list(finite.values()),
        bins=30,
        range=limits,
        stacked=True,
        color=colors,
        edgecolor="white",
        linewidth=0.4,
    )
    if len(groups) > 1:
        shown = [
            (bars, f"{name} ({len(finite[name]):,})")
            for bars, name in zip(axes.containers, finite, strict=True)
            if len(finite[name])
        ]
        legend_above(axes, *zip(*shown, strict=True))
    axes.set_xlim(limits)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    return figure


def calibration(
    scores: np.ndarray, errors: np.ndarray, groups: int = 10, *, wide: bool = False
) -> "Figure":
    """Draw the error against the confidence of the model.

    The curves are the median and the 90th percentile of the error per tenth of the nodes.

    Args:
        scores: (k,) confidence of each compared node.
        errors: (k,) px.
        groups: How many groups of equal size the nodes are put into, by confidence.
        wide: Whether the figure is as wide as the page.
    """
    figure, axes = canvas(WIDE if wide else NARROW, 2.5 if wide else 3.1)
    order = np.argsort(scores, kind="stable")
    parts = [part for part in np.array_split(order, groups) if len(part)]
    x = [scores[part].mean() for part in parts]
    axes.plot(
        x,
        [np.percentile(errors[part], 90) for part in parts],
        "o-",
        color=CONTRAST,
        linewidth=1.3,
        markersize=4,
        label="90% below",
    )
    axes.plot(
        x,
        [np.median(errors[part]) for part in parts],
        "o-",
        color=ACCENT,
        linewidth=1.8,
        markersize=4,
        label="median",
    )
    legend_above(axes, *axes.get_legend_handles_labels())
    axes.set_ylim(bottom=0)
    axes.set_xlabel("Confidence of the node (mean of the group)")
    axes.set_ylabel("Error (px)")
    return figure


def instances_per_frame(
    axis: FrameAxis, found: np.ndarray, labelled: np.ndarray | None
) -> "Figure":
    """Draw how many instances each processed frame holds.

    Args:
        axis: Where the frames are.
        found: (f,) predicted instances per frame of the axis.
        labelled: (f,) ground truth instances; nan for frames without ground truth; None if there
            is none at all.
    """
    from matplotlib.ticker import MaxNLocator

    figure, axes = canvas(WIDE, 1.9)
    x, low, mean, high = _thinned(axis.x, found)
    label = (
        "predicted"
        if len(x) == len(axis.x)
        else f"predicted (mean and range of {len(axis.x) / len(x):.0f} frames)"
    )
    axes.fill_between(x, mean, step="mid", color=BETWEEN, alpha=0.3, linewidth=0, rasterized=True)
    axes.fill_between(
        x, low, high, step="mid", color=BETWEEN, alpha=0.3, linewidth=0, rasterized=True
    )
    axes.step(x, mean, where="mid", color=BETWEEN, linewidth=1, rasterized=True, label=label)
    if labelled is not None:
        x, _, mean, _ = _thinned(axis.x, labelled)
        axes.plot(
            x,
            mean,
            ".-",
            color=MUTED,
            markersize=2,
            linewidth=0.8,
            rasterized=True,
            label="ground truth",
        )
        legend_above(axes, *axes.get_legend_handles_labels())
    axes.set_ylim(
        0,
        1.15 * max(found.max(initial=1), 1 if labelled is None else np.nanmax(labelled, initial=1)),
    )
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    draw_frame_axis(axes, axis)
    axes.set_ylabel("Instances")
    return figure


def track_timeline(
    axis: FrameAxis,
    names: Sequence[str],
    index: np.ndarray,
    tracks: np.ndarray,
    switches: Sequence[tuple[int, str]] = (),
) -> "Figure":
    """Draw the frames that each track covers, and the identity switches.

    The frames of a track are bars over consecutive processed frames. Only the longest
    `MAX_TRACK_ROWS` tracks are drawn.

    Args:
        axis: Where the frames are.
        names: Track names, by track index.
        index: (n,) index of each instance's frame on the axis.
        tracks: (n,) track of each instance; -1 for none.
        switches: Index on the axis, and name of the track that takes an animal over there.
    """
    lengths = np.bincount(tracks[tracks >= 0], minlength=len(names))
    shown = np.sort(
        np.argsort(-lengths, kind="stable")[: min(MAX_TRACK_ROWS, np.count_nonzero(lengths))]
    )
    step = float(np.median(np.diff(axis.x))) if len(axis.x) > 1 else 1.0
    narrowest = (
        axis.x[-1] - axis.x[0]
    ) / 500  # a track of one frame in a long video must still be seen
    figure, axes = canvas(WIDE, rows_height(len(shown)))
    for row, track in enumerate(shown):
        covered = np.unique(index[tracks == track])
        pieces = np.split(covered, np.flatnonzero(np.diff(covered) > 1) + 1)
        bars = [
            (axis.x[p[0]] - step / 2, max(axis.x[p[-1]] - axis.x[p[0]] + step, narrowest))
            for p in pieces
        ]
        axes.broken_barh(
            bars, (row - 0.36, 0.72), color=track_color(track), linewidth=0, rasterized=True
        )
    row_of = {names[track]: row for row, track in enumerate(shown)}
    marks = [(axis.x[place], row_of[name]) for place, name in switches if name in row_of]
    if marks:
        x, y = zip(*marks, strict=True)
        axes.scatter(
            x,
            y,
            marker="v",
            s=34,
            color=INK,
            edgecolors=PAPER,
            linewidths=0.8,
            zorder=3,
            label="identity switch to this track",
        )
        legend_above(axes, *axes.get_legend_handles_labels())
    name_rows(axes, [f"{cut(names[t])} ({lengths[t]:,})" for t in shown])
    draw_frame_axis(axes, axis)
    return figure


def _thinned(
    x: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return place, smallest, mean and largest value of up to `MAX_COLUMNS` stretches of a series.

    A value is nan only where all values of the stretch are nan.
    """
    starts = np.unique(np.linspace(0, len(x), MAX_COLUMNS, endpoint=False).astype(int))
    known = np.add.reduceat(np.isfinite(values).astype(int), starts)
    mean = np.divide(
        np.add.reduceat(np.nan_to_num(values), starts),
        known,
        out=np.full(len(starts), np.nan),
        where=known > 0,
    )
    return x[starts], np.fmin.reduceat(values, starts), mean, np.fmax.reduceat(values, starts)
