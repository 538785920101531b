"""The ground truth of an experiment, read and checked before any work is done."""

from dataclasses import dataclass

import sleap_io as sio
from sleap_io.model.matching import is_same_file

from sleap_lab.errors import RunError
from sleap_lab.evaluation.images import by_image
from sleap_lab.evaluation.match import pair_frames
from sleap_lab.evaluation.records import on_compared_nodes
from sleap_lab.evaluation.result import Evaluation
from sleap_lab.evaluation.scoring import evaluate
from sleap_lab.evaluation.videos import VideoMatch, compared, match_videos
from sleap_lab.media.labels import read_labels, to_labels, to_poses, video_name
from sleap_lab.media.source import Source
from sleap_lab.poses.record import Poses, Skeleton, make_poses
from sleap_lab.settings.config import Config


@dataclass(frozen=True)
class Truth:
    """Ground truth.

    Attributes:
        poses: Its poses.
        labels: Its labels.
        names: Names of its videos.
        videos: Which of the source they are, where that is known before there are predictions.
        notes: Parts of it that do not count, one sentence each.
        remarks: Facts about it that ask for nothing, likewise.
    """

    poses: Poses
    labels: sio.Labels
    names: list[str]
    videos: list[VideoMatch] | None = None
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def open_truth(config: Config, source: Source, skeleton: Skeleton | None) -> Truth:
    """Read the ground truth, and refuse one that cannot be compared with the predictions.

    Args:
        config: The experiment.
        source: Opened videos and selected frames.
        skeleton: Which the models will predict; None where nothing is predicted.

    Raises:
        ConfigError: It has another skeleton than the predictions, or its videos cannot be told
            apart.
        RunError: It cannot be read, or holds nothing to compare with the selected frames.
    """
    videos: list[VideoMatch] | None = None
    notes, remarks = list[str](), list[str]()
    if config.evaluator.ground_truth_path is not None:
        path, moved = config.evaluator.ground_truth_path, config.data.moved or {}
        labels = read_labels(path, moved, notes, remarks)
        poses = to_poses(labels, notes)
        if skeleton is not None or source.labels is not None:
            known = _known(source, labels, predicting=skeleton is not None)
            videos = match_videos(labels, known, config.evaluator.video_map)
            poses = by_image(poses, labels.videos, source.videos, videos, notes)
    elif source.labels is not None and source.truth is not None:
        labels, poses = sio.Labels(videos=list(source.videos)), source.labels
        videos = [
            VideoMatch(i, name, i, name, "same labels file")
            for i, name in enumerate(map(video_name, source.videos))
        ]
    else:
        raise RunError(
            f"evaluator.ground_truth_path: {source.path} holds no user-labelled instance; "
            "give a file with ground truth"
        )
    names = [video_name(video) for video in labels.videos]
    told, said = (
        tuple(f"{config.evaluator.ground_truth_path}: {text}" for text in texts)
        for texts in (notes, remarks)
    )
    truth = Truth(poses, labels, names, videos, told, said)
    expected = skeleton or (source.labels.skeleton if source.labels is not None else None)
    if (
        expected is not None
        and config.evaluator.match_method != "centroid"
        and len(expected.nodes) > 1
    ):
        on_compared_nodes(truth.poses, make_poses(expected, []), config.evaluator.nodes)
    if expected is not None and videos is not None:
        pair_frames(
            truth.poses,
            make_poses(expected, [], frames=source.frames),
            compared(videos),
            user_labels_only=config.evaluator.user_labels_only,
            emptied=True,
            video_names=truth.names,
        )
    return truth


def _known(source: Source, truth: sio.Labels, *, predicting: bool) -> sio.Labels:
    """Return the videos in use as labels, with poses only where files do not tell which they are.

    Args:
        source: Opened videos and selected frames.
        truth: Ground truth.
        predicting: Whether poses will be predicted, so that those of the source are no sign.
    """
    used = [source.videos[video] for video in sorted(set(source.frames[:, 0].tolist()))]
    told = all(any(is_same_file(video, other) for other in truth.videos) for video in used)
    if not told and not predicting and source.labels is not None:
        return to_labels(source.labels, source.videos)
    frames = [sio.LabeledFrame(video, 0) for video in used]
    return sio.Labels(frames, videos=list(source.videos))


def evaluate_predictions(
    truth: Truth, poses: Poses, predictions: sio.Labels, source: Source, config: Config
) -> Evaluation:
    """Compare predictions with ground truth, video by video.

    Args:
        truth: Ground truth.
        poses: The predictions.
        predictions: The same as labels, by which videos are recognised.
        source: Opened videos and selected frames.
        config: The experiment.
    """
    videos = truth.videos or match_videos(truth.labels, predictions, config.evaluator.video_map)
    chosen = config.model.kind != "none" or config.data.frames is not None
    return evaluate(
        truth.poses,
        poses,
        config.evaluator,
        videos=compared(videos),
        video_names=truth.names,
        video_matches=videos,
        requested=source.frames if chosen else None,
    )
