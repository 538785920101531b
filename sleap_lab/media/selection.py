"""The selection of frames: `data.frames`, and the filters of a labels file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sleap_io as sio

from sleap_lab.errors import ConfigError, listed
from sleap_lab.media.images import display_path
from sleap_lab.poses.record import Poses
from sleap_lab.settings.config import DataConfig

LABEL_FILTERS = (
    "only_labeled_frames",
    "only_suggested_frames",
    "exclude_user_labeled",
    "only_predicted_frames",
)


def is_given(value: Any) -> bool:
    """Return whether a setting is given; the number 0 is."""
    return value is not None and value is not False


def selection_text(config: DataConfig) -> str:
    """Return what selects frames, for messages."""
    chosen = {name: getattr(config, name) for name in ("frames", "video_index", *LABEL_FILTERS)}
    return (
        ", ".join(f"data.{name}={value}" for name, value in chosen.items() if is_given(value))
        or "no filter"
    )


def frames_of_video(
    video: int, requested: list[int] | None, numbers: Sequence[int], path: Path | str
) -> np.ndarray:
    """Return the (video, frame) rows of the requested frames of a video, which must have them all.

    Args:
        video: Index of the video.
        requested: The requested frames; None for all.
        numbers: The frames that it has.
        path: Its name in messages.
    """
    if requested is not None:
        _refuse_missing(requested, numbers, path)
    frames = numbers if requested is None else requested
    return np.array([(video, frame) for frame in frames], dtype=np.int64).reshape(-1, 2)


def _refuse_missing(requested: list[int], numbers: Sequence[int], path: Path | str) -> None:
    """Refuse requested frames that a video does not have; the arguments are as above."""
    if missing := sorted(set(requested) - set(numbers)):
        whole = len(numbers) == numbers[-1] + 1
        has = f"0-{numbers[-1]}" if whole else listed(list(map(str, numbers)), 20)
        raise ConfigError(
            f"data.frames: frame {missing[-1]} is out of range; {path} has frames {has}"
        )


def frames_of_videos(
    videos: Sequence[sio.Video], numbers: Sequence[Sequence[int]], requested: list[int] | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the (video, frame) rows of the requested frames of several videos, and notes.

    A video that ends early gives the frames that it has, and a note.

    Args:
        videos: The videos.
        numbers: By video, the frames that it has.
        requested: The requested frames of each; None for all.
    """
    paths = [display_path(video.filename) for video in videos]
    if requested is None:
        rows = [frames_of_video(i, None, own, paths[i]) for i, own in enumerate(numbers)]
        return np.concatenate(rows), ()
    longest = max(range(len(videos)), key=lambda i: len(numbers[i]))
    _refuse_missing(requested, numbers[longest], f"the longest video, {paths[longest]},")
    rows = [
        frames_of_video(i, [frame for frame in requested if frame < len(own)], own, paths[i])
        for i, own in enumerate(numbers)
    ]
    short = [
        f"{path} (frames 0-{own[-1]})"
        for path, own in zip(paths, numbers, strict=True)
        if max(requested, default=0) >= len(own)
    ]
    if not short:
        return np.concatenate(rows), ()
    return np.concatenate(rows), (
        f"data.frames goes beyond the end of {listed(short, 5)}: what they have of it was taken.",
    )


def filter_labels(
    labels: sio.Labels, poses: Poses, config: DataConfig, every: np.ndarray | None = None
) -> np.ndarray | None:
    """Return the (video, frame) rows that the label filters leave; None where none is set.

    Args:
        labels: The labels.
        poses: Their poses.
        config: The filters.
        every: The (video, frame) rows that `data.exclude_user_labeled` chooses from. Default: the
            labeled frames.
    """
    users, predicted = (
        set(zip(own.video.tolist(), own.frame.tolist(), strict=True))
        for own in (poses[poses.user], poses[~poses.user])
    )
    labeled = [(video, frame) for video, frame in poses.frames.tolist()]
    candidates = labeled if every is None else [(video, frame) for video, frame in every.tolist()]
    if config.only_labeled_frames:
        rows = [where for where in labeled if where in users]
    elif config.only_suggested_frames:
        suggested = [(labels.videos.index(s.video), int(s.frame_idx)) for s in labels.suggestions]
        rows = list(dict.fromkeys(where for where in suggested if where not in users))
    elif config.exclude_user_labeled:
        rows = [where for where in candidates if where not in users]
    elif config.only_predicted_frames:
        rows = [where for where in labeled if where in predicted]
    else:
        return None
    return np.array(rows, dtype=np.int64).reshape(-1, 2)
