"""Frames of recordings in order and at random, and their index.

Compares our reader with sleap-io on OpenCV.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
import sleap_io as sio

from benchmarks.timing import publish, table
from benchmarks.videos import play_again
from sleap_lab.media.index import read_index
from sleap_lab.media.videos import open_recording

VIDEOS = ("centered_pair_small.mp4", "small_robot.mp4", "two_flies.mp4")
HOUR = 108_000
"""Frames of an hour at 30 frames per second."""
LOOKED_FOR = 20


class Row(NamedTuple):
    """One measurement of one side: ms per frame, or seconds of an index."""

    case: str
    side: str
    round: int
    value: float


def run(reference: Path, *, rounds: int) -> None:
    """Time both sides in alternation, print medians, and write all timings to a CSV file."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        hour = play_again(
            reference / "videos" / VIDEOS[0], Path(scratch) / "hour.mp4", HOUR, (128, 128)
        )
        somewhere = [Random(0).randrange(HOUR) for _ in range(LOOKED_FOR)]
        cases: list[tuple[str, Path, Sequence[int]]] = [
            *(
                (f"{name}, in order", path, range(read_index(path).count))
                for name in VIDEOS
                for path in [reference / "videos" / name]
            ),
            ("an hour, frames here and there", hour, somewhere),
        ]
        for turn in range(-1, rounds):  # the first is for warming up
            for case, path, frames in cases:
                rows += [
                    Row(case, side, turn, _ms_per_frame(read(path), frames))
                    for side, read in SIDES.items()
                ]
            begun = time.perf_counter()
            read_index(hour)
            rows.append(Row("an hour, index", "ours", turn, time.perf_counter() - begun))
    rows = [row for row in rows if row.round >= 0]
    lines = []
    for case in dict.fromkeys(row.case for row in rows):
        medians = [
            statistics.median(values) if (values := _values(rows, case, side)) else None
            for side in SIDES
        ]
        unit = "s" if case.endswith("index") else "ms per frame"
        lines.append(
            [case, unit, *("–" if median is None else f"{median:.3g}" for median in medians)]
        )
    print(shown := table(["", "", *SIDES], lines))
    publish("reading", shown, rows)


def _values(rows: Sequence[Row], case: str, side: str) -> list[float]:
    return [row.value for row in rows if (row.case, row.side) == (case, side)]


def _ms_per_frame(read: Callable[[int], np.ndarray], frames: Sequence[int]) -> float:
    begun = time.perf_counter()
    for frame in frames:
        read(frame)
    return 1000 * (time.perf_counter() - begun) / len(frames)


def _with_opencv(path: Path) -> Callable[[int], np.ndarray]:
    video = sio.load_video(str(path), plugin="opencv")
    video[0]  # opens the file, and decides whether it has colour
    return video.__getitem__


def _ours(path: Path) -> Callable[[int], np.ndarray]:
    return open_recording(path).read


SIDES: dict[str, Callable[[Path], Callable[[int], np.ndarray]]] = {
    "ours": _ours,
    "sleap-io with OpenCV": _with_opencv,
}
