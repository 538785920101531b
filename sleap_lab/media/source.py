"""The source of frames: opened videos, the requested frames of each, and how a frame is read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import sleap_io as sio

from sleap_lab.errors import RunError, one_line
from sleap_lab.errors.interruption import raise_interruption
from sleap_lab.media.coverage import frames_digest
from sleap_lab.media.images import display_path
from sleap_lab.media.index import read_index
from sleap_lab.media.labels import video_name
from sleap_lab.media.readers import Levels, Reader, find_levels
from sleap_lab.media.timing import uneven_times
from sleap_lab.media.videos import Indexer, open_reader
from sleap_lab.poses.record import Poses


@dataclass(frozen=True)
class Frame:
    """One frame of a video.

    Attributes:
        video: Index of the video in `Source.videos`.
        index: Frame number.
        image: The image as `Source.pixels` gives it; None where it is unreadable.
        problem: Why it is unreadable.
    """

    video: int
    index: int
    image: np.ndarray | None
    problem: str = ""


@dataclass(frozen=True)
class Source:
    """Videos and their requested frames.

    Attributes:
        path: The input, as messages name it; the labels file, where there is one.
        videos: Videos of the output; `frames` refers to them by position.
        frames: (frames, 2) int64 (video, frame), in order, each once.
        labels: Poses of the labels file on these frames, where there is one.
        levels: By video, the meaning of its pixels; only videos that were read are in it.
        unreadable: Videos that could not be opened, unlike others, and why.
        cut_short: Videos that lack an unknown number of frames at their end, and how that is known.
        notes: Facts that a reader of the results must know, one sentence each.
        remarks: Facts that ask for nothing, likewise.
        readers: By video, its reader; only videos that were opened are in it.
        index: Reads the index of a media file.
        project: The labels themselves, where nothing is predicted; the changed poses are put back
            into them.
        kept_tracks: Names of the tracks that stay when the poses are tracked anew.
    """

    path: Path
    videos: Sequence[sio.Video]
    frames: np.ndarray
    labels: Poses | None
    levels: dict[int, Levels] = field(default_factory=dict)
    unreadable: tuple[tuple[Path, str], ...] = ()
    cut_short: tuple[tuple[Path, str], ...] = ()
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    readers: dict[int, Reader] = field(default_factory=dict)
    index: Indexer = read_index
    project: sio.Labels | None = None
    kept_tracks: tuple[str, ...] = ()

    @property
    def truth(self) -> Poses | None:
        """User instances on these frames; None where there are none."""
        labelled = self.labels[self.labels.user] if self.labels is not None else None
        return labelled if labelled is not None and len(labelled) else None

    @property
    def files(self) -> list[Path]:
        """Every file that the labels and these frames come from."""
        used = [self.videos[video].filename for video in np.unique(self.frames[:, 0])]
        names = [
            name
            for several in used
            for name in (several if isinstance(several, list) else [several])
        ]
        return list(
            dict.fromkeys([*([] if self.labels is None else [self.path]), *map(Path, names)])
        )

    @property
    def digest(self) -> str:
        """Digest of these frames of these videos."""
        return frames_digest([video_name(video) for video in self.videos], self.frames)

    def reader(self, video: int) -> Reader:
        """Return the reader of a video, opened on the first request."""
        if video not in self.readers:
            self.readers[video] = open_reader(self.videos[video], self.index)
        return self.readers[video]

    def times(self) -> dict[int, np.ndarray]:
        """Return the times of the frames of recordings whose frames are not evenly spaced.

        Returns:
            By video, (frames,) s, the first frame at 0.
        """
        indices = {i: self.reader(i).index for i in np.unique(self.frames[:, 0]).tolist()}
        uneven = {i: uneven_times(index) for i, index in indices.items() if index is not None}
        return {i: times for i, times in uneven.items() if times is not None}

    def reading_facts(self) -> list[dict[str, Any]]:
        """Return facts on the reading of each open video: decoder, and data of its packets."""
        facts: list[dict[str, Any]] = []
        for i, reader in sorted(self.readers.items()):
            own: dict[str, Any] = {
                "video": str(display_path(self.videos[i].filename)),
                "decoder": reader.decoder,
                "frames": len(reader.numbers),
            }
            if (index := reader.index) is not None:
                rate = None if np.isnan(index.rate) else index.rate
                own |= {
                    "codec": index.codec,
                    "size": [index.height, index.width],
                    "rate": rate,
                    "missing": index.missing,
                }
                own |= {
                    "dropped": index.empty,
                    "order": "of decoding" if index.decoded else "by time stamps",
                }
            facts.append(own)
        return facts

    def levels_of(self, video: int) -> Levels:
        """Return the meaning of a video's pixels, found once, so that all its frames share it."""
        if video not in self.levels:
            self.levels[video] = find_levels(
                self.reader(video), self.frames[self.frames[:, 0] == video, 1]
            )
        return self.levels[video]

    def pixels(self, video: int, frame: int) -> np.ndarray:
        """Read one frame for a network.

        Returns:
            (h, w, c) with 1 or 3 channels: uint8, or float32 where the video holds other numbers;
            1 is white.

        Raises:
            RunError: It cannot be read.
        """
        try:
            image = self.reader(video).read(frame)
        except Exception as error:  # each backend has its own errors for an undecodable frame
            raise_interruption(error)
            name = display_path(self.videos[video].filename)
            raise RunError(f"{name}: frame {frame} cannot be read ({one_line(error)})") from error
        return (
            image
            if image.dtype == np.uint8
            else (image / self.levels_of(video).white).astype(np.float32)
        )

    def read(self, video: int, frame: int) -> np.ndarray:
        """Read one frame as a picture, (h, w, c) uint8.

        Raises:
            RunError: It cannot be read.
        """
        image = self.pixels(video, frame)
        if image.dtype == np.uint8:
            return image
        levels = self.levels_of(video)
        return (
            (image * (levels.white / levels.brightest * 255)).round().clip(0, 255).astype(np.uint8)
        )
