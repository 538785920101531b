"""Which frames: the selection in `data.frames`, and the pieces of a long recording."""

import re
from dataclasses import dataclass
from math import ceil
from typing import Any

from sleap_lab.errors import ConfigError

MOST_FRAMES = 20_000_000
"""Longest accepted range of frames, more than two days at 100 frames/s; longer ones are typos."""


def parse_frames(spec: Any, key: str = "data.frames") -> list[int] | None:
    """Read a frame selection.

    Accepted are numbers, ranges with both ends included, and lists of these: `"0-100,200-300"`,
    `"5,9,12-20"`, `[5, 9, "12-20"]`, `7`; `"0,-100"` is the range 0-100. Repeated frames count
    once.

    Returns:
        Frame numbers in the order given; None for no selection.

    Raises:
        ConfigError: The selection cannot be read.
    """
    if spec is None or spec == "":
        return None
    given = list(spec) if isinstance(spec, (list, tuple)) else [spec]
    if negative := [item for item in given if isinstance(item, int) and item < 0]:
        raise ConfigError(f"{key}: got the negative frame {negative[0]}; frames count from 0")
    items = [part for item in given for part in str(item).split(",")]
    frames: list[int] = []
    for item in (part.strip() for part in items):
        if match := re.fullmatch(r"(\d+)\s*-\s*(\d+)", item):
            first, last = int(match[1]), int(match[2])
        elif re.fullmatch(r"\d+", item):
            first = last = int(item)
        elif re.fullmatch(r"-\d+", item) and frames:
            first, last = frames[-1] + 1, int(item[1:])
        else:
            raise ConfigError(
                f"{key}: cannot read {item!r} in {spec!r}; "
                'accepted: "0-100,200-300", "5,9,12-20" or a list of these'
            )
        # An item that begins with "-" continues the range from the frame before it.
        if last < first - item.startswith("-"):
            raise ConfigError(
                f"{key}: the range {item!r} in {spec!r} is empty; write the smaller frame first"
            )
        if last - first >= MOST_FRAMES:
            raise ConfigError(
                f"{key}: the range {item!r} in {spec!r} is longer than any video "
                f"({MOST_FRAMES} frames)"
            )
        frames.extend(range(first, last + 1))
    return list(dict.fromkeys(frames))


LARGEST_BATCH = 64
"""Largest batch that `runtime.batch_size=auto` takes; all sizes that it takes are parts of it."""


@dataclass(frozen=True)
class Piece:
    """A range of the frames of a prediction, `start` included; `stop` None is its end."""

    start: int = 0
    stop: int | None = None


def cut_in_pieces(frames: int, size: int, batch_size: int) -> list[Piece]:
    """Return ranges of whole batches, so that batches are those of a single run.

    Args:
        frames: Number of frames of the whole.
        size: Frames of a piece, which are rounded up to whole batches.
        batch_size: Frames of a batch.
    """
    size = ceil(size / batch_size) * batch_size
    return [Piece(start, min(start + size, frames)) for start in range(0, frames, size)]
