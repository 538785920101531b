"""The frames of a recording, found by one pass over its packets before any picture is decoded.

A container stores packets in the order in which they are decoded. As a rule, each packet holds a
picture and the time at which it is shown. The frames of a recording are its pictures in the order
of these times. The number of frames in the header of a file is not trusted: it is wrong where
recording ended without notice, where the rate varies, and where a file was trimmed without
re-encoding.

The whole recording is decoded once, and the order of the decoder counts, in two cases: where times
are missing, not distinct, or contradict the decoder; and where a packet holds no picture of its own
(two fields, or a hidden reference).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from sleap_lab.media.packets import (
    NO_TIME,
    Packets,
    numbered,
    opened,
    packet_of,
    pictures,
    read_packets,
    upright,
)

FIRST_DECODED = 32
"""Pictures at the beginning whose order is compared with the times of the packets."""
REORDERED = 16
"""Most frames by which decoding and display order may differ.

It is the limit of `max_num_reorder_frames` of ITU-T H.264.
"""
GAP = 1.5
"""An interval of more than this many usual ones is a gap."""


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """The frames of a recording in the order in which they are shown.

    Attributes:
        codec: Name of the codec, as ffmpeg calls it.
        height: Height of a picture as it is shown, px, after the rotation that the file asks for.
        width: Width likewise.
        rate: Frames per second on average, as the file says; nan where it does not.
        packet: (frames,) int64, number of the packet that holds the frame, counted in the file
            from 0.
        time: (frames,) float64, s, when the frame is shown, the first frame at 0; nan where the
            file does not tell.
        keys: (keys,) int64, packets at which decoding can begin, in order.
        place: (packets,) int64, byte in the file at which a packet begins; -1 where it is unknown.
        size: (packets,) int64, bytes of a packet.
        seek: (packets,) int64, time by which a demuxer finds the packet, in units of the stream;
            the lowest value where there is none.
        missing: Frames at the end that the file promises and does not hold.
        empty: Packets without a picture: frames that were dropped while recording.
        damaged: (damaged,) int64, frames whose data are incomplete, or whose numbers are unknown
            because the end of the file is missing.
        short: Why the recording seems to be cut short although its missing frames cannot be
            counted; empty where it does not.
        decoded: Whether the order is that of a whole decoding, because packets do not give it.
        others: Further video streams of the file, such as a second camera, which are not read.
    """

    codec: str
    height: int
    width: int
    rate: float
    packet: np.ndarray
    time: np.ndarray
    keys: np.ndarray
    place: np.ndarray
    size: np.ndarray
    seek: np.ndarray
    missing: int
    empty: int
    damaged: np.ndarray
    short: str
    decoded: bool
    others: int

    @property
    def count(self) -> int:
        """Number of frames, including those that are missing at the end."""
        return len(self.packet) + self.missing

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the index as plain arrays by name."""
        return {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "FrameIndex":
        """Make an index of what `to_arrays` returned."""
        values: dict[str, Any] = {field.name: arrays[field.name] for field in fields(cls)}
        return cls(
            **{name: value.item() if value.ndim == 0 else value for name, value in values.items()}
        )


def read_index(path: str | Path) -> FrameIndex:
    """Read the index of a recording.

    Raises:
        RunError: It holds no video, or its codec has no decoder.
        av.FFmpegError: It is not a media file.
    """
    packets = read_packets(path)
    shown = np.flatnonzero(packets.shown)
    timed = bool(len(shown)) and bool((packets.pts[shown] != NO_TIME).all())
    order, by_time, (height, width) = _in_order(path, packets, shown, timed=timed)
    times = np.sort(packets.pts[order])
    seconds = (
        (times - times[0]) * packets.tick if timed and len(times) else np.full(len(order), np.nan)
    )
    unnumbered = (
        _after_gap(seconds) if packets.missing or packets.short else np.zeros(0, dtype=np.int64)
    )
    seek = np.where(packets.dts > NO_TIME, packets.dts, packets.pts)
    return FrameIndex(
        codec=packets.codec,
        height=height,
        width=width,
        rate=packets.rate,
        packet=order,
        time=seconds,
        keys=np.flatnonzero(packets.key),
        place=packets.place,
        size=packets.size,
        seek=seek,
        missing=packets.missing,
        empty=packets.empty,
        damaged=np.union1d(np.flatnonzero(packets.corrupt[order]), unnumbered),
        short=packets.short,
        decoded=not by_time,
        others=packets.others,
    )


def _in_order(
    path: str | Path, packets: Packets, shown: np.ndarray, *, timed: bool
) -> tuple[np.ndarray, bool, tuple[int, int]]:
    """Put the packets of a recording into the order in which their pictures are shown.

    Args:
        path: The recording.
        packets: Its packets.
        shown: (shown,) int64, the packets that are to be shown.
        timed: Whether each of them has a time.

    Returns:
        (frames,) int64 packets; whether their times give the order, and not the decoder; height and
        width of the first picture, px.
    """
    distinct = timed and len(np.unique(packets.pts[shown])) == len(shown)
    by_time = shown[np.argsort(packets.pts[shown], kind="stable")]
    first = _decode(path, most=FIRST_DECODED)
    if (
        distinct
        and np.array_equal(first.packets, by_time[:FIRST_DECODED])
        and not (first.reordered and packets.in_order_of_decoding)
    ):
        return by_time, True, first.size
    found = _decode(path)
    hidden = _hidden(shown, found)
    agree = np.array_equal(found.packets, by_time[np.isin(by_time, found.packets)])
    if distinct and agree and not hidden:
        return by_time, True, first.size
    order = found.packets if hidden else _with_missing(found.packets, shown)
    return order, False, first.size


def _after_gap(seconds: np.ndarray) -> np.ndarray:
    """Return the last frames of a recording that was cut short whose numbers are unknown.

    These are the frames after a gap, because packets that are decoded later are missing.

    Args:
        seconds: (frames,) s, when frames are shown.
    """
    intervals = np.diff(seconds)
    if not len(intervals):
        return np.zeros(0, dtype=np.int64)
    last = max(len(intervals) - REORDERED, 0)
    gaps = last + np.flatnonzero(intervals[last:] > GAP * np.median(intervals))
    return np.arange(gaps[0] + 1 if len(gaps) else len(seconds), len(seconds))


@dataclass(frozen=True, eq=False)
class _Decoded:
    """Result of decoding the beginning of a recording, or all of it.

    Attributes:
        packets: (pictures,) int64, packets of the pictures in the order of the decoder.
        whole: Whether the decoder met no undecodable data.
        reordered: Whether the codec shows pictures in another order than it decodes them.
        size: Height and width of the first picture, px.
    """

    packets: np.ndarray
    whole: bool
    reordered: bool
    size: tuple[int, int]


def _decode(path: str | Path, most: int | None = None) -> _Decoded:
    """Decode the first pictures of a recording, all of them by default."""
    numbers: dict[int, None] = {}
    whole, size = True, (0, 0)
    with opened(path, threads=False) as (container, stream):
        for picture in pictures(numbered(container, stream), stream):
            whole = whole and picture is not None and not picture.is_corrupt
            if picture is None:
                continue
            if not numbers:
                size = upright(picture)
            numbers[packet_of(picture)] = None
            if len(numbers) == most:
                break
        return _Decoded(
            np.array(list(numbers), dtype=np.int64),
            whole,
            bool(stream.codec_context.has_b_frames),
            size,
        )


def _hidden(shown: np.ndarray, found: _Decoded) -> bool:
    """Return whether packets without a picture have none by design.

    Such packets are second fields and references that are not shown. Each stands alone between
    packets with a picture, in a recording that is decoded without damage.
    """
    missing = np.setdiff1d(shown, found.packets)
    return found.whole and len(missing) > 1 and bool((np.diff(missing) > 1).all())


def _with_missing(order: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Insert the packets of missing pictures into an order, each after the packets before it."""
    missing = np.setdiff1d(shown, order)
    return np.insert(order, [int((order < packet).sum()) for packet in missing], missing)
