"""Videos as pixels: files of any kind, read as (h, w, c) with one or three channels."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Protocol

import av
import h5py
import numpy as np
import sleap_io as sio
from av import library_versions
from sleap_io.io.video_reading import CropVideoBackend, HDF5Video, ImageVideo, MediaVideo
from sleap_io.transform.frame import crop_frame

from sleap_lab.errors import RunError, did_you_mean
from sleap_lab.files.safe_load import check_dataset, check_hdf5
from sleap_lab.media.headers import ADDRESS, refuse_no_video, vet_video
from sleap_lab.media.index import MAX_PIXELS, FrameIndex, read_index
from sleap_lab.media.recording import Recording
from sleap_lab.media.relink import IS_ADDRESS, MissingVideo
from sleap_lab.settings.inputs import HDF5, Input, input_name, is_media

ACCEPTED = "accepted: videos, image folders, .slp"
NO_FRAME = (
    "it holds no readable frame, as when recording or copying was cut short "
    "(copy it again from where it was recorded)"
)
TRIES = 10
"""Frames that are tried to find the meaning of a video's pixels; the first readable one decides."""
LOOKED_AT = 5
"""Images of a video, spread over it, that are checked for colour."""
Indexer = Callable[[Path], FrameIndex]
"""A function like `read_index`; it may cache its results."""


@dataclass(frozen=True)
class Levels:
    """The meaning of pixels that are not bytes.

    Attributes:
        white: Value that is 1 for a network.
        brightest: Value that is white in a picture, at least `white`.
    """

    white: float = 255.0
    brightest: float = 255.0


State = tuple[int, int]
"""Size in bytes and time of the last change of a file, in ns."""


def file_state(name: str | list[str]) -> State | None:
    """Return the state of a video's file; None where it is missing, or not a single file."""
    try:
        found = Path(name).stat() if isinstance(name, str) else None
    except OSError:
        return None
    return None if found is None else (found.st_size, found.st_mtime_ns)


class Reader(Protocol):
    """Reads frames of one video by number.

    Attributes:
        numbers: The frames that it has; none where it cannot be read.
        index: The frame index of a recording; None for other videos.
        gray: Whether the frames of a sample have no colour.
        problem: Why it cannot be read; empty where it can.
        decoder: Name and version of what decodes its pixels, for the snapshot of a run.
        state: State of its file when it was opened; None where there is no single file.
    """

    numbers: Sequence[int]
    index: FrameIndex | None
    gray: bool
    problem: str
    decoder: str
    state: State | None

    def read(self, frame: int) -> np.ndarray:
        """Read one frame as it is stored, without transparency.

        Returns:
            (h, w, c) of the video's own type, c 1 or 3.

        Raises:
            ValueError: It has another number of channels, or cannot be decoded.
            Exception: Whatever the reader of this kind of video raises.
        """
        ...

    def close(self) -> None:
        """Close the files of the video; reading opens them again."""
        ...


class Unreadable:
    """A video that cannot be read."""

    index: FrameIndex | None = None
    gray = False
    decoder = ""
    state: State | None = None

    def __init__(self, problem: str) -> None:
        """Take the reason."""
        self.problem = problem
        self.numbers: Sequence[int] = ()

    def read(self, frame: int) -> np.ndarray:
        """Raise the reason."""
        raise ValueError(self.problem)

    def close(self) -> None:
        """Do nothing."""


class MediaReader:
    """Reads a media file."""

    problem = ""

    def __init__(self, recording: Recording, state: State | None) -> None:
        """Take a recording, and check a few frames for colour."""
        self.state = state
        self.index: FrameIndex | None = recording.index
        self.numbers: Sequence[int] = range(recording.index.count)
        self.decoder = (
            f"PyAV {av.__version__}, "
            f"libavcodec {'.'.join(map(str, library_versions['libavcodec']))}"
        )
        self._recording = recording
        self.gray = recording.is_gray()

    def read(self, frame: int) -> np.ndarray:
        """Read one frame; in a video without colour, only a frame with colour has 3 channels."""
        return self._recording.read(frame, gray=self.gray)

    def close(self) -> None:
        """Close the file."""
        self._recording.close()


class StoredReader:
    """Reads images, HDF5 files and other files that sleap-io reads."""

    index: FrameIndex | None = None
    problem = ""

    def __init__(self, video: sio.Video) -> None:
        """Take an open video, and check a few frames for colour."""
        # The copy returns all channels; the video itself keeps its setting.
        self._backend = copy(video.backend)
        self._backend.grayscale = False
        self.state = file_state(video.filename)
        self.decoder = f"sleap-io {sio.__version__}, {type(video.backend).__name__}"
        self.numbers = _frame_numbers(video)
        self.gray = False
        self.gray = _without_colour(self, _spread(self.numbers))

    def read(self, frame: int) -> np.ndarray:
        """Read one frame as it is stored.

        In a video without colour, a picture whose channels are equal has one channel.
        """
        image = np.asarray(self._backend[frame])
        channels = image.shape[2]
        if channels == 4:
            # With transparency, OpenCV keeps blue first.
            blue_first = isinstance(self._backend, ImageVideo) and self._backend.plugin == "opencv"
            image = image[..., 2::-1] if blue_first else image[..., :3]
        elif channels == 2:
            image = image[..., :1]
        elif channels not in (1, 3):
            raise ValueError(
                f"an image of {channels} channels; "
                "accepted: grey or RGB, with or without transparency"
            )
        return np.ascontiguousarray(
            image[..., :1] if self.gray and _has_equal_channels(image) else image
        )

    def close(self) -> None:
        """Close the files."""
        self._backend.close()


class CroppedReader:
    """Reads the part of each frame that a crop shows, as labels may define one."""

    def __init__(
        self, whole: Reader, crop: tuple[int, int, int, int], fill: int | tuple[int, ...]
    ) -> None:
        """Crop the frames of another reader.

        Args:
            whole: Reader of whole frames.
            crop: Corners (x1, y1, x2, y2) of the part, px, in whole frames.
            fill: Value of pixels beyond the frame.
        """
        self.numbers, self.index, self.gray = whole.numbers, whole.index, whole.gray
        self.problem, self.decoder, self.state = whole.problem, whole.decoder, whole.state
        self._whole, self._crop, self._fill = whole, crop, fill

    def read(self, frame: int) -> np.ndarray:
        """Read the part of one frame."""
        return np.ascontiguousarray(
            crop_frame(self._whole.read(frame), self._crop, fill=self._fill)
        )

    def close(self) -> None:
        """Close the files."""
        self._whole.close()


def _spread(numbers: Sequence[int]) -> list[int]:
    """Return a few of some numbers, including the first and the last."""
    return (
        [
            int(numbers[i])
            for i in np.unique(np.linspace(0, len(numbers) - 1, LOOKED_AT).astype(int))
        ]
        if len(numbers)
        else []
    )


def _without_colour(reader: Reader, frames: Sequence[int]) -> bool:
    """Say whether at least one of some frames is readable, and no readable one has colour."""
    seen = False
    for frame in frames:
        try:
            image = reader.read(frame)
        except Exception:  # reading that frame reports the problem
            continue
        if not _has_equal_channels(image):
            return False
        seen = True
    return seen


def _has_equal_channels(image: np.ndarray) -> bool:
    return all(
        np.array_equal(image[..., 0], image[..., channel]) for channel in range(1, image.shape[2])
    )


def open_reader(video: sio.Video, index: Indexer = read_index) -> Reader:
    """Return the reader of a video, or where it is unreadable, one that gives the reason."""
    name = video.filename
    if isinstance(video, MissingVideo):
        return Unreadable(f"it {video.reason}")
    if isinstance(video.backend, CropVideoBackend):
        whole = open_reader(sio.Video(name, backend=video.backend.inner, open_backend=False), index)
        return CroppedReader(whole, video.backend.crop, video.backend.fill)
    if isinstance(name, str) and ADDRESS.match(name):
        return Unreadable(f"it {IS_ADDRESS}")
    if isinstance(name, str) and is_media(Path(name)):
        return open_recording(Path(name), index)
    if video.backend is None:
        return Unreadable(
            "it is not there" if not video.exists() else f"it cannot be read as a video; {ACCEPTED}"
        )
    return StoredReader(video)


def open_recording(path: Path, index: Indexer = read_index) -> Reader:
    """Return the reader of a media file, or where it is unreadable, one that gives the reason."""
    try:
        if not path.is_file():
            return Unreadable("it is no file" if path.exists() else "it is not there")
        state = file_state(str(path))
        refuse_no_video(path, None)
        found = index(path)
    except PermissionError as error:
        return Unreadable(f"it may not be read ({error.strerror})")
    except (av.FFmpegError, OSError):
        return Unreadable(NO_FRAME)
    except (RunError, ValueError) as error:  # the message names the problem
        return Unreadable(str(error))
    if not len(found.packet):
        return Unreadable(NO_FRAME)
    return MediaReader(Recording(path, found), state)


def open_video(
    item: Input,
    *,
    dataset: str | None = None,
    input_format: str = "channels_last",
    index: Indexer = read_index,
) -> tuple[sio.Video, Reader]:
    """Open a video file, or the images of one video.

    Args:
        item: The file or images.
        dataset: Dataset of an HDF5 video; by default the first with four axes. Other videos have
            none.
        input_format: Axes of an HDF5 video: `channels_last` (frames, h, w, c) or `channels_first`
            (frames, c, w, h).
        index: Reads the index of a media file.

    Returns:
        The video for a labels file, and its reader.

    Raises:
        RunError: It cannot be read, or holds no frame.
    """
    name = input_name(item)
    if isinstance(item, Path) and is_media(item):
        reader = open_recording(item, index)
        if reader.problem:
            raise RunError(f"{name} cannot be read as a video: {reader.problem}; {ACCEPTED}")
        return describe_recording(item, reader), reader
    options = {}
    try:
        refuse_no_video(item if isinstance(item, Path) else item[0], dataset)
        if isinstance(item, Path) and item.suffix.lower() in HDF5:
            _check_dataset(item, dataset)
            options = {"dataset": dataset, "input_format": input_format}
        elif isinstance(item, Path):
            vet_video(item)
        video = sio.load_video(
            str(item) if isinstance(item, Path) else [str(image) for image in item], **options
        )
        for file in [item] if isinstance(item, Path) else item:
            _check_pages(file, video)
    except RunError:
        raise
    except Exception as error:  # each backend has its own errors for an unreadable file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RunError(f"{name} cannot be read as a video ({reason}); {ACCEPTED}") from error
    reader = StoredReader(video)
    if not len(reader.numbers):
        raise RunError(f"{name} cannot be read as a video: {NO_FRAME}; {ACCEPTED}")
    video.grayscale = reader.gray  # instead of the look of its first frame
    return video, reader


def describe_recording(path: Path, reader: Reader) -> sio.Video:
    """Return the video of a media file for labels, with the shape and rate of its frame index.

    Without these facts sleap-io would read them from the header of the file.
    """
    index = reader.index
    assert index is not None, "a recording has an index"
    backend = MediaVideo(path.as_posix(), grayscale=reader.gray, plugin="pyav")
    backend._cached_shape = (index.count, index.height, index.width, 1 if reader.gray else 3)
    backend._fps = None if np.isnan(index.rate) else index.rate
    return sio.Video(path.as_posix(), backend=backend)


def _check_dataset(file: Path, dataset: str | None) -> None:
    """Refuse an HDF5 file without the requested dataset, or without any dataset of frames."""
    with h5py.File(file) as opened:
        shapes: dict[str, tuple[int, ...]] = {}
        opened.visititems(
            lambda name, found: (
                shapes.update({name: found.shape}) if isinstance(found, h5py.Dataset) else None
            )
        )
    # Frames are stored as an array, or as encoded images in a dataset called "video".
    able = [name for name, shape in shapes.items() if len(shape) == 4 or name.endswith("/video")]
    wanted = None if dataset is None else dataset.strip("/")
    if not able:
        held = ", ".join(f"{name} {shape}" for name, shape in list(shapes.items())[:5]) or "nothing"
        raise RunError(f"{file} holds no dataset of frames, with four axes; it holds {held}")
    if wanted is not None and not {wanted, f"{wanted}/video"} & set(able):
        raise RunError(
            f"{file} has no frames in the dataset {dataset!r}; "
            f"accepted: {', '.join(able)}.{did_you_mean(wanted, able)}"
        )
    if any(name.endswith("/video") for name in able):  # then sleap-io reads more than the dataset
        check_hdf5(file, images=True)
    with h5py.File(file) as opened:
        for name in able:
            check_dataset(opened[name])
            if (size := prod(shapes[name][1:])) > MAX_PIXELS:
                raise RunError(
                    f"{file} holds images of {size} numbers in {name}; accepted: up to {MAX_PIXELS}"
                )


def _check_pages(file: Path, video: sio.Video) -> None:
    """Refuse a TIFF of several pages that are not the frames of the video.

    The reader guesses the axes of such a file from their sizes.
    """
    import cv2  # `open_source` gives the remedy where it is missing

    if file.suffix.lower() not in (".tif", ".tiff") or (pages := cv2.imcount(str(file))) <= 1:
        return
    if (
        isinstance(video.backend, ImageVideo)
        or len(video) != pages
        or not all(_is_page(file, video, i) for i in (0, pages // 2, pages - 1))
    ):
        raise RunError(
            f"{file} holds {pages} pages that cannot be read one by one; "
            "convert it to a video or to one image per frame"
        )


def _is_page(file: Path, video: sio.Video, page: int) -> bool:
    """Say whether a frame of a video equals the page of that number, by its first channel."""
    import cv2

    _, images = cv2.imreadmulti(str(file), page, 1, flags=cv2.IMREAD_UNCHANGED)
    if not len(images):
        return False
    image = np.asarray(images[0])
    # OpenCV has blue first.
    image = image[..., 2] if image.ndim == 3 and image.shape[2] in (3, 4) else image.squeeze()
    return np.array_equal(image, video[page][..., 0])


def _frame_numbers(video: sio.Video) -> Sequence[int]:
    """Return the frames of a video: those that a package holds, and none of an unreadable video."""
    if held := getattr(video.backend, "frame_map", None):
        return sorted(map(int, held))
    try:
        if isinstance(video.backend, (HDF5Video, ImageVideo)) or not isinstance(
            video.filename, str
        ):
            return range(len(video))
        # Whatever a file says, a frame takes at least one byte.
        return range(min(len(video), Path(video.filename).stat().st_size))
    except Exception:  # an unreadable file
        return range(0)


def find_levels(reader: Reader, frames: np.ndarray) -> Levels:
    """Find the meaning of a video's pixels from the first readable frame; the default is bytes.

    Whole numbers of any size are divided by 255 for the network, as sleap-nn does in training.
    Fractions are too, unless the first frame stays within 0 and 1; then they already are in the
    range of a network.

    Args:
        reader: Reads the video.
        frames: (frames,) the frames to be read, in order.
    """
    if not isinstance(reader, StoredReader):  # decoders of media files give bytes
        return Levels()
    for frame in frames[:TRIES].tolist():
        try:
            image = reader.read(frame)
        except Exception:
            continue
        if image.dtype == np.uint8:
            return Levels()
        highest = float(np.nanmax(image))
        white = 255.0 if image.dtype.kind in "iu" or highest > 1 else 1.0
        return Levels(white, max(white, 2.0 ** int(highest).bit_length() - 1))
    return Levels()
