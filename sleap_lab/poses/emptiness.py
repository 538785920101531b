"""Frames in which nothing was found, and what the networks see there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class EmptyFrame:
    """A frame without instances, and the confidence map of the network for it.

    Attributes:
        video: Index of the video.
        frame: Frame number.
        confidence: (h, w) float32, map space, the largest of all channels.
        pixel: Size of a pixel of the map, px of image space.
    """

    video: int
    frame: int
    confidence: np.ndarray
    pixel: float

    @property
    def highest(self) -> float:
        """The largest confidence."""
        return float(self.confidence.max(initial=0.0))


@dataclass(frozen=True)
class Emptiness:
    """Frames without instances of a result that is mostly empty.

    Attributes:
        note: What is empty, what the networks see there, and what to try; empty where it is not.
        frames: The frames that were looked at.
        threshold: Smallest confidence of a peak.
    """

    note: str = ""
    frames: Sequence[EmptyFrame] = ()
    threshold: float = 0.0
