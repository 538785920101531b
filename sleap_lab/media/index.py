"""Which frames a recording has: one pass over its packets, before any picture is decoded.

A container stores packets in the order in which they are decoded. Each holds a picture, as a rule, and the time at which it is shown;
the frames of a recording are its pictures in the order of these times. What the header of a file says about their number is not
believed: it is wrong where recording ended without notice, where the rate varies, and where a file was trimmed without re-encoding.

Where times are not told, not distinct, or say another order than the decoder, or where a packet holds no picture of its own (two fields,
or a hidden reference), the whole recording is decoded once, and the order in which pictures come counts.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from sleap_lab.errors import RunError, listed

TRIED = 32
"""Pictures at the beginning whose order is compared with what packets say."""
TIMED_BY_HEADER = ("matroska", "asf", "flv")
"""Containers whose header promises a duration; others compute it from what is there."""
SHORTEST_LOSS = 0.5
"""Seconds of a promised duration that may be missing at the end without a word; durations are rounded, and sound may last longer."""
UNEVEN = 0.1
"""How far an interval between frames may be from the usual one, as a share of it; times are rounded to milliseconds in some files."""
GAP = 1.5
"""An interval of so many usual ones is a gap."""


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """The frames of a recording in the order in which they are shown.

    Attributes:
        codec: Name of the codec, as ffmpeg calls it.
        height: Of a picture as it is shown, px; a rotation that the file asks for is done.
        width: Likewise.
        rate: Frames per second on average, as the file says; nan where it does not.
        packet: (frames,) int64, number of the packet that holds the frame, counted in the file from 0.
        time: (frames,) float64, s, when it is shown, the first frame at 0; nan where the file does not tell.
        keys: (keys,) int64, packets at which decoding can begin, in order.
        place: (packets,) int64, byte in the file at which a packet begins; -1 where it is not known.
        size: (packets,) int64, bytes of a packet.
        seek: (packets,) int64, time that a demuxer looks for to find the packet, in units of the stream; the lowest where there is none.
        missing: Frames at the end that the file promises and does not hold.
        empty: Packets without a picture: frames that were dropped while recording.
        damaged: (damaged,) int64, frames whose data are marked as incomplete.
        short: Why the recording must be taken for cut short though its missing frames cannot be counted; empty where it need not.
        decoded: Whether the order is that of a whole decoding, because packets do not tell it.
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

    @property
    def count(self) -> int:
        """Number of frames, those at the end that are missing included."""
        return len(self.packet) + self.missing

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the index as plain arrays by name."""
        return {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "FrameIndex":
        """Make an index of what `to_arrays` returned."""
        values: dict[str, Any] = {field.name: arrays[field.name] for field in fields(cls)}
        return cls(**{name: value.item() if value.ndim == 0 else value for name, value in values.items()})


@contextmanager
def opened(path: str | Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a media file and its first video stream that is no cover picture.

    Raises:
        RunError: It holds no video, or one in a codec that there is no decoder for.
        av.FFmpegError: It is not a media file, or is damaged.
    """
    with av.open(str(path), metadata_errors="replace") as container:
        streams = [stream for stream in container.streams.video if not stream.disposition & stream.disposition.attached_pic]
        if not streams:
            kinds = listed([stream.type for stream in container.streams], 5)
            raise RunError(f"it holds no video, only {kinds}" if kinds else "it holds no video")
        stream = streams[0]
        if stream.codec_context is None:
            raise RunError("its video is in a codec that cannot be decoded here; re-encode it: " + REENCODE.format(path=path))
        stream.thread_type = "AUTO"
        yield container, stream


REENCODE = "ffmpeg -i {path} -c:v libx264 -crf 18 -pix_fmt yuv420p fixed.mp4"


def read_index(path: str | Path) -> FrameIndex:
    """Read the index of a recording.

    Raises:
        RunError: It holds no video, or one in a codec that there is no decoder for.
        av.FFmpegError: It is not a media file.
    """
    packets = _read_packets(path)
    shown = np.flatnonzero(packets.shown)
    timed = bool(len(shown)) and bool((packets.pts[shown] != NO_TIME).all())
    distinct = timed and len(np.unique(packets.pts[shown])) == len(shown)
    order = shown[np.argsort(packets.pts[shown], kind="stable")] if timed else shown
    first, whole, reordered, (height, width) = _first_order(path)
    as_told = distinct and not (reordered and packets.in_order_of_decoding) and _follows(first, order, whole)
    if not as_told:
        order = _whole_order(path, shown)
    times = np.sort(packets.pts[order])
    seconds = (times - times[0]) * packets.tick if timed and len(times) else np.full(len(order), np.nan)
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
        empty=int((packets.size == 0).sum()),
        damaged=np.flatnonzero(packets.corrupt[order]),
        short=packets.short,
        decoded=not as_told,
    )


def _follows(first: np.ndarray, order: np.ndarray, whole: bool) -> bool:
    """Say whether the first pictures are those of the first packets by time; where some cannot be decoded, without these."""
    if whole:
        return np.array_equal(first, order[: max(len(first), min(TRIED, len(order)))])
    return len(first) > 0 and np.array_equal(first, order[np.isin(order, first)])


NO_TIME = np.iinfo(np.int64).min


@dataclass(frozen=True, eq=False)
class _Packets:
    """What a demuxer tells about the packets of a stream, in the order of the file; see `FrameIndex` for most."""

    codec: str
    rate: float
    tick: float
    pts: np.ndarray
    dts: np.ndarray
    key: np.ndarray
    shown: np.ndarray
    corrupt: np.ndarray
    place: np.ndarray
    size: np.ndarray
    in_order_of_decoding: bool
    missing: int
    short: str


def _read_packets(path: str | Path) -> _Packets:
    with opened(path) as (container, stream):
        promised = _promised_end(container)
        rows, end = [], 0.0
        try:
            for packet in container.demux(*([] if promised else [stream])):
                if _is_end(packet):
                    continue
                if promised and packet.pts is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                if packet.stream_index == stream.index:
                    rows.append(_row(packet))
        except av.FFmpegError:  # the file ends in the middle of a packet
            pass
        columns = np.array(rows, dtype=np.int64).reshape(-1, 7).T
        pts, dts, place, size, key, discard, corrupt = columns
        rate = stream.average_rate or stream.guessed_rate
        short = ""
        if promised and promised - end > SHORTEST_LOSS:
            short = f"it says that it lasts {promised:.1f} s, but ends after {end:.1f} s"
        return _Packets(
            codec=stream.codec_context.codec.canonical_name,
            rate=float(rate) if rate else np.nan,
            tick=float(stream.time_base or 1),
            pts=pts,
            dts=dts,
            key=key.astype(bool) & (size > 0),
            shown=(size > 0) & ~discard.astype(bool) & _decodable(pts, key.astype(bool)),
            corrupt=corrupt.astype(bool),
            place=place,
            size=size,
            in_order_of_decoding="avi" in container.format.name,  # which stores no times of showing
            missing=_missing(path, container, stream, len(size)),
            short=short,
        )


def _row(packet: Packet) -> tuple[int, ...]:
    pts, dts = (NO_TIME if time is None else time for time in (packet.pts, packet.dts))
    place = -1 if packet.pos is None else packet.pos
    return pts, dts, place, packet.size, packet.is_keyframe, packet.is_discard, packet.is_corrupt


def _decodable(pts: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Say of which packets the pictures can be decoded: not of those that need one from before the first key frame."""
    if not key.any():
        return np.ones(len(key), dtype=bool)
    first = int(np.argmax(key))
    return (np.arange(len(key)) >= first) & (pts >= pts[first])


def _promised_end(container: InputContainer) -> float | None:
    """Return the second at which a file says it ends; None where its header says nothing."""
    if container.duration is None or not any(name in container.format.name for name in TIMED_BY_HEADER):
        return None
    return container.duration / av.time_base


def _missing(path: str | Path, container: InputContainer, stream: VideoStream, there: int) -> int:
    """Return how many frames the file promises beyond the packets that are there."""
    if "mov" in container.format.name:  # a table of all packets
        return max(stream.frames, len(stream.index_entries), there) - there
    if "avi" in container.format.name and _riff_is_cut(Path(path)):
        return max(stream.frames - there, 0)
    return 0


def _riff_is_cut(path: Path) -> bool:
    """Say whether an AVI file is shorter than it says; a header that nobody brought up to date says less."""
    with path.open("rb") as file:
        head = file.read(8)
    return int.from_bytes(head[4:8], "little") + 8 > path.stat().st_size


def numbered(container: InputContainer, stream: VideoStream, first: int = 0) -> Iterator[Packet]:
    """Yield the packets of a stream with their numbers in place of their times; where the file ends in the middle of one, stop.

    A decoder hands the time of a packet on to its picture, so that each picture says which packet it is from.
    """
    number = first
    try:
        for packet in container.demux(stream):
            if not _is_end(packet):
                packet.pts = number
                number += 1
                yield packet
    except av.FFmpegError:
        return


def _is_end(packet: Packet) -> bool:
    """Say whether a packet is the mark that a demuxer sets behind the last one."""
    return not packet.size and packet.pos is None


def packet_of(picture: VideoFrame) -> int:
    """Return the number of the packet that a picture is from."""
    assert picture.pts is not None, "packets are numbered"
    return picture.pts


def pictures(packets: Iterable[Packet], stream: VideoStream) -> Iterator[VideoFrame | None]:
    """Yield the pictures of packets in the order of the decoder, and None wherever it meets data that it cannot decode."""
    for packet in packets:
        if packet.size:  # an empty one would end the decoder
            yield from _decoded(stream, packet)
    yield from _decoded(stream, None)


def _decoded(stream: VideoStream, packet: Packet | None) -> list[Any]:
    try:
        return stream.codec_context.decode(packet)
    except av.EOFError:
        return []
    except av.FFmpegError:
        return [None]


def _first_order(path: str | Path) -> tuple[np.ndarray, bool, bool, tuple[int, int]]:
    """Decode the first pictures.

    Returns:
        Their packets in the order of the decoder; whether all could be decoded; whether the codec shows pictures in another order than
        it decodes them; height and width of the first.
    """
    numbers: list[int] = []
    whole, size = True, (0, 0)
    with opened(path) as (container, stream):
        for picture in pictures(numbered(container, stream), stream):
            if picture is None:
                whole = False
                continue
            if not numbers:
                size = upright(picture)
            numbers.append(packet_of(picture))
            whole = whole and not picture.is_corrupt
            if len(numbers) == TRIED:
                break
        reordered = bool(stream.codec_context.has_b_frames)
    return np.array(numbers, dtype=np.int64), whole, reordered, size


def _whole_order(path: str | Path, shown: np.ndarray) -> np.ndarray:
    """Decode a recording and return the packets of its frames in the order of the decoder.

    Where something could not be decoded, packets without a picture are frames, too: they come behind the packets before them.
    """
    with opened(path) as (container, stream):
        found = list(pictures(numbered(container, stream), stream))
        order = list(dict.fromkeys(packet_of(picture) for picture in found if picture is not None))
    if None not in found:
        return np.array(order, dtype=np.int64)
    for packet in sorted(set(shown.tolist()) - set(order)):
        order.insert(sum(other < packet for other in order), packet)
    return np.array(order, dtype=np.int64)


def upright(picture: VideoFrame) -> tuple[int, int]:
    """Return height and width of a picture as it is shown."""
    size = (picture.height, picture.width)
    return size[::-1] if picture.rotation % 180 else size


def unevenness(index: FrameIndex, name: str) -> str | None:
    """Return a sentence about frames that do not follow each other evenly; None where they do."""
    intervals = np.diff(index.time)
    if not len(intervals) or np.isnan(intervals).any():
        return None
    usual = float(np.median(intervals))
    tolerance = max(UNEVEN * usual, 0.0015)
    uneven = np.abs(intervals - usual) > tolerance
    if not uneven.any():
        return None
    gaps = np.flatnonzero(intervals > max(GAP * usual, usual + tolerance))
    longest = int(np.argmax(intervals))
    if len(gaps) == uneven.sum():
        places = listed([str(frame + 1) for frame in gaps.tolist()], 10)
        what = f"time is missing before {'frame' if len(gaps) == 1 else 'frames'} {places}"
    else:
        what = f"frames are not evenly spaced in time (usually {usual:.4g} s apart, {int(uneven.sum())} times not)"
    return (
        f"{name}: {what}; the longest interval is {intervals[longest]:.4g} s, before frame {longest + 1}. "
        "CSV and analysis HDF5 have the time of each frame (time_s)."
    )


def runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Return ascending numbers as (first, last) of stretches without a hole."""
    if not numbers:
        return []
    edges = [0, *(i + 1 for i, (a, b) in enumerate(pairwise(numbers)) if b != a + 1), len(numbers)]
    return [(numbers[start], numbers[stop - 1]) for start, stop in pairwise(edges)]
