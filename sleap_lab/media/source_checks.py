"""Checks of a source before any work: whether its frames exist, and what its pixels mean."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sleap_io as sio

from sleap_lab.errors import RunError, listed
from sleap_lab.media.fit import is_transposed, length_problem, size_problem
from sleap_lab.media.images import display_path, orientation_notes
from sleap_lab.media.index import FrameIndex
from sleap_lab.media.missing import after_name, missing_frames
from sleap_lab.media.readers import ArrayReader, Reader
from sleap_lab.media.source import Source
from sleap_lab.media.timing import unevenness
from sleap_lab.settings.config import DataConfig

MISSING_VIDEO = (
    "Put the video, or a link to it, beside the labels file, or give the video itself as data.path"
)
MISSING_FRAMES = (
    "Copy the file again from where it was recorded, or ask for what is there with data.frames"
)


class Lacking(NamedTuple):
    """A video that lacks requested frames.

    Attributes:
        name: Its file, or the folder of its images.
        missing: How many of the requested frames it lacks.
        requested: How many are requested.
        remedy: What a user can do.
    """

    name: Path
    missing: int
    requested: int
    remedy: str


OTHER_RECORDING = (
    "If it is another recording, or was made anew with other frames, its frames are the wrong ones."
)
TURNED = (
    "Its header turns the picture, which some readers leave out. If the labels were made without, "
    "their poses do not fit its frames; a file that is not turned: "
    "ffmpeg -display_rotation 0 -i {path} -c copy FILE"
)
OTHERS = (
    "{name} holds {count} video streams, of which the first is read. "
    "A file of the second alone: ffmpeg -i {path} -map 0:V:1 -c copy {other}"
)
EMPTY = (
    "{name} has {count} places where the recorder dropped a frame. They are not counted as "
    "frames; programs that count them give later frames higher numbers."
)


def check_frames(source: Source, config: DataConfig) -> Source:
    """Check that the requested frames exist, and collect notes on the videos.

    Raises:
        RunError: All frames are missing, or more than `config` allows.
    """
    notes: list[str] = []
    lacking: dict[str, list[Lacking]] = {}
    cut_short: list[tuple[Path, str]] = []
    allowed = 0.0 if config.on_bad_frame == "fail" else config.max_bad_share
    for i in np.unique(source.frames[:, 0]).tolist():
        video, reader = source.videos[i], source.reader(i)
        name, frames = display_path(video.filename), source.frames[source.frames[:, 0] == i, 1]
        notes += orientation_notes(video, frames.tolist())
        if source.labels is not None and not reader.problem:
            notes += _misfits(name, video, reader)
        missing, why = _missing(video, reader, frames)
        if missing:
            remedy = _remedy(source, reader)
            lacking.setdefault(why, []).append(Lacking(name, missing, len(frames), remedy))
        if reader.index is not None:
            if reader.index.short:
                cut_short.append((name, reader.index.short))
            notes += _recording_notes(name, reader.index)
        if len(source.videos) > 1:
            reader.close()
    about = [_about_missing(why, videos) for why, videos in lacking.items()]
    total = sum(video.missing for videos in lacking.values() for video in videos)
    if total > allowed * len(source.frames) or total == len(source.frames):
        (first, *_), *others = lacking.values()
        more = f" Likewise: {' '.join(about[1:])}" if others else ""
        anyway = "go on in any case with data.on_bad_frame=nan data.max_bad_share=1"
        some = f"{first.remedy}, or {anyway}" if total < len(source.frames) else first.remedy
        raise RunError(f"data.path: {about[0]}{more} {some}")
    return replace(source, notes=(*source.notes, *about, *notes), cut_short=tuple(cut_short))


def _misfits(name: Path, video: sio.Video, reader: Reader) -> list[str]:
    """Return a sentence on each fact that labels store otherwise of a video than it is."""
    notes = []
    if size := size_problem(video):
        index = reader.index
        turned = index is not None and is_transposed(video, index.height, index.width)
        remedy = TURNED.format(path=shlex.quote(str(name))) if turned else OTHER_RECORDING
        notes.append(f"{name} has {size}, as the labels say. {remedy}")
    if reader.index is not None and (length := length_problem(video, reader.index.count)):
        notes.append(f"{name} has {length}, as the labels say. {OTHER_RECORDING}")
    return notes


def _about_missing(why: str, videos: Sequence[Lacking]) -> str:
    """Return one sentence on the videos that lack frames for a reason."""
    missing, requested = (
        sum(video.missing for video in videos),
        sum(video.requested for video in videos),
    )
    what = f"{missing} of the {requested} requested frames are missing."
    if len(videos) == 1:
        return f"{videos[0].name} {why}: {what}"
    names = listed([str(video.name) for video in videos], 3)
    return f"{len(videos)} videos: each {why} ({names}): {what}"


def _missing(video: sio.Video, reader: Reader, frames: np.ndarray) -> tuple[int, str]:
    """Return how many frames a video lacks, and why, as words that follow its name.

    Damage within the video shows only when frames are read.
    """
    if isinstance(reader, ArrayReader):
        return 0, ""
    missing, why = missing_frames(video, frames.tolist())
    if missing:
        return missing, why
    if reader.problem:
        return len(frames), after_name(reader.problem)
    if reader.index is None:
        return 0, ""
    held = len(reader.index.packet)
    promised = f"says it has {reader.index.count} frames, but " if reader.index.missing else ""
    return int((frames >= held).sum()), f"{promised}ends after frame {held - 1}"


def _remedy(source: Source, reader: Reader) -> str:
    """Return what a user can do about missing frames: of a video of labels, or of a recording."""
    elsewhere = source.labels is not None and (reader.index is None or bool(reader.problem))
    return MISSING_VIDEO if elsewhere else MISSING_FRAMES


def _recording_notes(name: Path, index: FrameIndex) -> list[str]:
    """Return a sentence on each thing that a user may not know of a recording."""
    notes = []
    if index.others:
        path, other = (
            shlex.quote(str(path)) for path in (name, name.with_suffix(f".second{name.suffix}"))
        )
        notes.append(OTHERS.format(name=name, count=index.others + 1, path=path, other=other))
    if index.empty:
        notes.append(EMPTY.format(name=name, count=index.empty))
    if uneven := unevenness(index, str(name)):
        notes.append(uneven)
    return notes


def with_levels(source: Source) -> Source:
    """Find the levels of the videos, and add a note on numbers that are beyond white."""
    notes = []
    for i, reader in sorted(source.readers.items()):
        levels = source.levels_of(i)
        if len(source.videos) > 1:
            reader.close()
        if levels.brightest > levels.white:
            name = display_path(source.videos[i].filename)
            notes.append(
                f"{name} holds numbers up to {levels.brightest:.0f}; "
                f"to the network {levels.white:.0f} is white, as in sleap-nn's training. "
                "A model that was trained on 8-bit images needs an 8-bit video."
            )
    return replace(source, notes=(*source.notes, *notes))
