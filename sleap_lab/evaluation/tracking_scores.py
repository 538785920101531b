"""The answer of `sleap-lab eval-tracking`: numbers, notes, and the file."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sleap_lab.errors import counted
from sleap_lab.evaluation.legacy_identity import legacy_block, motion_diagnostic
from sleap_lab.evaluation.mot_block import mot_block
from sleap_lab.evaluation.tracked import Tracked, TrackingSettings, compare_tracked
from sleap_lab.files.atomic import replacing
from sleap_lab.poses.record import Poses


def score_tracking(
    truth: Poses,
    poses: Poses,
    videos: Mapping[int, int],
    settings: TrackingSettings,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Return everything that `sleap-nn eval-tracking` writes, by its names.

    Args:
        truth: Ground truth.
        poses: Predictions.
        videos: Index of a video in the predictions -> its index in the truth.
        settings: How to compare.
        notes: What was left out before, one sentence each.

    Raises:
        ConfigError: The skeletons have different nodes, or a setting does not fit.
        RunError: There is nothing to score.
    """
    compared = compare_tracked(truth, poses, videos, settings)
    legacy, mot = legacy_block(compared), mot_block(compared)
    said = [*notes, *_notes(compared, legacy, truth)]
    return {
        **legacy,
        "notes": said,
        "carrier": "pose",
        "motion_diagnostic": motion_diagnostic(truth),
        "mot": mot if "error" in mot else mot | {"notes": said},
    }


def _notes(compared: Tracked, legacy: Mapping[str, Any], truth: Poses) -> list[str]:
    """Say what a reader of the numbers must know."""
    notes = []
    if compared.n_replaced:
        notes.append(
            f"{compared.n_replaced} predictions in the ground truth were left out: a user instance "
            "of the same track replaces them"
        )
    if compared.n_dropped:
        notes.append(
            f"--user_labels_only: {compared.n_dropped} predictions in the ground truth were left "
            "out"
        )
    if compared.n_predicted:
        notes.append(
            f"{compared.n_predicted} instances of the ground truth are predictions and count as "
            "truth; --user_labels_only leaves them out"
        )
    if missing := legacy["n_frames_missing_pred"]:
        absent = counted(missing, "frame is", "frames are")
        notes.append(f"{absent} not in the predictions: all animals there are missed")
    if untracked := legacy["n_gt_untracked"]:
        notes.append(
            f"{untracked} instances of the ground truth have no track and are not judged, "
            f"neither are the {legacy['n_dont_care']} tracked predictions on them"
        )
    if not compared.settings.global_identity and (shared := _in_several_videos(truth)):
        notes.append(
            f"true tracks of the same name in several videos ({', '.join(shared)}) are taken for "
            "different animals; --global_identity takes them for one"
        )
    if not legacy["n_matched"]:
        notes.append(
            "no tracked prediction matches a tracked true instance; see --match_threshold and "
            "--oks_stddev"
        )
    return notes


def _in_several_videos(truth: Poses) -> list[str]:
    """Return the names of tracks that occur in more than one video."""
    videos: dict[str, set[int]] = {}
    for video, track in zip(truth.video.tolist(), truth.tracks.tolist(), strict=True):
        if track >= 0:
            videos.setdefault(truth.track_names[track], set()).add(video)
    return sorted(name for name, where in videos.items() if len(where) > 1)


def as_text(scores: Mapping[str, Any]) -> str:
    """Return the numbers on a few lines."""
    mot = scores["mot"]
    lines = [
        "identity, by sleap-nn's own definitions: "
        + _numbers(
            scores,
            "id_switches fragmentations idf1 idp idr idf1_matched mean_track_purity "
            "mean_gt_coverage mostly_tracked partly_tracked mostly_lost",
        ),
        "CLEAR, Identity and HOTA, as TrackEval: "
        + (
            mot["error"]
            if "error" in mot
            else _numbers(mot, "mota motp idsw frag mt pt ml idf1 idp idr hota det_a ass_a loc_a")
        ),
        f"compared: {scores['n_gt_dets']} tracked true and {scores['n_pred_dets']} predicted "
        f"instances in {scores['n_frames_compared']} frames, by {scores['match_method']} at "
        f"{scores['match_threshold']:g}",
    ]
    return "\n".join(lines)


def _numbers(values: Mapping[str, Any], names: str) -> str:
    return " ".join(f"{name}={_shown(values[name])}" for name in names.split())


def _shown(value: float | None) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def write_scores(scores: Mapping[str, Any], path: str | Path) -> None:
    """Write the numbers as JSON; the file is written whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(scores, indent=2, allow_nan=False) + "\n", encoding="utf-8")
