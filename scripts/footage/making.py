"""Making the recordings of the list, each once, in a folder."""

import random
import shlex
import shutil
from pathlib import Path

import numpy as np

from scripts.footage.bar_code import BLACK, picture
from scripts.footage.recipes import named
from scripts.footage.recording import Recording
from scripts.footage.tools import ffmpeg

RATE = 25


def make(recording: Recording, folder: Path) -> Path:
    """Make a recording, and before it what it is made of, where they are not there yet.

    Raises:
        RuntimeError: ffmpeg cannot make it.
    """
    path = folder / recording.name
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{recording.name}"
    encode(recording, folder, part)
    if recording.more is not None:
        part.write_bytes(part.read_bytes() + make(named(recording.more), folder).read_bytes())
    if recording.edit is not None:
        recording.edit(part, random.Random(recording.name))
    part.rename(path)
    return path


def encode(recording: Recording, folder: Path, path: Path) -> None:
    """Make the file of a recording as it is before edits."""
    words, pictures = shlex.split(recording.args), None
    if recording.source is not None:
        source = make(named(recording.source), folder)
        if words == ["-c", "copy"] and not recording.before and source.suffix == path.suffix:
            shutil.copyfile(source, path)
            return
        first = [*shlex.split(recording.before), "-i", str(source)]
    else:
        drawn = [
            np.rot90(_drawn(number, recording.size), recording.turns)
            for number in recording.numbers
        ]
        pictures = b"".join(image.tobytes() for image in drawn)
        height, width = drawn[0].shape[:2]
        first = [
            "-f",
            "rawvideo",
            "-pix_fmt",
            "rgb24",
            "-s",
            f"{width}x{height}",
            "-r",
            str(RATE),
            "-i",
            "pipe:0",
        ]
    if recording.live is None:
        ffmpeg(*first, *words, str(path), pictures=pictures)
    else:
        path.write_bytes(ffmpeg(*first, *words, "-f", recording.live, "pipe:1", pictures=pictures))


def _drawn(number: int | None, size: tuple[int, int]) -> np.ndarray:
    """Draw a picture, or none: black."""
    return (
        np.full((size[1], size[0], 3), BLACK, np.uint8)
        if number is None
        else picture(number, *size)
    )
