"""Notes on an evaluation: which videos, frames and instances are not compared, and why."""

from collections.abc import Sequence

from sleap_lab.errors import counted
from sleap_lab.evaluation.match import FramePair
from sleap_lab.evaluation.videos import VideoMatch
from sleap_lab.poses.record import Poses
from sleap_lab.settings.config import EvaluatorConfig


def video_notes(truth: Poses, poses: Poses, matches: Sequence[VideoMatch]) -> list[str]:
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
            f"{_left_out(len(missing), 'ground truth', 'predictions')}: {', '.join(missing)}"
        )
    if extra:
        notes.append(f"{_left_out(len(extra), 'predictions', 'ground truth')}: {', '.join(extra)}")
    return notes


def _left_out(videos: int, side: str, other: str) -> str:
    return counted(
        videos,
        f"video of the {side} is not in the {other} and was left out",
        f"videos of the {side} are not in the {other} and were left out",
    )


def coverage_notes(
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
            f"evaluator.user_labels_only=true: {ignored} instances of the ground truth were not "
            "set by a person. They are not judged, "
            f"and neither are the {away} predicted instances on them"
        )
    empty = [frame for frame in frames if not len(frame.all_truth_rows)]
    if extra := sum(len(frame.pose_rows) for frame in empty):
        as_false = "count as false" if by_centroid else "count as false in coco/… and identity/…"
        notes.append(
            f"{len(empty)} of {len(frames)} labelled frames hold no animal; "
            f"{extra} predictions there {as_false}"
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
            counted(
                users,
                "instance in the predictions was labelled by a person and was left out",
                "instances in the predictions were labelled by a person and were left out",
            )
        )
    return notes


def unseen_notes(truth: Poses, frames: Sequence[FramePair]) -> list[str]:
    """Say how many true instances have no visible node; as in sleap-nn, `eval/…` count them.

    Args:
        truth: Ground truth.
        frames: Labelled frames.
    """
    rows = [row for frame in frames if frame.processed for row in frame.truth_rows.tolist()]
    unseen = len(rows) - int(truth.visible[rows].any(axis=1).sum())
    if not unseen:
        return []
    have = counted(unseen, "true instance has", "true instances have")
    return [f"{have} no visible node: eval/… counts as missed what coco/… leaves out"]


def nothing_matched(config: EvaluatorConfig) -> str:
    """Say that no prediction was matched, and whether none could be."""
    impossible = config.match_method == "oks" and config.match_threshold >= 1
    why = (
        f" evaluator.match_threshold={config.match_threshold:g} is an OKS, and none exceeds 1."
        if impossible
        else ""
    )
    return f"No prediction was matched with a true instance: eval/… are 0 or undefined.{why}"
