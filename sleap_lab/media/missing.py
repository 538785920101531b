"""Videos of labels whose files, or some of whose images, are missing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sleap_io as sio
from sleap_io.io.seq import SeqVideo
from sleap_io.io.video_reading import CropVideoBackend, HDF5Video, ImageVideo, MediaVideo, TiffVideo

from sleap_lab.media.headers import ADDRESS
from sleap_lab.media.images import absent_images, is_there

NOT_THERE = "is not there"
NOT_ALLOWED = "is not there, or may not be read"
NO_FILE = "is no file"
IS_ADDRESS = "is an address, and nothing is fetched; download it and put it beside the labels"
FILE_READERS = (MediaVideo, HDF5Video, TiffVideo, SeqVideo, CropVideoBackend)
"""Readers of sleap-io that read a video from a single file."""


class MissingVideo(sio.Video):
    """A video of labels without a matching file.

    Attributes:
        reason: Why there is none, as words that follow the name of the video.
    """

    reason: str = NOT_THERE

    def __getitem__(self, frames: Any) -> Any:
        """Refuse to read.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"it {self.reason}")

    def exists(self, *_: Any, **__: Any) -> bool:
        """Return False: a file of its name is not this video."""
        return False


class PartialVideo(sio.Video):
    """A video of images whose first image is missing; sleap-io would take all as missing."""

    def exists(self, *_: Any, **__: Any) -> bool:
        """Return True: some images exist."""
        return True


def missing_of(video: sio.Video, reason: str) -> MissingVideo:
    """Return the missing video that stands for a video; `reason` follows its name in messages."""
    missing = MissingVideo(
        filename=video.filename,
        backend_metadata=video.backend_metadata,
        source_video=video.source_video,
        open_backend=False,
    )
    missing.reason = reason
    return missing


def partial_of(video: sio.Video) -> PartialVideo:
    """Return the video of images that stands for one whose first image is missing."""
    return PartialVideo(
        filename=video.filename,
        backend=video.backend,
        backend_metadata=video.backend_metadata,
        source_video=video.source_video,
    )


def lacks_first(video: sio.Video) -> bool:
    """Return whether a video is one of images of which the first is missing."""
    return isinstance(video.filename, list) and not is_there(video.filename[0])


def missing_frames(video: sio.Video, frames: Sequence[int]) -> tuple[int, str]:
    """Return how many requested frames of a video are known to be missing before it is read.

    Args:
        video: The video.
        frames: Frames to be read from it.

    Returns:
        The number of missing frames, and the reason as words that follow the name of the video.
    """
    if isinstance(video, MissingVideo):
        return len(frames), video.reason
    if isinstance(video.filename, list):
        requested = [
            video.filename[frame] if frame < len(video.filename) else f"number {frame}"
            for frame in frames
        ]
        missing = absent_images(requested) if isinstance(video.backend, ImageVideo | None) else []
        return len(missing), lacking(missing, requested) if missing else ""
    if not isinstance(video.backend, (*FILE_READERS, type(None))):  # pictures without a file
        return 0, ""
    if ADDRESS.match(video.filename):
        return len(frames), IS_ADDRESS
    absence = absence_of(video.filename)
    return (0, "") if absence is None else (len(frames), absence)


def absence_of(name: str) -> str | None:
    """Return why there is no video at a place, or None where there may be one.

    A name that cannot be looked up (no access, or too long) counts as missing.
    """
    try:
        if Path(name).is_dir() or is_there(name):
            return None
        return (
            NO_FILE
            if Path(name).exists() and not Path(name).is_file()
            else NOT_ALLOWED
            if Path(name).is_file()
            else NOT_THERE
        )
    except PermissionError:
        return NOT_ALLOWED
    except (OSError, ValueError):
        return NOT_THERE


def after_name(problem: str) -> str:
    """Return why a video cannot be read as words that follow its name, without "it"."""
    return problem.removeprefix("it ")


def lacking(missing: Sequence[str], images: Sequence[str]) -> str:
    """Return that some images are missing, as words that follow the name of the video."""
    return f"lacks {len(missing)} of {len(images)} images, the first: {missing[0]}"
