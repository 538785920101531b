"""Films of chosen frames that every browser plays, small enough to lie in a page."""

from collections.abc import Iterable
from fractions import Fraction
from io import BytesIO

import av
import cv2
import numpy as np

SIDE = 640  # px, the longer side of a film
GROUP = 24  # frames from one key frame to the next: few make steps back fast, many films small
QUALITY = 26  # constant rate factor of H.264, smaller is better
SLOWEST = 5  # frames per second of a film of scattered frames


def film_size(height: int, width: int) -> tuple[int, int]:
    """Return height and width of the film of a video, px; both are even, as the codec needs."""
    scale = min(1.0, SIDE / max(height, width))
    even = [max(2, 2 * round(side * scale / 2)) for side in (height, width)]
    return even[0], even[1]


def film_rate(frames: np.ndarray, rate: float) -> Fraction:
    """Return the frames per second at which a film plays as fast as the recording.

    Args:
        frames: (n,) numbers of the frames of a recording that can be shown, ascending.
        rate: Frames per second of the recording.
    """
    step = float(np.median(np.diff(frames))) if len(frames) > 1 else 1.0
    return Fraction(max(rate / step, SLOWEST)).limit_denominator(1001)


def encode(images: Iterable[np.ndarray], size: tuple[int, int], rate: Fraction) -> bytes:
    """Return images as an MP4 file in which frame k is shown from k / rate seconds on.

    Args:
        images: (h, w, c) uint8 each, c 1 or 3.
        size: Height and width of the film, px, even.
        rate: Frames per second.
    """
    file = BytesIO()
    height, width = size
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream(
            "libx264",
            rate=rate,
            options={"crf": str(QUALITY), "preset": "veryfast", "sc_threshold": "0"},
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = GROUP, 0
        for number, image in enumerate(images):
            scaled = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            picture = np.ascontiguousarray(
                np.broadcast_to(scaled.reshape(height, width, -1), (height, width, 3))
            )
            # Converted by the encoder itself, 3 of 210 films had other bytes; so, none of 750.
            planes = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()
