"""ffmpeg and ffprobe: what they make, and what they say is in a file."""

import json
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Packet:
    """Position of a packet of pictures in a file, bytes, and whether decoding can begin at it."""

    position: int
    size: int
    key: bool


def ffmpeg(*words: str, pictures: bytes | None = None) -> bytes:
    """Run ffmpeg and return what it writes to its output.

    Args:
        *words: Arguments.
        pictures: What it reads from its input.

    Raises:
        RuntimeError: It fails.
    """
    done = subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-y", *words], input=pictures, capture_output=True
    )
    if done.returncode:
        raise RuntimeError(
            f"ffmpeg {' '.join(words)}: {done.stderr.decode(errors='replace')[-800:]}"
        )
    return done.stdout


def shown(path: Path, words: str) -> bytes:
    """Return ffmpeg's output for the pictures of a file; damage ends it early without an error."""
    command = [
        "ffmpeg",
        "-v",
        "quiet",
        "-nostdin",
        "-i",
        str(path),
        "-map",
        "0:v:0",
        *shlex.split(words),
        "pipe:1",
    ]
    return subprocess.run(command, capture_output=True).stdout


def shape(path: Path) -> tuple[int, int] | None:
    """Return width and height of the pictures, upright as ffmpeg shows them; None without any."""
    header = shown(path, "-frames:v 1 -f image2pipe -c:v ppm").split(maxsplit=3)
    return (int(header[1]), int(header[2])) if len(header) > 2 else None


def decoded(path: Path) -> list[np.ndarray]:
    """Return the pictures that ffmpeg decodes, each (h, w, 3) uint8 RGB.

    Pictures of another size are scaled to the size of the first.
    """
    size = shape(path)
    if size is None:
        return []
    raw = np.frombuffer(shown(path, "-fps_mode passthrough -f rawvideo -pix_fmt rgb24"), np.uint8)
    area = 3 * size[0] * size[1]
    return list(raw[: len(raw) // area * area].reshape(-1, size[1], size[0], 3))


def packets(path: Path) -> list[Packet]:
    """Return the packets of the pictures in the order of the file."""
    words = "ffprobe -v error -select_streams v:0 -show_entries packet=pos,size,flags -of json"
    found = json.loads(
        subprocess.run([*shlex.split(words), str(path)], capture_output=True, check=True).stdout
    )["packets"]
    return [Packet(int(row.get("pos", -1)), int(row["size"]), "K" in row["flags"]) for row in found]
