"""The times of the frames of a recording: whether they are evenly spaced."""

import numpy as np

from sleap_lab.errors import counted, listed
from sleap_lab.media.index import GAP, FrameIndex

UNEVEN = 0.1
"""Tolerated deviation of an interval between frames from the usual one, as a share of it.

Some files round times to milliseconds.
"""
ROUNDED = 0.0015
"""Seconds by which intervals differ because times are rounded."""
FEW = 10
"""Number of gaps up to which they are listed."""


def uneven_times(index: FrameIndex) -> np.ndarray | None:
    """Return the time of every frame where frames are not evenly spaced.

    Returns:
        (frames,) float64, s, nan for missing frames; None where frames are evenly spaced.
    """
    _, uneven = _uneven(index)
    if not uneven.any():
        return None
    return np.concatenate([index.time, np.full(index.missing, np.nan)])


def _uneven(index: FrameIndex) -> tuple[float, np.ndarray]:
    """Return the usual interval between frames and which intervals differ from it.

    Returns:
        The usual interval, s, and (frames - 1,) bool. With unknown times or fewer than two
        frames, nan and (0,).
    """
    intervals = np.diff(index.time)
    if not len(intervals) or np.isnan(intervals).any():
        return np.nan, np.zeros(0, dtype=bool)
    usual = float(np.median(intervals))
    return usual, np.abs(intervals - usual) > max(UNEVEN * usual, ROUNDED)


def unevenness(index: FrameIndex, name: str) -> str | None:
    """Return a sentence about frames that are not evenly spaced; None where they are."""
    usual, uneven = _uneven(index)
    if not uneven.any():
        return None
    intervals = np.diff(index.time)
    if usual <= 0:
        return (
            f"{name}: its times make no sense: "
            f"{counted(int((intervals <= 0).sum()), 'frame has', 'frames have')} that of "
            "the frame before. Frames are in order."
        )
    gaps = np.flatnonzero(uneven & (intervals > GAP * usual))
    longest = int(np.argmax(intervals))
    if len(gaps) == uneven.sum() <= FEW:
        places = listed([str(frame + 1) for frame in gaps.tolist()], FEW)
        what = f"time is missing before {'frame' if len(gaps) == 1 else 'frames'} {places}"
    else:
        what = (
            f"frames are not evenly spaced in time (usually {usual:.4g} s apart, "
            f"{int(uneven.sum())} times not)"
        )
    return (
        f"{name}: {what}; the longest interval is {intervals[longest]:.4g} s, "
        f"before frame {longest + 1}. "
        "CSV and analysis HDF5 have the time of each frame (time_s)."
    )
