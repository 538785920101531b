"""Identity metrics: CLEAR, Identity and HOTA.

The numbers are those of TrackEval, whose definitions are the common reference; similarity is the
OKS (or closeness of centroids) that also matches instances.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sleap_lab.evaluation.identity_counts import Counts, combine_identity, count_identity
from sleap_lab.evaluation.match import SIMILARITY_THRESHOLD, Compare, FramePair
from sleap_lab.evaluation.sequences import (
    TrackSequence,
    build_sequences,
    has_consecutive_frames,
    tracks_once_per_frame,
)
from sleap_lab.evaluation.switches import Switch, identity_switches
from sleap_lab.poses.record import Poses


class IdentityResult(NamedTuple):
    """What was found about identities.

    Attributes:
        metrics: Metrics of all videos together, by our names; None where they are meaningless.
        by_video: The same of each evaluated video of the ground truth, by its index.
        counts: The counts from which these are formed, in the same order.
        switches: Every identity switch.
        notes: What a reader must know, one sentence each.
    """

    metrics: dict[str, float] | None = None
    by_video: tuple[tuple[int, dict[str, float]], ...] = ()
    counts: tuple[Counts, ...] = ()
    switches: tuple[Switch, ...] = ()
    notes: tuple[str, ...] = ()


def score_identity(
    truth: Poses, poses: Poses, pairs: Sequence[FramePair], similarity: Compare
) -> IdentityResult:
    """Compute the identity metrics of all videos together, where the ground truth allows it.

    Identity needs true tracks on consecutive frames: videos without are left out. Where a frame
    holds a track twice, the best scored instance keeps it (a human-labelled one before all others).

    Args:
        truth: Ground truth.
        poses: Predictions, human-labelled instances included, so that retracked labels can be
            scored.
        pairs: Frames to compare.
        similarity: Gives (g, p) similarities of rows of the two records.
    """
    selected = np.zeros(len(truth), dtype=bool)
    selected[np.concatenate([pair.truth_rows for pair in pairs])] = True
    truth_tracks = np.where(selected, tracks_once_per_frame(truth), -1)
    pose_tracks = tracks_once_per_frame(poses)
    if not (truth_tracks >= 0).any():
        return IdentityResult(notes=("identity metrics left out: the ground truth has no tracks",))
    if not (pose_tracks >= 0).any():
        return IdentityResult(notes=("identity metrics left out: the predictions have no tracks",))
    everything = [
        sequence
        for sequence in build_sequences(truth, poses, truth_tracks, pose_tracks, pairs, similarity)
        if sequence.truth_names
    ]
    sequences = [sequence for sequence in everything if has_consecutive_frames(sequence)]
    if not sequences:
        reason = (
            "identity metrics left out: no true track is labelled on two consecutive frames "
            "(sparse labels)"
        )
        return IdentityResult(notes=(reason,))
    counts = tuple(map(count_identity, sequences))
    metrics = combine_identity(counts)
    return IdentityResult(
        metrics=metrics,
        by_video=tuple(
            (sequence.video, combine_identity([counted]))
            for sequence, counted in zip(sequences, counts, strict=True)
        ),
        counts=counts,
        switches=tuple(identity_switches(sequences)),
        notes=(
            *_sparse_note(len(everything) - len(sequences), len(everything)),
            *_trackless_notes(truth_tracks, pose_tracks, pairs),
            *_misses_note(metrics["misses"], sequences),
        ),
    )


def _sparse_note(n_sparse: int, n_videos: int) -> list[str]:
    """Say how many videos have no true track on consecutive frames, if any."""
    if not n_sparse:
        return []
    return [
        f"identity: {n_sparse} of {n_videos} videos left out, "
        "no true track on two consecutive frames (sparse labels)"
    ]


def _trackless_notes(
    truth_tracks: np.ndarray, pose_tracks: np.ndarray, pairs: Sequence[FramePair]
) -> list[str]:
    """Say how many instances of the compared frames have no track, on each side, if any."""
    notes = []
    paired_truth = np.concatenate([pair.truth_rows for pair in pairs])
    if ignored := int((truth_tracks[paired_truth] < 0).sum()):
        notes.append(
            f"identity: {ignored} true instances have no track of their own and are not judged"
        )
    paired_poses = np.concatenate([pair.all_pose_rows for pair in pairs])
    if untracked := int((pose_tracks[paired_poses] < 0).sum()):
        notes.append(
            f"identity: {untracked} predicted instances have no track of their own "
            "and are left out, as if they were not predicted"
        )
    return notes


def _misses_note(misses: float, sequences: Sequence[TrackSequence]) -> list[str]:
    """Say what to change where most true instances have no similar prediction."""
    n_truth = sum(len(ids) for sequence in sequences for ids in sequence.truth_ids)
    if misses <= n_truth / 2:
        return []
    return [
        f"identity: {misses:.0f} of {n_truth} true instances have no prediction "
        f"with a similarity of at least {SIMILARITY_THRESHOLD}. If animals are found but not "
        "placed accurately, a larger evaluator.oks_stddev (centroids: evaluator.match_threshold) "
        "tells more about identity"
    ]
