"""What each labelled frame adds to the metrics: sums that ratios are formed from, for all frames or for some."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from sleap_lab.evaluation.coco import SINGLED_OUT, Detections
from sleap_lab.evaluation.match import FramePair, Matches
from sleap_lab.evaluation.pck import SIZE_SHARES, THRESHOLDS, body_sizes, hits
from sleap_lab.poses import Poses


class Ratio(NamedTuple):
    """A metric that is one sum over frames divided by another: names of the columns, added up where there are several."""

    above: tuple[str, ...]
    below: tuple[str, ...]


RATIOS = {
    "coco/ar": Ratio(("found_mean",), ("n_true",)),
    **{f"coco/precision_{t}": Ratio((f"found_{t}",), ("n_predicted",)) for t in SINGLED_OUT},
    **{f"coco/recall_{t}": Ratio((f"found_{t}",), ("n_true",)) for t in SINGLED_OUT},
    **{f"coco/f1_{t}": Ratio((f"found_{t}", f"found_{t}"), ("n_true", "n_predicted")) for t in SINGLED_OUT},
    **{f"coco/pck_size_{name}": Ratio((f"pck_size_{name}_sum",), ("n_labelled",)) for name in SIZE_SHARES},
    "eval/moks": Ratio(("score_sum",), ("n_matched",)),
    "eval/dist_avg": Ratio(("dist_sum",), ("n_distances",)),
    "eval/pck": Ratio(("pck_sum",), ("n_nodes",)),
    "eval/pck_5": Ratio(("pck_5_sum",), ("n_nodes",)),
    "eval/pck_10": Ratio(("pck_10_sum",), ("n_nodes",)),
    "eval/centroid_precision": Ratio(("n_centroids",), ("n_centroids", "n_extra")),
    "eval/centroid_recall": Ratio(("n_centroids",), ("n_centroids", "n_missed")),
    "eval/centroid_f1": Ratio(("n_centroids", "n_centroids"), ("n_centroids", "n_centroids", "n_extra", "n_missed")),
}
"""Metrics that can be formed from `FrameTable` columns; those whose columns a table lacks do not apply to it."""


class FrameTable(NamedTuple):
    """One row per labelled frame.

    Attributes:
        video: (frames,) index of the video in the ground truth.
        frame: (frames,) frame index.
        of_pair: (pairs,) row of the frame of each matched pair.
        columns: Sums (frames,) by name; see `RATIOS` for what they make up.
    """

    video: np.ndarray
    frame: np.ndarray
    of_pair: np.ndarray
    columns: dict[str, np.ndarray]


def positions(frames: Sequence[FramePair], rows: Sequence[np.ndarray], n: int) -> np.ndarray:
    """Return (n,) the index of the frame that each instance of a record is in; -1 where it is in none.

    Args:
        frames: The frames.
        rows: For each frame, its rows of the record.
        n: Number of instances of the record.
    """
    found = np.full(n, -1)
    found[np.concatenate(rows)] = np.repeat(np.arange(len(frames)), [len(chunk) for chunk in rows])
    return found


def frame_table(
    frames: Sequence[FramePair], truth: Poses, poses: Poses, matches: Matches, distances: np.ndarray, detections: Detections | None
) -> FrameTable:
    """Add up per frame what the ratios need.

    Args:
        frames: Labelled frames.
        truth: Ground truth.
        poses: Predictions.
        matches: Matches of the VOC family, or of centroids.
        distances: (pairs, nodes) px of these; nan where a node is missing on either side.
        detections: Matches at every OKS threshold; None where centroids are matched.
    """
    of_truth = positions(frames, [frame.truth_rows for frame in frames], len(truth))
    of_poses = positions(frames, [frame.pose_rows for frame in frames], len(poses))
    frame_of_pair = of_truth[matches.truth_rows]

    def total(frame: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(frame, weights, minlength=len(frames))

    known = ~np.isnan(distances)
    columns = {
        "n_matched": total(frame_of_pair),
        "n_missed": total(of_truth[matches.false_negatives]),
        "n_extra": total(of_poses[matches.false_positives]),
        "n_distances": total(frame_of_pair, known.sum(axis=1)),
        "dist_sum": total(frame_of_pair, np.nan_to_num(distances).sum(axis=1)),
    }
    if detections is None:
        columns["n_centroids"] = columns["n_matched"]
    else:
        within, sizes = hits(distances).sum(axis=1), body_sizes(truth.points)
        # Animals without extent, such as a single labelled node, have no size to compare a distance with.
        wanted = np.flatnonzero((of_truth >= 0) & (sizes > 0))
        shares = {name: (distances < share * sizes[matches.truth_rows, None]).sum(axis=1) for name, share in SIZE_SHARES.items()}
        columns |= {
            "score_sum": total(frame_of_pair, matches.scores),
            "n_nodes": total(frame_of_pair) * distances.shape[1],
            "pck_sum": total(frame_of_pair, within.mean(axis=1)),
            **{f"pck_{t}_sum": total(frame_of_pair, within[:, np.searchsorted(THRESHOLDS, t)]) for t in (5, 10)},
            "n_labelled": total(of_truth[wanted], truth.visible[wanted].sum(axis=1)),
            **{f"pck_size_{name}_sum": total(frame_of_pair, found) for name, found in shares.items()},
            "n_true": detections.n_truth,
            "n_predicted": total(detections.frame),
            "found_mean": total(detections.frame, detections.hits.mean(axis=0)),
            **{f"found_{t}": total(detections.frame, detections.hits[row]) for t, row in SINGLED_OUT.items()},
        }
    return FrameTable(np.array([f.truth_video for f in frames]), np.array([f.frame for f in frames]), frame_of_pair, columns)


def ratios(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Form every ratio whose columns are there; the columns may have any shape, nan stands for nothing to divide by."""
    values = {}
    for name, ratio in RATIOS.items():
        if columns.keys() >= {*ratio.above, *ratio.below}:
            above, below = (np.sum([columns[column] for column in part], axis=0, dtype=float) for part in ratio)
            values[name] = np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
    return values
