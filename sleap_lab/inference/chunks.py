"""Long predictions, stored chunk by chunk, so that a stopped run can continue.

Every minute, and when it is stopped, a run stores a chunk in the cache: what it has predicted since
the last one. The next run continues at the next frame with the same batches as an uninterrupted
run, so that the result is the same to the last bit. When the whole prediction is stored, the chunks
are removed.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sleap_lab.inference.cache import Cache, StageResult, clear, recall, remember
from sleap_lab.inference.fingerprint import fingerprint
from sleap_lab.media.bad_frames import bad_frame_facts, bad_frames_of
from sleap_lab.media.source import Frame, Source
from sleap_lab.poses.record import Gathering, Poses

CHUNK_SECONDS = 60.0
"""Time between chunks, which is the most that a killed run loses."""

BAD_FRAMES = "lost"
"""Key of the unreadable frames in the facts of a stored chunk."""


class Chunks:
    """The chunks of a prediction.

    Attributes:
        poses: Poses of the frames that an earlier run predicted, in order, one record per chunk.
        bad_frames: Unreadable frames, in order; the prediction of the remaining frames adds to
            them.
        remaining: The source with the frames that no chunk holds.
    """

    def __init__(self, source: Source, cache: Cache, key: str, about: str) -> None:
        """Read the chunks that are stored.

        Args:
            source: Source of the whole prediction.
            cache: Where the chunks are.
            key: Fingerprint of the whole prediction.
            about: Description of the prediction, for people.
        """
        self.cache, self.key, self.about = cache, key, about
        self.frames = source.frames
        self.poses: list[Poses] = []
        self.bad_frames: list[Frame] = []
        self.done = 0
        while recall(cache, self._chunk_key(len(self.poses)), self._add_stored) is not None:
            pass
        self.remaining = replace(source, frames=source.frames[self.done :])
        self._stored = len(self.poses)
        self._unstored = Gathering()
        self._since = time.monotonic()

    def _add_stored(self, chunk: StageResult) -> bool:
        """Add a stored chunk, if it follows the chunks added before; return whether it does."""
        poses, stop = Poses.from_arrays(chunk.arrays), int(chunk.facts["stop"])
        bad_frames = bad_frames_of(chunk.facts[BAD_FRAMES])
        if chunk.facts["start"] != self.done or not self.done < stop <= len(self.frames):
            return False
        self.poses.append(poses)
        self.bad_frames += bad_frames
        self.done = stop
        return True

    def add(self, poses: Poses) -> None:
        """Add the poses of the next frames, and store a chunk every minute."""
        self._unstored.add(poses)
        if time.monotonic() - self._since > CHUNK_SECONDS:
            self.store()

    def store(self) -> None:
        """Store the poses added since the last chunk."""
        self._since = time.monotonic()
        poses = self._unstored.whole()
        if poses is None:
            return
        stop = (
            self.done
            + 1
            + int(np.flatnonzero((self.frames[self.done :] == poses.frames[-1]).all(axis=1))[0])
        )
        bad_frames = bad_frame_facts(self._bad_frames_between(self.done, stop))
        facts = {"start": self.done, "stop": stop, BAD_FRAMES: bad_frames}
        result = StageResult(poses.to_arrays(), facts)
        remember(
            self.cache,
            self._chunk_key(self._stored),
            lambda: result,
            stage="predict, part",
            about=self.about,
            fits=lambda stored: False,
        )
        self.done = stop
        self._stored += 1
        self._unstored = Gathering()

    def remove(self) -> None:
        """Remove the chunks, when the whole prediction is stored."""
        if self._stored and self.cache.mode == "rw":
            clear(self.cache.folder, [self._chunk_key(number) for number in range(self._stored)])

    def _chunk_key(self, number: int) -> str:
        return fingerprint({"part": number, "of": self.key})

    def _bad_frames_between(self, start: int, stop: int) -> Sequence[Frame]:
        within = set(map(tuple, self.frames[start:stop].tolist()))
        return [frame for frame in self.bad_frames if (frame.video, frame.index) in within]
