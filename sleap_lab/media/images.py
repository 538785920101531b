"""Checks of the images of a video: missing ones, those that are cut short or to be rotated."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import sleap_io as sio

from sleap_lab.errors import listed
from sleap_lab.errors.interruption import raise_interruption
from sleap_lab.files.pointers import is_pointer

JPEG = (".jpg", ".jpeg")
EXIF_ORIENTATION = 274
TURNED = range(2, 9)
"""Orientations other than upright."""
BEGIN, END = b"\xff\xd8", b"\xff\xd9"
"""The first and the last marker of a JPEG file (ITU-T T.81, B.1.1)."""
NUMBER = re.compile("[0-9]+")
MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""A marker with a segment, or the end; neither a compressed byte nor a place to begin again."""


def is_there(name: str | Path) -> bool:
    """Return whether a file exists and may be read; a name that cannot be looked up does not exist.

    Lack of access or too long a name makes a lookup fail.
    """
    try:
        if not Path(name).is_file():
            return False
        with open(name, "rb") as file:
            file.read(1)
    except (OSError, ValueError):
        return False
    return True


def absent_images(names: Sequence[str]) -> list[str]:
    """Return the images that are missing, or that are only Git LFS pointers."""
    return [name for name in names if not is_there(name) or is_pointer(Path(name))]


def ends_within_picture(name: str | Path) -> bool:
    """Return whether a JPEG file lacks its end marker, as one that was cut short does.

    Decoders fill what is missing with gray, and so a picture without its marker may be whole.
    Whatever follows the picture does not count, and neither do other formats, whose decoders tell.
    """
    with open(name, "rb") as file:
        content = file.read(len(BEGIN))
        if content != BEGIN:
            return False
        file.seek(-len(END), 2)
        if file.read() == END:
            return False
        file.seek(0)
        content = file.read()
    place = len(BEGIN)
    while found := MARKER.search(content, place):
        if found.group() == END:
            return False
        segment = found.end()
        place = segment + int.from_bytes(content[segment : segment + 2])
    return True


def naming_notes(images: Sequence[Path]) -> list[str]:
    """Return a sentence where the names of images tell that they are no gapless recording.

    Args:
        images: The images of one video in their order.
    """
    kinds = Counter(NUMBER.sub("#", image.name) for image in images)
    (kind, most), *_ = kinds.most_common()
    folder = images[0].parent
    if len(kinds) > 1:
        if "#" not in kind or most == 1:  # names that are not counted
            return []
        found = [f"{name} ({count})" for name, count in kinds.most_common()]
        return [
            f"{folder} holds images of {len(kinds)} kinds of names: {listed(found, 5)}. "
            "All are frames of one video, in the order of their names."
        ]
    columns = zip(*(map(int, NUMBER.findall(image.name)) for image in images), strict=True)
    counting = [numbers for numbers in columns if len(set(numbers)) > 1]
    if len(counting) != 1:
        return []
    steps = [after - before for before, after in pairwise(counting[0])]
    usual, times = Counter(steps).most_common(1)[0]
    after_gaps = [images[i].name for i, step in enumerate(steps, start=1) if step > usual]
    if not after_gaps or 2 * times < len(steps):  # chosen images, not a recording
        return []
    return [
        f"{folder}: numbers are missing in the names of its images before "
        f"{listed(after_gaps, 5)}. Frames are counted without gaps."
    ]


def orientation_notes(video: sio.Video, frames: Sequence[int]) -> list[str]:
    """Return a warning where images have a note that they are to be rotated for display.

    They are read as they are stored.

    Args:
        video: The video; only videos of images have such notes.
        frames: Its frames that will be read.
    """
    from PIL import Image  # most videos are not made of images

    names = (
        [video.filename[frame] for frame in frames if frame < len(video.filename)]
        if isinstance(video.filename, list)
        else []
    )
    turned = []
    for name in names:
        if Path(name).suffix.lower() in JPEG:
            try:
                with Image.open(name) as image:
                    if image.getexif().get(EXIF_ORIENTATION) in TURNED:
                        turned.append(name)
            except Exception as error:  # reading the pixels reports the problem
                raise_interruption(error)
    if not turned:
        return []
    return [
        f"{len(turned)} of {len(names)} images, the first {turned[0]}, say that they are to be "
        "shown turned (EXIF orientation). They are read as they are stored, as in SLEAP, and "
        "poses are those of the stored image. To turn the images themselves: mogrify -auto-orient"
    ]


def display_path(files: str | list[str]) -> Path:
    """Return the name of a video in messages: its file, or the folder of its images."""
    return Path(files[0]).parent if isinstance(files, list) else Path(files)
