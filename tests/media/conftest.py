"""Clips whose frames show their own numbers."""

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest

HEIGHT, WIDTH, BITS = 32, 96, 6


def picture(number):
    """A frame of 32 x 96 pixels that shows a number as six bars."""
    image = np.full((HEIGHT, WIDTH, 3), 60, dtype=np.uint8)
    for bit in range(BITS):
        image[4:28, 16 * bit + 2 : 16 * bit + 14] = 230 if number >> bit & 1 else 20
    return image


def number_of(image):
    """The number that a frame shows."""
    return sum(
        int(image[8:24, 16 * bit + 5 : 16 * bit + 11].mean() > 125) << bit for bit in range(BITS)
    )


def ffmpeg(*arguments, given=None):
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)],
        input=given,
        check=True,
    )


@pytest.fixture(scope="session")
def show():
    """Return what draws a number into a frame."""
    return picture


@pytest.fixture(scope="session")
def shown():
    """Return what reads the number of a frame."""
    return number_of


@pytest.fixture(scope="session")
def convert():
    """Return what runs ffmpeg with some arguments."""
    return ffmpeg


@pytest.fixture
def clip(tmp_path):
    """Return a function that writes a clip of numbered frames, with a key frame at every tenth.

    Its options come before the file in the command.
    """

    def write(*options, name="clip.mp4", count=40, codec="libx264"):
        frames = b"".join(picture(i).tobytes() for i in range(count))
        raw = (
            "-f",
            "rawvideo",
            "-pix_fmt",
            "rgb24",
            "-s",
            f"{WIDTH}x{HEIGHT}",
            "-r",
            "25",
            "-i",
            "-",
        )
        pixels = () if "-pix_fmt" in options else ("-pix_fmt", "yuv420p")
        ffmpeg(*raw, "-c:v", codec, "-g", "10", *pixels, *options, tmp_path / name, given=frames)
        return tmp_path / name

    return write
