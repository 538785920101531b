"""Ground truth and predictions as `sleap-lab eval-tracking` compares them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.evaluation.match import Compare, FramePair, compared_at_once, labelled_frames
from sleap_lab.evaluation.oks import oks_of_pairs
from sleap_lab.evaluation.records import align_nodes
from sleap_lab.poses.centroids import instance_centroids
from sleap_lab.poses.record import Poses

OKS_THRESHOLD = 0.5
DISTANCE_THRESHOLD = 50.0
"""Largest distance of centroids that match, px, where one side has a single node."""


@dataclass(frozen=True)
class TrackingSettings:
    """How tracks are compared, by the names of sleap-nn's flags.

    Attributes:
        match_threshold: Smallest OKS of a match, or where one side has a single node the largest
            distance of centroids, px; None for 0.5, or 50 px.
        mt_threshold: Share of its detections from which a true track is mostly tracked.
        ml_threshold: Share below which it is mostly lost.
        user_labels_only: Whether predictions in the ground truth are left out.
        global_identity: Whether a name is one animal in all videos.
        oks_stddev: Spread of OKS.
    """

    match_threshold: float | None = None
    mt_threshold: float = 0.8
    ml_threshold: float = 0.2
    user_labels_only: bool = False
    global_identity: bool = False
    oks_stddev: float = 0.025


class Tracked(NamedTuple):
    """Two records, the frames in which they are compared, and how.

    Attributes:
        truth: Ground truth; tracks of one name are one track.
        poses: Predictions, likewise.
        frames: Every frame of the truth in the compared videos, by video and frame.
        score: OKS, or minus the distance of centroids in px.
        similarity: OKS, or 1 - distance / (2 match_threshold), at least 0.
        match_threshold: The setting, or what it is by default.
        threshold: Smallest score of a match.
        similarity_threshold: Smallest similarity of a match.
        method: `oks` or `distance`.
        n_replaced: Instances of the truth left out because a user instance replaces them.
        n_predicted: Instances of the truth that no person placed, those left out not counted.
        n_dropped: Instances left out by `user_labels_only`.
        settings: How tracks are compared.
    """

    truth: Poses
    poses: Poses
    frames: list[FramePair]
    score: Compare
    similarity: Compare
    match_threshold: float
    threshold: float
    similarity_threshold: float
    method: str
    n_replaced: int
    n_predicted: int
    n_dropped: int
    settings: TrackingSettings


def compare_tracked(
    truth: Poses, poses: Poses, videos: Mapping[int, int], settings: TrackingSettings
) -> Tracked:
    """Put the frames of both records side by side.

    Instances without a visible node are left out.

    Args:
        truth: Ground truth.
        poses: Predictions.
        videos: Index of a video in the predictions -> its index in the truth.
        settings: How to compare.

    Raises:
        ConfigError: The skeletons have different nodes, or the threshold is no distance.
        RunError: There is nothing to score.
    """
    by_distance = 1 in (len(truth.skeleton.nodes), len(poses.skeleton.nodes))
    default = DISTANCE_THRESHOLD if by_distance else OKS_THRESHOLD
    limit = default if settings.match_threshold is None else settings.match_threshold
    if by_distance and limit <= 0:
        raise ConfigError(
            f"--match_threshold: got {limit:g}; for poses of a single node it takes a distance "
            "in px above 0"
        )
    truth, poses = (by_name(record[record.visible.any(axis=1)]) for record in (truth, poses))
    kept = ~_replaced(truth)
    n_replaced, truth = int((~kept).sum()), truth[kept]
    n_dropped, n_predicted = 0, int((~truth.user).sum())
    if settings.user_labels_only:
        n_dropped, n_predicted, truth = n_predicted, 0, truth[truth.user]
    if not by_distance:
        poses = align_nodes(truth, poses)
    frames = _shared_frames(truth, poses, videos)
    _refuse_nothing(truth, poses, frames)
    score = _score(truth, poses, frames, None if by_distance else settings.oks_stddev)
    return Tracked(
        truth,
        poses,
        frames,
        score,
        (lambda rows, columns: np.maximum(0, 1 + score(rows, columns) / (2 * limit)))
        if by_distance
        else score,
        limit,
        -limit if by_distance else limit,
        0.5 if by_distance else limit,
        "distance" if by_distance else "oks",
        n_replaced,
        n_predicted,
        n_dropped,
        settings,
    )


def _refuse_nothing(truth: Poses, poses: Poses, frames: list[FramePair]) -> None:
    """Refuse records in which there is nothing to score."""
    if not (poses.tracks >= 0).any():
        raise RunError(
            "nothing to score: no predicted instance has a track; track them first "
            "(sleap-lab track -t)"
        )
    if not frames:
        raise RunError("nothing to score: ground truth and predictions have no frame in common")
    if not any((truth.tracks[pair.all_truth_rows] >= 0).any() for pair in frames):
        raise RunError(
            "nothing to score: no instance of the ground truth has a track in the "
            f"{len(frames)} frames that are compared"
        )


def by_name(poses: Poses) -> Poses:
    """Return poses in which tracks of one name are one track."""
    names = tuple(dict.fromkeys(poses.track_names))
    place = np.array([*(names.index(name) for name in poses.track_names), -1], dtype=np.int32)
    return replace(poses, tracks=place[poses.tracks], track_names=names)


def _replaced(truth: Poses) -> np.ndarray:
    """Return (n,) bool, which predictions share frame and track with one that a person placed."""
    places = np.stack([truth.video, truth.frame, truth.tracks], axis=1)
    by_person = set(map(tuple, places[truth.user & (truth.tracks >= 0)].tolist()))
    return ~truth.user & [tuple(place) in by_person for place in places.tolist()]


def _shared_frames(truth: Poses, poses: Poses, videos: Mapping[int, int]) -> list[FramePair]:
    """Return all frames of the true videos of which the predictions list at least one frame."""
    frames = labelled_frames(truth, poses, videos, user_labels_only=False)
    shared = {pair.truth_video for pair in frames if pair.processed}
    return sorted(
        (pair for pair in frames if pair.truth_video in shared),
        key=lambda pair: (pair.truth_video, pair.frame),
    )


def _score(
    truth: Poses, poses: Poses, frames: list[FramePair], oks_stddev: float | None
) -> Compare:
    """Return how instances of a frame are scored: by OKS, or where there is no spread by distance.

    Centroids are means of the visible nodes.
    """
    centers, others = (instance_centroids(record.points) for record in (truth, poses))

    def score(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        if oks_stddev is None:
            return -np.linalg.norm(centers[rows] - others[columns], axis=-1)
        return oks_of_pairs(truth.points[rows], poses.points[columns], stddev=oks_stddev)

    return compared_at_once(frames, score, len(truth), len(poses))
