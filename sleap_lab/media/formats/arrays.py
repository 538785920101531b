"""Arrays over a whole video that take space only where a block of frames holds a pose."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sleap_lab.poses.record import Poses

BLOCK = 4096
"""Frames that are stored together."""
PACKED: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
MOST_EMPTY_BYTES = 4 * 2**30
"""Most empty bytes of arrays that are written.

No program that reads larger arrays as a whole could open them.
"""


def block_length(length: int) -> int:
    """Return how many frames of a video of some length are stored together."""
    return min(BLOCK, length)


def blocks(
    frames: np.ndarray, values: np.ndarray, length: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the parts of a video that hold values, and their values with nan between them.

    Args:
        frames: (n,) frame of each value; of several values in one frame, the last counts.
        values: (n, ...) values.
        length: Frames of the video.
    """
    order = np.argsort(frames, kind="stable")
    frames, values = frames[order], values[order]
    ends = np.flatnonzero(np.diff(frames // BLOCK)) + 1
    for own, part in zip(np.split(frames, ends), np.split(values, ends), strict=True):
        start = int(own[0]) // BLOCK * BLOCK
        block = np.full((min(BLOCK, length - start), *values.shape[1:]), np.nan)
        block[own - start] = part
        yield slice(start, start + len(block)), block


def too_large(poses: Poses, lanes: Sequence[tuple[str, np.ndarray]], length: int) -> str:
    """Return why arrays over a whole video and all lanes are too large; empty if they are not."""
    nodes, filled = len(poses.skeleton.nodes), sum(len(rows) for _, rows in lanes)
    if (length * len(lanes) - filled) * nodes * 3 * 8 <= MOST_EMPTY_BYTES:
        return ""
    size = length * len(lanes) * nodes * 3 * 8 / 2**30
    return (
        f"{length:,} frames x {len(lanes):,} tracks x {nodes} nodes take {size:,.1f} GB, "
        f"nearly all of it empty ({filled:,} instances); "
        "csv and slp hold the same poses, and fewer tracks or a shorter video need less."
    )


def repeated(poses: Poses, file: str) -> list[str]:
    """Return a sentence on tracks with several instances in a frame, if any.

    An array has one place for a track in a frame.
    """
    tracked = np.flatnonzero(poses.tracks >= 0)
    places = np.column_stack([poses.video, poses.frame, poses.tracks])[tracked]
    _, first, counts = np.unique(places, axis=0, return_index=True, return_counts=True)
    if (more := int(counts.sum()) - len(counts)) == 0:
        return []
    example = tracked[first[np.argmax(counts > 1)]]
    return [
        f"{file} holds one instance of a track in a frame: {more} more are not in it, the first in "
        f"frame {poses.frame[example]} of track {poses.track_names[poses.tracks[example]]}."
    ]
