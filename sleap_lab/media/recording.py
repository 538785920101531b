"""Reading the frames of a media file by number: the result is the requested frame, or an error.

Decoding begins at a key frame and goes forward. Every picture gives the packet it is from
(`numbered`), so no count and no position of a decoder is trusted.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache, partial
from itertools import chain, islice
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from sleap_lab.media.decoding import ForwardDecoder, PacketOrder
from sleap_lab.media.index import FrameIndex
from sleap_lab.media.packets import numbered, opened

SEEK_DISTANCE = 8
"""Packets up to which decoding goes forward instead of seeking."""
MOST_TRIES = 4
"""Key frames that are tried before the beginning of the file.

Some key frames give whole pictures only after a while.
"""
BEGINNING = (0, 1, 2, 4, 8, 16)
"""First frames that are looked at for colour, beside key frames."""
SAMPLED_KEYS = 5
"""How many key frames are looked at to tell whether a recording has colour."""
SEARCHED = 64
"""Packets that are read after a seek in search of one whose number is known."""
TABLE_FORMATS = ("yuv420p", "yuvj420p")
"""Formats whose pictures without colour are converted by a lookup table."""
NEUTRAL = 128
"""Value of both colour planes of a picture without colour."""


class Recording:
    """A media file whose frames are read by number.

    Attributes:
        path: The file.
        index: Its frames.
    """

    def __init__(self, path: Path, index: FrameIndex) -> None:
        """Take a file and its index from `read_index`; the file is opened when a frame is read."""
        self.path, self.index = path, index
        self._order = PacketOrder.of(index)
        places = list(zip(index.place.tolist(), index.size.tolist(), strict=True))
        packet_by_place = {place: packet for packet, place in enumerate(places)}
        self._packet_at = (
            {place: packet for place, packet in packet_by_place.items() if place[0] >= 0}
            if len(packet_by_place) == len(places)
            else {}
        )
        self._convert = VideoReformatter()
        self._files = ExitStack()
        self._file: tuple[InputContainer, VideoStream] | None = None
        self._threads = True
        self._decoder: ForwardDecoder | None = None
        self._failed = -1
        self._untrusted: set[int] = set()

    def is_gray(self) -> bool:
        """Return whether no frame of a sample has colour: first frames, and later key frames."""
        keys = np.sort(self._order.frame_of[self.index.keys])
        chosen = sampled(keys[keys >= 0], SAMPLED_KEYS)
        gray = False
        for frame in sorted({*BEGINNING, *chosen} & set(range(len(self.index.packet)))):
            try:
                gray = self.read(frame, gray=True).shape[2] == 1
            except ValueError:  # reading that frame reports the problem
                continue
            if not gray:
                return False
        return gray

    def read(self, frame: int, *, gray: bool = False) -> np.ndarray:
        """Read a frame as it is shown.

        Args:
            frame: Its number.
            gray: Return a picture without colour with one channel.

        Returns:
            (h, w, 3) uint8, red first; (h, w, 1) if `gray` and the picture has no colour.

        Raises:
            ValueError: There is no such frame, or it cannot be decoded as it was recorded.
        """
        if not 0 <= frame < self.index.count:
            raise ValueError(f"it has {self.index.count} frames")
        if frame >= len(self.index.packet):
            raise ValueError("the file ends before it")
        try:
            return _image(self._convert, self._decode(frame), gray=gray)
        except av.FFmpegError as error:
            raise ValueError(f"it can no longer be opened: {error.strerror}") from error

    def _decode(self, frame: int) -> VideoFrame:
        """Decode a frame, continuing from the previous one where that is the shortest way.

        Raises:
            ValueError: It cannot be decoded as it was recorded.
        """
        decoder, start = self._decoder, self._start(frame)
        if (
            decoder is None
            or decoder.next > frame
            or start > decoder.packet + SEEK_DISTANCE
            or (decoder.single_threaded and start != self._failed)
        ):
            decoder = self._begin(start)
        picture, problem = decoder.advance(frame)
        tries = 0
        while picture is None and (decoder.untrusted or not decoder.single_threaded):
            tries += 1
            if decoder.untrusted:
                self._untrusted.add(decoder.start)
            else:
                self._failed = start
            start = self._start(frame) if tries <= MOST_TRIES else 0
            decoder = self._begin(
                start, single_threaded=decoder.single_threaded or not decoder.untrusted
            )
            picture, problem = decoder.advance(frame)
        if picture is None:
            raise ValueError(problem)
        return picture

    def close(self) -> None:
        """Close the file; reading opens it again."""
        self._decoder = self._file = None
        self._files.close()

    def _start(self, frame: int) -> int:
        """Return the packet from which a frame is decoded."""
        return self._order.key_before(int(self.index.packet[frame]), self._untrusted)

    def _begin(self, start: int, *, single_threaded: bool = False) -> ForwardDecoder:
        """Begin to decode at a packet.

        Args:
            start: The packet.
            single_threaded: Decode on one core, which decodes more of damaged data.
        """
        if self._threads == single_threaded:
            self.close()
            self._threads = not single_threaded
        packets = self._seek(start) if self._packet_at and start else None
        if packets is None:
            self.close()
            packets = numbered(*self._stream())
        self._decoder = ForwardDecoder(
            packets, self._stream()[1], self._order, start, single_threaded=single_threaded
        )
        return self._decoder

    def _stream(self) -> tuple[InputContainer, VideoStream]:
        """Return the open file and its video stream."""
        if self._file is None:
            self._file = self._files.enter_context(opened(self.path, threads=self._threads))
        return self._file

    def _seek(self, start: int) -> Iterator[Packet] | None:
        """Return the packets from `start` or one before it on, found by seeking.

        Returns:
            The packets; None where seeking does not find them.
        """
        container, stream = self._stream()
        try:
            container.seek(int(self.index.seek[start]), stream=stream)
            # Drop what was decoded elsewhere.
            stream.codec_context.flush_buffers()
        except (av.FFmpegError, OSError, OverflowError):
            return None
        for packet in islice(numbered(container, stream), SEARCHED):
            number = self._packet_at.get((-1 if packet.pos is None else packet.pos, packet.size))
            if number is not None:
                packet.pts = number
                return (
                    chain([packet], numbered(container, stream, number + 1))
                    if number <= start
                    else None
                )
        return None


def _image(convert: VideoReformatter, picture: VideoFrame, *, gray: bool) -> np.ndarray:
    """Convert a picture to an image, with the rotation that the file asks for."""
    image = _without_colour(picture) if gray else None
    if image is None:
        # Colour is interpolated as OpenCV does it, because models are trained on its pixels.
        converted = convert.reformat(picture, format="rgb24", interpolation=Interpolation.BICUBIC)
        image = _rows(converted.planes[0], 3 * converted.width).reshape(
            converted.height, converted.width, 3
        )
        if gray and has_equal_channels(image):
            image = image[..., :1]
    if picture.rotation:
        image = np.rot90(image, picture.rotation // 90)
    return np.ascontiguousarray(image)


def _without_colour(picture: VideoFrame) -> np.ndarray | None:
    """Return the image (h, w, 1) of a picture whose colour planes are empty, without converting it.

    Returns:
        The image; None where the picture has colour or there is no lookup table for it.
    """
    name = picture.format.name
    if name not in TABLE_FORMATS or not all(
        (_rows(plane, plane.width) == NEUTRAL).all() for plane in picture.planes[1:]
    ):
        return None
    levels = gray_levels(name, picture.width, picture.colorspace, picture.color_range)
    return None if levels is None else levels(_rows(picture.planes[0], picture.width))[..., None]


@lru_cache
def gray_levels(
    name: str, width: int, colorspace: int, color_range: int
) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return a function that looks up the levels (h, w) of a picture in its `gray_table`.

    The arguments are those of `gray_table`; None where it has no table.
    """
    table = gray_table(name, width, colorspace, color_range)
    if table is None:
        return None
    every = np.arange(256, dtype=np.uint8)[None]
    return _stretched if (_stretched(every) == table).all() else partial(cv2.LUT, lut=table)


def _stretched(levels: np.ndarray) -> np.ndarray:
    """Stretch levels from 16 to 235 to those from 0 to 255, rounded down.

    It takes half of the time of a table. OpenCV rounds to the nearest, and fractions are multiples
    of 1 / 219, so what is lowered by nearly a half is rounded down.
    """
    # OpenCV's stubs lack plain numbers.
    from_foot = cv2.subtract(levels, 16)  # type: ignore[call-overload]
    return cv2.convertScaleAbs(from_foot, alpha=255 / 219, beta=-0.498)


def gray_table(name: str, width: int, colorspace: int, color_range: int) -> np.ndarray | None:
    """Return the gray value in an image for each brightness of a picture without colour.

    Args:
        name: Format of the pictures, one of `TABLE_FORMATS`.
        width: Width of the pictures, px.
        colorspace: Colour space of the pictures, as ffmpeg numbers it.
        color_range: Colour range likewise.

    Returns:
        (256,) uint8; None where the value depends on the place in the picture, or is unknown.
    """
    if width % 2:
        return None
    # Every level is in every column. Two planes of colour, of a quarter of the pixels each, follow.
    levels = (np.arange(256)[:, None] + np.arange(width)).astype(np.uint8)
    ramp = VideoFrame.from_ndarray(
        np.concatenate([levels, np.full((256 // 2, width), NEUTRAL, dtype=np.uint8)]), format=name
    )
    ramp.colorspace, ramp.color_range = colorspace, color_range
    image = ramp.to_ndarray(format="rgb24", interpolation=Interpolation.BICUBIC)
    table = image[:, 0, 0].copy()
    return table if (image == table[levels][..., None]).all() else None


def _rows(plane: VideoPlane, width: int) -> np.ndarray:
    """Return the bytes of a plane (height, width) without the padding at the ends of its rows."""
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)[:, :width]


def sampled(numbers: Sequence[int] | np.ndarray, most: int) -> list[int]:
    """Return at most so many of some numbers, evenly spread, the first and the last included."""
    if not len(numbers):
        return []
    places = np.unique(np.linspace(0, len(numbers) - 1, most).astype(int))
    return [int(numbers[place]) for place in places]


def has_equal_channels(image: np.ndarray) -> bool:
    """Return whether an image (h, w, c) has no colour."""
    return all(np.array_equal(image[..., 0], image[..., i]) for i in range(1, image.shape[2]))
