"""What HOTA, Identity and CLEAR metrics are formed from, counted as in TrackEval."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from sleap_lab.evaluation.match import SIMILARITY_THRESHOLD
from sleap_lab.evaluation.sequences import TrackSequence

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
"""Our names of the metrics -> those of TrackEval."""

Counts = dict[str, dict[str, Any]]
"""TrackEval's results of one sequence by family of metrics; several sequences can be combined."""


def count_identity(sequence: TrackSequence) -> Counts:
    """Count what HOTA, Identity and CLEAR metrics of a sequence are formed from, as in TrackEval.

    TrackEval itself visits every frame again for each of the thresholds of HOTA, and its time for
    Identity grows with the square of the number of tracks, predicted fragments included.

    Matches of CLEAR and Identity need a similarity of `SIMILARITY_THRESHOLD`.
    """
    return count_association(sequence, SIMILARITY_THRESHOLD) | {
        "clear": count_clear(sequence, SIMILARITY_THRESHOLD)
    }


def count_association(sequence: TrackSequence, threshold: float) -> Counts:
    """Count what HOTA and Identity are formed from.

    Args:
        sequence: The tracks of both sides.
        threshold: Smallest similarity of a match in Identity.
    """
    pairs = _track_pairs(sequence)
    return {
        "hota": _count_hota(sequence, pairs),
        "identity": _count_idf1(sequence, pairs, threshold),
    }


def count_clear(sequence: TrackSequence, threshold: float) -> dict[str, Any]:
    """Count what CLEAR is formed from; matches need a similarity of `threshold`."""
    found: dict[str, Any] = _families(threshold)["clear"].eval_sequence(_trackeval_data(sequence))
    return found


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
    from scipy.optimize import linear_sum_assignment  # slow to import

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


def _count_idf1(sequence: TrackSequence, pairs: TrackPairs, threshold: float) -> dict[str, int]:
    """Count the instances that are found with at most one predicted track per true track.

    The assignment of tracks holds for the whole sequence.
    """
    from scipy.optimize import linear_sum_assignment  # slow to import

    similar = pairs.similarities >= threshold
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
    for family in _families():
        results |= combine_family(family, [counted[family] for counted in counts])
    return {ours: float(np.mean(results[theirs])) for ours, theirs in FIELDS.items()}


def combine_family(family: str, counts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the metrics of one family of all sequences together, by TrackEval's names."""
    combined: dict[str, Any] = _families()[family].combine_sequences(
        {str(i): counted for i, counted in enumerate(counts)}
    )
    return combined


@lru_cache
def _families(threshold: float = SIMILARITY_THRESHOLD) -> dict[str, Any]:
    from trackeval.metrics import CLEAR, HOTA, Identity  # a second that few evaluations need

    config = {"PRINT_CONFIG": False, "THRESHOLD": threshold}
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
