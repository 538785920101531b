"""A source of a labels file: its videos, or only its labeled frames."""

from pathlib import Path
from typing import Any

import numpy as np
import sleap_io as sio

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.media.images import display_path
from sleap_lab.media.labels import to_poses
from sleap_lab.media.missing import after_name, missing_frames
from sleap_lab.media.relink import file_identity
from sleap_lab.media.revising import kept_tracks
from sleap_lab.media.selection import filter_labels, frames_of_video
from sleap_lab.media.source import Source
from sleap_lab.media.videos import NO_FRAME, Indexer, open_reader
from sleap_lab.poses.record import Poses
from sleap_lab.settings.config import DataConfig
from sleap_lab.settings.frames import parse_frames


def source_of_labels(labels: sio.Labels, path: Path, config: DataConfig, index: Indexer) -> Source:
    """Return the source of the videos of a labels file, for predicting.

    Without `data.video_index`, it has labeled frames only, and `data.frames` are positions among
    them. With it, it has all frames of that video, and they are frame numbers.

    Args:
        labels: The labels.
        path: Their file, for messages.
        config: Which frames.
        index: Reads the index of a media file.

    Raises:
        ConfigError: The selection does not fit the labels.
        RunError: The video cannot be read.
    """
    poses, notes = _read_poses(labels, path)
    requested = parse_frames(config.frames)
    if config.video_index is None:
        filtered = filter_labels(labels, poses, config)
        labeled = poses.frames if filtered is None else filtered
        frames = labeled if requested is None else _at_positions(labeled, requested, path)
        return Source(path, labels.videos, frames, poses, notes=notes)
    video, name = _video(labels, path, config.video_index), f"video {config.video_index} of {path}"
    reader = open_reader(video, index)
    if not len(reader.numbers):
        why = missing_frames(video, ())[1] or after_name(reader.problem or NO_FRAME)
        raise RunError(f"data.path: {name} cannot be read: {display_path(video.filename)} {why}")
    frames = frames_of_video(config.video_index, requested, reader.numbers, name)
    filtered = filter_labels(labels, poses, config, frames)
    if filtered is not None:
        own = filtered[filtered[:, 0] == config.video_index, 1]
        frames = frames[np.isin(frames[:, 1], own)]
    poses = poses.of_video(config.video_index)
    return Source(path, [video], frames * [0, 1], poses, readers={0: reader}, notes=notes)


def _at_positions(frames: np.ndarray, positions: list[int], path: Path) -> np.ndarray:
    """Return some of the labeled frames, (positions, 2)."""
    if positions and max(positions) >= len(frames):
        raise ConfigError(
            f"data.frames: position {max(positions)} is out of range; "
            f"{path} has {len(frames)} such labeled frames. "
            "Positions count labeled frames; "
            "for frame numbers of a video add data.video_index"
        )
    return frames[positions]


def _video(labels: sio.Labels, path: Path, index: int) -> sio.Video:
    """Return one video of labels, which must have it."""
    if index >= len(labels.videos):
        raise ConfigError(
            f"data.video_index: {path} has no video {index}; accepted: 0-{len(labels.videos) - 1}"
        )
    return labels.videos[index]


def _read_poses(labels: sio.Labels, path: Path) -> tuple[Poses, tuple[str, ...]]:
    """Return the poses of a labels file, and notes on what does not count."""
    notes: list[str] = []
    poses = to_poses(labels, notes)
    notes += _twice(labels, poses)
    return poses, tuple(f"{path}: {note}" for note in notes)


def _twice(labels: sio.Labels, poses: Poses) -> list[str]:
    """Say which videos with labeled frames are the same recording, as in merged projects."""
    same: dict[Any, list[int]] = {}
    for i in np.unique(poses.frames[:, 0]).tolist():
        video, known = labels.videos[i], labels.videos[i].backend_metadata
        # A file may hold several videos, and show parts of one.
        part = [str(known.get(name)) for name in ("dataset", "crop")]
        images = len(video.filename) if isinstance(video.filename, list) else 0
        same.setdefault((file_identity(video.filename), images, *part), []).append(i)
    return [
        f"videos {' and '.join(map(str, twins))} are the same file, "
        f"{display_path(labels.videos[twins[0]].filename)}: "
        "they count as different recordings, with tracks of their own. "
        "Merging the project into one video joins them."
        for twins in same.values()
        if len(twins) > 1
    ]


def source_of_labeled_frames(labels: sio.Labels, path: Path, config: DataConfig) -> Source:
    """Return the source of labeled frames by number, for tracking or evaluating their poses."""
    poses, notes = _read_poses(labels, path)
    filtered = filter_labels(labels, poses, config)
    frames = poses.frames if filtered is None else filtered
    videos = labels.videos
    if config.video_index is not None:
        videos = [_video(labels, path, config.video_index)]
        frames = frames[frames[:, 0] == config.video_index] * [0, 1]
        poses = poses.of_video(config.video_index)
    if (requested := parse_frames(config.frames)) is not None:
        notes = (*notes, *_absent_notes(poses.frames, requested, path))
        frames = frames[np.isin(frames[:, 1], requested)]
    kept = tuple(track.name for track in kept_tracks(labels))
    return Source(path, videos, frames, poses, notes=notes, project=labels, kept_tracks=kept)


def _absent_notes(labeled: np.ndarray, requested: list[int], path: Path) -> list[str]:
    """Say which of the requested frames are not among those that are labeled, if any."""
    absent = np.setdiff1d(requested, labeled[:, 1])
    if not len(absent):
        return []
    return [
        f"data.frames: {len(absent)} of the {len(requested)} requested frames are no labeled "
        f"frames of {path}, the first: {absent[0]}. The others were taken."
    ]
