"""The figures of the report, each with a caption and a description in words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from typing import TYPE_CHECKING

import numpy as np

from sleap_lab.errors import counted
from sleap_lab.evaluation import Evaluation
from sleap_lab.poses.record import Poses
from sleap_lab.report import drawing, figures
from sleap_lab.report.frame_axis import FrameAxis, frame_axis
from sleap_lab.report.pictures import pair_errors
from sleap_lab.report.written import px, share, text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# Compared nodes below which confidence and error are not drawn against each other.
FEWEST_NODES = 50

# Nodes above which the figure of their errors is as high as two others.
MANY_NODES = 15
AROUND_FIGURE = 0.9
"""Height of the title and the caption of a figure, inches."""


@dataclass(frozen=True)
class Panel:
    """One captioned figure of the page.

    Attributes:
        title: What it is about.
        caption: How to read it.
        alt: What it shows, in words.
        image: `data:` address.
        figure: The figure itself, for files of its own.
        shape: `wide` (over both columns, scrolls sideways on a narrow screen), or empty.
    """

    title: str
    caption: str
    alt: str
    image: str
    figure: "Figure"
    shape: str = ""


def groups(panels: Sequence[Panel]) -> list[tuple[list[Panel], list[Panel]]]:
    """Divide figures into rows: a wide one by itself, others in two columns of like height.

    The columns keep the order. Of a wide figure, the second column is empty.
    """
    rows: list[tuple[list[Panel], list[Panel]]] = []
    for wide, found in groupby(panels, key=lambda panel: panel.shape == "wide"):
        own = list(found)
        rows += [([panel], []) for panel in own] if wide else [_columns(own)]
    return rows


def _columns(panels: Sequence[Panel]) -> tuple[list[Panel], list[Panel]]:
    """Divide a few figures into two columns whose heights differ least; the first has the first."""
    heights = [panel.figure.get_figheight() + AROUND_FIGURE for panel in panels]

    def difference(right: tuple[int, ...]) -> float:
        return abs(sum(heights) - 2 * sum(heights[place] for place in right))

    places = range(1, len(panels))
    choices = [right for n in range(len(panels)) for right in combinations(places, n)]
    right = min(choices, key=difference)
    return (
        [panel for place, panel in enumerate(panels) if place not in right],
        [panels[place] for place in right],
    )


def accuracy_panels(
    poses: Poses, evaluation: Evaluation, names: Sequence[str] = ()
) -> Iterator[Panel]:
    """Yield the figures about errors, if there is a matched pair to compare.

    Args:
        poses: Predictions, nodes in the order of the metrics.
        evaluation: How they compare with the ground truth.
        names: Names of the videos, if they have any.
    """
    rows, errors = evaluation.matches.pose_rows, pair_errors(evaluation)
    if not np.isfinite(errors).any():
        return
    distances = evaluation.metrics["distance_metrics"]
    spread = f"mean {px(distances['avg'])}, 90% below {px(distances['p90'])}"
    if "pck_metrics" in evaluation.metrics:
        yield from _node_panels(poses.skeleton.nodes, evaluation)
    else:
        yield panel(
            "Error of matched centroids",
            "Distance between each predicted centroid and the true one it was matched with.",
            f"Histogram of centroid errors: {spread}.",
            figures.histogram(
                {"pairs": errors},
                xlabel="Error (px)",
                ylabel="Matched pairs",
                limits=(0, errors.max()),
            ),
        )
    yield from _calibration_panel(poses, evaluation)
    axis = frame_axis(poses.frames, names)
    yield panel(
        "Error over the frames",
        "Mean error of each matched pair. Misses are not in it.",
        f"Error against frame: {spread}.",
        figures.errors_over_frames(axis, axis.index(poses.video[rows], poses.frame[rows]), errors),
        shape="wide",
    )


def _node_panels(nodes: Sequence[str], evaluation: Evaluation) -> Iterator[Panel]:
    metrics = evaluation.metrics
    distances = np.asarray(metrics["distance_metrics"]["dists"], dtype=float)
    medians = {
        node: float(np.median(d[np.isfinite(d)]))
        for node, d in zip(nodes, distances.T, strict=True)
        if np.isfinite(d).any()
    }
    worst = max(medians, key=lambda node: medians[node], default=None)
    yield panel(
        "Error of each node",
        "Box: middle half of the errors, with the median; line: 5th to 95th percentile. "
        "Matched pairs only.",
        "No node can be compared."
        if worst is None
        else f"Error of each node. The largest median is that of {worst}, {px(medians[worst])}.",
        figures.node_errors(nodes, distances),
    )
    shares = np.asarray(metrics["pck_metrics"]["pcks"]).mean(axis=0)
    mean = share(metrics["pck_metrics"]["mPCK"])
    lowest = nodes[int(shares.mean(axis=1).argmin())]
    yield panel(
        "PCK of each node",
        "Share of matched pairs with an error below a distance; a node missing on either side is "
        "a miss. The worst nodes are named, with their mean; all others are grey.",
        f"PCK curves. Mean of all nodes {mean}; lowest for {lowest}.",
        figures.pck_curves(nodes, np.asarray(metrics["pck_metrics"]["thresholds"]), shares),
    )
    spread = f"oks_stddev {text(evaluation.settings['oks_stddev'])}"
    yield panel(
        "Similarity of matched pairs",
        f"OKS of each matched pair, with {spread}. Misses are not in it.",
        f"Histogram of OKS. Mean {share(metrics['mOKS']['mOKS'])}.",
        figures.histogram(
            {"pairs": np.asarray(evaluation.matches.scores)},
            xlabel="OKS",
            ylabel="Matched pairs",
            limits=(0, 1),
        ),
    )


def _calibration_panel(poses: Poses, evaluation: Evaluation) -> Iterator[Panel]:
    """Yield the figure of confidence against error.

    It needs confidences that differ, and enough nodes to show anything.
    """
    errors = np.asarray(evaluation.metrics["distance_metrics"]["dists"], dtype=float)
    scores = poses.point_scores[evaluation.matches.pose_rows]
    if errors.shape != scores.shape:  # whole animals were compared by one point
        return
    known = np.isfinite(errors) & np.isfinite(scores)
    if known.sum() < FEWEST_NODES or np.ptp(scores[known]) == 0:
        return
    scores, errors = scores[known], errors[known]
    order = np.argsort(scores)
    unsure, sure = (
        np.median(errors[part])
        for part in (order[: len(order) // 10], order[-(len(order) // 10) :])
    )
    yield panel(
        "Confidence and error",
        "Compared nodes in ten groups by confidence. "
        "Where the curves fall, a threshold on confidence removes bad nodes first.",
        f"Error against confidence: median {px(unsure)} in the least sure tenth, "
        f"{px(sure)} in the surest.",
        figures.calibration(scores, errors, wide=len(poses.skeleton.nodes) > MANY_NODES),
        shape="wide" if len(poses.skeleton.nodes) > MANY_NODES else "",
    )


def content_panels(
    poses: Poses,
    truth: Poses | None,
    evaluation: Evaluation | None,
    names: Sequence[str] = (),
) -> Iterator[Panel]:
    """Yield the figures about the predictions, with or without ground truth.

    Args:
        poses: Predictions.
        truth: Ground truth, with the video indices of the predictions.
        evaluation: How the two compare.
        names: Names of the videos, if they have any.
    """
    if not len(poses.frames):
        return
    axis = frame_axis(poses.frames, names)
    index = axis.index(poses.video, poses.frame)
    found = np.bincount(index, minlength=len(axis.frames))
    yield panel(
        "Instances in each frame",
        f"{np.count_nonzero(found == 0):,} of {len(found):,} processed frames are empty.",
        f"Predicted instances per frame: {found.min()} to {found.max()}, mean {found.mean():.2f}.",
        figures.instances_per_frame(
            axis, found, None if truth is None else _labelled_per_frame(axis, truth)
        ),
        shape="wide",
    )
    yield from _track_panel(axis, index, poses, evaluation)
    yield from _instance_panels(poses, evaluation)


def _track_panel(
    axis: FrameAxis, index: np.ndarray, poses: Poses, evaluation: Evaluation | None
) -> Iterator[Panel]:
    """Yield the timeline of the tracks, if there are any."""
    tracks = len(np.unique(poses.tracks[poses.tracks >= 0]))
    if not tracks:
        return
    caption = "In brackets: number of instances."
    if tracks > figures.MAX_TRACK_ROWS:
        caption += f" The {tracks - figures.MAX_TRACK_ROWS} shortest tracks are left out."
    if untracked := np.count_nonzero(poses.tracks < 0):
        caption += f" {counted(int(untracked), 'instance has', 'instances have')} no track."
    switches = _switches(axis, evaluation)
    if switches:
        caption += (
            " A triangle marks an identity switch: the animal is followed by this track from here."
        )
    yield panel(
        "Frames that each track covers",
        caption,
        f"Timeline of {tracks} tracks over {len(axis.frames)} frames.",
        figures.track_timeline(axis, poses.track_names, index, poses.tracks, switches),
        shape="wide",
    )


def _instance_panels(poses: Poses, evaluation: Evaluation | None) -> Iterator[Panel]:
    """Yield the nodes found and the scores, side by side and of like height."""
    height = figures.HISTOGRAM
    if len(poses) and len(poses.skeleton.nodes) > 1:
        visible = poses.visible.mean(axis=0)
        rarest = poses.skeleton.nodes[int(visible.argmin())]
        yield panel(
            "Nodes found",
            "Share of the predicted instances in which each node was found.",
            f"Share of instances with each node. Lowest for {rarest}, {visible.min():.0%}.",
            drawn := figures.nodes_found(poses.skeleton.nodes, visible),
        )
        height = max(height, min(drawn.get_figheight(), figures.TALLEST))
    if np.isfinite(poses.instance_scores).any():
        yield panel(
            "Confidence of predicted instances",
            "Instance scores as the model gives them; what is high depends on the kind of model.",
            f"Histogram of instance scores, median {np.nanmedian(poses.instance_scores):.3f}.",
            figures.histogram(
                _score_groups(poses, evaluation),
                xlabel="Instance score",
                ylabel="Instances",
                height=height,
            ),
        )


def _switches(axis: FrameAxis, evaluation: Evaluation | None) -> list[tuple[int, str]]:
    """Return index on the axis and the new track of every identity switch."""
    if evaluation is None or not evaluation.switches:
        return []
    video, frame = np.array([(switch.pose_video, switch.frame) for switch in evaluation.switches]).T
    places = axis.index(video, frame).tolist()
    return [
        (place, switch.to_track)
        for place, switch in zip(places, evaluation.switches, strict=True)
        if place >= 0
    ]


def _labelled_per_frame(axis: FrameAxis, truth: Poses) -> np.ndarray:
    """Return (f,) ground truth instances of each frame of the axis; nan without ground truth."""
    counts = np.full(len(axis.frames), np.nan)
    known = axis.index(truth.frames[:, 0], truth.frames[:, 1])
    counts[known[known >= 0]] = 0
    rows = axis.index(truth.video, truth.frame)
    np.add.at(counts, rows[rows >= 0], 1)
    return counts


def _score_groups(poses: Poses, evaluation: Evaluation | None) -> dict[str, np.ndarray]:
    if evaluation is None:
        return {"instances": poses.instance_scores}
    matched, extra = (
        np.isin(np.arange(len(poses)), rows)
        for rows in (evaluation.matches.pose_rows, evaluation.matches.false_positives)
    )
    groups = {"matched": matched, "matched nothing": extra, "not compared": ~matched & ~extra}
    return {name: poses.instance_scores[rows] for name, rows in groups.items()}


def panel(title: str, caption: str, alt: str, figure: "Figure", *, shape: str = "") -> Panel:
    """Return a figure with what the page says about it."""
    return Panel(title, caption, alt, drawing.data_uri(figure), figure, shape)
