"""Which frames of which videos a result covers, as a digest."""

import hashlib
import os
from collections.abc import Sequence

import numpy as np


def frames_digest(videos: Sequence[str], frames: np.ndarray) -> str:
    """Return a digest of frames, whatever their order and that of the videos in the list.

    Args:
        videos: Path of each video.
        frames: (frames, 2) (video, frame).
    """
    digest = hashlib.blake2b(digest_size=16)
    used = np.unique(frames[:, 0]).tolist()
    for name, video in sorted((os.path.abspath(videos[video]), video) for video in used):  # noqa: PTH100
        digest.update(os.fsencode(name) + b"\0")
        digest.update(np.unique(frames[frames[:, 0] == video, 1]).astype("<i8").tobytes())
    return digest.hexdigest()
