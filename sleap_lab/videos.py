"""Videos as pixels: opened whatever they are stored in, and read in one convention, (h, w, c) with one or three channels."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import h5py
import numpy as np
import sleap_io as sio
from sleap_io.io.video_reading import HDF5Video, ImageVideo, MediaVideo

from sleap_lab.errors import RunError, did_you_mean
from sleap_lab.inputs import HDF5, Input, input_name
from sleap_lab.untrusted import check_dataset, check_hdf5
from sleap_lab.vetting import ADDRESS, refuse_no_video, vet_video

ACCEPTED = "accepted: videos, image folders, .slp"
NO_FRAME = "it holds no readable frame, as when recording or copying was cut short (copy it again from where it was recorded)"
MAX_PIXELS = 2**28
"""Largest image, also of those that are files of their own (see `sleap_lab/__init__.py`)."""
TRIES = 10
"""Frames that are looked at to tell what numbers a video holds; the first that can be read decides."""


@dataclass(frozen=True)
class Levels:
    """What the pixels of a video mean that are not bytes.

    Attributes:
        white: Value that is 1 to a network.
        brightest: Value that is white in a picture, at least `white`.
    """

    white: float = 255.0
    brightest: float = 255.0


def open_video(item: Input, *, dataset: str | None = None, input_format: str = "channels_last") -> sio.Video:
    """Open a video file, or the images of one video.

    Args:
        item: The file or images.
        dataset: Dataset of an HDF5 video; by default the first with four axes. Other videos have none.
        input_format: Axes of an HDF5 video: `channels_last` (frames, h, w, c) or `channels_first` (frames, c, w, h).

    Raises:
        RunError: It cannot be read, or holds no frame.
    """
    name = input_name(item)
    options = {}
    try:
        refuse_no_video(item if isinstance(item, Path) else item[0], dataset)
        if isinstance(item, Path) and item.suffix.lower() in HDF5:
            _check_dataset(item, dataset)
            options = {"dataset": dataset, "input_format": input_format}
        elif isinstance(item, Path):
            vet_video(item)
        video = sio.load_video(str(item) if isinstance(item, Path) else [str(image) for image in item], **options)
        for file in [item] if isinstance(item, Path) else item:
            _check_pages(file, video)
    except RunError:
        raise
    except Exception as error:  # every backend has its own errors for a file it cannot read
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RunError(f"{name} cannot be read as a video ({reason}); {ACCEPTED}") from error
    if not len(frame_numbers(video)):
        raise RunError(f"{name} cannot be read as a video: {NO_FRAME}; {ACCEPTED}")
    return video


def _check_dataset(file: Path, dataset: str | None) -> None:
    """Refuse an HDF5 file without the dataset that was asked for, or without any that holds frames."""
    with h5py.File(file) as opened:
        shapes: dict[str, tuple[int, ...]] = {}
        opened.visititems(lambda name, found: shapes.update({name: found.shape}) if isinstance(found, h5py.Dataset) else None)
    # Frames are stored as an array, or as encoded images in a dataset called "video".
    able = [name for name, shape in shapes.items() if len(shape) == 4 or name.endswith("/video")]
    wanted = None if dataset is None else dataset.strip("/")
    if not able:
        held = ", ".join(f"{name} {shape}" for name, shape in list(shapes.items())[:5]) or "nothing"
        raise RunError(f"{file} holds no dataset of frames, with four axes; it holds {held}")
    if wanted is not None and not {wanted, f"{wanted}/video"} & set(able):
        raise RunError(f"{file} has no frames in the dataset {dataset!r}; accepted: {', '.join(able)}.{did_you_mean(wanted, able)}")
    if any(name.endswith("/video") for name in able):  # beside which sleap-io looks for more
        check_hdf5(file, images=True)
    with h5py.File(file) as opened:
        for name in able:
            check_dataset(opened[name])
            if (size := prod(shapes[name][1:])) > MAX_PIXELS:
                raise RunError(f"{file} holds images of {size} numbers in {name}; accepted: up to {MAX_PIXELS}")


def _check_pages(file: Path, video: sio.Video) -> None:
    """Refuse a TIFF of several pages that are not the frames of the video: its axes are guessed from their sizes."""
    import cv2  # `open_source` says what to do where it is missing

    if file.suffix.lower() not in (".tif", ".tiff") or (pages := cv2.imcount(str(file))) <= 1:
        return
    if (
        isinstance(video.backend, ImageVideo)
        or len(video) != pages
        or not all(_is_page(file, video, i) for i in (0, pages // 2, pages - 1))
    ):
        raise RunError(f"{file} holds {pages} pages that cannot be read one by one; convert it to a video or to one image per frame")


def _is_page(file: Path, video: sio.Video, page: int) -> bool:
    """Say whether a frame of a video is the page of that number, by its first channel."""
    import cv2

    _, images = cv2.imreadmulti(str(file), page, 1, flags=cv2.IMREAD_UNCHANGED)
    if not len(images):
        return False
    image = np.asarray(images[0])
    image = image[..., 2] if image.ndim == 3 and image.shape[2] in (3, 4) else image.squeeze()  # OpenCV has blue first
    return np.array_equal(image, video[page][..., 0])


def frame_numbers(video: sio.Video) -> Sequence[int]:
    """Return the frames that a video has; of a package those that it holds, and none where it cannot be read."""
    if held := getattr(video.backend, "frame_map", None):
        return sorted(map(int, held))
    try:
        if isinstance(video.backend, (HDF5Video, ImageVideo)) or not isinstance(video.filename, str):
            return range(len(video))
        return range(min(len(video), Path(video.filename).stat().st_size))  # whatever a file says, a frame takes a byte at least
    except Exception:  # an unreadable file
        return range(0)


def read_pixels(video: sio.Video, frame: int) -> np.ndarray:
    """Read one frame as it is stored, without transparency.

    Returns:
        (h, w, c) of the video's own type, c 1 or 3.

    Raises:
        ValueError: It has another number of channels, or is another frame.
        Exception: Whatever the reader of this kind of video raises.
    """
    if isinstance(video.filename, str) and ADDRESS.match(video.filename):
        raise ValueError("it is an address, and nothing is fetched; download it and put it beside the labels")
    image = np.asarray(video[frame])
    if isinstance(video.backend, MediaVideo) and (position := _position(video.backend)) not in (None, frame + 1):
        # Where a file is damaged, looking for a frame ends at the last good one before, which is given instead.
        raise ValueError(f"another frame came instead, number {position - 1}")
    channels = image.shape[2]
    if channels == 4:
        opencv = isinstance(video.backend, ImageVideo) and video.backend.plugin == "opencv"  # which keeps blue first beside transparency
        image = image[..., 2::-1] if opencv else image[..., :3]
    elif channels == 2:
        image = image[..., :1]
    elif channels not in (1, 3):
        raise ValueError(f"an image of {channels} channels; accepted: grey or RGB, with or without transparency")
    if image.shape[2] == 3 and image.strides[2] == -1:  # OpenCV's blue first, seen from behind; copying that is slow
        import cv2

        return cv2.cvtColor(image[..., ::-1], cv2.COLOR_BGR2RGB)
    return np.ascontiguousarray(image)


def _position(backend: MediaVideo) -> int | None:
    """Return the number of the frame that comes next; None where the reader does not tell."""
    if backend.plugin != "opencv" or not backend.keep_open:
        return None
    import cv2

    return int(backend.reader.get(cv2.CAP_PROP_POS_FRAMES))


def find_levels(video: sio.Video, frames: np.ndarray) -> Levels | None:
    """Tell from the first frame that can be read what the numbers of a video mean; None where they are bytes.

    Whole numbers of any size are divided by 255 for the network, as sleap-nn does in training. Fractions are too, unless the
    first frame stays within 0 and 1: then they already are what a network takes.

    Args:
        video: The video.
        frames: (frames,) its frames that will be read, in order.
    """
    if video.backend is None or isinstance(video.backend, MediaVideo):  # decoders of video files give bytes
        return None
    for frame in frames[:TRIES].tolist():
        try:
            image = read_pixels(video, frame)
        except Exception:
            continue
        if image.dtype == np.uint8:
            return None
        highest = float(np.nanmax(image))
        white = 255.0 if image.dtype.kind in "iu" or highest > 1 else 1.0
        return Levels(white, max(white, 2.0 ** int(highest).bit_length() - 1))
    return None


def release(video: sio.Video) -> None:
    """Close the files of a video, which reading opens again: of many videos, only one at a time is held open."""
    if video.backend is not None:
        video.backend.close()
