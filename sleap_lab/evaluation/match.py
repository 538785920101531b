"""Which frames are compared, and which prediction belongs to which true instance."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sleap_lab.errors import RunError, counted
from sleap_lab.poses.record import Poses

Compare = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Takes (g,) rows of the truth and (p,) rows of the predictions; returns a (g, p) table."""

SIMILARITY_THRESHOLD = 0.5
"""Similarity from which a prediction is taken to be of an animal, where that is not a setting."""
PAIRS_AT_ONCE = 65536
"""Instances of this many pairs are compared at once, which takes tens of megabytes."""


class FramePair(NamedTuple):
    """One frame of both records; rows are indices into them.

    Attributes:
        truth_video: Index of the video in the ground truth.
        pose_video: Index of the video in the predictions.
        frame: Frame index.
        truth_rows: (g,) true instances to find.
        pose_rows: (p,) predicted instances.
        all_truth_rows: Every instance of the true frame, also those that `user_labels_only` leaves
            out.
        all_pose_rows: Every instance of the predicted frame, also human-labelled ones.
        processed: Whether the predictions list the frame; it may be empty.
    """

    truth_video: int
    pose_video: int
    frame: int
    truth_rows: np.ndarray
    pose_rows: np.ndarray
    all_truth_rows: np.ndarray
    all_pose_rows: np.ndarray
    processed: bool = True


@dataclass(frozen=True, eq=False)
class Matches:
    """Outcome of matching; rows are indices into the ground truth and the prediction record.

    Attributes:
        truth_rows: (pairs,) matched true instances.
        pose_rows: (pairs,) the prediction that each was matched with.
        scores: (pairs,) OKS of each pair, or its distance in px when centroids are matched.
        false_negatives: (missed,) rows of the truth that nothing was matched with.
        false_positives: (extra,) rows of the predictions that were matched with nothing.
    """

    truth_rows: np.ndarray
    pose_rows: np.ndarray
    scores: np.ndarray
    false_negatives: np.ndarray
    false_positives: np.ndarray


def labelled_frames(
    truth: Poses,
    poses: Poses,
    videos: Mapping[int, int],
    *,
    user_labels_only: bool,
    requested: np.ndarray | None = None,
) -> list[FramePair]:
    """Put every labelled frame of the compared videos beside the same frame of the predictions.

    Labelled are frames with true instances that count, whether the predictions list them or not,
    and frames that the truth lists without any instance, which state that there is none. Predicted
    frames without truth are left out. Human-labelled instances among the predictions, and instances
    without any visible node, are not predictions.

    Args:
        truth: Ground truth.
        poses: Predictions.
        videos: Index of a video in the predictions -> its index in the truth.
        user_labels_only: Whether only human-labelled true instances count.
        requested: (frames, 2) (video, frame) of the requested predictions, if frames were
            selected; labelled frames elsewhere are left out.

    Returns:
        Frames in the order of the prediction's videos, then of the true frames.
    """
    true_frames: dict[int, dict[int, np.ndarray]] = defaultdict(dict)
    for video, frame, rows in truth.by_frame():
        true_frames[video][frame] = rows
    found = {(video, frame): rows for video, frame, rows in poses.by_frame()}
    predicted = ~poses.user & poses.visible.any(axis=1)
    chosen = None if requested is None else set(map(tuple, requested.tolist()))
    nothing = np.zeros(0, dtype=np.intp)
    pairs = []
    for pose_video, truth_video in sorted(videos.items()):
        for frame, truth_rows in true_frames[truth_video].items():
            counted = truth_rows[truth.user[truth_rows]] if user_labels_only else truth_rows
            in_question = chosen is None or (pose_video, frame) in chosen
            if in_question and (len(counted) or not len(truth_rows)):
                rows = found.get((pose_video, frame), nothing)
                processed = (pose_video, frame) in found
                pairs.append(
                    FramePair(
                        truth_video,
                        pose_video,
                        frame,
                        counted,
                        rows[predicted[rows]],
                        truth_rows,
                        rows,
                        processed,
                    )
                )
    return pairs


def pair_frames(
    truth: Poses,
    poses: Poses,
    videos: Mapping[int, int],
    *,
    user_labels_only: bool,
    emptied: bool = False,
    video_names: Sequence[str] = (),
) -> list[FramePair]:
    """Pair the labelled frames with the same frames of the predictions.

    As in sleap-nn, labelled frames that the predictions do not list are left out; a predicted frame
    that is listed but empty is a pair. A frame that the truth lists without any instance is a pair
    if `emptied` is set, or where all instances count.

    Args:
        truth: Ground truth.
        poses: Predictions.
        videos: Index of a video in the predictions -> its index in the truth.
        user_labels_only: Whether only human-labelled true instances count.
        emptied: Whether frames without true instances are judged where only human-labelled ones
            count.
        video_names: Names of the videos of the truth, for the error message.

    Returns:
        Pairs in the order of the prediction's videos, then of the true frames.

    Raises:
        RunError: There is no pair.
    """
    frames = labelled_frames(truth, poses, videos, user_labels_only=user_labels_only)
    pairs = [
        frame
        for frame in frames
        if frame.processed and (len(frame.truth_rows) or emptied or not user_labels_only)
    ]
    if not pairs:
        raise RunError(_why_no_pairs(truth, poses, videos, user_labels_only, video_names))
    return pairs


def _why_no_pairs(
    truth: Poses,
    poses: Poses,
    videos: Mapping[int, int],
    user_labels_only: bool,
    video_names: Sequence[str],
) -> str:
    if user_labels_only and len(truth) and not truth.user.any():
        return (
            f"evaluator.user_labels_only=true: none of the {len(truth)} instances of the ground "
            "truth was labelled by a person; "
            "evaluator.user_labels_only=false compares with all of them"
        )
    matched = ", ".join(f"{a} = {b}" for a, b in sorted(videos.items())) or "none"
    return (
        "evaluator.ground_truth_path: ground truth and predictions have no frame in common; "
        f"ground truth: {_contents(truth, video_names)}; predictions: {_contents(poses, ())}; "
        f"same videos (predictions = ground truth): {matched}; "
        "evaluator.video_map says which videos are the same, as in 'evaluator.video_map={0:0}'"
    )


def _contents(poses: Poses, video_names: Sequence[str]) -> str:
    parts = []
    for video in np.unique(poses.frames[:, 0]):
        frames = poses.frames[poses.frames[:, 0] == video, 1]
        name = f" ({video_names[video]})" if video < len(video_names) else ""
        parts.append(
            f"video {video}{name} with {counted(len(frames), 'frame')} "
            f"from {frames.min()} to {frames.max()}"
        )
    return ", ".join(parts) or "no frames"


def compared_at_once(
    pairs: Iterable[FramePair], score: Compare, n_truth: int, n_poses: int
) -> Compare:
    """Score all instances that share a frame at once, and return a function that looks scores up.

    Args:
        pairs: Frames to compare; a frame may come twice.
        score: Gives the (n,) scores of n rows of the truth and the n rows of the predictions that
            are paired with them.
        n_truth: Number of true instances.
        n_poses: Number of predicted instances.
    """
    place, start, size = np.zeros(n_truth, dtype=np.intp), np.zeros(n_poses, dtype=np.intp), 0
    truth_rows, pose_rows = [], []
    for pair in {(pair.pose_video, pair.frame): pair for pair in pairs}.values():
        g, p = len(pair.all_truth_rows), len(pair.all_pose_rows)
        place[pair.all_truth_rows] = np.arange(g)
        start[pair.all_pose_rows] = size + g * np.arange(p)
        truth_rows.append(np.tile(pair.all_truth_rows, p))
        pose_rows.append(np.repeat(pair.all_pose_rows, g))
        size += g * p
    truths, poses = np.concatenate(truth_rows), np.concatenate(pose_rows)
    parts = [slice(first, first + PAIRS_AT_ONCE) for first in range(0, max(size, 1), PAIRS_AT_ONCE)]
    scores = np.concatenate([score(truths[part], poses[part]) for part in parts])
    return lambda rows, columns: scores[place[rows][:, None] + start[columns]]


def leave_out_ignored(pairs: Sequence[FramePair], similarity: Compare) -> list[FramePair]:
    """Leave out predictions on true instances that do not count, because nobody judged them.

    Args:
        pairs: Frames, with the true instances that count and all of them.
        similarity: Gives (g, p) similarities of rows of the two records.
    """
    found = []
    for pair in pairs:
        ignored = np.setdiff1d(pair.all_truth_rows, pair.truth_rows)
        if len(ignored) and len(pair.pose_rows):
            tables = (
                similarity(pair.truth_rows, pair.pose_rows),
                similarity(ignored, pair.pose_rows),
            )
            pair = pair._replace(pose_rows=pair.pose_rows[~on_ignored(*tables)])
        found.append(pair)
    return found


def on_ignored(counted: np.ndarray, ignored: np.ndarray) -> np.ndarray:
    """Return which predictions lie on a true instance that does not count.

    Predictions that are needed for an instance that counts are not among them.

    Args:
        counted: (g, p) similarities of the true instances that count.
        ignored: (n, p) similarities of the others.

    Returns:
        (p,) bool.
    """
    from scipy.optimize import linear_sum_assignment  # slow to import

    if not len(ignored):
        return np.zeros(counted.shape[1], dtype=bool)
    rows, columns = linear_sum_assignment(-np.where(counted >= SIMILARITY_THRESHOLD, counted, 0))
    needed = np.zeros(counted.shape[1], dtype=bool)
    needed[columns[counted[rows, columns] >= SIMILARITY_THRESHOLD]] = True
    return (ignored >= SIMILARITY_THRESHOLD).any(axis=0) & ~needed


def match_frames(
    pairs: Sequence[FramePair],
    compare: Compare,
    assign: Callable[[FramePair, np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> Matches:
    """Match the instances of every frame pair.

    Args:
        pairs: Frames to match.
        compare: Gives the (g, p) table of scores of one frame.
        assign: Picks (truth indices, prediction indices) from that table; called with the frame
            pair and the table.

    Returns:
        Matches in the order of frames and, inside a frame, in the order in which `assign` gives
        them.
    """
    matched: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    nothing = np.zeros(0, dtype=np.intp)
    for pair in pairs:
        table = compare(pair.truth_rows, pair.pose_rows)
        rows, columns = assign(pair, table) if table.size else (nothing, nothing)
        matched.append((pair.truth_rows[rows], pair.pose_rows[columns], table[rows, columns]))
    truth_rows, pose_rows, scores = (
        np.concatenate(column) for column in zip(*matched, strict=True)
    )
    return Matches(
        truth_rows=truth_rows,
        pose_rows=pose_rows,
        scores=scores,
        false_negatives=_unmatched([pair.truth_rows for pair in pairs], truth_rows),
        false_positives=_unmatched([pair.pose_rows for pair in pairs], pose_rows),
    )


def _unmatched(rows: Sequence[np.ndarray], matched: np.ndarray) -> np.ndarray:
    everything = np.concatenate(rows)
    return everything[~np.isin(everything, matched)]


def greedy(
    similarity: np.ndarray, instance_scores: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Let each prediction, best scored first, take the most similar free true instance.

    This is the rule of sleap-nn.

    Args:
        similarity: (g, p); nan never matches.
        instance_scores: (p,) scores of the predictions; equal ones keep their order, nan comes
            last.
        threshold: Similarity that a match must exceed.

    Returns:
        Indices of the matched true instances and of their predictions, in the order of matching.
    """
    free = np.where(similarity > threshold, similarity, -np.inf)
    rows, columns = [], []
    for column in np.argsort(-instance_scores, kind="stable"):
        row = free[:, column].argmax()
        if np.isfinite(free[row, column]):
            rows.append(row)
            columns.append(column)
            free[row] = -np.inf
    return np.array(rows, dtype=np.intp), np.array(columns, dtype=np.intp)
