"""Frames of a result that a person has proofread, and the identity switches that were there."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import sleap_io as sio

from sleap_lab.errors import ConfigError
from sleap_lab.evaluation import evaluate
from sleap_lab.evaluation.images import by_image
from sleap_lab.evaluation.videos import compared, match_videos
from sleap_lab.media.labels import read_labels, to_poses
from sleap_lab.poses.record import Poses
from sleap_lab.poses.videos import with_videos
from sleap_lab.quality.budget import Proofread
from sleap_lab.quality.neighbours import Order
from sleap_lab.runs.subject import Subject
from sleap_lab.settings.config import EvaluatorConfig

log = logging.getLogger(__name__)

HOW = EvaluatorConfig(evaluate=True, identity=True, user_labels_only=False, nodes="common")
SPREAD = 0.1  # of OKS, at least: who an animal is, is asked here, and not how well it is placed


def read_proofread(path: Path, frames: list[int] | None, subject: Subject) -> Poses:
    """Return the proofread poses of a labels file, by the videos of a result.

    Args:
        path: The labels file.
        frames: The frames that were proofread, in every video; None for all that it has.
        subject: The result.

    Raises:
        ConfigError: It has no tracks, or none of the frames.
        RunError: It cannot be read.
    """
    labels = read_labels(path)
    ours = subject.source.project or sio.Labels(videos=list(subject.source.videos))
    matches, notes = match_videos(labels, ours), list[str]()
    poses = by_image(to_poses(labels), labels.videos, ours.videos, matches, notes)
    for note in notes:
        log.warning("%s: %s", path, note)
    poses = with_videos(poses, {truth: own for own, truth in compared(matches).items()})
    if frames is not None:
        kept = poses.frames[np.isin(poses.frames[:, 1], frames)]
        poses = replace(poses[np.isin(poses.frame, frames)], frames=kept)
    if not (poses.tracks >= 0).any():
        raise ConfigError(
            f"{path}: no tracks of the videos of {subject.title} in these frames; "
            "accepted: a labels file whose tracks were proofread"
        )
    return poses


def proofread(order: Order, truth: Poses, config: EvaluatorConfig = HOW) -> Proofread | None:
    """Find the identity switches of a result in the frames that were proofread.

    Frames count that follow one another. What changes where nobody has proofread is no switch of
    theirs, so each such stretch is compared by itself.

    Args:
        order: The result.
        truth: The proofread poses, by the videos of the result.
        config: How poses are compared.

    Returns:
        The frames and their switches; None where identities cannot be compared.

    Raises:
        ConfigError: The skeletons have different nodes.
        RunError: The result has none of these frames.
    """
    number = {place: i for i, place in enumerate(map(tuple, order.places.tolist()))}
    stretch = _stretches(order, _known_frames(truth, config))
    rows = zip(truth.video.tolist(), truth.frame.tolist(), strict=True)
    place = np.array([number.get(row, -1) for row in rows], dtype=int)
    of = np.where(place >= 0, stretch[place], -1)
    known = (of >= 0) & (truth.tracks >= 0)
    if not known.any():
        return None
    apart = replace(
        truth[known],
        tracks=truth.tracks[known] + np.int32(len(truth.track_names)) * of[known].astype(np.int32),
        track_names=truth.track_names * int(of.max() + 1),
    )
    videos = {video: video for video in np.unique(apart.video).tolist()}
    how = replace(config, identity=True, oks_stddev=max(config.oks_stddev, SPREAD))
    evaluation = evaluate(apart, order.poses, how, videos=videos, details=False)
    if evaluation.identity is None:
        return None
    places = [number[switch.pose_video, switch.frame] for switch in evaluation.switches]
    return Proofread(stretch >= 0, np.array(places, dtype=int))


def _known_frames(truth: Poses, config: EvaluatorConfig) -> set[tuple[int, int]]:
    """Return the (video, frame) in which all instances of the truth count."""
    rest = truth[~truth.user & config.user_labels_only]
    half = set(zip(rest.video.tolist(), rest.frame.tolist(), strict=True))
    return set(map(tuple, truth.frames.tolist())) - half


def _stretches(order: Order, known: set[tuple[int, int]]) -> np.ndarray:
    """Number the runs of two or more processed frames that are known, -1 for other frames."""
    among = np.array([place in known for place in map(tuple, order.places.tolist())], dtype=bool)
    goes_on = among[1:] & among[:-1] & (np.diff(order.places[:, 0]) == 0)
    begins = among & ~np.r_[False, goes_on] & np.r_[goes_on, False]
    inside = among & (np.r_[False, goes_on] | np.r_[goes_on, False])
    return np.where(inside, np.cumsum(begins) - 1, -1)
