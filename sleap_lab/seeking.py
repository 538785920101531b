"""Whether the frames of a video file are where their numbers say, tried out on a few of them.

Frames that are read one after the other are those of the file. A frame that is looked for is found by its time, and where the rate
is not constant, the index is wrong or a part is damaged, that is another frame, and nobody says so. A file that was cut short
may still promise all of its frames.
"""

import shlex
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import sleap_io as sio
from sleap_io.io.video_reading import MediaVideo

from sleap_lab.videos import read_pixels, release

TESTED_FRAMES = 120
"""How much of the beginning of a video is read in order, to compare with."""
SAMPLES = 8


def is_media(video: sio.Video) -> bool:
    """Say whether a video is a file whose frames must be looked for: compressed, one after the other."""
    return isinstance(video.backend, MediaVideo)


def reencoding(path: Path) -> str:
    """Return the command that makes a video of the same frames in which each is where its number says."""
    fixed = path.with_name(f"{path.stem}.fixed.mp4")
    options = "-an -vf setpts=N/FRAME_RATE/TB -fps_mode passthrough -c:v libx264 -crf 18 -pix_fmt yuv420p"
    return f"ffmpeg -i {shlex.quote(str(path))} {options} {shlex.quote(str(fixed))}"


def seek_problem(video: sio.Video, frames: Sequence[int]) -> str | None:
    """Compare a few frames near the beginning of a video, found by seeking, with the same frames read in order.

    Args:
        video: The video.
        frames: What will be read of it, in order. The first frames of a video in order need no seeking and are not tested.

    Returns:
        A warning; None where there is nothing to warn of.
    """
    if not is_media(video) or list(frames) == list(range(len(frames))):
        return None
    with _reopened(video) as in_order, _reopened(video) as sought:
        count = min(len(in_order), TESTED_FRAMES)
        digests = [_digest(in_order, frame) for frame in range(count)]
        for frame in _spread(0, count)[::-1]:
            found = _digest(sought, frame)
            if None not in (found, digests[frame]) and found != digests[frame]:
                instead = f"frame {digests.index(found)}" if found in digests else "another one"
                return _warning(video, f"looking for frame {frame} finds {instead}", "Poses will be of other frames than asked for.")
    return None


def order_problem(video: sio.Video, frame: int, image: np.ndarray) -> str | None:
    """Compare a frame that was reached by reading in order with what looking for it finds.

    Args:
        video: The video.
        frame: Number of the frame.
        image: (h, w, c) what was read, as the video gives it.

    Returns:
        A warning; None where there is nothing to warn of.
    """
    with _reopened(video) as reopened:
        found = _digest(reopened, frame)
    if found == _hash(image):
        return None
    what = f"frame {frame} read in order is not the one that looking for it finds"
    meaning = "If it is damaged, poses are of other frames than their numbers say; if not, pictures of them and the SLEAP GUI show others."
    return _warning(video, what, meaning)


def last_readable(video: sio.Video, frames: Sequence[int]) -> int:
    """Return how many of some frames come before the end of a video, which may be earlier than the file says.

    Args:
        video: The video.
        frames: Frames of it, in ascending order.

    Returns:
        Number of the frames up to the last that can be read; all of them where the last can be, and where only some of those
        after the first that cannot be read are damaged.
    """
    if not is_media(video) or not len(frames):
        return len(frames)
    with _reopened(video) as reopened:
        if _digest(reopened, frames[-1]) is not None:
            return len(frames)
        low, high = 0, len(frames) - 1  # all before `low` are taken for readable, `high` is not
        while low < high:
            middle = (low + high) // 2
            if _digest(reopened, frames[middle]) is not None:
                low = middle + 1
            else:
                high = middle
        return low if all(_digest(reopened, frames[i]) is None for i in _spread(low, len(frames))) else len(frames)


@contextmanager
def _reopened(video: sio.Video) -> Iterator[sio.Video]:
    """Open the file of a video once more, so that reading here moves nothing there."""
    backend = video.backend
    reopened = sio.Video(video.filename, backend=MediaVideo(backend.filename, grayscale=backend.grayscale, plugin=backend.plugin))
    try:
        yield reopened
    finally:
        release(reopened)


def _spread(start: int, stop: int) -> list[int]:
    """Return a few numbers of a range, the first and the last among them."""
    return np.unique(np.linspace(start, stop - 1, SAMPLES).astype(int)).tolist()


def _digest(video: sio.Video, frame: int) -> int | None:
    """Return a hash of a frame; None where it cannot be read."""
    try:
        return _hash(read_pixels(video, frame))
    except Exception:  # every backend has its own errors
        return None


def _hash(image: np.ndarray) -> int:
    """Return a hash of the first channel, the only one that is read of an image that is found to be gray."""
    return zlib.crc32(image[..., 0].tobytes())


def _warning(video: sio.Video, what: str, meaning: str) -> str:
    path = Path(video.filename)
    return (
        f"{path}: {what}. The video has no constant frame rate, a wrong index or damaged parts. {meaning} "
        f"To be sure of frame numbers, re-encode it and use the result: {reencoding(path)}"
    )
