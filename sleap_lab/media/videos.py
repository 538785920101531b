"""Opening of videos of any kind: media files, images and arrays, each with its reader."""

from collections.abc import Callable
from math import prod
from pathlib import Path

import av
import h5py
import numpy as np
import sleap_io as sio
from sleap_io.io.video_reading import CropVideoBackend, ImageVideo, MediaVideo

from sleap_lab.errors import RunError, did_you_mean, one_line
from sleap_lab.errors.interruption import raise_interruption
from sleap_lab.files.safe_load import check_dataset, check_hdf5
from sleap_lab.media.headers import ADDRESS, refuse_no_video, vet_video
from sleap_lab.media.index import FrameIndex, read_index
from sleap_lab.media.missing import IS_ADDRESS, NO_FILE, NOT_THERE, MissingVideo
from sleap_lab.media.packets import MAX_PIXELS
from sleap_lab.media.readers import (
    CroppedReader,
    MediaReader,
    Reader,
    StoredReader,
    Unreadable,
    file_state,
)
from sleap_lab.media.recording import Recording
from sleap_lab.settings.inputs import HDF5, Input, input_name, is_media

ACCEPTED = "accepted: videos, image folders, .slp"
NO_FRAME = (
    "it holds no readable frame, as when recording or copying was cut short "
    "(copy it again from where it was recorded)"
)
Indexer = Callable[[Path], FrameIndex]
"""A function like `read_index`; it may cache its results."""


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
            f"it cannot be read as a video; {ACCEPTED}" if video.exists() else f"it {NOT_THERE}"
        )
    return StoredReader(video)


def open_recording(path: Path, index: Indexer = read_index) -> Reader:
    """Return the reader of a media file, or where it is unreadable, one that gives the reason."""
    try:
        if not path.is_file():
            return Unreadable(f"it {NO_FILE if path.exists() else NOT_THERE}")
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
        raise_interruption(error)
        raise RunError(
            f"{name} cannot be read as a video ({one_line(error)}); {ACCEPTED}"
        ) from error
    reader = StoredReader(video)
    video.grayscale = reader.gray  # instead of the look of its first frame
    if video.shape is None:
        video.backend_metadata["shape"] = _shape_of_readable(reader)
    if video.shape is None or not len(reader.numbers):
        raise RunError(f"{name} cannot be read as a video: {NO_FRAME}; {ACCEPTED}")
    return video, reader


def _shape_of_readable(reader: StoredReader) -> tuple[int, int, int, int] | None:
    """Return the shape of a video by the first frame that can be read, None if none can.

    sleap-io takes that of the first frame.
    """
    for frame in reader.numbers:
        try:
            height, width, channels = reader.read(frame).shape
        except Exception as error:  # each kind of image has its own errors
            raise_interruption(error)
            continue
        return len(reader.numbers), height, width, channels
    return None


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


def frame_datasets(file: Path) -> list[str]:
    """Return the datasets of an HDF5 file that may hold frames, in the order of their names.

    Frames are stored as an array, or as encoded images in a dataset called "video".
    """
    return [
        name for name, shape in _shapes(file).items() if len(shape) == 4 or name.endswith("/video")
    ]


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of each dataset of an HDF5 file by its name."""
    shapes: dict[str, tuple[int, ...]] = {}

    def collect(name: str, found: h5py.Group | h5py.Dataset) -> None:
        if isinstance(found, h5py.Dataset):
            shapes[name] = found.shape

    with h5py.File(file) as opened:
        opened.visititems(collect)
    return shapes


def _check_dataset(file: Path, dataset: str | None) -> None:
    """Refuse an HDF5 file without the requested dataset, or without any dataset of frames."""
    shapes, able = _shapes(file), frame_datasets(file)
    requested = None if dataset is None else dataset.strip("/")
    if not able:
        held = ", ".join(f"{name} {shape}" for name, shape in list(shapes.items())[:5]) or "nothing"
        raise RunError(f"{file} holds no dataset of frames, with four axes; it holds {held}")
    if requested is not None and not {requested, f"{requested}/video"} & set(able):
        raise RunError(
            f"{file} has no frames in the dataset {dataset!r}; "
            f"accepted: {', '.join(able)}.{did_you_mean(requested, able)}"
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

    if file.suffix.lower() not in (".tif", ".tiff"):
        return
    pages = cv2.imcount(str(file))
    if pages <= 1 and not isinstance(video.backend, ImageVideo) and len(video) > 1:
        # A stack whose table names its first page only, as ImageJ writes large ones.
        raise RunError(
            f"{file} holds 1 page, which cannot be read as one image; "
            "convert it to a video or to one image per frame"
        )
    if pages > 1 and (
        isinstance(video.backend, ImageVideo)
        or len(video) != pages
        or not all(_is_page(file, video, i) for i in (0, pages // 2, pages - 1))
    ):
        raise RunError(
            f"{file} holds {pages} pages that cannot be read one by one; "
            "convert it to a video or to one image per frame"
        )


def _is_page(file: Path, video: sio.Video, page: int) -> bool:
    """Return whether a frame of a video equals the page of that number, by its first channel."""
    import cv2

    _, images = cv2.imreadmulti(str(file), page, 1, flags=cv2.IMREAD_UNCHANGED)
    if not len(images):
        return False
    image = np.asarray(images[0])
    # OpenCV has blue first.
    image = image[..., 2] if image.ndim == 3 and image.shape[2] in (3, 4) else image.squeeze()
    return np.array_equal(image, video[page][..., 0])
