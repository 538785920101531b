"""Unreadable frames: which of the requested ones, and why; and a check that none is missing."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sleap_lab.errors import RunError, counted, listed
from sleap_lab.files.table import write_table
from sleap_lab.media.labels import video_name
from sleap_lab.media.source import Frame, Source
from sleap_lab.poses.record import Poses
from sleap_lab.settings.config import DataConfig

FRAMES_PER_VIDEO = 2**40  # more than any video has
BAD_FRAMES_FILE = "bad_frames.csv"
WHAT_TO_DO = "copy the file again or re-encode it, or go on in any case with data.max_bad_share=1"


def readable(
    frames: Iterable[Frame], total: int, config: DataConfig, bad: list[Frame]
) -> Iterator[Frame]:
    """Yield the frames that take part, and collect the unreadable ones.

    Args:
        frames: Frames in order.
        total: Number of requested frames.
        config: How to treat an unreadable frame, and how many of them are too many.
        bad: Gets the unreadable frames.

    Raises:
        RunError: A frame is unreadable and none may be, or too many are.
    """
    for frame in frames:
        if frame.image is None:
            if config.on_bad_frame == "fail":
                raise RunError(f"{frame.problem}; data.on_bad_frame=nan or skip goes on without it")
            bad.append(frame)
            refuse_too_many(bad, total, config)
            if config.on_bad_frame == "skip":
                continue
        yield frame
    if total and len(bad) == total:
        raise RunError(
            f"data.path: none of the {total} frames could be read; the first: {bad[0].problem}"
        )


def refuse_too_many(bad: Sequence[Frame], total: int, config: DataConfig) -> None:
    """Refuse to go on where too many frames are unreadable.

    Raises:
        RunError: They are more than `data.max_bad_share` of all frames.
    """
    if len(bad) > config.max_bad_share * total:
        raise RunError(
            f"data.max_bad_share: {len(bad)} of {total} frames could not be read, "
            f"more than the share of {config.max_bad_share:g}; "
            f"the first: {bad[0].problem}; {WHAT_TO_DO}"
        )


def check_account(requested: np.ndarray, poses: Poses, bad_frames: Sequence[Frame]) -> None:
    """Check that each requested frame is either predicted or unreadable, and occurs once.

    Args:
        requested: (frames, 2) int64 (video, frame).
        poses: The predictions; an unreadable frame may be among their frames, without instances.
        bad_frames: Unreadable frames.

    Raises:
        RunError: A frame is missing, occurs twice, or was not requested: a fault of the program,
            not of the user.
    """
    expected, bad = _keys(requested), _keys([(frame.video, frame.index) for frame in bad_frames])
    processed = _keys(poses.frames)
    predicted = processed[~np.isin(processed, bad)]
    done, times = np.unique(np.concatenate([predicted, bad]), return_counts=True)
    faults = {
        "missing": np.setdiff1d(expected, done),
        "not requested": np.setdiff1d(done, expected),
        "done twice": done[times > 1],
        "with poses, but not predicted": np.setdiff1d(
            _keys(np.stack([poses.video, poses.frame], axis=1)), predicted
        ),
    }
    if found := {fault: keys for fault, keys in faults.items() if len(keys)}:
        listed_faults = "; ".join(
            f"{len(keys)} {fault}, the first of them {_place(keys[0])}"
            for fault, keys in found.items()
        )
        raise RunError(
            f"{len(expected)} frames were requested, {len(predicted)} predicted and {len(bad)} "
            f"unreadable, but {listed_faults}; "
            "this is a fault of sleap-lab, please report it"
        )


def _keys(rows: Any) -> np.ndarray:
    """Return one number for each (video, frame)."""
    rows = np.asarray(rows, dtype=np.int64).reshape(-1, 2)
    return rows[:, 0] * FRAMES_PER_VIDEO + rows[:, 1]


def _place(key: int) -> str:
    video, frame = divmod(int(key), FRAMES_PER_VIDEO)
    return f"frame {frame} of video {video}"


def bad_frame_facts(bad_frames: Sequence[Frame]) -> list[list[Any]]:
    """Return video, number and problem of unreadable frames, as JSON can hold them."""
    return [[frame.video, frame.index, frame.problem] for frame in bad_frames]


def bad_frames_of(facts: Iterable[Sequence[Any]]) -> list[Frame]:
    """Return the unreadable frames that `bad_frame_facts` describes."""
    return [Frame(int(video), int(index), None, str(problem)) for video, index, problem in facts]


def video_table(source: Source, bad_frames: Sequence[Frame]) -> list[dict[str, Any]]:
    """Return a table of the videos: how many of their frames were requested, read and unreadable.

    Args:
        source: Source of the frames.
        bad_frames: Unreadable frames.

    Returns:
        One row per video, with these columns: `video`; `asked`, the number of requested frames,
        None where the video could not be opened; `read`; `bad`; `status`: ok, partial, unreadable,
        or no frames where none were requested; `problem`, the first.
    """
    rows: list[dict[str, Any]] = []
    for i, video in enumerate(source.videos):
        requested = int((source.frames[:, 0] == i).sum())
        bad = [frame for frame in bad_frames if frame.video == i]
        rows.append(
            {
                "video": video_name(video),
                "asked": requested,
                "read": requested - len(bad),
                "bad": len(bad),
                "status": _status(requested, len(bad)),
                "problem": bad[0].problem if bad else "",
            }
        )
    for path, problem in source.unreadable:
        rows.append(
            {
                "video": str(path),
                "asked": None,
                "read": 0,
                "bad": 0,
                "status": "unreadable",
                "problem": problem,
            }
        )
    return rows


def _status(requested: int, bad: int) -> str:
    """Return how a video was read, of which some of the requested frames are unreadable."""
    if not requested:
        return "no frames"
    if not bad:
        return "ok"
    return "partial" if bad < requested else "unreadable"


def bad_ranges(source: Source, bad_frames: Sequence[Frame]) -> list[dict[str, Any]]:
    """Return the unreadable frames as ranges.

    A range is a run of consecutive frames of one video that are unreadable for the same reason.

    Args:
        source: Source of the frames.
        bad_frames: Unreadable frames.

    Returns:
        For each range its `video`, `frames` as in `7` or `7-12`, their `count`, and the `problem`
        of the first.
    """
    ranges: list[dict[str, Any]] = []
    previous: Frame | None = None
    for frame in sorted(bad_frames, key=lambda frame: (frame.video, frame.index)):
        if previous is not None and (frame.video, frame.index - 1, _kind(frame)) == (
            previous.video,
            previous.index,
            _kind(previous),
        ):
            last = ranges[-1]
            last["count"] += 1
            last["frames"] = f"{last['frames'].partition('-')[0]}-{frame.index}"
        else:
            name = video_name(source.videos[frame.video])
            ranges.append(
                {"video": name, "frames": str(frame.index), "count": 1, "problem": frame.problem}
            )
        previous = frame
    return ranges


def _kind(frame: Frame) -> str:
    """Return a problem without the numbers in it, which differ from frame to frame."""
    return re.sub("[0-9]+", "", frame.problem)


def write_bad_frames(path: Path, source: Source, bad_frames: Sequence[Frame]) -> None:
    """Write a table of the unreadable frames, one row each: video, frame and problem.

    Raises:
        RunError: The file cannot be written.
    """
    rows = (
        (video_name(source.videos[frame.video]), frame.index, frame.problem) for frame in bad_frames
    )
    write_table(path, ("video", "frame", "problem"), rows)


def bad_frame_notes(source: Source, bad_frames: Sequence[Frame]) -> list[str]:
    """Return one sentence for each kind of missing videos and frames, if there are any."""
    unopened, notes = source.unreadable, []
    if unopened:
        names = listed([str(path) for path, _ in unopened], 5)
        notes.append(
            f"{len(unopened)} of {len(unopened) + len(source.videos)} videos could not be opened: "
            f"{names}. The first: {unopened[0][1]}"
        )
    for path, reason in source.cut_short:
        notes.append(
            f"{path} seems to have been cut short: {reason}. "
            "What it holds was used; copy it again from where it was recorded."
        )
    if bad_frames:
        videos = len({frame.video for frame in bad_frames})
        where = (
            f" in {videos} videos"
            if videos > 1
            else ": " + listed([part["frames"] for part in bad_ranges(source, bad_frames)], 20)
        )
        notes.append(
            f"{counted(len(bad_frames), 'frame')} could not be read{where}. "
            f"The first: {bad_frames[0].problem}"
        )
    return notes
