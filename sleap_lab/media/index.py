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

import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from sleap_lab.errors import RunError, listed

AV_TIME_BASE: int = av.time_base
"""Units per second of the duration of a container."""
MAX_PIXELS = 2**28
"""Pixels of the largest picture that is decoded; it limits the memory that a file can ask for."""
STRICT = ("mjpeg",)
"""Codecs that replace damage by an earlier picture, unless they are told to raise errors."""
LISTENED = ("ffv1",)
"""Codecs that report concealed damage in their log only."""
TRIED = 32
"""Pictures at the beginning whose order is compared with the times of the packets."""
CONTAINERS = (
    *(
        "mov",
        "matroska",
        "avi",
        "mpegts",
        "mpeg",
        "mpegvideo",
        "asf",
        "flv",
        "gif",
        "ogg",
        "mxf",
        "ivf",
        "nut",
        "dv",
        "rm",
        "wtv",
    ),
    *(
        "h264",
        "hevc",
        "m4v",
        "mjpeg",
        "vc1",
        "obu",
        "av1",
        "yuv4mpegpipe",
        "wav",
        "mp3",
        "aac",
        "flac",
    ),
)
"""Containers that are read, by ffmpeg's names; those of sound only for a better error message."""
TIMED_BY_HEADER = ("matroska", "asf", "flv")
"""Containers whose header promises a duration; others compute it from their packets."""
BROADCAST = ("mpegts", "mpeg", "h264", "hevc")
"""Containers without a table of their packets, which may begin anywhere."""
SHORTEST_LOSS = 0.5
"""Seconds of a promised duration that may be missing at the end without a report.

Durations are rounded, and sound may last longer.
"""
UNEVEN = 0.1
"""Tolerated deviation of an interval between frames from the usual one, as a share of it.

Some files round times to milliseconds.
"""
ROUNDED = 0.0015
"""Seconds by which intervals differ because times are rounded."""
REORDERED = 16
"""Most frames by which decoding and display order may differ.

It is the limit of `max_num_reorder_frames` of ITU-T H.264.
"""
GAP = 1.5
"""An interval of more than this many usual ones is a gap."""
FEW = 10
"""Number of gaps up to which they are listed."""


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


@contextmanager
def opened(
    path: str | Path, *, threads: bool = True
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a media file and its first video stream that is no cover picture.

    Args:
        path: The file.
        threads: Decode on all cores. In damaged data that loses pictures that one core can decode.

    Raises:
        RunError: It holds no video, or its codec has no decoder.
        av.FFmpegError: It is not a media file, or is damaged.
    """
    # The prefix "file:" keeps a name from being taken for an address. The lists keep a recording
    # from opening other files or addresses.
    options = {"protocol_whitelist": "file", "format_whitelist": ",".join(CONTAINERS)}
    with av.open(f"file:{path}", options=options, metadata_errors="replace") as container:
        streams = _video_streams(container)
        if not streams:
            kinds = listed([stream.type for stream in container.streams], 5)
            raise RunError(f"it holds no video, only {kinds}" if kinds else "it holds no video")
        stream = streams[0]
        if stream.codec_context is None:
            raise RunError(
                "its video is in a codec that cannot be decoded here; re-encode it: "
                + REENCODE.format(path=shlex.quote(str(path)))
            )
        strict = {"err_detect": "explode"} if stream.codec_context.name in STRICT else {}
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS), **strict}
        # Frame threads would report damage only when the next pictures are requested.
        several = "SLICE" if stream.codec_context.name in LISTENED else "AUTO"
        stream.codec_context.thread_type = several if threads else "NONE"
        stream.codec_context.thread_count = 0 if threads else 1
        yield container, stream


def _video_streams(container: InputContainer) -> list[VideoStream]:
    """Return the video streams of a file, without cover pictures."""
    return [
        stream
        for stream in container.streams.video
        if not stream.disposition & stream.disposition.attached_pic
    ]


REENCODE = "ffmpeg -i {path} -c:v libx264 -crf 18 -pix_fmt yuv420p fixed.mp4"


def read_index(path: str | Path) -> FrameIndex:
    """Read the index of a recording.

    Raises:
        RunError: It holds no video, or its codec has no decoder.
        av.FFmpegError: It is not a media file.
    """
    packets = _read_packets(path)
    shown = np.flatnonzero(packets.shown)
    timed = bool(len(shown)) and bool((packets.pts[shown] != NO_TIME).all())
    told = timed and len(np.unique(packets.pts[shown])) == len(shown)
    order = shown[np.argsort(packets.pts[shown], kind="stable")]
    first = _decode(path, most=TRIED)
    if not (
        told
        and np.array_equal(first.packets, order[:TRIED])
        and not (first.reordered and packets.in_order_of_decoding)
    ):
        found = _decode(path)
        told = (
            told
            and np.array_equal(found.packets, order[np.isin(order, found.packets)])
            and not _hidden(shown, found)
        )
        if not told:
            order = found.packets if _hidden(shown, found) else _with_lost(found.packets, shown)
    height, width = first.size
    times = np.sort(packets.pts[order])
    seconds = (
        (times - times[0]) * packets.tick if timed and len(times) else np.full(len(order), np.nan)
    )
    behind = (
        _behind_hole(seconds) if packets.missing or packets.short else np.zeros(0, dtype=np.int64)
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
        damaged=np.union1d(np.flatnonzero(packets.corrupt[order]), behind),
        short=packets.short,
        decoded=not told,
        others=packets.others,
    )


def _behind_hole(seconds: np.ndarray) -> np.ndarray:
    """Return the last frames of a recording that was cut short whose numbers are unknown.

    These are the frames after a gap, because packets that are decoded later are missing.

    Args:
        seconds: (frames,) s, when frames are shown.
    """
    intervals = np.diff(seconds)
    if not len(intervals):
        return np.zeros(0, dtype=np.int64)
    last = max(len(intervals) - REORDERED, 0)
    holes = last + np.flatnonzero(intervals[last:] > GAP * np.median(intervals))
    return np.arange(holes[0] + 1 if len(holes) else len(seconds), len(seconds))


NO_TIME = np.iinfo(np.int64).min


@dataclass(frozen=True, eq=False)
class _Packets:
    """Facts of a demuxer about the packets of a stream, in file order; most as in `FrameIndex`."""

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
    empty: int
    short: str
    others: int


def _read_packets(path: str | Path) -> _Packets:
    with opened(path) as (container, stream):
        promised = _promised_end(container)
        codec = stream.codec_context.codec.canonical_name
        rows, end = [], 0.0
        try:
            for packet in container.demux(*([] if promised else [stream])):
                if _is_end(packet):
                    continue
                if promised and packet.pts is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                if packet.stream_index == stream.index:
                    rows.append(_row(packet, codec))
        except UNREADABLE:
            pass
        columns = np.array(rows, dtype=np.int64).reshape(-1, 7).T
        pts, dts, place, size, key, unseen, corrupt = columns
        rate = stream.average_rate or stream.guessed_rate
        short = ""
        if promised and promised - end > SHORTEST_LOSS:
            short = f"it says that it lasts {promised:.1f} s, but ends after {end:.1f} s"
        avi = "avi" in container.format.name
        return _Packets(
            codec=codec,
            rate=float(rate) if rate else np.nan,
            tick=float(stream.time_base or 1),
            pts=pts,
            dts=dts,
            key=key.astype(bool) & (size > 0),
            shown=(size > 0)
            & ~unseen.astype(bool)
            & _decodable(pts, key.astype(bool), container.format.name in BROADCAST),
            corrupt=corrupt.astype(bool),
            place=place,
            size=size,
            in_order_of_decoding=avi,  # it stores no display times
            missing=_missing(path, container, stream, len(size)),
            # The time of an AVI file is the number of the chunk; its reader skips empty chunks.
            empty=int(np.ptp(dts)) + 1 - len(dts)
            if avi and len(dts) and (dts != NO_TIME).all()
            else int((size == 0).sum()),
            short=short,
            others=len(_video_streams(container)) - 1,
        )


def _row(packet: Packet, codec: str) -> tuple[int, ...]:
    pts, dts = (NO_TIME if time is None else time for time in (packet.pts, packet.dts))
    place = -1 if packet.pos is None else packet.pos
    unseen = packet.is_discard or (
        codec == "vp8" and packet.size > 0 and not memoryview(packet)[0] & VP8_SHOWN
    )
    return pts, dts, place, packet.size, packet.is_keyframe, unseen, packet.is_corrupt


VP8_SHOWN = 0x10
"""Bit of the first byte of a VP8 frame that is set if it is shown (RFC 6386, section 9.1)."""


def _decodable(pts: np.ndarray, key: np.ndarray, broadcast: bool) -> np.ndarray:
    """Return for each packet whether its picture can be decoded.

    A picture cannot be decoded if it needs one from before the first key frame. A part of a
    broadcast begins anywhere. The first frame of another file is a key frame, though damage may
    hide that.
    """
    if not key.any():
        return np.ones(len(key), dtype=bool)
    first = int(np.argmax(key))
    return np.where(np.arange(len(key)) >= first, pts >= pts[first], not broadcast)


def _promised_end(container: InputContainer) -> float | None:
    """Return the second at which a file says it ends; None where its header says nothing."""
    if container.duration is None or not any(
        name in container.format.name for name in TIMED_BY_HEADER
    ):
        return None
    return container.duration / AV_TIME_BASE


def _missing(path: str | Path, container: InputContainer, stream: VideoStream, there: int) -> int:
    """Return how many frames the file promises beyond the packets that it holds."""
    if "mov" in container.format.name:  # a table of all packets
        promised = max(stream.frames, len(stream.index_entries))
        # Whatever a file says, a frame takes at least one byte.
        return min(max(promised - there, 0), Path(path).stat().st_size)
    if "avi" in container.format.name and _riff_is_cut(Path(path)):
        return min(max(stream.frames - there, 0), Path(path).stat().st_size)
    return 0


def _riff_is_cut(path: Path) -> bool:
    """Say whether an AVI file is shorter than its header says; an outdated header says less."""
    with path.open("rb") as file:
        said = int.from_bytes(file.read(8)[4:8], "little")
    return 0 < said < NOT_TOLD and said + 8 > path.stat().st_size


NOT_TOLD = 0xFFFFFFFF
"""Size that a writer to a pipe gives, because it cannot go back to the header."""

UNREADABLE = (av.FFmpegError, IndexError)
"""Errors of a demuxer where a file ends within a packet, or has a stream that its header lacks."""


def numbered(container: InputContainer, stream: VideoStream, first: int = 0) -> Iterator[Packet]:
    """Yield the packets of a stream with their numbers in place of their times.

    It stops where the file ends within a packet. A decoder copies the time of a packet to its
    picture, so each picture gives the number of its packet.
    """
    number = first
    try:
        for packet in container.demux(stream):
            if not _is_end(packet):
                packet.pts = number
                number += 1
                yield packet
    except UNREADABLE:
        return


def _is_end(packet: Packet) -> bool:
    """Say whether a packet is the end mark that a demuxer adds after the last one."""
    return not packet.size and packet.pos is None


def packet_of(picture: VideoFrame) -> int:
    """Return the number of the packet that a picture is from."""
    assert picture.pts is not None, "packets are numbered"
    return picture.pts


def pictures(packets: Iterable[Packet], stream: VideoStream) -> Iterator[VideoFrame | None]:
    """Yield the pictures of packets in the order of the decoder, and None for undecodable data."""
    for packet in packets:
        if packet.size:  # an empty packet would end the decoder
            yield from _decoded(stream, packet)
    yield from _decoded(stream, None)


def _decoded(stream: VideoStream, packet: Packet | None) -> list[Any]:
    """Decode a packet, or the rest that is buffered; None stands for undecodable data."""
    context = stream.codec_context
    try:
        if context.name not in LISTENED:
            return context.decode(packet)
        av.logging.set_level(av.logging.ERROR)
        with av.logging.Capture(local=False) as errors:
            found = context.decode(packet)
        return [None, *found] if errors else list(found)
    except av.EOFError:
        return []
    except av.FFmpegError:
        return [None]
    finally:
        av.logging.set_level(None)


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
    """Say whether packets without a picture have none by design.

    Such packets are second fields and references that are not shown. Each stands alone between
    packets with a picture, in a recording that is decoded without damage.
    """
    lost = np.setdiff1d(shown, found.packets)
    return found.whole and len(lost) > 1 and bool((np.diff(lost) > 1).all())


def _with_lost(order: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Insert the packets of lost pictures into an order, each after the packets before it."""
    lost = np.setdiff1d(shown, order)
    return np.insert(order, [int((order < packet).sum()) for packet in lost], lost)


def upright(picture: VideoFrame) -> tuple[int, int]:
    """Return height and width of a picture as it is shown."""
    size = (picture.height, picture.width)
    return size[::-1] if picture.rotation % 180 else size


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
            f"{name}: its times make no sense: {int((intervals <= 0).sum())} frames have that of "
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
