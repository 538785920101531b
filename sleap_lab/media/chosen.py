"""The name of the video that `data.video_index` chooses, for the name of its predictions."""

from pathlib import Path

from sleap_io.io.slp import read_videos

from sleap_lab.errors import ConfigError
from sleap_lab.errors.interruption import raise_interruption
from sleap_lab.media.formats.names import as_path
from sleap_lab.media.headers import vet_labels
from sleap_lab.media.labels import video_name
from sleap_lab.settings.inputs import find_inputs, input_name, is_labels

LONGEST_NAME = 100
"""Letters of a video's name in a file name; file systems allow 255 bytes."""


def chosen_name(path: str, index: int) -> str:
    """Return the name of one of several videos, without folder and suffix.

    Where others have the same name, its number comes first. What cannot be read, or is not there,
    has no name; opening it says why.

    Args:
        path: As `data.path`.
        index: As `data.video_index`.
    """
    try:
        stems = _stems(path)
        stem = stems[index]
    except Exception as error:  # opening it reports the problem
        raise_interruption(error)
        return ""
    return f"{index:03}_{stem}" if stems.count(stem) > 1 else stem


def _stems(path: str) -> list[str]:
    """Return the names of all videos that a path stands for.

    Raises:
        Exception: They cannot be found or read.
    """
    inputs = find_inputs(path)
    if not is_labels(inputs):
        return [input_name(item).stem[:LONGEST_NAME] for item in inputs]
    (labels,) = inputs
    if not isinstance(labels, Path):
        raise ConfigError(f"{path} is no file")
    vet_labels(labels)
    videos = read_videos(str(labels), open_backend=False)
    names = [as_path(video_name(video)) for video in videos]
    images = [isinstance((video.source_video or video).filename, list) for video in videos]
    return [
        (name.parent.name if several else name.stem)[:LONGEST_NAME]
        for name, several in zip(names, images, strict=True)
    ]
