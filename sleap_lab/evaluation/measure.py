"""How two instances are compared, and how the instances of a frame are assigned to each other."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from sleap_lab.evaluation.centroid import hungarian
from sleap_lab.evaluation.match import Compare, FramePair, compared_at_once, greedy
from sleap_lab.evaluation.oks import oks_of_pairs
from sleap_lab.evaluation.records import Records


class Measure(NamedTuple):
    """How instances are compared and assigned.

    Attributes:
        similarity: Similarities in [0, 1].
        score: What a match is scored by: the similarity, or the distance of centroids in px.
        assign: Picks (truth indices, prediction indices) from the table of scores of a frame pair.
    """

    similarity: Compare
    score: Compare
    assign: Callable[[FramePair, np.ndarray], tuple[np.ndarray, np.ndarray]]


def oks_measure(records: Records, frames: Sequence[FramePair]) -> Measure:
    """Compare whole poses by OKS; predictions are assigned by their scores, as in sleap-nn.

    Args:
        records: The records.
        frames: All frames whose instances will be compared.
    """
    truth, poses, config = records.truth, records.poses, records.config

    def score(truth_rows: np.ndarray, pose_rows: np.ndarray) -> np.ndarray:
        return oks_of_pairs(
            truth.points[truth_rows],
            poses.points[pose_rows],
            stddev=records.stddev,
            scale=config.oks_scale,
        )

    def assign(pair: FramePair, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return greedy(table, poses.instance_scores[pair.pose_rows], config.match_threshold)

    similarity = compared_at_once(frames, score, len(truth), len(poses))
    return Measure(similarity, similarity, assign)


def centroid_measure(records: Records) -> Measure:
    """Compare centroids by their distance, and assign them so that as many as possible match."""
    truth, poses, config = records.truth, records.poses, records.config

    def distance(truth_rows: np.ndarray, pose_rows: np.ndarray) -> np.ndarray:
        return np.linalg.norm(truth.points[truth_rows] - poses.points[pose_rows, 0], axis=-1)

    def closeness(truth_rows: np.ndarray, pose_rows: np.ndarray) -> np.ndarray:
        """1 at the true centroid, 0.5 at the largest distance of a match."""
        return np.maximum(0, 1 - distance(truth_rows, pose_rows) / (2 * config.match_threshold))

    def assign(pair: FramePair, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return hungarian(table, config.match_threshold)

    return Measure(closeness, distance, assign)
