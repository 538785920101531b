"""Fit of a file to a video of labels: stored facts of the video compared with the file."""

from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

import sleap_io as sio
from sleap_io.io.video_reading import CropVideoBackend, HDF5Video, MediaVideo, VideoBackend

from sleap_lab.errors import one_line
from sleap_lab.errors.interruption import raise_interruption
from sleap_lab.media.headers import vet_video
from sleap_lab.media.index import read_index
from sleap_lab.media.packets import AV_TIME_BASE, numbered, opened, pictures, upright
from sleap_lab.media.recording import Recording
from sleap_lab.settings.inputs import is_media

Files = str | list[str]
"""The files of a video: a file, a folder of images, or images."""
OTHER = "is another recording"


class Fit(IntEnum):
    """How well a file fits.

    `ROUGHLY` means that labels store only part of the facts, or facts that several files can share.
    """

    NO = 0
    ROUGHLY = 1
    EXACTLY = 2


class Stored(NamedTuple):
    """The facts that labels store of a video, before any crop; None for those they do not store."""

    frames: int | None
    height: int | None
    width: int | None
    channels: int | None


class Media(NamedTuple):
    """Content of a media file, and the facts in its header.

    Attributes:
        height: Height of its images as they are shown, px.
        width: Width likewise.
        channels: 1 where it has no colour, otherwise 3.
        held: Number of frames that it holds.
        frames: Number of frames by its header; 0 where it says nothing.
        estimate: Number of frames by duration and rate, as readers compute it where the header says
            nothing.
        rate: Frames per second; 0 where the header says nothing.
    """

    height: int
    width: int
    channels: int
    held: int
    frames: int
    estimate: int
    rate: float


def fit(video: sio.Video, files: Files, last: int) -> tuple[Fit, str]:
    """Compare a file with what labels store of a video.

    Args:
        video: The video.
        files: The file or images.
        last: Last labeled frame of the video, -1 where there is none.

    Returns:
        How well it fits, and the misfit as words that follow the name of the file.
    """
    stored = stored_of(video)
    try:
        if isinstance(files, str) and Path(files).is_file():
            vet_video(Path(files))
        reader = open_backend(video, files, grayscale=None)
        media = (
            read_media(Path(files))
            if isinstance(reader, MediaVideo) and isinstance(files, str)
            else None
        )
        height, width, channels = media[:3] if media else reader.img_shape
    except Exception as error:  # every reader has its own errors for a file it cannot read
        raise_interruption(error)
        return Fit.NO, f"cannot be read ({one_line(error)})"
    if (size := _size_difference(stored, height, width)) is not None:
        return Fit.NO, f"{OTHER}: {size}"
    if stored.channels == 3 and channels == 1:
        return Fit.NO, f"{OTHER}: it is gray, and the labels are of one in colour"
    how, problem = (
        _fit_of_media(stored.frames, last, media)
        if media
        else _fit_of_reader(stored.frames, last, reader)
    )
    # Colour videos are often labeled as gray.
    if None in (stored.height, stored.width) or stored.channels != channels:
        how = min(how, Fit.ROUGHLY)
    return how, problem


def size_problem(video: sio.Video) -> str | None:
    """Return how the size of an open video differs from the size that its labels store.

    Returns:
        The difference in words; None where there is none, or it is unknown.
    """
    stored = stored_of(video)
    reader = video.backend.inner if isinstance(video.backend, CropVideoBackend) else video.backend
    # SLEAP may have exchanged the axes of arrays.
    if None in (stored.height, stored.width) or isinstance(reader, HDF5Video):
        return None
    try:
        if not isinstance(reader, MediaVideo):
            return _size_difference(stored, *reader.img_shape[:2])
        file = Path(reader.filename)
        if _first_size(file) == (stored.height, stored.width):
            return None
        return _size_difference(stored, *read_media(file)[:2])
    except Exception as error:
        # An unreadable video is not another recording; reading its frames reports the problem.
        raise_interruption(error)
        return None


def length_problem(video: sio.Video, held: int) -> str | None:
    """Return how the number of frames of a recording differs from the number in its labels.

    Args:
        video: The video of the labels; its recording is readable.
        held: Number of frames of the recording.

    Returns:
        The difference in words; None where there is none, or the labels store no number.
    """
    stored = stored_of(video).frames
    # The last labeled frame does not matter: frames beyond the end are reported as missing.
    media = Media(0, 0, 0, held, *_header(Path(str(video.filename))))
    how, _ = _fit_of_media(stored, -1, media)
    return None if how else f"{held} frames instead of {stored}"


def is_transposed(video: sio.Video, height: int, width: int) -> bool:
    """Return whether the size that labels store of a video is that of its turned picture."""
    stored = stored_of(video)
    return height != width and (stored.height, stored.width) == (width, height)


def stored_of(video: sio.Video) -> Stored:
    """Return what labels store of a video."""
    metadata = video.backend_metadata
    shape = metadata.get("source_shape") or metadata.get("shape")
    if not isinstance(shape, (list, tuple)) or len(shape) != 4:
        shape = (None, *(metadata.get(f"{name}_") for name in ("height", "width", "channels")))
    return Stored(*(int(size) if isinstance(size, int) and size > 0 else None for size in shape))


def open_backend(video: sio.Video, files: Files, grayscale: bool | None) -> VideoBackend:
    """Return sleap-io's reader of a video, which reports the stored facts of it.

    The pixels of media files are read by `Recording`, not by this.

    Args:
        video: The video.
        files: The file or images.
        grayscale: Whether images are turned gray; None where their own look decides.

    Raises:
        Exception: There is no reader for such files, or the file cannot be read.
    """
    metadata = video.backend_metadata
    if isinstance(files, str) and is_media(Path(files)):
        return _described(Path(files), stored_of(video), metadata.get("fps"), grayscale)
    options = {name: metadata[name] for name in ("input_format", "format") if metadata.get(name)}
    return VideoBackend.from_filename(
        files, dataset=metadata.get("dataset"), grayscale=grayscale, **options
    )


def _described(
    file: Path, stored: Stored, rate: float | None, grayscale: bool | None
) -> MediaVideo:
    """Return sleap-io's reader of a media file, with facts set that its header may get wrong."""
    reader = MediaVideo(str(file), grayscale=grayscale, plugin="pyav")
    if rate is None or None in stored[:3] or (grayscale is None and stored.channels is None):
        media = read_media(file)
        stored = Stored(
            *(ours or theirs for ours, theirs in zip(stored, (media.held, *media[:3]), strict=True))
        )
        rate = rate or media.rate or None
    reader.grayscale = stored.channels == 1 if grayscale is None else grayscale
    reader._cached_shape = (*stored[:3], 1 if reader.grayscale else 3)
    reader._fps = rate
    return reader


def read_media(file: Path) -> Media:
    """Read the frame index and the header of a media file.

    Raises:
        Exception: It cannot be read.
    """
    index = read_index(file)
    recording = Recording(file, index)
    channels = 1 if recording.is_gray() else 3
    recording.close()
    return Media(index.height, index.width, channels, index.count, *_header(file))


def _header(file: Path) -> tuple[int, int, float]:
    """Return number of frames, its estimate and the rate by a header, as `Media` explains them."""
    with opened(file) as (container, stream):
        seconds = (
            float(stream.duration * (stream.time_base or 1))
            if stream.duration
            else (container.duration or 0) / AV_TIME_BASE
        )
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        return stream.frames, int(seconds * rate + 0.5), rate


def _first_size(file: Path) -> tuple[int, int] | None:
    """Return height and width of the first picture of a media file as it is shown, px."""
    with opened(file, threads=False) as (container, stream):
        for picture in pictures(numbered(container, stream), stream):
            if picture is not None:
                return upright(picture)
    return None


def _fit_of_reader(stored: int | None, last: int, reader: VideoBackend) -> tuple[Fit, str]:
    """Compare the number of frames of images or arrays, which is certain."""
    held = len(reader)
    if stored is not None and stored != held:
        return Fit.NO, f"{OTHER}: {held} frames instead of {stored}"
    if last >= held and not getattr(reader, "frame_map", None):
        return Fit.NO, f"{OTHER}: {held} frames, and frame {last} is labeled"
    return Fit.ROUGHLY if stored is None else Fit.EXACTLY, ""


def _fit_of_media(stored: int | None, last: int, media: Media) -> tuple[Fit, str]:
    """Compare the number of frames of a media file.

    Labels store the number in the header, or the product of duration and rate where the header has
    none; both may differ from the number of frames.
    """
    promised = media.frames or media.estimate
    if stored == promised and last < promised:
        return Fit.EXACTLY, ""
    held = media.held
    if last >= max(promised, held):
        return Fit.NO, f"{OTHER}: {held} frames, and frame {last} is labeled"
    if stored is None:
        return Fit.ROUGHLY, ""
    if stored == held:
        return Fit.EXACTLY, ""
    # Readers differ in duration and rate, and so by a few frames.
    close = abs(stored - media.estimate) <= max(2, media.estimate // 100)
    if close and not media.frames:
        return Fit.ROUGHLY, ""
    return Fit.NO, f"{OTHER}: {held} frames instead of {stored}"


def _size_difference(stored: Stored, height: int, width: int) -> str | None:
    """Return how a size differs from the stored one, in words; None where it does not."""
    expected = (stored.height or height, stored.width or width)
    return (
        None
        if expected == (height, width)
        else f"{width}x{height} px instead of {expected[1]}x{expected[0]}"
    )
