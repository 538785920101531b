"""Readers of videos of any kind: a frame by its number, (h, w, c) with one or three channels."""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import av
import numpy as np
import sleap_io as sio
from av import library_versions
from sleap_io.io.video_reading import HDF5Video, ImageVideo
from sleap_io.transform.frame import crop_frame

from sleap_lab.errors.interruption import raise_interruption
from sleap_lab.media.images import ends_within_picture
from sleap_lab.media.index import FrameIndex
from sleap_lab.media.recording import Recording, has_equal_channels, sampled

TRIES = 10
"""Frames that are tried to find one that is readable."""
LOOKED_AT = 5
"""Images of a video, spread over it, that are looked at for colour and brightness."""

NO_END = "its end marker is missing, so the picture may be cut short; copy it again"
NOT_DECODED = "the image that is stored for it cannot be decoded; take the file from a backup"


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
        if isinstance(self._backend, ImageVideo):
            _tell_shape(self._backend)
        self.state = file_state(video.filename)
        self.decoder = f"sleap-io {sio.__version__}, {type(video.backend).__name__}"
        self.numbers = _frame_numbers(video)
        self.gray = False  # while frames are looked at, with all their channels
        self.gray = _without_colour(self)

    def read(self, frame: int) -> np.ndarray:
        """Read one frame as it is stored.

        In a video without colour, a picture whose channels are equal has one channel.
        """
        if not isinstance(self._backend, ImageVideo):
            return _plain(self._stored(frame), gray=self.gray)
        # With transparency, OpenCV keeps blue first.
        blue_first = self._backend.plugin == "opencv"
        image = _plain(np.asarray(self._backend[frame]), gray=self.gray, blue_first=blue_first)
        if ends_within_picture(self._backend.filename[frame]):
            raise ValueError(NO_END)
        return image

    def _stored(self, frame: int) -> np.ndarray:
        """Return a frame that stands within a file, as an array or an encoded image.

        Raises:
            ValueError: The image cannot be decoded, of which sleap-io gives no reason.
        """
        try:
            return np.asarray(self._backend[frame])
        except Exception as error:
            raise_interruption(error)
            encoded = getattr(self._backend, "has_embedded_images", False)
            if not encoded or isinstance(error, LookupError):  # the frame is missing
                raise
            raise ValueError(NOT_DECODED) from error

    def close(self) -> None:
        """Close the files."""
        self._backend.close()


class ArrayReader:
    """Reads the frames of an array as a video would give them."""

    index: FrameIndex | None = None
    problem = ""
    state: State | None = None
    decoder = f"NumPy {np.__version__}"

    def __init__(self, frames: np.ndarray) -> None:
        """Take frames (frames, h, w) or (frames, h, w, c), and check a few of them for colour."""
        self._frames = frames if frames.ndim == 4 else frames[..., None]
        self.numbers: Sequence[int] = range(len(frames))
        self.gray = False  # while frames are looked at, with all their channels
        self.gray = _without_colour(self)

    def read(self, frame: int) -> np.ndarray:
        """Return one frame; in frames without colour, with one channel."""
        return _plain(self._frames[frame], gray=self.gray)

    def close(self) -> None:
        """Do nothing."""


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


def _plain(image: np.ndarray, *, gray: bool, blue_first: bool = False) -> np.ndarray:
    """Return an image (h, w, c) without transparency.

    Args:
        image: The image, c from 1 to 4.
        gray: Return one channel where the channels are equal.
        blue_first: With four channels, blue is the first.

    Raises:
        ValueError: It has another number of channels, no pixels, or pixels that are no numbers.
    """
    channels = image.shape[2]
    if not image.size:
        raise ValueError(f"an image of {image.shape[0]}x{image.shape[1]} px")
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise ValueError("it has pixels that are no numbers (nan or infinite)")
    if channels == 4:
        image = image[..., 2::-1] if blue_first else image[..., :3]
    elif channels == 2:
        image = image[..., :1]
    elif channels not in (1, 3):
        raise ValueError(
            f"an image of {channels} channels; accepted: grey or RGB, with or without transparency"
        )
    return np.ascontiguousarray(image[..., :1] if gray and has_equal_channels(image) else image)


def _without_colour(reader: Reader) -> bool:
    """Return whether of a few frames at least one is readable, and no readable one has colour."""
    seen = False
    for image in _readable(reader, sampled(reader.numbers, LOOKED_AT)):
        if not has_equal_channels(image):
            return False
        seen = True
    return seen


def _tell_shape(images: ImageVideo) -> None:
    """Set the shape of images by the first that can be read.

    sleap-io takes that of the first of all, and reads no image where that one is broken.
    """
    for name in images.filename if images._cached_shape is None else ():
        try:
            shape = ImageVideo([name], grayscale=False, plugin=images.plugin).img_shape
        except Exception as error:  # reading that frame reports the problem
            raise_interruption(error)
            continue
        images._cached_shape = (len(images.filename), *shape)
        return


def _frame_numbers(video: sio.Video) -> Sequence[int]:
    """Return the frames of a video: those that a package holds, and none of an unreadable video.

    Images are frames whether they can be read or not.
    """
    if held := getattr(video.backend, "frame_map", None):
        return sorted(map(int, held))
    if isinstance(video.backend, ImageVideo) and isinstance(video.filename, list):
        return range(len(video.filename))
    try:
        if isinstance(video.backend, (HDF5Video, ImageVideo)) or not isinstance(
            video.filename, str
        ):
            return range(len(video))
        # Whatever a file says, a frame takes at least one byte.
        return range(min(len(video), Path(video.filename).stat().st_size))
    except Exception as error:  # an unreadable file
        raise_interruption(error)
        return range(0)


def find_levels(reader: Reader, frames: np.ndarray) -> Levels:
    """Find the meaning of a video's pixels from a few of its frames; the default is bytes.

    Whole numbers of any size are divided by 255 for the network, as sleap-nn does in training.
    Fractions are too, unless these frames stay within 0 and 1; then they already are in the range
    of a network. One frame does not decide, as it may be black.

    Args:
        reader: Reads the video.
        frames: (frames,) the frames to be read, in order; the first readable one is looked at,
            and others of the whole video.
    """
    if isinstance(reader, MediaReader):  # decoders of media files give bytes
        return Levels()
    first = next(_readable(reader, frames[:TRIES].tolist()), None)
    if first is None:
        return Levels()
    highest, fractions = 0.0, False
    for image in (first, *_readable(reader, sampled(reader.numbers, LOOKED_AT))):
        highest = max(highest, float(image.max()))
        fractions |= image.dtype.kind not in "iu"
    white = 1.0 if fractions and highest <= 1 else 255.0
    return Levels(white, max(white, 2.0 ** int(highest).bit_length() - 1))


def _readable(reader: Reader, frames: Sequence[int]) -> Iterator[np.ndarray]:
    """Yield the images of those frames that can be read; reading the others reports why not."""
    for frame in frames:
        try:
            yield reader.read(frame)
        except Exception as error:
            raise_interruption(error)
