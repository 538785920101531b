"""The packets of a recording, as a demuxer finds them, and the pictures that they decode to.

Only the containers named here are opened, and only the file itself is read. The number of frames in
the header of a file is not trusted; it is used only to find what is missing at the end.
"""

import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
CONCEALING = ("mjpeg",)
"""Codecs that replace damage by an earlier picture, unless their errors are made fatal."""
REPORTED_IN_LOG = ("ffv1",)
"""Codecs that report concealed damage in their log only."""
CONTAINERS = (
    *("mov", "matroska", "avi", "mpegts", "mpeg", "mpegvideo", "asf", "flv", "gif", "ogg", "mxf"),
    *("ivf", "nut", "dv", "rm", "wtv"),
    *("h264", "hevc", "m4v", "mjpeg", "vc1", "obu", "av1", "yuv4mpegpipe"),
    *("wav", "mp3", "aac", "flac"),
)
"""What is read, by ffmpeg's names: containers; streams without one; and files of sound alone, for a
better error message."""
TIMED_BY_HEADER = ("matroska", "asf", "flv")
"""Containers whose header promises a duration; others compute it from their packets."""
BROADCAST = ("mpegts", "mpeg", "h264", "hevc")
"""Containers without a table of their packets, which may begin anywhere."""
SHORTEST_LOSS = 0.5
"""Seconds of a promised duration that may be missing at the end without a report.

Durations are rounded, and sound may last longer.
"""
REENCODE = "ffmpeg -i {path} -c:v libx264 -crf 18 -pix_fmt yuv420p fixed.mp4"


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
        strict = {"err_detect": "explode"} if stream.codec_context.name in CONCEALING else {}
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS), **strict}
        # Frame threads would report damage only when the next pictures are requested.
        several = "SLICE" if stream.codec_context.name in REPORTED_IN_LOG else "AUTO"
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


NO_TIME = np.iinfo(np.int64).min


@dataclass(frozen=True, eq=False)
class Packets:
    """Facts of a demuxer about the packets of a stream, in file order.

    Attributes:
        codec: Name of the codec, as ffmpeg calls it.
        rate: Frames per second on average; nan where the file does not say.
        tick: Seconds of a unit of time of the stream.
        pts: (packets,) int64, time at which the picture is shown; `NO_TIME` where it is unknown.
        dts: (packets,) int64, time at which the packet is decoded, likewise.
        key: (packets,) bool, whether decoding can begin there.
        shown: (packets,) bool, whether it holds a picture that is to be shown and can be decoded.
        corrupt: (packets,) bool, whether its data are incomplete.
        place: (packets,) int64, byte in the file at which it begins; -1 where it is unknown.
        size: (packets,) int64, bytes.
        in_order_of_decoding: Whether the container stores no display times.
        missing: Frames at the end that the file promises and does not hold.
        empty: Packets without a picture.
        short: Why the recording seems to be cut short; empty where it does not.
        others: Further video streams of the file.
    """

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


def read_packets(path: str | Path) -> Packets:
    """Read the facts of all packets of a recording; nothing is decoded.

    Raises:
        RunError: It holds no video, or its codec has no decoder.
        av.FFmpegError: It is not a media file.
    """
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
        return Packets(
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
    if "mov" in container.format.name:
        # The table of packets, once read, lacks those that an edit list leaves out.
        promised = len(stream.index_entries) or stream.frames
        # Whatever a file says, a frame takes at least one byte.
        return min(max(promised - there, 0), Path(path).stat().st_size)
    if "avi" in container.format.name and _riff_is_cut(Path(path)):
        return min(max(stream.frames - there, 0), Path(path).stat().st_size)
    return 0


def _riff_is_cut(path: Path) -> bool:
    """Return whether an AVI file is shorter than its header says; an outdated header says less."""
    with path.open("rb") as file:
        stated = int.from_bytes(file.read(8)[4:8], "little")
    return 0 < stated < UNKNOWN_SIZE and stated + 8 > path.stat().st_size


UNKNOWN_SIZE = 0xFFFFFFFF
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
    """Return whether a packet is the end mark that a demuxer adds after the last one."""
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
        if context.name not in REPORTED_IN_LOG:
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


def upright(picture: VideoFrame) -> tuple[int, int]:
    """Return height and width of a picture as it is shown."""
    size = (picture.height, picture.width)
    return size[::-1] if picture.rotation % 180 else size
