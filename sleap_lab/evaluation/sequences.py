"""The tracks of one video on both sides, as identity metrics compare them, without "don't care".

Truth without an identity (an instance without a track, or one that the evaluation leaves out) is
"don't care": it is neither missed, nor is a prediction on it a false positive.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np

from sleap_lab.evaluation.match import Compare, FramePair, on_ignored
from sleap_lab.poses.centroids import instance_centroids
from sleap_lab.poses.record import Poses


class Neighbour(NamedTuple):
    """The nearest other animal of a frame.

    Attributes:
        track: Its true track; empty for none.
        distance: Its distance in px; nan without other animals.
    """

    track: str
    distance: float


@dataclass(frozen=True, eq=False)
class TrackSequence:
    """One video as identity metrics see it: ids on both sides and their similarity, per frame.

    Attributes:
        video: Index of the video in the ground truth.
        pose_video: Index of the video in the predictions.
        frames: Frame indices, ascending.
        truth_ids: Per frame (g,) ids, counted from 0 within the sequence.
        pose_ids: Per frame (p,) ids, counted from 0 within the sequence.
        similarities: Per frame (g, p), in [0, 1].
        neighbours: Per frame the nearest other animal of each of the g true ones.
        truth_names: Name of the track behind each true id.
        pose_names: Name of the track behind each predicted id.
    """

    video: int
    pose_video: int
    frames: list[int]
    truth_ids: list[np.ndarray]
    pose_ids: list[np.ndarray]
    similarities: list[np.ndarray]
    neighbours: list[list[Neighbour]]
    truth_names: list[str]
    pose_names: list[str]


def tracks_once_per_frame(poses: Poses) -> np.ndarray:
    """Return (n,) track indices in which no frame holds a track twice; -1 for no track.

    Of several instances with one track in a frame, the best scored one keeps it (a human-labelled
    one before all others), and the others get -1.
    """
    best_first = np.argsort(-np.where(poses.user, np.inf, poses.instance_scores), kind="stable")
    keys = np.stack([poses.video, poses.frame, poses.tracks], axis=1)[best_first]
    _, first = np.unique(keys, axis=0, return_index=True)
    tracks = np.full(len(poses), -1)
    tracks[best_first[first]] = poses.tracks[best_first[first]]
    return tracks


def build_sequences(
    truth: Poses,
    poses: Poses,
    truth_tracks: np.ndarray,
    pose_tracks: np.ndarray,
    pairs: Sequence[FramePair],
    similarity: Compare,
    ignore: Callable[[np.ndarray, np.ndarray], np.ndarray] = on_ignored,
) -> list[TrackSequence]:
    """Collect, per predicted video, the frames to score, without "don't care" instances.

    A frame without true animals is among them, and so is a video.

    Args:
        truth: Ground truth.
        poses: Predictions.
        truth_tracks: (n,) index into `truth.track_names` of each true instance, -1 for "don't
            care".
        pose_tracks: (n,) index into `poses.track_names` of each predicted instance, -1 to leave it
            out.
        pairs: Frames to compare, those of one predicted video one after the other.
        similarity: Gives (g, p) similarities of rows of the two records.
        ignore: Says which predictions lie on "don't care" instances, from the similarities of all
            predictions of a frame to the instances that count, and to the others.
    """
    truth_shown = np.any(truth.visible, axis=1)
    pose_shown = np.any(poses.visible, axis=1) & (pose_tracks >= 0)
    centers, names = instance_centroids(truth.points), _track_names(truth, truth_tracks)
    sequences = []
    for (truth_video, pose_video), group in groupby(pairs, key=lambda pair: pair[:2]):
        frames = [
            _tracked(pair, truth_shown, pose_shown, truth_tracks >= 0, similarity, ignore)
            for pair in sorted(group, key=lambda pair: pair.frame)
        ]
        truth_ids, truth_names = _number_tracks(
            truth_tracks, [frame.truth_rows for frame in frames], truth.track_names
        )
        pose_ids, pose_names = _number_tracks(
            pose_tracks, [frame.pose_rows for frame in frames], poses.track_names
        )
        sequence = TrackSequence(
            video=truth_video,
            pose_video=pose_video,
            frames=[frame.frame for frame in frames],
            truth_ids=truth_ids,
            pose_ids=pose_ids,
            similarities=[frame.similarity for frame in frames],
            neighbours=[
                _neighbours(frame.truth_rows, frame.animals, centers, names) for frame in frames
            ],
            truth_names=truth_names,
            pose_names=pose_names,
        )
        sequences.append(sequence)
    return sequences


class _TrackedFrame(NamedTuple):
    """One frame without "don't care" instances.

    Attributes:
        frame: Frame index.
        truth_rows: (g,) true instances.
        pose_rows: (p,) predicted instances.
        similarity: (g, p) their similarities.
        animals: (n,) true instances that count, those without a track included.
    """

    frame: int
    truth_rows: np.ndarray
    pose_rows: np.ndarray
    similarity: np.ndarray
    animals: np.ndarray


def _tracked(
    pair: FramePair,
    truth_shown: np.ndarray,
    pose_shown: np.ndarray,
    is_tracked: np.ndarray,
    similarity: Compare,
    ignore: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> _TrackedFrame:
    """Leave "don't care" instances out of a frame, and the predictions on them.

    Args:
        pair: The frame.
        truth_shown: (n,) bool, true instances with a visible node.
        pose_shown: (n,) bool, predicted instances with a visible node and a track.
        is_tracked: (n,) bool, true instances with a track.
        similarity: Gives (g, p) similarities of rows of the two records.
        ignore: Says which predictions lie on "don't care" instances.
    """
    rows = pair.all_truth_rows[truth_shown[pair.all_truth_rows]]
    columns = pair.all_pose_rows[pose_shown[pair.all_pose_rows]]
    tracked, table = is_tracked[rows], similarity(rows, columns)
    kept = ~ignore(table[tracked], table[~tracked])
    return _TrackedFrame(
        pair.frame,
        rows[tracked],
        columns[kept],
        table[np.ix_(tracked, kept)],
        np.intersect1d(rows, pair.truth_rows),
    )


def _track_names(poses: Poses, tracks: np.ndarray) -> list[str]:
    """Return the name of the track of each instance; empty for those without one."""
    names = poses.track_names
    return [names[track] if 0 <= track < len(names) else "" for track in tracks.tolist()]


def _neighbours(
    rows: np.ndarray, others: np.ndarray, centers: np.ndarray, names: Sequence[str]
) -> list[Neighbour]:
    """Return the nearest animal of each, itself left out.

    Args:
        rows: (g,) rows of animals.
        others: (n,) rows of the animals to look among.
        centers: (truth, 2) px, place of every animal of the ground truth.
        names: Track of every animal of the ground truth.
    """
    if not len(rows):
        return []
    distances = np.linalg.norm(centers[rows][:, None] - centers[others], axis=-1)
    distances[rows[:, None] == others] = np.inf
    nearest = distances.argmin(axis=1)
    found = [
        (others[column], distance[column])
        for column, distance in zip(nearest, distances, strict=True)
    ]
    return [
        Neighbour(names[row], float(px)) if np.isfinite(px) else Neighbour("", float("nan"))
        for row, px in found
    ]


def _number_tracks(
    tracks: np.ndarray, rows: list[np.ndarray], names: Sequence[str]
) -> tuple[list[np.ndarray], list[str]]:
    """Number the tracks that occur from 0, as TrackEval needs it, and name them."""
    occurring, ids = np.unique(tracks[np.concatenate(rows)], return_inverse=True)
    ends = np.cumsum([len(chunk) for chunk in rows])
    return np.split(ids, ends[:-1]), [
        names[track] if track < len(names) else str(track) for track in occurring
    ]


def has_consecutive_frames(sequence: TrackSequence) -> bool:
    """Return whether a true track is labelled on two consecutive frames."""
    frames, ids = sequence.frames, sequence.truth_ids
    return any(
        frames[t] == frames[t - 1] + 1 and np.isin(ids[t], ids[t - 1]).any()
        for t in range(1, len(frames))
    )
