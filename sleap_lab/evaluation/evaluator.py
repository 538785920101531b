"""The class `Evaluator`, with the names and defaults of sleap-nn."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from sleap_lab.errors import ConfigError, did_you_mean
from sleap_lab.evaluation.images import by_image
from sleap_lab.evaluation.match import Matches
from sleap_lab.evaluation.scoring import resolve_method, score_poses
from sleap_lab.evaluation.videos import compared, match_videos
from sleap_lab.poses.record import Poses
from sleap_lab.settings.config import EvaluatorConfig

if TYPE_CHECKING:
    import sleap_io as sio

log = logging.getLogger(__name__)


class Evaluator:
    """Score predicted labels against true labels, with sleap-nn's names and defaults.

    What is not compared as one may expect is logged as a warning.

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
            oks_scale: Area of the objects, px²; by default of the box around each true instance.
            match_threshold: OKS that a match must exceed, or largest distance of centroids, px.
            user_labels_only: Whether only human-labelled true instances count.
            match_method: `oks`, `centroid`, or `auto`: `centroid` for predictions of one node.
            anchor_ind: Index of the node that is the centroid of a true instance.
            anchor_part: Its name, instead of the index.
            centroid_method: `anchor`, `center_of_mass`, `bbox_center` or `geometric_median`; by
                default the anchor, if there is one.
            centroid_fallback: What stands in for a missing anchor; by default `center_of_mass`.

        Raises:
            ConfigError: The skeletons have different nodes, or the settings do not fit together.
            RunError: No frame of the truth is in the predictions.
        """
        from sleap_lab.media.labels import to_poses, video_name  # few who import this need sleap-io

        _refuse_others(gt_labels=gt_labels, pred_labels=pred_labels)
        notes, matches = list[str](), match_videos(gt_labels, pred_labels)
        truth, poses = to_poses(gt_labels, notes), to_poses(pred_labels, notes)
        truth = by_image(truth, gt_labels.videos, pred_labels.videos, matches, notes)
        if anchor_ind is not None:
            anchor_part = _node_name(anchor_ind, truth.skeleton.nodes)
        config = EvaluatorConfig(
            oks_stddev=_plain(oks_stddev),
            oks_scale=oks_scale,
            match_threshold=match_threshold,
            user_labels_only=user_labels_only,
            match_method=resolve_method(match_method, poses),
            anchor_part=anchor_part,
            centroid_method=centroid_method,
            centroid_fallback=centroid_fallback,
        )
        videos, names = compared(matches), [video_name(video) for video in gt_labels.videos]
        found = score_poses(truth, poses, _checked(config), videos, names, reference=True)
        self.evaluation = replace(found, notes=(*notes, *found.notes))
        _warn(self.evaluation.notes)
        self.frame_pairs = list(found.frame_pairs)
        rows = _in_labels(found.matches, truth, poses)
        self.positive_pairs, self.false_negatives, self.false_positives = rows
        self.dists_dict = _of_pairs(found.metrics["distance_metrics"])

    def evaluate(self) -> dict[str, dict[str, Any]]:
        """Return the metrics as a nested dictionary, in the layout of sleap-nn's `evaluate()`."""
        return self.evaluation.metrics


def _refuse_others(**given: Any) -> None:
    """Refuse arguments that are no open labels."""
    for name, value in given.items():
        if not hasattr(value, "labeled_frames"):
            raise ConfigError(
                f"Evaluator: {name} is {type(value).__name__}; accepted: open labels, as "
                "sleap_io.load_slp(path) returns"
            )


def _warn(notes: Iterable[str]) -> None:
    for note in notes:
        log.warning("%s", note)


def _checked(config: EvaluatorConfig) -> EvaluatorConfig:
    """Return a config after refusing what its keys do not accept."""
    for field in fields(config):
        value, choices = getattr(config, field.name), field.metadata["choices"]
        if choices and value is not None and value not in choices:
            raise ConfigError(
                f"{field.name}={value!r}: accepted are {', '.join(choices)}."
                f"{did_you_mean(str(value), choices)}"
            )
    return config


def _of_pairs(distances: dict[str, Any]) -> dict[str, Any]:
    """Return what there is of each match among the distance metrics."""
    return {name: distances[name] for name in ("dists", "frame_idxs", "video_paths")}


def _plain(stddev: float | Sequence[float]) -> float | list[float]:
    """Return one or several numbers as the config holds them."""
    if isinstance(stddev, (int, float, str)):
        return stddev  # text is refused with the other settings
    return [float(value) for value in stddev]


def _node_name(index: int, nodes: Sequence[str]) -> str:
    """Return the name of a node, which must exist."""
    if not 0 <= index < len(nodes):
        raise ConfigError(
            f"anchor_ind={index}: the skeleton has {len(nodes)} nodes, "
            f"accepted are 0 to {len(nodes) - 1}"
        )
    return nodes[index]


def _in_labels(
    matches: Matches, truth: Poses, poses: Poses
) -> tuple[list[tuple[int, int, float]], list[int], list[int]]:
    """Return matches by positions among all instances of the labels.

    Returns:
        (true instance, predicted instance, score) of each match, the true instances that nothing
        was matched with, and the predicted ones that were matched with nothing.
    """
    pairs = truth.origin[matches.truth_rows], poses.origin[matches.pose_rows], matches.scores
    return (
        list(zip(*(column.tolist() for column in pairs), strict=True)),
        truth.origin[matches.false_negatives].tolist(),
        poses.origin[matches.false_positives].tolist(),
    )
