"""A source of videos that are given themselves."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sleap_io as sio

from sleap_lab.errors import ConfigError, RunError, listed
from sleap_lab.media.images import display_path, naming_notes
from sleap_lab.media.readers import ArrayReader, Reader
from sleap_lab.media.selection import LABEL_FILTERS, frames_of_video, frames_of_videos, is_given
from sleap_lab.media.source import Source
from sleap_lab.media.videos import (
    ACCEPTED,
    NO_FRAME,
    Indexer,
    frame_datasets,
    open_reader,
    open_video,
)
from sleap_lab.settings.config import DataConfig
from sleap_lab.settings.frames import parse_frames
from sleap_lab.settings.inputs import HDF5, Input, input_name


def source_of_videos(
    inputs: Sequence[Input | sio.Video], path: Path, config: DataConfig, index: Indexer
) -> Source:
    """Return the source of one or several videos.

    Args:
        inputs: The videos: files, images, or an open video.
        path: Their name in messages.
        config: Which videos and frames.
        index: Reads the index of a media file.

    Raises:
        ConfigError: The selection does not fit the videos.
        RunError: The video cannot be read; of several, none.
    """
    for name in LABEL_FILTERS:
        if is_given(getattr(config, name)):
            raise ConfigError(f"data.{name}: only for .slp files, data.path is {path}")
    if config.video_index is not None:
        inputs = [_at(inputs, config.video_index, path)]
    if not any(isinstance(item, Path) and item.suffix.lower() in HDF5 for item in inputs):
        refuse_hdf5_keys(config, path)
    videos: list[sio.Video] = []
    readers: dict[int, Reader] = {}
    about: list[str] = []
    unreadable: list[tuple[Path, str]] = []
    for item in inputs:
        try:
            video, reader = _opened(item, config, index)
        except RunError as error:
            file = path if isinstance(item, sio.Video) else input_name(item)
            unreadable.append((file, str(error)))
            continue
        about += _several_datasets(item, config)
        about += naming_notes(item) if isinstance(item, tuple) else []
        if len(inputs) > 1:
            reader.close()
        readers[len(videos)] = reader
        videos.append(video)
    if not videos:
        first = unreadable[0][1]
        none = f"none of the {len(inputs)} videos can be read; the first: "
        raise RunError(f"data.path: {none if len(inputs) > 1 else ''}{first}")
    requested = parse_frames(config.frames)
    if len(inputs) == 1:
        frames = frames_of_video(0, requested, readers[0].numbers, path)
        return Source(path, videos, frames, None, readers=readers, notes=tuple(about))
    numbers = [readers[i].numbers for i in range(len(videos))]
    frames, notes = frames_of_videos(videos, numbers, requested)
    return Source(
        path,
        videos,
        frames,
        None,
        unreadable=tuple(unreadable),
        notes=(*about, *notes),
        readers=readers,
    )


def _several_datasets(item: Input | sio.Video, config: DataConfig) -> list[str]:
    """Say which dataset of an HDF5 video is read, where none is named and several hold frames."""
    if not isinstance(item, Path) or item.suffix.lower() not in HDF5 or config.video_dataset:
        return []
    names = frame_datasets(item)
    if len(names) < 2:
        return []
    return [
        f"{item} holds frames in {len(names)} datasets: {listed(names, 5)}. "
        "The first is read; data.video_dataset names another."
    ]


ARRAY_NAME = "array"
"""Name of an array among the videos of a result."""


def source_of_array(frames: np.ndarray, config: DataConfig) -> Source:
    """Return the source of frames in an array.

    Args:
        frames: (frames, h, w) or (frames, h, w, c), c 1 or 3, or 4 with transparency.
        config: Which of them.

    Raises:
        ConfigError: The array has another shape, or the selection does not fit it.
    """
    if not (frames.ndim == 3 or (frames.ndim == 4 and frames.shape[3] in (1, 3, 4))):
        raise ConfigError(
            f"input_video: an array of the shape {frames.shape}; "
            "accepted: (frames, h, w), or (frames, h, w, c) with c 1 or 3"
        )
    if frames.ndim == 3 and frames.shape[2] in (1, 3, 4):
        raise ConfigError(
            f"input_video: an array of the shape {frames.shape} is a single image, or frames "
            f"{frames.shape[2]} px wide; accepted: (frames, h, w, c), here image[None]"
        )
    if 0 in frames.shape[1:3]:
        raise ConfigError(
            f"input_video: the frames of an array of the shape {frames.shape} have no pixels; "
            "accepted: (frames, h, w), or (frames, h, w, c) with c 1 or 3"
        )
    if frames.dtype.kind not in "uif":
        raise ConfigError(f"input_video: an array of {frames.dtype}; accepted: numbers, as uint8")
    reader = ArrayReader(frames)
    video = sio.Video(ARRAY_NAME, open_backend=False)
    video.backend_metadata["shape"] = (*frames.shape, 1)[:4]
    chosen = frames_of_video(0, parse_frames(config.frames), reader.numbers, Path(ARRAY_NAME))
    return Source(Path(ARRAY_NAME), [video], chosen, None, readers={0: reader})


def _at(inputs: Sequence[Input | sio.Video], video_index: int, path: Path) -> Input | sio.Video:
    """Return one of several videos, which must have it."""
    if video_index >= len(inputs):
        raise ConfigError(
            f"data.video_index: {path} has no video {video_index}; accepted: 0-{len(inputs) - 1}"
        )
    return inputs[video_index]


def _opened(
    item: Input | sio.Video, config: DataConfig, index: Indexer
) -> tuple[sio.Video, Reader]:
    """Open one video."""
    if not isinstance(item, sio.Video):
        return open_video(
            item, dataset=config.video_dataset, input_format=config.video_input_format, index=index
        )
    reader = open_reader(item, index)
    if not len(reader.numbers):
        name, problem = display_path(item.filename), reader.problem or NO_FRAME
        raise RunError(f"{name} cannot be read as a video: {problem}; {ACCEPTED}")
    return item, reader


def refuse_hdf5_keys(config: DataConfig, path: Path) -> None:
    """Refuse settings of HDF5 videos where there are none."""
    for name, unset in (("video_dataset", None), ("video_input_format", "channels_last")):
        if getattr(config, name) != unset:
            raise ConfigError(
                f"data.{name}: only for HDF5 videos ({', '.join(HDF5)}), data.path is {path}"
            )
