"""Identity metrics (CLEAR, Identity and HOTA), and the places of identity switches.

The numbers are those of TrackEval, whose definitions are the common reference; similarity is the
OKS (or closeness of centroids) that also matches instances. Truth without an identity (an instance
without a track, or one that the evaluation leaves out) is "don't care": it is neither missed, nor
is a prediction on it a false positive.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from sleap_lab.evaluation.match import SIMILARITY_THRESHOLD, Compare, FramePair, on_ignored
from sleap_lab.poses.centroids import instance_centroids
from sleap_lab.poses.record import Poses

# our name -> TrackEval's
FIELDS = {
    "hota": "HOTA",
    "deta": "DetA",
    "assa": "AssA",
    "idf1": "IDF1",
    "idp": "IDP",
    "idr": "IDR",
    "mota": "MOTA",
    "motp": "MOTP",
    "switches": "IDSW",
    "fragmentations": "Frag",
    "misses": "CLR_FN",
    "false_positives": "CLR_FP",
}


Counts = dict[str, dict[str, Any]]
"""TrackEval's results of one sequence by family of metrics; several sequences can be combined."""


class Switch(NamedTuple):
    """A true track that is followed by another predicted track than when it was last found.

    Attributes:
        video: Index of the video in the ground truth.
        pose_video: Index of the video in the predictions.
        frame: First frame with the new predicted track.
        truth_track: Name of the true track.
        from_track: Name of the predicted track that followed it before.
        to_track: Name of the predicted track that follows it now.
        nearest_track: Name of the true track of the nearest other animal in that frame; empty
            where there is none.
        nearest_distance: Distance to that animal, px between the means of the visible nodes; nan
            where the animal is alone.
    """

    video: int
    pose_video: int
    frame: int
    truth_track: str
    from_track: str
    to_track: str
    nearest_track: str
    nearest_distance: float


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


class IdentityResult(NamedTuple):
    """Metrics by our names (None where they are meaningless), all switches, and notes for the user.

    `by_video` holds the same metrics for each evaluated video of the ground truth, by its index.
    `counts` holds the counts from which they are formed, in the same order.
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
    everything = build_sequences(truth, poses, truth_tracks, pose_tracks, pairs, similarity)
    sequences = [sequence for sequence in everything if _has_consecutive_frames(sequence)]
    if not sequences:
        reason = (
            "identity metrics left out: no true track is labelled on two consecutive frames "
            "(sparse labels)"
        )
        return IdentityResult(notes=(reason,))
    notes = []
    if sparse := len(everything) - len(sequences):
        notes.append(
            f"identity: {sparse} of {len(everything)} videos left out, "
            "no true track on two consecutive frames (sparse labels)"
        )
    paired_truth = np.concatenate([pair.truth_rows for pair in pairs])
    if ignored := int((truth_tracks[paired_truth] < 0).sum()):
        notes.append(
            f"identity: {ignored} true instances without a track of their own count neither way"
        )
    paired_poses = np.concatenate([pair.all_pose_rows for pair in pairs])
    if untracked := int((pose_tracks[paired_poses] < 0).sum()):
        notes.append(
            f"identity: {untracked} predicted instances without a track of their own "
            "count as not predicted"
        )
    counts = tuple(map(count_identity, sequences))
    metrics = combine_identity(counts)
    by_video = tuple(
        (sequence.video, combine_identity([counted]))
        for sequence, counted in zip(sequences, counts, strict=True)
    )
    n_truth = sum(len(ids) for sequence in sequences for ids in sequence.truth_ids)
    if metrics["misses"] > n_truth / 2:
        notes.append(
            f"identity: {metrics['misses']:.0f} of {n_truth} true instances have no prediction "
            f"of similarity {SIMILARITY_THRESHOLD}; "
            "where animals are found but not placed accurately, a larger oks_stddev "
            "(centroids: match_threshold) says more about identity"
        )
    return IdentityResult(
        metrics, by_video, counts, tuple(identity_switches(sequences)), tuple(notes)
    )


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
) -> list[TrackSequence]:
    """Collect, per predicted video, the frames to score, without "don't care" instances.

    A frame without true animals is among them.

    Args:
        truth: Ground truth.
        poses: Predictions.
        truth_tracks: (n,) index into `truth.track_names` of each true instance, -1 for "don't
            care".
        pose_tracks: (n,) index into `poses.track_names` of each predicted instance, -1 to leave it
            out.
        pairs: Frames to compare, those of one predicted video one after the other.
        similarity: Gives (g, p) similarities of rows of the two records.
    """
    truth_shown = np.any(truth.visible, axis=1)
    pose_shown = np.any(poses.visible, axis=1) & (pose_tracks >= 0)
    centers = instance_centroids(truth.points)
    names = [
        truth.track_names[track] if 0 <= track < len(truth.track_names) else ""
        for track in truth_tracks.tolist()
    ]
    sequences = []
    for _, group in groupby(pairs, key=lambda pair: pair.pose_video):
        in_time = sorted(group, key=lambda pair: pair.frame)
        frames, truth_rows, pose_rows, similarities, neighbours = [], [], [], [], []
        for pair in in_time:
            rows = pair.all_truth_rows[truth_shown[pair.all_truth_rows]]
            columns = pair.all_pose_rows[pose_shown[pair.all_pose_rows]]
            tracked = truth_tracks[rows] >= 0
            table = similarity(rows, columns)
            kept = ~on_ignored(table[tracked], table[~tracked])
            frames.append(pair.frame)
            truth_rows.append(rows[tracked])
            pose_rows.append(columns[kept])
            similarities.append(table[np.ix_(tracked, kept)])
            others = np.intersect1d(rows, pair.truth_rows)
            neighbours.append(
                _neighbours(rows[tracked], others, centers, names) if tracked.any() else []
            )
        if any(map(len, truth_rows)):
            truth_ids, truth_names = _number_tracks(truth_tracks, truth_rows, truth.track_names)
            pose_ids, pose_names = _number_tracks(pose_tracks, pose_rows, poses.track_names)
            videos = in_time[0].truth_video, in_time[0].pose_video
            sequences.append(
                TrackSequence(
                    *videos,
                    frames,
                    truth_ids,
                    pose_ids,
                    similarities,
                    neighbours,
                    truth_names,
                    pose_names,
                )
            )
    return sequences


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


def _has_consecutive_frames(sequence: TrackSequence) -> bool:
    frames, ids = sequence.frames, sequence.truth_ids
    return any(
        frames[t] == frames[t - 1] + 1 and np.isin(ids[t], ids[t - 1]).any()
        for t in range(1, len(frames))
    )


def count_identity(sequence: TrackSequence) -> Counts:
    """Count what HOTA, Identity and CLEAR metrics of a sequence are formed from, as in TrackEval.

    TrackEval itself visits every frame again for each of the thresholds of HOTA, and its time for
    Identity grows with the square of the number of tracks, predicted fragments included.
    """
    pairs = _track_pairs(sequence)
    return {
        "hota": _count_hota(sequence, pairs),
        "identity": _count_idf1(sequence, pairs),
        "clear": _families()["clear"].eval_sequence(_trackeval_data(sequence)),
    }


class TrackPairs(NamedTuple):
    """Every pair of a true and a predicted instance of one frame, by frame, then by row.

    Attributes:
        similarities: (n,) in [0, 1].
        shares: (n,) similarity as a share of all similarities of the two instances in their frame.
        of: (n,) which pair of tracks it is.
        truth: (pairs of tracks,) id of the true one.
        pose: (pairs of tracks,) id of the predicted one.
        truth_count: (true tracks,) instances of each.
        pose_count: (predicted tracks,) instances of each.
    """

    similarities: np.ndarray
    shares: np.ndarray
    of: np.ndarray
    truth: np.ndarray
    pose: np.ndarray
    truth_count: np.ndarray
    pose_count: np.ndarray


def _track_pairs(sequence: TrackSequence) -> TrackPairs:
    n_truth, n_poses = len(sequence.truth_names), len(sequence.pose_names)
    keys = [
        np.add.outer(ids * n_poses, others).ravel()
        for ids, others in zip(sequence.truth_ids, sequence.pose_ids, strict=True)
    ]
    pairs, of = np.unique(np.concatenate(keys), return_inverse=True)
    truth, pose = np.divmod(pairs, max(n_poses, 1))
    similarities = np.concatenate([table.ravel() for table in sequence.similarities])
    sums = (
        np.concatenate(
            [
                np.add.outer(table.sum(axis=1), table.sum(axis=0)).ravel()
                for table in sequence.similarities
            ]
        )
        - similarities
    )
    shares = np.divide(
        similarities, sums, out=np.zeros_like(similarities), where=sums > np.finfo(np.float64).eps
    )
    counts = [
        np.bincount(np.concatenate(ids), minlength=n)
        for ids, n in ((sequence.truth_ids, n_truth), (sequence.pose_ids, n_poses))
    ]
    return TrackPairs(similarities, shares, of, truth, pose, *counts)


def _count_hota(sequence: TrackSequence, pairs: TrackPairs) -> dict[str, np.ndarray]:
    """Count what HOTA is formed from at each of its thresholds: (19,) arrays.

    In every frame, instances are matched so that the sum of their similarities, each times the
    agreement of the two tracks over the whole sequence, is largest; a match counts at the
    thresholds that it reaches.
    """
    n_truth, n_poses = pairs.truth_count.sum(), pairs.pose_count.sum()
    common = np.bincount(pairs.of, pairs.shares, len(pairs.truth))
    both = pairs.truth_count[pairs.truth] + pairs.pose_count[pairs.pose]
    scores = (common / (both - common))[pairs.of] * pairs.similarities
    matched, start = [np.zeros(0, dtype=np.intp)], 0
    for table in sequence.similarities:
        rows, columns = linear_sum_assignment(
            -scores[start : start + table.size].reshape(table.shape)
        )
        matched.append(start + rows * table.shape[1] + columns)
        start += table.size
    chosen = np.concatenate(matched)
    similar, of = pairs.similarities[chosen], pairs.of[chosen]
    found: dict[str, list[float]] = {
        name: [] for name in ("HOTA_TP", "HOTA_FN", "HOTA_FP", "LocA", "AssA", "AssRe", "AssPr")
    }
    for threshold in _families()["hota"].array_labels:
        reached = similar >= threshold - np.finfo(np.float64).eps
        n = int(reached.sum())
        matches = np.bincount(of[reached], minlength=len(pairs.truth))
        found["HOTA_TP"].append(n)
        found["HOTA_FN"].append(n_truth - n)
        found["HOTA_FP"].append(n_poses - n)
        found["LocA"].append(max(1e-10, similar[reached].sum()) / max(1e-10, n))
        for name, all_of in (
            ("AssA", both - matches),
            ("AssRe", pairs.truth_count[pairs.truth]),
            ("AssPr", pairs.pose_count[pairs.pose]),
        ):
            found[name].append((matches * matches / np.maximum(1, all_of)).sum() / max(1, n))
    return {name: np.array(values, dtype=float) for name, values in found.items()}


def _count_idf1(sequence: TrackSequence, pairs: TrackPairs) -> dict[str, int]:
    """Count the instances that are found with at most one predicted track per true track.

    The assignment of tracks holds for the whole sequence.
    """
    similar = pairs.similarities >= SIMILARITY_THRESHOLD
    table = np.zeros((len(sequence.truth_names), len(sequence.pose_names)))
    table[pairs.truth, pairs.pose] = np.bincount(pairs.of, similar, len(pairs.truth))
    found = int(table[linear_sum_assignment(table, maximize=True)].sum())
    return {
        "IDTP": found,
        "IDFN": int(pairs.truth_count.sum()) - found,
        "IDFP": int(pairs.pose_count.sum()) - found,
    }


def combine_identity(counts: Sequence[Counts]) -> dict[str, float]:
    """Return HOTA, Identity and CLEAR metrics of all sequences together, as in TrackEval.

    HOTA is the mean over its thresholds.
    """
    results: dict[str, Any] = {}
    for family, metric in _families().items():
        results |= metric.combine_sequences(
            {str(i): counted[family] for i, counted in enumerate(counts)}
        )
    return {ours: float(np.mean(results[theirs])) for ours, theirs in FIELDS.items()}


@lru_cache
def _families() -> dict[str, Any]:
    from trackeval.metrics import (
        CLEAR,
        HOTA,
        Identity,
    )  # a second of imports that few evaluations need

    config = {"PRINT_CONFIG": False, "THRESHOLD": SIMILARITY_THRESHOLD}
    return {"hota": HOTA(), "identity": Identity(config), "clear": CLEAR(config)}


def _trackeval_data(sequence: TrackSequence) -> dict[str, Any]:
    return {
        "num_timesteps": len(sequence.frames),
        "gt_ids": sequence.truth_ids,
        "tracker_ids": sequence.pose_ids,
        "similarity_scores": sequence.similarities,
        "num_gt_dets": sum(map(len, sequence.truth_ids)),
        "num_tracker_dets": sum(map(len, sequence.pose_ids)),
        "num_gt_ids": len(sequence.truth_names),
        "num_tracker_ids": len(sequence.pose_names),
    }


def identity_switches(sequences: Sequence[TrackSequence]) -> list[Switch]:
    """List the identity switches that CLEAR counts; TrackEval does not report their places.

    Per frame, predictions are assigned so that pairs of the frame before are kept, then similarity
    is largest. A switch is a true track whose prediction differs from the one it was last assigned,
    however long ago.
    """
    switches = []
    for sequence in sequences:
        last: dict[int, int] = {}  # true id -> predicted id it was last assigned
        before: dict[int, int] = {}  # the same, of the previous frame alone
        for frame, truth_ids, pose_ids, similarity, neighbours in zip(
            sequence.frames,
            sequence.truth_ids,
            sequence.pose_ids,
            sequence.similarities,
            sequence.neighbours,
            strict=True,
        ):
            if not (len(truth_ids) and len(pose_ids)):
                continue
            kept = np.equal.outer(
                np.array([before.get(truth_id, -1) for truth_id in truth_ids]), pose_ids
            )
            score = np.where(similarity >= SIMILARITY_THRESHOLD, 1000 * kept + similarity, 0)
            rows, columns = linear_sum_assignment(-score)
            matched = score[rows, columns] > 0
            before = dict(
                zip(
                    truth_ids[rows[matched]].tolist(),
                    pose_ids[columns[matched]].tolist(),
                    strict=True,
                )
            )
            for truth_id, pose_id in before.items():
                if last.get(truth_id, pose_id) != pose_id:
                    names = (
                        sequence.truth_names[truth_id],
                        sequence.pose_names[last[truth_id]],
                        sequence.pose_names[pose_id],
                    )
                    neighbour = neighbours[truth_ids.tolist().index(truth_id)]
                    switches.append(
                        Switch(sequence.video, sequence.pose_video, frame, *names, *neighbour)
                    )
            last |= before
    return switches
