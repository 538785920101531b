"""Scoring predicted poses against ground truth."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sleap_lab.errors import ConfigError, did_you_mean
from sleap_lab.evaluation.ap import voc
from sleap_lab.evaluation.bootstrap import intervals
from sleap_lab.evaluation.breakdown import breakdown
from sleap_lab.evaluation.centroid import centroid_metrics, first_visible, hungarian
from sleap_lab.evaluation.coco import Detections, average_precisions, detect
from sleap_lab.evaluation.distances import summarize
from sleap_lab.evaluation.frames import FrameTable, frame_table, ratios
from sleap_lab.evaluation.identity import SIMILARITY_THRESHOLD, IdentityResult, score_identity
from sleap_lab.evaluation.match import (
    FramePair,
    Matches,
    compared_at_once,
    greedy,
    labelled_frames,
    leave_out_ignored,
    match_frames,
    on_compared_nodes,
    pair_frames,
)
from sleap_lab.evaluation.oks import oks_of_pairs
from sleap_lab.evaluation.pck import hits, pck_metrics
from sleap_lab.evaluation.result import Evaluation
from sleap_lab.evaluation.videos import VideoMatch, compared, match_videos
from sleap_lab.evaluation.visibility import visibility_metrics
from sleap_lab.poses.centroids import instance_centroids
from sleap_lab.poses.record import Poses, Skeleton, distinct
from sleap_lab.settings.config import EvaluatorConfig
from sleap_lab.settings.thresholds import oks_stddevs

if TYPE_CHECKING:
    import sleap_io as sio

log = logging.getLogger(__name__)

# Replaces a match_threshold of 0 where centroids are matched, px.
CENTROID_REACH = 50.0


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
    config = replace(config, match_method=_resolve_method(config.match_method, poses))
    if config.match_method == "centroid" and config.match_threshold == 0:
        config = replace(config, match_threshold=CENTROID_REACH)
    evaluation = _evaluate(
        truth, poses, config, videos, distinct(video_names), requested, details=details
    )
    notes = _video_notes(truth, poses, video_matches)
    return replace(evaluation, videos=tuple(video_matches), notes=(*notes, *evaluation.notes))


def _resolve_method(match_method: str, poses: Poses) -> str:
    if match_method != "auto":
        return match_method
    return "centroid" if len(poses.skeleton.nodes) == 1 else "oks"


def _evaluate(
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
    """Evaluate with `match_method` and `match_threshold` as they are.

    With `reference`, where only human-labelled truth counts, two cases are treated as in sleap-nn:
    a prediction that lies on a true prediction may be matched with a human-labelled instance, and
    frames that a person emptied are no pairs.
    """
    by_centroid = config.match_method == "centroid"
    truth, poses = (
        replace(record, track_names=distinct(record.track_names)) for record in (truth, poses)
    )
    if by_centroid:
        stddev = oks_stddevs(config)
        config, notes = _resolve_centroid(truth, config)
        truth, poses = _to_centroids(truth, poses, config)
    else:
        notes = _node_notes(truth.skeleton, poses.skeleton)
        everything = truth.skeleton.nodes
        truth, poses = on_compared_nodes(truth, poses, config.nodes)
        stddev = oks_stddevs(config, len(everything))
        if isinstance(stddev, list):
            stddev = [stddev[everything.index(node)] for node in truth.skeleton.nodes]
    user_only = config.user_labels_only
    frames = labelled_frames(truth, poses, videos, user_labels_only=user_only, requested=requested)
    pairs = pair_frames(
        truth,
        poses,
        videos,
        user_labels_only=user_only,
        emptied=not reference,
        video_names=video_names,
    )

    def distance(truth_rows: np.ndarray, pose_rows: np.ndarray) -> np.ndarray:
        return np.linalg.norm(truth.points[truth_rows] - poses.points[pose_rows, 0], axis=-1)

    def closeness(truth_rows: np.ndarray, pose_rows: np.ndarray) -> np.ndarray:
        """1 at the true centroid, 0.5 at the largest distance of a match."""
        return np.maximum(0, 1 - distance(truth_rows, pose_rows) / (2 * config.match_threshold))

    def score(truth_rows: np.ndarray, pose_rows: np.ndarray) -> np.ndarray:
        return oks_of_pairs(
            truth.points[truth_rows], poses.points[pose_rows], stddev=stddev, scale=config.oks_scale
        )

    similarity = (
        closeness
        if by_centroid
        else compared_at_once([*frames, *pairs], score, len(truth), len(poses))
    )

    def assign(pair: FramePair, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if by_centroid:
            return hungarian(table, config.match_threshold)
        return greedy(table, poses.instance_scores[pair.pose_rows], config.match_threshold)

    predicted = sum(len(frame.pose_rows) for frame in frames)
    if user_only and not reference:
        frames, pairs = leave_out_ignored(frames, similarity), leave_out_ignored(pairs, similarity)
    matches = match_frames(pairs, distance if by_centroid else similarity, assign)
    if not len(matches.scores):
        log.info(
            "No prediction was matched with a true instance: the metrics are zero or undefined."
        )
    distances = np.linalg.norm(
        truth.points[matches.truth_rows] - poses.points[matches.pose_rows], axis=-1
    )
    names = dict(enumerate(video_names))
    paths = [names.get(video, str(video)) for video in truth.video[matches.truth_rows].tolist()]
    detections = (
        None
        if by_centroid
        else detect(frames, similarity, np.any(truth.visible, axis=1), poses.instance_scores)
    )
    table = frame_table(frames, truth, poses, matches, distances, detections)
    identity = (
        score_identity(truth, poses, frames, similarity) if config.identity else IdentityResult()
    )
    return Evaluation(
        metrics=(_centroid_metrics if by_centroid else _pose_metrics)(
            truth, poses, matches, distances, paths
        ),
        settings=_settings(config),
        matches=matches,
        frame_pairs=tuple(pairs),
        coco={} if detections is None else _coco(detections, table),
        table=table,
        intervals=intervals(table) if details else None,
        breakdown=breakdown(truth, poses, pairs, matches, video_names) if details else (),
        identity=identity.metrics,
        identity_by_video=identity.by_video,
        identity_counts=identity.counts,
        video_names=tuple(video_names),
        switches=identity.switches,
        notes=(*notes, *_coverage_notes(poses, frames, predicted, by_centroid), *identity.notes),
    )


def _resolve_centroid(truth: Poses, config: EvaluatorConfig) -> tuple[EvaluatorConfig, list[str]]:
    """Choose the method that gives the true centroids.

    An anchor that the skeleton lacks is replaced with a warning, as in sleap-nn.
    """
    if config.centroid_method == "anchor" and config.anchor_part is None:
        raise ConfigError(
            "evaluator.centroid_method=anchor needs evaluator.anchor_part, the name of a node"
        )
    fallback = config.centroid_fallback or "center_of_mass"
    if config.anchor_part is None or config.anchor_part in truth.skeleton.nodes:
        method = config.centroid_method or ("anchor" if config.anchor_part else "center_of_mass")
        return replace(config, centroid_method=method, centroid_fallback=fallback), []
    method = config.centroid_method if config.centroid_method not in (None, "anchor") else fallback
    note = (
        f"evaluator.anchor_part={config.anchor_part}: the ground truth has no such node, "
        f"{method} is used instead; its nodes are {', '.join(truth.skeleton.nodes)}."
        f"{did_you_mean(config.anchor_part, truth.skeleton.nodes)}"
    )
    log.warning(note)
    return replace(config, anchor_part=None, centroid_method=method, centroid_fallback=fallback), [
        note
    ]


def _to_centroids(truth: Poses, poses: Poses, config: EvaluatorConfig) -> tuple[Poses, Poses]:
    """Reduce both records to poses of a single node, the centroid."""
    anchor = None if config.anchor_part is None else truth.skeleton.nodes.index(config.anchor_part)
    centroids = instance_centroids(
        truth.points,
        method=str(config.centroid_method),
        anchor=anchor,
        fallback=str(config.centroid_fallback),
    )

    def reduced(record: Poses, points: np.ndarray) -> Poses:
        return replace(
            record,
            skeleton=Skeleton(("centroid",)),
            points=points[:, None],
            point_scores=record.instance_scores[:, None],
        )

    return reduced(truth, centroids), reduced(poses, first_visible(poses.points))


def _pose_metrics(
    truth: Poses, poses: Poses, matches: Matches, distances: np.ndarray, paths: list[str]
) -> dict[str, dict[str, Any]]:
    ranks, n_missed = poses.instance_scores[matches.pose_rows], len(matches.false_negatives)
    return {
        "voc_metrics": {
            **voc(matches.scores, ranks, n_missed, prefix="oks_voc."),
            **voc(hits(distances).mean(axis=(1, 2)), ranks, n_missed, prefix="pck_voc."),
        },
        "mOKS": {"mOKS": matches.scores.mean() if len(matches.scores) else float("nan")},
        "distance_metrics": _distance_metrics(
            truth, matches, distances if len(distances) else np.zeros(0), paths
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
    truth: Poses, poses: Poses, matches: Matches, distances: np.ndarray, paths: list[str]
) -> dict[str, dict[str, Any]]:
    return {
        "detection_metrics": centroid_metrics(matches),
        "distance_metrics": _distance_metrics(truth, matches, distances[:, 0], paths),
    }


def _distance_metrics(
    truth: Poses, matches: Matches, distances: np.ndarray, paths: list[str]
) -> dict[str, Any]:
    frames = truth.frame[matches.truth_rows].tolist()
    return {"frame_idxs": frames, "video_paths": paths, "dists": distances, **summarize(distances)}


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


def _video_notes(truth: Poses, poses: Poses, matches: Sequence[VideoMatch]) -> list[str]:
    """Name the videos that hold frames and are not compared."""
    missing = [
        m.truth_name
        for m in matches
        if m.predicted is None and (truth.frames[:, 0] == m.truth).any()
    ]
    extra = [
        m.predicted_name
        for m in matches
        if m.truth is None and (poses.frames[:, 0] == m.predicted).any()
    ]
    notes = []
    if missing:
        notes.append(
            f"{len(missing)} videos of the ground truth are not in the predictions "
            f"and were left out: {', '.join(missing)}"
        )
    if extra:
        notes.append(
            f"{len(extra)} videos of the predictions are not in the ground truth "
            f"and were left out: {', '.join(extra)}"
        )
    return notes


def _node_notes(truth: Skeleton, poses: Skeleton) -> list[str]:
    """State how nodes are compared where the two skeletons differ."""
    if set(truth.nodes) != set(poses.nodes):
        shared = [node for node in truth.nodes if node in poses.nodes]
        others = [node for node in (*truth.nodes, *poses.nodes) if node not in shared]
        return [
            f"compared on the nodes that both sides have ({', '.join(shared)}); "
            f"left out: {', '.join(others)}"
        ]
    return (
        []
        if truth.nodes == poses.nodes
        else ["nodes are in another order in the predictions; compared by name"]
    )


def _coverage_notes(
    poses: Poses, frames: Sequence[FramePair], predicted: int, by_centroid: bool
) -> list[str]:
    """Say which labelled frames and instances are not compared as the reader may expect.

    Args:
        poses: Predictions.
        frames: Labelled frames, with the predictions that count.
        predicted: How many predictions these frames have, those included that do not count.
        by_centroid: Whether centroids are matched.
    """
    notes = []
    if ignored := sum(len(frame.all_truth_rows) - len(frame.truth_rows) for frame in frames):
        away = predicted - sum(len(frame.pose_rows) for frame in frames)
        notes.append(
            f"evaluator.user_labels_only=true: {ignored} predictions in labelled frames of the "
            "ground truth, which nobody corrected, count neither way; "
            f"nor do the {away} predicted instances on them"
        )
    empty = [frame for frame in frames if not len(frame.all_truth_rows)]
    if extra := sum(len(frame.pose_rows) for frame in empty):
        counted = "count as false" if by_centroid else "count as false in coco/… and identity/…"
        notes.append(
            f"{len(empty)} of {len(frames)} labelled frames hold no animal; "
            f"{extra} predictions there {counted}"
        )
    labelled = [frame for frame in frames if len(frame.truth_rows)]
    if absent := sum(not frame.processed for frame in labelled):
        missed = "" if by_centroid else "; coco/… counts their instances as missed"
        notes.append(
            f"{absent} of {len(labelled)} labelled frames are not in the predictions: "
            f"eval/… leaves them out{missed}"
        )
    if users := sum(int(poses.user[frame.all_pose_rows].sum()) for frame in labelled):
        notes.append(
            f"{users} human-labelled instances in the predictions are not predictions "
            "and were left out"
        )
    return notes


class Evaluator:
    """Score predicted labels against true labels, with sleap-nn's names and defaults.

    Attributes:
        evaluation: Everything that was found.
        frame_pairs: The frames compared.
        positive_pairs: Rows of the true and the predicted instance, and the score, of each match.
        false_negatives: Rows of the true instances that nothing was matched with.
        false_positives: Rows of the predicted instances that were matched with nothing.
        dists_dict: Distances (px), frame index and video of each match.

    Rows count all instances of the labels in file order; `frame_pairs` counts the compared ones.
    """

    def __init__(
        self,
        gt_labels: "sio.Labels",
        pred_labels: "sio.Labels",
        oks_stddev: float | Sequence[float] = 0.025,
        oks_scale: float | None = None,
        match_threshold: float = 0,
        user_labels_only: bool = True,
        match_method: str = "oks",
        anchor_ind: int | None = None,
        anchor_part: str | None = None,
        centroid_method: str | None = None,
        centroid_fallback: str | None = None,
    ) -> None:
        """Match the instances; the labels are not changed.

        Args:
            gt_labels: Ground truth.
            pred_labels: Predictions.
            oks_stddev: Spread of the OKS kernel, one number or one per node.
            oks_scale: Area of the objects in px²; by default that of the box around each true
                instance.
            match_threshold: OKS that a match must exceed, or largest distance of matched centroids
                in px; used unchanged.
            user_labels_only: Whether only human-labelled true instances count.
            match_method: `oks`, `centroid`, or `auto` for `centroid` where the predictions have a
                single node.
            anchor_ind: Index of the node that is the centroid of a true instance.
            anchor_part: Its name, instead of the index.
            centroid_method: `anchor`, `center_of_mass`, `bbox_center` or `geometric_median`; by
                default the anchor, if there is one.
            centroid_fallback: What stands in for a missing anchor; by default `center_of_mass`.

        Raises:
            ConfigError: The skeletons have different nodes, or the settings do not fit together.
            RunError: No frame of the truth is in the predictions.
        """
        from sleap_lab.media.labels import (
            to_poses,
            video_name,
        )  # sleap-io is not needed to import this module

        notes: list[str] = []
        truth, poses = to_poses(gt_labels, notes), to_poses(pred_labels, notes)
        if anchor_ind is not None:
            nodes = truth.skeleton.nodes
            if not 0 <= anchor_ind < len(nodes):
                raise ConfigError(
                    f"anchor_ind={anchor_ind}: the skeleton has {len(nodes)} nodes, "
                    f"accepted are 0 to {len(nodes) - 1}"
                )
            anchor_part = nodes[anchor_ind]
        config = EvaluatorConfig(
            oks_stddev=oks_stddev
            if isinstance(oks_stddev, (int, float))
            else [float(value) for value in oks_stddev],
            oks_scale=oks_scale,
            match_threshold=match_threshold,
            user_labels_only=user_labels_only,
            match_method=match_method,
            anchor_part=anchor_part,
            centroid_method=centroid_method,
            centroid_fallback=centroid_fallback,
        )
        _check_choices(config)
        config = replace(config, match_method=_resolve_method(match_method, poses))
        names = [video_name(video) for video in gt_labels.videos]
        found = _evaluate(
            truth,
            poses,
            config,
            compared(match_videos(gt_labels, pred_labels)),
            names,
            reference=True,
        )
        self.evaluation = replace(found, notes=(*notes, *found.notes))
        matches = self.evaluation.matches
        self.frame_pairs = list(self.evaluation.frame_pairs)
        matched = truth.origin[matches.truth_rows], poses.origin[matches.pose_rows], matches.scores
        self.positive_pairs = list(zip(*(column.tolist() for column in matched), strict=True))
        self.false_negatives: list[int] = truth.origin[matches.false_negatives].tolist()
        self.false_positives: list[int] = poses.origin[matches.false_positives].tolist()
        distances = self.evaluation.metrics["distance_metrics"]
        self.dists_dict = {key: distances[key] for key in ("dists", "frame_idxs", "video_paths")}

    def evaluate(self) -> dict[str, dict[str, Any]]:
        """Return the metrics as a nested dictionary, in the layout of sleap-nn's `evaluate()`."""
        return self.evaluation.metrics


def _check_choices(config: EvaluatorConfig) -> None:
    for field in fields(config):
        value, choices = getattr(config, field.name), field.metadata["choices"]
        if choices and value is not None and value not in choices:
            raise ConfigError(
                f"{field.name}={value!r}: accepted are {', '.join(choices)}."
                f"{did_you_mean(str(value), choices)}"
            )
