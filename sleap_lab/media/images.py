"""What can be known of the images of a video before they are read: which are not there, and which are meant to be turned."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import sleap_io as sio

from sleap_lab.files.pointers import is_pointer

JPEG = (".jpg", ".jpeg")
EXIF_ORIENTATION = 274
TURNED = range(2, 9)
"""Orientations other than upright."""


def is_there(name: str | Path) -> bool:
    """Say whether there is a file that may be read; what cannot be looked for (no access, too long a name) is not there."""
    try:
        if not Path(name).is_file():
            return False
        with open(name, "rb") as file:
            file.read(1)
    except (OSError, ValueError):
        return False
    return True


def absent_images(names: Sequence[str]) -> list[str]:
    """Return those of some images that are not there, or that Git LFS left only a pointer to."""
    return [name for name in names if not is_there(name) or is_pointer(Path(name))]


def orientation_notes(video: sio.Video, frames: Sequence[int]) -> list[str]:
    """Return a warning where a camera noted that images are to be turned for showing: they are read as they are stored.

    Args:
        video: The video; what is not made of images has no such notes.
        frames: Its frames that will be read.
    """
    from PIL import Image  # most videos are no images

    names = (
        [video.filename[frame] for frame in frames if frame < len(video.filename)]
        if isinstance(video.filename, list)
        else []
    )
    turned = []
    for name in names:
        if Path(name).suffix.lower() in JPEG:
            with (
                suppress(Exception),
                Image.open(name) as image,
            ):  # reading its pixels says what is wrong
                if image.getexif().get(EXIF_ORIENTATION) in TURNED:
                    turned.append(name)
    if not turned:
        return []
    return [
        f"{len(turned)} of {len(names)} images, the first {turned[0]}, have a note that they are to be turned (EXIF orientation). They are "
        "read as they are stored, as SLEAP reads them, and so are the poses. To turn the images themselves: mogrify -auto-orient"
    ]
