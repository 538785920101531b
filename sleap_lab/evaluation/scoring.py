"""Scoring predicted poses against ground truth."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sleap_lab.evaluation.ap import voc
from sleap_lab.evaluation.breakdown import breakdown
from sleap_lab.evaluation.centroid import centroid_metrics
from sleap_lab.evaluation.coco import Detections, average_precisions, match_detections
from sleap_lab.evaluation.distances import summarize
from sleap_lab.evaluation.frames import FrameTable, frame_table, ratios
from sleap_lab.evaluation.identity import IdentityResult, score_identity
from sleap_lab.evaluation.intervals import intervals
from sleap_lab.evaluation.match import (
    SIMILARITY_THRESHOLD,
    FramePair,
    Matches,
    labelled_frames,
    leave_out_ignored,
    match_frames,
    pair_frames,
)
from sleap_lab.evaluation.measure import Measure, centroid_measure, oks_measure
from sleap_lab.evaluation.notes import coverage_notes, nothing_matched, unseen_notes, video_notes
from sleap_lab.evaluation.pck import hits, pck_metrics
from sleap_lab.evaluation.records import Records, centroid_records, pose_records
from sleap_lab.evaluation.result import Evaluation
from sleap_lab.evaluation.videos import VideoMatch
from sleap_lab.evaluation.visibility import visibility_metrics
from sleap_lab.poses.record import Poses, distinct
from sleap_lab.settings.config import EvaluatorConfig

CENTROID_REACH = 50.0
"""Replaces a match_threshold of 0 where centroids are matched, px."""


def evaluate(
    truth: Poses,
    poses: Poses,
    config: EvaluatorConfig,
    *,
    videos: Mapping[int, int],
    video_names: Sequence[str] = (),
    video_matches: Sequence[VideoMatch] = (),
    requested: np.ndarray | None = None,
    details: bool = True,
) -> Evaluation:
    """Score predictions against ground truth.

    `match_method=auto` becomes `centroid` where the predictions have a single node and `oks`
    elsewhere; a `match_threshold` of 0 becomes 50 px where centroids are matched.

    Args:
        truth: Ground truth.
        poses: Predictions; human-labelled instances among them count for identity metrics only.
        config: How to score.
        videos: Index of a video in the predictions -> its index in the truth.
        video_names: Names of the videos of the truth; a missing one is replaced by its index.
        video_matches: How the videos were matched, for the record.
        requested: (frames, 2) (video, frame) of the requested predictions; a labelled frame among
            them that the predictions lack is missed. None stands for all labelled frames of the
            compared videos.
        details: Whether to add intervals and the breakdown, which take as long as everything else.

    Raises:
        ConfigError: The skeletons have different nodes, or the settings do not fit together.
        RunError: No frame of the truth is in the predictions.
    """
    config = replace(config, match_method=resolve_method(config.match_method, poses))
    if config.match_method == "centroid" and config.match_threshold == 0:
        config = replace(config, match_threshold=CENTROID_REACH)
    evaluation = score_poses(
        truth, poses, config, videos, distinct(video_names), requested, details=details
    )
    notes = video_notes(truth, poses, video_matches)
    return replace(evaluation, videos=tuple(video_matches), notes=(*notes, *evaluation.notes))


def resolve_method(match_method: str, poses: Poses) -> str:
    """Return the method; `auto` is `centroid` for predictions of a single node, otherwise `oks`."""
    if match_method != "auto":
        return match_method
    return "centroid" if len(poses.skeleton.nodes) == 1 else "oks"


def score_poses(
    truth: Poses,
    poses: Poses,
    config: EvaluatorConfig,
    videos: Mapping[int, int],
    video_names: Sequence[str],
    requested: np.ndarray | None = None,
    *,
    details: bool = True,
    reference: bool = False,
) -> Evaluation:
    """Do the same as `evaluate` with `match_method` and `match_threshold` as they are.

    With `reference`, where only human-labelled truth counts, two cases are treated as in sleap-nn:
    a prediction that lies on a true prediction may be matched with a human-labelled instance, and
    frames that a person emptied are no pairs.
    """
    by_centroid, user_only = config.match_method == "centroid", config.user_labels_only
    truth, poses = (
        replace(record, track_names=distinct(record.track_names)) for record in (truth, poses)
    )
    records = (centroid_records if by_centroid else pose_records)(truth, poses, config)
    truth, poses = records.truth, records.poses
    frames = labelled_frames(truth, poses, videos, user_labels_only=user_only, requested=requested)
    pairs = pair_frames(
        truth,
        poses,
        videos,
        user_labels_only=user_only,
        emptied=not reference,
        video_names=video_names,
    )
    measure = centroid_measure(records) if by_centroid else oks_measure(records, [*frames, *pairs])
    n_predicted = sum(len(frame.pose_rows) for frame in frames)
    if user_only and not reference:
        frames = leave_out_ignored(frames, measure.similarity)
        pairs = leave_out_ignored(pairs, measure.similarity)
    matches = match_frames(pairs, measure.score, measure.assign)
    found = _evaluation(records, frames, pairs, matches, measure, video_names, details=details)
    coverage = coverage_notes(poses, frames, n_predicted, by_centroid)
    coverage += [] if by_centroid else unseen_notes(truth, frames)
    unmatched = [] if len(matches.scores) else [nothing_matched(config)]
    return replace(found, notes=(*records.notes, *coverage, *unmatched, *found.notes))


def _evaluation(
    records: Records,
    frames: Sequence[FramePair],
    pairs: Sequence[FramePair],
    matches: Matches,
    measure: Measure,
    video_names: Sequence[str],
    *,
    details: bool,
) -> Evaluation:
    """Form every metric from the matches.

    Args:
        records: The records.
        frames: Labelled frames.
        pairs: Those of them that the predictions list.
        matches: Matches of the pairs.
        measure: How instances are compared.
        video_names: Names of the videos of the truth.
        details: Whether to add intervals and the breakdown.
    """
    truth, poses, config = records.truth, records.poses, records.config
    distances = np.linalg.norm(
        truth.points[matches.truth_rows] - poses.points[matches.pose_rows], axis=-1
    )
    if config.match_method == "centroid":
        detections = None
        metrics = _centroid_metrics(truth, matches, distances, video_names)
    else:
        shown = np.any(truth.visible, axis=1)
        scores = poses.instance_scores
        detections = match_detections(frames, measure.similarity, shown, scores)
        metrics = _pose_metrics(truth, poses, matches, distances, video_names)
    table = frame_table(frames, truth, poses, matches, distances, detections)
    identity = IdentityResult()
    if config.identity:
        identity = score_identity(truth, poses, frames, measure.similarity)
    return Evaluation(
        metrics=metrics,
        settings=_settings(config),
        matches=matches,
        frame_pairs=tuple(pairs),
        coco={} if detections is None else _coco(detections, table),
        table=table,
        intervals=intervals(table, identity) if details else None,
        breakdown=breakdown(truth, poses, pairs, matches, video_names) if details else (),
        identity=identity.metrics,
        identity_by_video=identity.by_video,
        identity_counts=identity.counts,
        video_names=tuple(video_names),
        switches=identity.switches,
        notes=identity.notes,
    )


def _pose_metrics(
    truth: Poses,
    poses: Poses,
    matches: Matches,
    distances: np.ndarray,
    video_names: Sequence[str],
) -> dict[str, dict[str, Any]]:
    """Return the metrics of whole poses, in the layout of sleap-nn.

    Args:
        truth: Ground truth.
        poses: Predictions.
        matches: The matches.
        distances: (pairs, nodes) px; nan where a node is missing on either side.
        video_names: Names of the videos of the truth.
    """
    ranks, n_missed = poses.instance_scores[matches.pose_rows], len(matches.false_negatives)
    return {
        "voc_metrics": {
            **voc(matches.scores, ranks, n_missed, prefix="oks_voc."),
            **voc(hits(distances).mean(axis=(1, 2)), ranks, n_missed, prefix="pck_voc."),
        },
        "mOKS": {"mOKS": matches.scores.mean() if len(matches.scores) else float("nan")},
        "distance_metrics": _distance_metrics(
            truth, matches, distances if len(distances) else np.zeros(0), video_names
        ),
        "pck_metrics": pck_metrics(distances),
        "visibility_metrics": visibility_metrics(
            truth.visible[matches.truth_rows], poses.visible[matches.pose_rows]
        ),
    }


def _coco(detections: Detections, table: FrameTable) -> dict[str, float]:
    """Metrics over every labelled frame, predicted or not."""
    totals = ratios({name: column.sum() for name, column in table.columns.items()})
    named = {
        name.removeprefix("coco/"): float(value)
        for name, value in totals.items()
        if name.startswith("coco/")
    }
    return average_precisions(detections) | named


def _centroid_metrics(
    truth: Poses, matches: Matches, distances: np.ndarray, video_names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return the metrics of centroids, in the layout of sleap-nn; arguments as for poses."""
    return {
        "detection_metrics": centroid_metrics(matches),
        "distance_metrics": _distance_metrics(truth, matches, distances[:, 0], video_names),
    }


def _distance_metrics(
    truth: Poses, matches: Matches, distances: np.ndarray, video_names: Sequence[str]
) -> dict[str, Any]:
    """Return distances with their summary, and frame and video of each match."""
    names = dict(enumerate(video_names))
    videos = truth.video[matches.truth_rows].tolist()
    return {
        "frame_idxs": truth.frame[matches.truth_rows].tolist(),
        "video_paths": [names.get(video, str(video)) for video in videos],
        "dists": distances,
        **summarize(distances),
    }


def _settings(config: EvaluatorConfig) -> dict[str, Any]:
    """Return the settings that decide over the metrics, by the names of their keys."""
    keys = ["match_method", "match_threshold", "user_labels_only"]
    if config.match_method == "centroid":
        keys += ["centroid_method", "centroid_fallback", "anchor_part"]
    else:
        keys += ["oks_stddev", "oks_scale"]
    settings = {key: getattr(config, key) for key in keys}
    if config.nodes != "all":
        settings["nodes"] = config.nodes
    return settings | {"identity_threshold": SIMILARITY_THRESHOLD} if config.identity else settings
