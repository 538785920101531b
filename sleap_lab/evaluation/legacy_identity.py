"""Identity metrics by the definitions of `sleap-nn eval-tracking` itself.

They were found by comparing answers; `docs/eval-tracking.md` writes them down.
"""

import itertools
from collections import defaultdict
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from sleap_lab.evaluation.tracked import Tracked, by_name
from sleap_lab.poses.boxes import body_sizes
from sleap_lab.poses.centroids import instance_centroids
from sleap_lab.poses.record import Poses

CONTINUOUS_BELOW = 0.5
"""Steps per frame, in body sizes, below which labels look like a recording."""
NOT_MATCHED = -1


def legacy_block(compared: Tracked) -> dict[str, Any]:
    """Return the metrics by sleap-nn's names; None where nothing is divided by nothing."""
    followed, counts, predicted = _follow(compared)
    settings = compared.settings
    coverage = np.array([np.mean(np.array(ids) != NOT_MATCHED) for ids in followed.values()])
    mostly_tracked = coverage >= settings.mt_threshold
    mostly_lost = (coverage < settings.ml_threshold) & ~mostly_tracked
    table = _matched_counts(list(followed.values()), predicted)
    found = int(table[linear_sum_assignment(table, maximize=True)].sum())
    n_truth, n_matched = counts["n_gt_dets"], counts["n_matched"]
    n_poses = counts["n_pred_dets"] - counts["n_pred_untracked"] - counts["n_dont_care"]
    return {
        "id_switches": sum(_switches(ids) for ids in followed.values()),
        "idf1": _ratio(2 * found, n_truth + n_poses),
        "idp": _ratio(found, n_poses),
        "idr": _ratio(found, n_truth),
        "idf1_matched": _ratio(found, n_matched),
        "mostly_tracked": int(mostly_tracked.sum()),
        "partly_tracked": int((~mostly_tracked & ~mostly_lost).sum()),
        "mostly_lost": int(mostly_lost.sum()),
        "fragmentations": sum(_fragmentations(ids) for ids in followed.values()),
        "mean_gt_coverage": float(coverage.mean()),
        "mean_track_purity": _ratio(int(table.max(axis=0, initial=0).sum()), n_matched),
        **counts,
        "n_gt_tracks": len(followed),
        "n_pred_tracks": len(predicted),
        "match_method": compared.method,
        "match_threshold": compared.match_threshold,
        "global_identity": settings.global_identity,
    }


def _follow(compared: Tracked) -> tuple[dict[Any, list[int]], dict[str, int], list[Any]]:
    """Match the tracked predictions of every frame with all true instances.

    The sum of the scores is largest, those below the threshold included, which then match nothing.

    Returns:
        The predicted track of each detection of each true track in order of time, by position in
        the third, `NOT_MATCHED` for none; counts; the predicted tracks.
    """
    truth, poses = compared.truth, compared.poses
    followed: dict[Any, list[int]] = defaultdict(list)
    place: dict[Any, int] = {}
    n_matched = n_ignored = 0
    for pair in compared.frames:
        video = 0 if compared.settings.global_identity else pair.truth_video
        rows = pair.all_truth_rows
        columns = pair.all_pose_rows[poses.tracks[pair.all_pose_rows] >= 0]
        tracks = [
            place.setdefault((video, track), len(place)) for track in poses.tracks[columns].tolist()
        ]
        table = compared.score(rows, columns)
        chosen, by = linear_sum_assignment(table, maximize=True)
        reached = table[chosen, by] >= compared.threshold
        taken = dict(zip(chosen[reached].tolist(), by[reached].tolist(), strict=True))
        for i, track in enumerate(truth.tracks[rows].tolist()):
            if track >= 0:
                followed[video, track].append(tracks[taken[i]] if i in taken else NOT_MATCHED)
            n_matched += track >= 0 and i in taken
            n_ignored += track < 0 and i in taken
    all_truth = np.concatenate([pair.all_truth_rows for pair in compared.frames])
    all_poses = np.concatenate([pair.all_pose_rows for pair in compared.frames])
    counts = {
        "n_gt_dets": int((truth.tracks[all_truth] >= 0).sum()),
        "n_gt_untracked": int((truth.tracks[all_truth] < 0).sum()),
        "n_pred_dets": len(all_poses),
        "n_matched": n_matched,
        "n_dont_care": n_ignored,
        "n_frames_compared": len(compared.frames),
        "n_frames_missing_pred": sum(not pair.processed for pair in compared.frames),
        "n_videos_compared": len({pair.truth_video for pair in compared.frames}),
        "n_pred_untracked": int((poses.tracks[all_poses] < 0).sum()),
    }
    return followed, counts, list(place)


def _matched_counts(followed: list[list[int]], predicted: list[Any]) -> np.ndarray:
    """Return how many detections of each true track each predicted track matches: (t, p)."""
    table = np.zeros((len(followed), len(predicted)), dtype=np.intp)
    for row, ids in zip(table, followed, strict=True):
        np.add.at(row, [track for track in ids if track != NOT_MATCHED], 1)
    return table


def _switches(ids: list[int]) -> int:
    """Count how often a true track is followed by another predicted track than before."""
    found = [track for track in ids if track != NOT_MATCHED]
    return sum(a != b for a, b in itertools.pairwise(found))


def _fragmentations(ids: list[int]) -> int:
    """Count how often a true track is found again after it was not."""
    found = np.array(ids) != NOT_MATCHED
    starts = int(found[0]) + int((~found[:-1] & found[1:]).sum())
    return max(0, starts - 1)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def motion_diagnostic(truth: Poses) -> dict[str, Any]:
    """Return how far the true animals move per frame, to tell a recording from sparse labels.

    All tracked instances of the ground truth count, compared or not.

    Steps are between detections of a true track that follow each other: the distance of the
    centroids over the number of frames. The size of an animal is the longer side of the box around
    its nodes.
    """
    truth = by_name(truth[truth.visible.any(axis=1) & (truth.tracks >= 0)])
    truth = truth[np.lexsort((truth.frame, truth.video, truth.tracks))]
    same = (np.diff(truth.tracks) == 0) & (np.diff(truth.video) == 0) & (np.diff(truth.frame) > 0)
    centers = instance_centroids(truth.points)
    gaps = np.diff(truth.frame)[same]
    distances = np.linalg.norm(np.diff(centers, axis=0), axis=-1)[same]
    if not len(gaps):
        nothing = dict.fromkeys(
            ("median_step_px", "median_size_px", "step_over_size", "median_frame_gap")
        )
        note = "too few tracked detections to judge"
        return {**nothing, "is_continuous": False, "note": note}
    step = float(np.median(distances / gaps))
    size = float(np.median(body_sizes(truth.points)))
    found = {
        "median_step_px": round(step, 2),
        "median_size_px": round(size, 2),
        "step_over_size": round(step / size, 3) if size else None,
        "median_frame_gap": float(np.median(gaps)),
        "is_continuous": bool(size and step / size < CONTINUOUS_BELOW),
    }
    return found if size else found | {"note": "animals without extent, steps cannot be judged"}
