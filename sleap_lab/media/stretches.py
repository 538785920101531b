"""Stretches of suspicious pictures: blank ones, repeated ones, and a change of size."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sleap_lab.errors import listed

if TYPE_CHECKING:
    from sleap_lab.media.source import Frame

LONG = 10
"""Frames from which on a stretch is reported.

A still animal may leave a compressed picture unchanged for a few frames.
"""
SAMPLED = 16
"""Step in pixels of the sample that is compared first, because nearly all pictures differ there."""

BLANK_SPREAD = 4
"""Gray levels by which the pixels of a blank picture may differ: compression is not exact."""

BLANK, REPEATED = "blank", "repeated"
MEANING = {
    BLANK: (
        "{count} frames of {video} are blank, of one value everywhere: {ranges}. "
        "Nothing can be found in them."
    ),
    REPEATED: (
        "{count} frames of {video} show the picture of the frame before, unchanged: {ranges}. "
        "The camera or the recorder stood still there, or nothing moved."
    ),
}
RESIZED = (
    "The frames of {video} are of {count} sizes: {sizes} px; frame {frame} is the first of another "
    "size. Poses are in pixels of their own frame; those of different sizes must not be compared."
)


class Stretches:
    """Watches frames as they pass and records suspicious stretches."""

    def __init__(self) -> None:
        """Begin without any stretch."""
        self._found: dict[tuple[int, str], list[tuple[int, int]]] = {}
        self._sizes: dict[int, dict[str, int]] = {}
        """Video -> its sizes, each with the first frame of it."""

    def watch(self, frames: "Iterable[Frame]") -> "Iterator[Frame]":
        """Yield the frames, and record stretches of consecutive ones."""
        previous: Frame | None = None
        for frame in frames:
            if frame.image is not None:
                self._look(frame, previous)
                previous = frame
            yield frame

    def notes(self, names: Sequence[str]) -> list[str]:
        """Return a sentence about each kind of stretch in each video.

        Args:
            names: Names of the videos.
        """
        notes = []
        for (video, kind), spans in sorted(self._found.items()):
            long = [(first, last) for first, last in spans if last - first + 1 >= LONG]
            if long:
                count = sum(last - first + 1 for first, last in long)
                ranges = listed([f"{first}-{last}" for first, last in long], 10)
                notes.append(MEANING[kind].format(count=count, video=names[video], ranges=ranges))
        for video, first_of in self._sizes.items():
            if len(first_of) > 1:
                sizes, frame = listed(list(first_of), 5), list(first_of.values())[1]
                notes.append(
                    RESIZED.format(
                        video=names[video], count=len(first_of), sizes=sizes, frame=frame
                    )
                )
        return notes

    def _look(self, frame: "Frame", previous: "Frame | None") -> None:
        assert frame.image is not None, "only frames that were read are looked at"
        height, width = frame.image.shape[:2]
        self._sizes.setdefault(frame.video, {}).setdefault(f"{width}x{height}", frame.index)
        if _is_blank(frame.image):
            self._add(frame, BLANK)
        elif previous is not None and (previous.video, previous.index + 1) == (
            frame.video,
            frame.index,
        ):
            assert previous.image is not None, "only frames that were read are kept"
            if _is_same(frame.image, previous.image):
                self._add(frame, REPEATED)

    def _add(self, frame: "Frame", kind: str) -> None:
        spans = self._found.setdefault((frame.video, kind), [])
        if spans and spans[-1][1] + 1 == frame.index:
            spans[-1] = (spans[-1][0], frame.index)
        else:
            spans.append((frame.index, frame.index))


def _is_blank(image: np.ndarray) -> bool:
    return all(_spread(pixels) <= BLANK_SPREAD for pixels in (image[::SAMPLED, ::SAMPLED], image))


def _spread(pixels: np.ndarray) -> float:
    """Return the largest spread of a channel's values, with bytes from 0 to 255, fractions to 1."""
    widest = float(np.ptp(pixels, axis=(0, 1)).max())
    return widest if pixels.dtype == np.uint8 else 255 * widest


def _is_same(image: np.ndarray, other: np.ndarray) -> bool:
    sample = np.array_equal(image[::SAMPLED, ::SAMPLED], other[::SAMPLED, ::SAMPLED])
    return sample and np.array_equal(image, other)
