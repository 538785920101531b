"""Whether a file can be a video of labels: what the labels store of the video, compared with what the file holds."""

from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

import sleap_io as sio
from sleap_io.io.video_reading import CropVideoBackend, HDF5Video, MediaVideo, VideoBackend

from sleap_lab.errors import one_line
from sleap_lab.vetting import vet_video

Files = str | list[str]
"""What a video is read from: a file, a folder of images, or images."""
OTHER = "is another recording"


class Fit(IntEnum):
    """How well a file fits; `ROUGHLY` where labels do not store all of it, or store what can be true of several."""

    NO = 0
    ROUGHLY = 1
    EXACTLY = 2


class Stored(NamedTuple):
    """What labels store of a video, before any crop; None for what they do not."""

    frames: int | None
    height: int | None
    width: int | None
    channels: int | None


class Media(NamedTuple):
    """What a media file is by its header and its first frame.

    Attributes:
        height: Of its images as they are shown, px.
        width: Likewise.
        channels: 1 where the first frame is gray, otherwise 3.
        frames: Number of frames by its header; 0 where it says nothing.
        estimate: Number of frames by duration and rate, as readers take it where the header says nothing.
    """

    height: int
    width: int
    channels: int
    frames: int
    estimate: int


def fit(video: sio.Video, files: Files, last: int) -> tuple[Fit, str]:
    """Compare a file with what labels store of a video.

    Args:
        video: The video.
        files: The file or images.
        last: Last labeled frame of the video, -1 where there is none.

    Returns:
        How well it fits, and what does not, as it goes on after the name of the file.
    """
    stored = stored_of(video)
    try:
        if isinstance(files, str) and Path(files).is_file():
            vet_video(Path(files))
        reader = open_reader(video, files, grayscale=None)
        media = read_media(Path(files)) if isinstance(reader, MediaVideo) and isinstance(files, str) else None
        height, width, channels = media[:3] if media else reader.img_shape
    except Exception as error:  # every reader has its own errors for a file it cannot read
        return Fit.NO, f"cannot be read ({one_line(error)})"
    if (size := _unlike(stored, height, width)) is not None:
        return Fit.NO, f"{OTHER}: {size}"
    if stored.channels == 3 and channels == 1:
        return Fit.NO, f"{OTHER}: it is gray, and the labels are of one in colour"
    counted, problem = _fit_of_media(stored.frames, last, media, Path(str(files))) if media else _fit_of_reader(stored.frames, last, reader)
    if None in (stored.height, stored.width) or stored.channels != channels:  # colour may be labeled as gray, and often is
        counted = min(counted, Fit.ROUGHLY)
    return counted, problem


def size_problem(video: sio.Video) -> str | None:
    """Return how the images of an open video are of another size than labels store; None where they are not, or nobody knows."""
    stored = stored_of(video)
    reader = video.backend.inner if isinstance(video.backend, CropVideoBackend) else video.backend
    if None in (stored.height, stored.width) or isinstance(reader, HDF5Video):  # SLEAP may have turned the axes of arrays
        return None
    with suppress(Exception):  # what cannot be read is not another recording; reading its frames says what is wrong
        if isinstance(reader, MediaVideo):
            file = Path(reader.filename)
            return None if _coded_size(file) == (stored.height, stored.width) else _unlike(stored, *read_media(file)[:2])
        return _unlike(stored, *reader.img_shape[:2])
    return None


def stored_of(video: sio.Video) -> Stored:
    """Return what labels store of a video."""
    metadata = video.backend_metadata
    shape = metadata.get("source_shape") or metadata.get("shape")
    if not isinstance(shape, (list, tuple)) or len(shape) != 4:
        shape = (None, *(metadata.get(f"{name}_") for name in ("height", "width", "channels")))
    return Stored(*(int(size) if isinstance(size, int) and size > 0 else None for size in shape))


def open_reader(video: sio.Video, files: Files, grayscale: bool | None) -> VideoBackend:
    """Return a reader of a file, as labels say that the video is read.

    Raises:
        Exception: There is none for such files, or the file cannot be read.
    """
    metadata = video.backend_metadata
    options = {name: metadata[name] for name in ("input_format", "format") if metadata.get(name)}
    return VideoBackend.from_filename(files, dataset=metadata.get("dataset"), grayscale=grayscale, **options)


def read_media(file: Path) -> Media:
    """Read the header and the first frame of a media file.

    Raises:
        Exception: It cannot be read.
    """
    import av  # labels are also read where no video is needed

    with av.open(str(file.absolute())) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        picture = frame.to_ndarray(format="rgb24")
        height, width = (frame.width, frame.height) if frame.rotation % 180 else (frame.height, frame.width)
        seconds = float(stream.duration * stream.time_base) if stream.duration else (container.duration or 0) / av.time_base
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        gray = bool((picture[..., 0] == picture[..., 2]).all())
        return Media(height, width, 1 if gray else 3, stream.frames, int(seconds * rate + 0.5))


def count_frames(file: Path) -> int:
    """Count the frames of a media file, by its packets.

    Raises:
        Exception: It cannot be read.
    """
    import av

    with av.open(str(file.absolute())) as container:
        return sum(packet.size > 0 for packet in container.demux(container.streams.video[0]))


def _coded_size(file: Path) -> tuple[int, int]:
    """Return height and width by the header of a media file, before it is turned for showing."""
    import av

    with av.open(str(file.absolute())) as container:
        return container.streams.video[0].height, container.streams.video[0].width


def _fit_of_reader(stored: int | None, last: int, reader: VideoBackend) -> tuple[Fit, str]:
    """Compare the number of frames of images or arrays, which is certain."""
    held = len(reader)
    if stored is not None and stored != held:
        return Fit.NO, f"{OTHER}: {held} frames instead of {stored}"
    if last >= held and not getattr(reader, "frame_map", None):
        return Fit.NO, f"{OTHER}: {held} frames, and frame {last} is labeled"
    return Fit.ROUGHLY if stored is None else Fit.EXACTLY, ""


def _fit_of_media(stored: int | None, last: int, media: Media, file: Path) -> tuple[Fit, str]:
    """Compare the number of frames of a media file.

    Labels store what the header said, or what was made of duration and rate where it said nothing; both may be wrong about the frames.
    """
    said = media.frames or media.estimate
    if stored == said and last < said:
        return Fit.EXACTLY, ""
    held = count_frames(file)
    if last >= max(said, held):
        return Fit.NO, f"{OTHER}: {held} frames, and frame {last} is labeled"
    if stored is None:
        return Fit.ROUGHLY, ""
    if stored == held:
        return Fit.EXACTLY, ""
    if not media.frames and abs(stored - media.estimate) <= max(2, media.estimate // 100):  # readers differ in duration and rate
        return Fit.ROUGHLY, ""
    return Fit.NO, f"{OTHER}: {held} frames instead of {stored}"


def _unlike(stored: Stored, height: int, width: int) -> str | None:
    """Return in what way a size is not the stored one."""
    wanted = (stored.height or height, stored.width or width)
    return None if wanted == (height, width) else f"{width}x{height} px instead of {wanted[1]}x{wanted[0]}"
