"""The part of each labelled frame in the metrics.

From these parts, metrics are formed for all frames, for some of them, or for one node.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from sleap_lab.evaluation.ap import MATCH_SCORE_THRESHOLDS
from sleap_lab.evaluation.coco import SINGLED_OUT, Detections
from sleap_lab.evaluation.match import FramePair, Matches
from sleap_lab.evaluation.pck import SIZE_SHARES, THRESHOLDS, hits
from sleap_lab.poses.boxes import body_sizes
from sleap_lab.poses.record import Poses


class Ratio(NamedTuple):
    """A metric that is one sum over frames divided by another.

    Both are names of columns; several columns are added up.
    """

    above: tuple[str, ...]
    below: tuple[str, ...]


RATIOS = {
    "coco/ar": Ratio(("found_mean",), ("n_true",)),
    **{f"coco/precision_{t}": Ratio((f"found_{t}",), ("n_predicted",)) for t in SINGLED_OUT},
    **{f"coco/recall_{t}": Ratio((f"found_{t}",), ("n_true",)) for t in SINGLED_OUT},
    **{
        f"coco/f1_{t}": Ratio((f"found_{t}", f"found_{t}"), ("n_true", "n_predicted"))
        for t in SINGLED_OUT
    },
    **{
        f"coco/pck_size_{name}": Ratio((f"pck_size_{name}_sum",), ("n_labelled",))
        for name in SIZE_SHARES
    },
    "eval/oks_mar": Ratio(("reached_sum",), ("n_matched", "n_missed")),
    "eval/moks": Ratio(("score_sum",), ("n_matched",)),
    "eval/dist_avg": Ratio(("dist_sum",), ("n_distances",)),
    "eval/pck": Ratio(("pck_sum",), ("n_nodes",)),
    "eval/pck_5": Ratio(("pck_5_sum",), ("n_nodes",)),
    "eval/pck_10": Ratio(("pck_10_sum",), ("n_nodes",)),
    "eval/visibility_precision": Ratio(("n_distances",), ("n_distances", "n_unlabelled")),
    "eval/visibility_recall": Ratio(("n_distances",), ("n_distances", "n_unpredicted")),
    "eval/centroid_precision": Ratio(("n_centroids",), ("n_centroids", "n_extra")),
    "eval/centroid_recall": Ratio(("n_centroids",), ("n_centroids", "n_missed")),
    "eval/centroid_f1": Ratio(
        ("n_centroids", "n_centroids"), ("n_centroids", "n_centroids", "n_extra", "n_missed")
    ),
}
"""Metrics that are formed from `FrameTable` columns; those without their columns do not apply."""


COUNTS = {"eval/n_matched": "n_matched", "eval/n_missed": "n_missed"}
"""Metrics that are a single sum over frames: name -> column."""


class FrameTable(NamedTuple):
    """One row per labelled frame, and details of each matched pair and prediction in the frames.

    Attributes:
        video: (frames,) index of the video in the ground truth.
        frame: (frames,) frame index.
        columns: Sums (frames,) by name; see `RATIOS` for what they make up.
        distances: (pairs, nodes) px, of matched pairs; nan where a node is missing on either side.
        pairs: Which matched pairs reach each OKS threshold, for the VOC family; no thresholds
            where centroids are matched.
        detections: Which predictions find a true instance at each OKS threshold; None where
            centroids are matched.
    """

    video: np.ndarray
    frame: np.ndarray
    columns: dict[str, np.ndarray]
    distances: np.ndarray
    pairs: Detections
    detections: Detections | None = None


def positions(frames: Sequence[FramePair], rows: Sequence[np.ndarray], n: int) -> np.ndarray:
    """Return (n,) the index of the frame of each instance of a record; -1 for those in no frame.

    Args:
        frames: The frames.
        rows: For each frame, its rows of the record.
        n: Number of instances of the record.
    """
    found = np.full(n, -1)
    found[np.concatenate(rows)] = np.repeat(np.arange(len(frames)), [len(chunk) for chunk in rows])
    return found


def frame_table(
    frames: Sequence[FramePair],
    truth: Poses,
    poses: Poses,
    matches: Matches,
    distances: np.ndarray,
    detections: Detections | None,
) -> FrameTable:
    """Add up, per frame, the columns that the ratios need.

    Args:
        frames: Labelled frames.
        truth: Ground truth.
        poses: Predictions.
        matches: Matches of the VOC family, or of centroids.
        distances: (pairs, nodes) px of these; nan where a node is missing on either side.
        detections: Matches at every OKS threshold; None where centroids are matched.
    """
    n = len(frames)
    of_truth = positions(frames, [frame.truth_rows for frame in frames], len(truth))
    of_poses = positions(frames, [frame.pose_rows for frame in frames], len(poses))
    of_pair = of_truth[matches.truth_rows]
    columns = {
        "n_matched": np.bincount(of_pair, minlength=n),
        "n_missed": np.bincount(of_truth[matches.false_negatives], minlength=n),
        "n_extra": np.bincount(of_poses[matches.false_positives], minlength=n),
        **distance_sums(of_pair, distances, n),
    }
    reached = np.zeros((0, len(of_pair)), dtype=bool)
    if detections is None:
        columns["n_centroids"] = columns["n_matched"]
    else:
        reached = matches.scores >= MATCH_SCORE_THRESHOLDS[:, None]
        columns |= {
            "score_sum": np.bincount(of_pair, matches.scores, n),
            "reached_sum": np.bincount(of_pair, reached.mean(axis=0), n),
            **hit_sums(of_pair, distances, n),
            **_visibility_sums(of_pair, truth, poses, matches, n),
            **_size_sums(of_truth, truth, matches, distances, n),
            **_detection_sums(detections, n),
        }
    pairs = Detections(
        of_pair,
        poses.instance_scores[matches.pose_rows],
        reached,
        columns["n_matched"] + columns["n_missed"],
    )
    videos, indices = np.array([f.truth_video for f in frames]), np.array([f.frame for f in frames])
    return FrameTable(videos, indices, columns, distances, pairs, detections)


def _visibility_sums(
    of_pair: np.ndarray, truth: Poses, poses: Poses, matches: Matches, n_frames: int
) -> dict[str, np.ndarray]:
    """Count, per frame, the nodes of matched pairs that only one side has."""
    shown, true_shown = poses.visible[matches.pose_rows], truth.visible[matches.truth_rows]
    return {
        "n_unlabelled": np.bincount(of_pair, (shown & ~true_shown).sum(axis=1), n_frames),
        "n_unpredicted": np.bincount(of_pair, (true_shown & ~shown).sum(axis=1), n_frames),
    }


def _size_sums(
    of_truth: np.ndarray, truth: Poses, matches: Matches, distances: np.ndarray, n_frames: int
) -> dict[str, np.ndarray]:
    """Count, per frame, the nodes within shares of the size of their animal, and labelled nodes.

    Animals without extent, such as a single labelled node, have no size that a distance can be
    compared with.

    Args:
        of_truth: (n,) row of the frame of each true instance; -1 for those in no frame.
        truth: Ground truth.
        matches: The matches.
        distances: (pairs, nodes) px; nan where a node is missing on either side.
        n_frames: Number of frames.
    """
    sizes = body_sizes(truth.points)
    sized = np.flatnonzero((of_truth >= 0) & (sizes > 0))
    of_pair, sizes_of_pairs = of_truth[matches.truth_rows], sizes[matches.truth_rows, None]
    return {
        "n_labelled": np.bincount(of_truth[sized], truth.visible[sized].sum(axis=1), n_frames),
        **{
            f"pck_size_{name}_sum": np.bincount(
                of_pair, (distances < share * sizes_of_pairs).sum(axis=1), n_frames
            )
            for name, share in SIZE_SHARES.items()
        },
    }


def _detection_sums(detections: Detections, n_frames: int) -> dict[str, np.ndarray]:
    """Count, per frame, true instances, predictions, and predictions that find a true instance."""
    return {
        "n_true": detections.n_truth,
        "n_predicted": np.bincount(detections.frame, minlength=n_frames),
        "found_mean": np.bincount(detections.frame, detections.hits.mean(axis=0), n_frames),
        **{
            f"found_{threshold}": np.bincount(detections.frame, detections.hits[row], n_frames)
            for threshold, row in SINGLED_OUT.items()
        },
    }


def distance_sums(
    of_pair: np.ndarray, distances: np.ndarray, n_frames: int
) -> dict[str, np.ndarray]:
    """Add up the distances of each frame.

    Args:
        of_pair: (pairs,) row of the frame of each matched pair.
        distances: (pairs, nodes) px; nan where a node is missing on either side.
        n_frames: Number of frames.
    """
    known = (~np.isnan(distances)).sum(axis=1)
    sums = np.nan_to_num(distances).sum(axis=1)
    return {
        "n_distances": np.bincount(of_pair, known, n_frames),
        "dist_sum": np.bincount(of_pair, sums, n_frames),
    }


def hit_sums(of_pair: np.ndarray, distances: np.ndarray, n_frames: int) -> dict[str, np.ndarray]:
    """Add up, for each frame, the nodes of matched pairs and those within reach.

    Arguments as for `distance_sums`.
    """
    within = hits(distances).sum(axis=1)
    return {
        "n_nodes": np.bincount(of_pair, minlength=n_frames) * distances.shape[1],
        "pck_sum": np.bincount(of_pair, within.mean(axis=1), n_frames),
        **{
            f"pck_{t}_sum": np.bincount(
                of_pair, within[:, np.searchsorted(THRESHOLDS, t)], n_frames
            )
            for t in (5, 10)
        },
    }


def on_frames(table: FrameTable, rows: np.ndarray) -> FrameTable:
    """Return the table of some frames, in the order of `rows`."""
    place = np.full(len(table.frame), -1)
    place[rows] = np.arange(len(rows))

    def kept(items: Detections) -> Detections:
        chosen = place[items.frame] >= 0
        return Detections(
            place[items.frame[chosen]],
            items.scores[chosen],
            items.hits[:, chosen],
            items.n_truth[rows],
        )

    return FrameTable(
        video=table.video[rows],
        frame=table.frame[rows],
        columns={name: column[rows] for name, column in table.columns.items()},
        distances=table.distances[place[table.pairs.frame] >= 0],
        pairs=kept(table.pairs),
        detections=None if table.detections is None else kept(table.detections),
    )


def of_node(table: FrameTable, node: int) -> FrameTable:
    """Return the part of a table for one node: its distances and what follows from them alone."""
    of_pair, distances = table.pairs.frame, table.distances[:, node : node + 1]
    columns = distance_sums(of_pair, distances, len(table.frame)) | hit_sums(
        of_pair, distances, len(table.frame)
    )
    return FrameTable(
        table.video,
        table.frame,
        columns,
        distances,
        table.pairs._replace(hits=table.pairs.hits[:0]),
    )


def ratios(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Form every ratio whose columns are present; nan where the divisor is 0.

    The columns may have any shape.
    """
    values = {}
    for name, ratio in RATIOS.items():
        if columns.keys() >= {*ratio.above, *ratio.below}:
            above, below = (
                np.sum([columns[column] for column in part], axis=0, dtype=float) for part in ratio
            )
            values[name] = np.divide(
                above, below, out=np.full(np.shape(above), np.nan), where=below > 0
            )
    return values
