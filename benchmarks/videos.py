"""Videos that are long enough to be timed."""

from pathlib import Path

import cv2


def play_again(video: Path, path: Path, frames: int, size: tuple[int, int] | None = None) -> Path:
    """Write a video that shows another one over and over.

    Args:
        video: The video that is shown.
        path: Where the long one is written.
        frames: Its number of frames.
        size: Width and height, px; by default those of the video.

    Returns:
        The path.
    """
    capture = cv2.VideoCapture(str(video))
    images = []
    while (read := capture.read())[0]:
        images.append(
            read[1] if size is None else cv2.resize(read[1], size, interpolation=cv2.INTER_AREA)
        )
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, images[0].shape[1::-1])
    for number in range(frames):
        writer.write(images[number % len(images)])
    writer.release()
    return path
