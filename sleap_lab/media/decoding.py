"""Decoding from a key frame on, with a check that each picture is the recorded one.

A decoder conceals damage with data it has, and flags only some of the pictures. So a picture counts
only if its own packet and all packets since the key frame before it are sound and present. Pictures
come in display order, and a picture may depend on a packet whose own picture comes later. So a
picture waits until the state of all packets before its own is known.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from sleap_lab.media.index import FrameIndex
from sleap_lab.media.packets import packet_of, pictures

NO_PICTURE = "no picture comes where it should be; its data are damaged or missing"
DAMAGED = "its data, or those of a frame that it is built on, are damaged"


@dataclass(frozen=True, eq=False)
class PacketOrder:
    """How packets and frames of a recording belong together.

    Attributes:
        packet_of: (frames,) int64, packet of each frame.
        frame_of: (packets,) int64, frame of each packet; -1 where it has none.
        keys: Packets at which decoding can begin, in order.
        incomplete: Packets that are marked as incomplete.
    """

    packet_of: np.ndarray
    frame_of: np.ndarray
    keys: list[int]
    incomplete: frozenset[int]

    @classmethod
    def of(cls, index: FrameIndex) -> "PacketOrder":
        """Return the order of the packets and frames of an index."""
        frame_of = np.full(len(index.size), -1, dtype=np.int64)
        frame_of[index.packet] = np.arange(len(index.packet))
        return cls(
            index.packet,
            frame_of,
            index.keys.tolist(),
            frozenset(index.packet[index.damaged].tolist()),
        )

    def key_before(self, packet: int, untrusted: Collection[int] = ()) -> int:
        """Return the key packet that a picture rests on; 0 where there is none.

        It comes before the picture in both orders: a picture that is shown before a key frame and
        decoded after it depends on other frames.

        Args:
            packet: Packet of the picture.
            untrusted: Key packets that do not count.
        """
        shown = self.frame_of[packet]
        for key in reversed(self.keys[: bisect_right(self.keys, packet)]):
            if 0 <= self.frame_of[key] <= shown and key not in untrusted:
                return key
        return 0


class ForwardDecoder:
    """Decodes forward from a key frame.

    Attributes:
        start: The packet at which decoding began.
        single_threaded: Whether one core decodes. Then an error belongs to the packet that was
            decoded last, and decoding goes on after it.
        packet: The packet that was decoded last.
        next: The lowest frame that may still come.
        untrusted: Whether the first picture was not that of a key frame, as where recovery takes
            many frames. Then no picture can be trusted.
    """

    def __init__(
        self,
        packets: Iterator[Packet],
        stream: VideoStream,
        order: PacketOrder,
        start: int,
        *,
        single_threaded: bool,
    ) -> None:
        """Take packets, the first of which is `start` or one before it."""
        self.start = self.packet = start
        self.single_threaded = single_threaded
        self.next = 0
        self.untrusted = False
        self._order = order
        self._damaged: list[int] = []
        self._pictures = self._checked(pictures(self._from_start(packets), stream))
        self._pending: tuple[int, VideoFrame, bool] | None = None

    def advance(self, frame: int) -> tuple[VideoFrame | None, str]:
        """Decode up to a frame; return its picture, or None and the reason why there is none."""
        while True:
            if self._pending is None:
                self._pending = next(self._pictures, None)
            if self._pending is None or self._pending[0] > frame:
                self.next = max(self.next, frame + 1)
                return None, NO_PICTURE
            number, picture, whole = self._pending
            self._pending, self.next = None, number + 1
            if number == frame:
                return (picture, "") if whole else (None, DAMAGED)

    def _from_start(self, packets: Iterator[Packet]) -> Iterator[Packet]:
        for packet in packets:
            if packet.pts is not None and packet.pts >= self.start:
                self.packet = packet.pts
                yield packet

    def _checked(
        self, found: Iterator[VideoFrame | None]
    ) -> Iterator[tuple[int, VideoFrame, bool]]:
        """Yield frames in order, their pictures, and whether each picture is the recorded one."""
        order = self._order
        first = expected = max(int(order.frame_of[self.start]), 0)
        waiting: deque[tuple[int, VideoFrame, int]] = deque()
        seen: set[int] = set()
        low = self.start  # the state of all packets before it is known
        started = self.start == 0
        for picture in found:
            if picture is None:
                if not self.single_threaded:  # the damaged packet is not known
                    return
                self._damaged.append(self.packet)
                continue
            packet = packet_of(picture)
            frame = int(order.frame_of[packet])
            if frame < expected:  # pictures shown before the key frame, or none of the recording
                continue
            if not started and not (packet == self.start and picture.key_frame):
                self.untrusted = True
                return
            started = True
            skipped = order.packet_of[expected:frame].tolist()
            self._damaged += skipped
            if picture.is_corrupt or packet in order.incomplete:
                self._damaged.append(packet)
            seen.update(skipped, [packet])
            expected = frame + 1
            waiting.append((frame, picture, packet))
            while low in seen or (low < len(order.frame_of) and order.frame_of[low] < first):
                seen.discard(low)
                low += 1
            while waiting and waiting[0][2] < low:
                yield self._check(*waiting.popleft())
        if not started:  # the recording ends before a whole picture
            self.untrusted = True
        self._damaged += [
            packet
            for packet in range(low, self.packet + 1)
            if packet not in seen and order.frame_of[packet] >= first
        ]
        while waiting:
            yield self._check(*waiting.popleft())

    def _check(self, frame: int, picture: VideoFrame, packet: int) -> tuple[int, VideoFrame, bool]:
        """Return whether a picture depends on nothing that is damaged."""
        if not self._damaged:
            return frame, picture, True
        key = self._order.key_before(packet)
        return frame, picture, not any(key <= damaged <= packet for damaged in self._damaged)
