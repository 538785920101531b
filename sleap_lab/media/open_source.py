"""Opening the source of frames: videos or a labels file, checked before any work."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import sleap_io as sio

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.media.from_labels import source_of_labeled_frames, source_of_labels
from sleap_lab.media.from_videos import (
    ARRAY_NAME,
    refuse_hdf5_keys,
    source_of_array,
    source_of_videos,
)
from sleap_lab.media.index import read_index
from sleap_lab.media.labels import read_labels, video_name
from sleap_lab.media.relink import refuse_mistaken
from sleap_lab.media.selection import selection_text
from sleap_lab.media.source import Source
from sleap_lab.media.source_checks import check_frames, with_levels
from sleap_lab.media.videos import Indexer
from sleap_lab.settings.config import DataConfig
from sleap_lab.settings.inputs import Input, find_inputs, input_name, is_labels


def open_source(
    config: DataConfig,
    *,
    predicting: bool = True,
    data: sio.Labels | sio.Video | np.ndarray | None = None,
    index: Indexer = read_index,
) -> Source:
    """Open videos or a labels file and select their frames.

    Args:
        config: What to open and which frames of it.
        predicting: Whether the frames go through a network; otherwise only labeled frames are
            selected, and `frames` are their frame numbers.
        data: Open labels, an open video or frames in an array in place of `config.path`; they are
            not changed.
        index: Reads the index of a media file.

    Raises:
        ConfigError: The selection does not fit the files.
        RunError: A file cannot be read; of several videos, none.
    """
    _require_opencv()
    notes, remarks = list[str](), list[str]()
    inputs = _inputs(config) if data is None else []
    path = _name(config.path, inputs) if data is None else _file(data)
    if isinstance(data, sio.Labels) or is_labels(inputs):
        refuse_hdf5_keys(config, path)
        labels = data if data is not None else read_labels(path, config.moved or {}, notes, remarks)
        if predicting:
            refuse_mistaken(labels)
            source = source_of_labels(labels, path, config, index)
        else:
            source = source_of_labeled_frames(
                labels if data is None else _copy(labels), path, config
            )
    elif isinstance(data, np.ndarray):
        source = source_of_array(data, config)
    elif not predicting:
        raise ConfigError(f"data.path: without a model it must be a .slp file, got {path}")
    else:
        source = source_of_videos([data] if data is not None else inputs, path, config, index)
    if not len(source.frames):
        raise ConfigError(
            f"data: the selection holds no frame of {path} ({selection_text(config)})"
        )
    notes += source.notes
    source = replace(source, index=index, notes=tuple(notes), remarks=tuple(remarks))
    return with_levels(check_frames(source, config)) if predicting else source


def _copy(labels: sio.Labels) -> sio.Labels:
    """Return a copy of labels that can be changed, over the same videos."""
    whole = labels.materialize() if labels.is_lazy else labels
    return deepcopy(whole, {id(video): video for video in whole.videos})


def _inputs(config: DataConfig) -> list[Input]:
    try:
        return find_inputs(config.path)
    except ConfigError as error:  # the config was checked before, so the files have changed
        raise RunError(str(error)) from error


def _name(path: str | Sequence[str], inputs: Sequence[Input]) -> Path:
    """Return the name of the inputs in messages.

    Args:
        path: `data.path`.
        inputs: What it names.
    """
    if len(inputs) == 1:
        return input_name(inputs[0])
    if isinstance(path, str):
        return Path(path)
    return Path(f"{input_name(inputs[0])} and {len(inputs) - 1} more")


def _require_opencv() -> None:
    """Refuse to go on without OpenCV, which decodes images and converts colours.

    Raises:
        RunError: OpenCV or a system library that it needs is missing.
    """
    try:
        import cv2  # noqa: F401  # sleap-io uses it
    except ImportError as error:
        # The missing libraries are those for windows, which nothing here opens.
        windows = "cannot open shared object file" in str(error)
        hint = (
            "put opencv-python-headless in place of opencv-python"
            if windows
            else "install opencv-python"
        )
        raise RunError(f"OpenCV cannot be loaded ({error}); {hint}") from error


def _file(data: sio.Labels | sio.Video | np.ndarray) -> Path:
    """Return the file of open data, for messages."""
    if isinstance(data, np.ndarray):
        return Path(ARRAY_NAME)
    return Path(
        video_name(data)
        if isinstance(data, sio.Video)
        else data.provenance.get("filename", "the labels")
    )
