"""Metrics for each video, animal and node, and separately for animals alone and in a crowd."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from sleap_lab.evaluation.distances import summarize
from sleap_lab.evaluation.match import FramePair, Matches
from sleap_lab.evaluation.pck import THRESHOLDS, hits
from sleap_lab.poses.boxes import body_sizes
from sleap_lab.poses.centroids import instance_centroids
from sleap_lab.poses.record import Poses

CROWDED, ALONE = "crowded", "alone"


class Row(NamedTuple):
    """Accuracy of a part of the truth, in frames that were predicted; `None` stands for all.

    Attributes:
        video: Name of the video.
        animal: Name of the true track; empty for instances without one.
        node: Name of the node.
        stratum: `crowded` where the centre of another animal is nearer than one body length (the
            median of the ground truth), else `alone`.
        n_matched: Matched instances.
        n_missed: True instances that nothing was matched with.
        n_labelled: Nodes that are labelled in matched instances.
        n_distances: Of these, nodes that were also predicted.
        n_unlabelled: Nodes that were predicted where none is labelled.
        visibility_recall: Share of the labelled nodes that were predicted.
        dist_avg: Mean distance, px.
        dist_p50: Median distance, px.
        dist_p90: 90th percentile of the distances, px.
        dist_p95: 95th percentile of the distances, px.
        pck: Share of nodes of matched instances within 1, 2, … 10 px, averaged over the ten; nodes
            missing on either side count as beyond.
        pck_5: Share of nodes of matched instances within 5 px.
    """

    video: str | None
    animal: str | None
    node: str | None
    stratum: str | None
    n_matched: int
    n_missed: int
    n_labelled: int
    n_distances: int
    n_unlabelled: int
    visibility_recall: float
    dist_avg: float
    dist_p50: float
    dist_p90: float
    dist_p95: float
    pck: float
    pck_5: float


def breakdown(
    truth: Poses,
    poses: Poses,
    frames: Sequence[FramePair],
    matches: Matches,
    video_names: Sequence[str] = (),
) -> tuple[Row, ...]:
    """Split the matches into strata, nodes, videos, and combinations of these.

    The rows are: everything; by node; by video; by video and node; by video, animal and node; by
    stratum.

    Args:
        truth: Ground truth.
        poses: Predictions, nodes in the order of the truth.
        frames: The frames compared.
        matches: Which prediction belongs to which true instance.
        video_names: Names of the videos of the truth; a missing one is replaced by its index.
    """
    return tuple(_rows(truth, poses, frames, matches, video_names))


def _rows(
    truth: Poses,
    poses: Poses,
    frames: Sequence[FramePair],
    matches: Matches,
    video_names: Sequence[str],
) -> Iterator[Row]:
    """Yield the rows; arguments as for `breakdown`."""
    rows = np.concatenate([matches.truth_rows, matches.false_negatives])
    is_matched = np.arange(len(rows)) < len(matches.truth_rows)
    points, true_points = poses.points[matches.pose_rows], truth.points[matches.truth_rows]
    distances = np.linalg.norm(true_points - points, axis=-1)
    shown, true_shown = ~np.isnan(points).any(axis=-1), ~np.isnan(true_points).any(axis=-1)
    names = dict(enumerate(video_names))
    videos, animals = truth.video[rows], truth.tracks[rows]

    def row(
        chosen: np.ndarray,
        node: int | None,
        video: str | None = None,
        animal: str | None = None,
        stratum: str | None = None,
    ) -> Row:
        pairs = chosen[is_matched]
        part = slice(None) if node is None else slice(node, node + 1)
        return Row(
            video=video,
            animal=animal,
            node=None if node is None else truth.skeleton.nodes[node],
            stratum=stratum,
            n_matched=int(pairs.sum()),
            n_missed=int(chosen[~is_matched].sum()),
            **_accuracy(distances[pairs, part], shown[pairs, part], true_shown[pairs, part]),
        )

    nodes = range(len(truth.skeleton.nodes))
    yield from (row(np.ones(len(rows), dtype=bool), node) for node in (None, *nodes))
    for video in dict.fromkeys(videos.tolist()):
        here, name = videos == video, names.get(video, str(video))
        yield from (row(here, node, name) for node in (None, *nodes))
        for track in np.unique(animals[here]).tolist():
            animal = truth.track_names[track] if 0 <= track < len(truth.track_names) else ""
            yield from (row(here & (animals == track), node, name, animal) for node in nodes)
    if len(nodes) > 1:
        crowded = in_crowd(truth, frames)[rows]
        yield from (
            row(chosen, None, stratum=name)
            for name, chosen in ((CROWDED, crowded), (ALONE, ~crowded))
        )


def _accuracy(distances: np.ndarray, shown: np.ndarray, true_shown: np.ndarray) -> dict[str, Any]:
    """Return the fields of a row that follow from the nodes of matched pairs.

    Args:
        distances: (pairs, nodes) px; nan where a node is missing on either side.
        shown: (pairs, nodes) bool, nodes that were predicted.
        true_shown: (pairs, nodes) bool, nodes that are labelled.
    """
    table, summary = hits(distances), summarize(distances)
    n_labelled, n_distances = int(true_shown.sum()), int((~np.isnan(distances)).sum())
    nan = float("nan")
    return {
        "n_labelled": n_labelled,
        "n_distances": n_distances,
        "n_unlabelled": int((shown & ~true_shown).sum()),
        "visibility_recall": n_distances / n_labelled if n_labelled else nan,
        "dist_avg": summary["avg"],
        "dist_p50": summary["p50"],
        "dist_p90": summary["p90"],
        "dist_p95": summary["p95"],
        "pck": float(table.mean()) if distances.size else nan,
        "pck_5": float(table[..., np.searchsorted(THRESHOLDS, 5)].mean())
        if distances.size
        else nan,
    }


def in_crowd(truth: Poses, frames: Sequence[FramePair]) -> np.ndarray:
    """Return (n,) bool: the centre of another true instance is nearer than one body length.

    The centre is the mean of the visible nodes. The body length is the median of the longer side of
    the box, over all true instances with an extent.

    Args:
        truth: Ground truth.
        frames: Frames to look at; instances elsewhere count as alone.
    """
    sizes = body_sizes(truth.points)
    if not (sizes > 0).any():
        return np.zeros(len(truth), dtype=bool)
    length, centres = np.median(sizes[sizes > 0]), instance_centroids(truth.points)
    crowded = np.zeros(len(truth), dtype=bool)
    for frame in frames:
        here = centres[frame.all_truth_rows]
        apart = np.linalg.norm(here[:, None] - here, axis=-1)
        np.fill_diagonal(apart, np.inf)
        crowded[frame.all_truth_rows] = (apart < length).any(axis=1)
    return crowded
