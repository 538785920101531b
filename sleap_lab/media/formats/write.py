"""Predictions in several formats beside each other.

A format for a single video has one file per video, over the whole video: a frame without poses is a
row without numbers. Where nearly all rows would be empty, a table has the processed frames only,
and arrays are not written. A COCO file lists the processed frames only, because there an image
without annotations says that it holds no animal.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sleap_io as sio

from sleap_lab.errors import RunError, one_line
from sleap_lab.errors.interruption import raise_interruption
from sleap_lab.files.atomic import hdf5_errors
from sleap_lab.files.earlier import NO_FRAMES, replacing_earlier
from sleap_lab.media.formats import analysis_h5, csv, nwb
from sleap_lab.media.formats.coco import write_coco
from sleap_lab.media.formats.names import described, file_stem, renamed, unique_names
from sleap_lab.media.labels import save_labels, to_poses, video_name
from sleap_lab.poses.record import Poses


class Format(NamedTuple):
    """A format that holds one video.

    Attributes:
        suffix: Suffix of its files.
        write: Writes to a path the poses of a video, with a time per frame where they are known.
        notes: Returns a sentence for each thing that a file cannot hold as it is, from the poses,
            the length of the video and the name of the file.
        problem: Returns why the poses of a video of some length cannot be written; empty if they
            can.
        empty: Whether a file may hold no pose.
        radii: Whether a file can hold radii of nodes, which `write` then takes, too.
    """

    suffix: str
    write: Callable[..., None]
    notes: Callable[[Poses, int, str], list[str]] = lambda poses, length, file: []
    problem: Callable[[Poses, int], str] = lambda poses, length: ""
    empty: bool = True
    radii: bool = False


PER_VIDEO = {
    "csv": Format(".csv", csv.write_csv, csv.missing_rows, radii=True),
    "analysis_h5": Format(
        ".analysis.h5",
        analysis_h5.write_analysis_h5,
        analysis_h5.left_out,
        analysis_h5.problem,
        radii=True,
    ),
    "nwb": Format(".nwb", nwb.write_nwb, nwb.left_out, nwb.problem, empty=False),
}
"""The formats that hold one video. They say when frames were taken."""
COCO_SUFFIX = ".coco.json"


class Written(NamedTuple):
    """Results of writing the requested formats.

    Attributes:
        files: The written files.
        notes: A sentence for each thing that a format could not hold as it is.
        failed: A sentence for each file that could not be written.
    """

    files: list[Path]
    notes: list[str]
    failed: list[str]


def write_formats(
    labels: sio.Labels,
    path: Path,
    formats: Sequence[str],
    times: Callable[[], Mapping[int, np.ndarray]] = dict,
    frames: str = NO_FRAMES,
    radii: Callable[[Poses], np.ndarray] | None = None,
    save: Callable[[sio.Labels, Path, str, list[str]], None] = save_labels,
) -> Written:
    """Write labels in several formats beside each other, the `.slp` file first.

    A failure of one of the other formats does not affect the rest.

    Args:
        labels: What to write.
        path: The `.slp` file; other formats replace its suffix and, where there are several videos,
            put number and name before theirs.
        formats: `slp`, `csv`, `analysis_h5`, `nwb`, `coco`.
        times: Returns by video the time of each of its frames, (frames,) s, where they are not
            evenly spaced.
        frames: Digest of the frames that the labels cover. What lies at a place and may not be
            replaced becomes a `.bak` file.
        radii: Returns (n, nodes) px, the radii of nodes, for the formats that can hold them.
        save: Writes the `.slp` file; its arguments are those of `save_labels`.

    Raises:
        RunError: The `.slp` file cannot be written.
    """
    done = Written([], [], [])
    if "slp" in formats:
        save(labels, path, frames, done.notes)
        done.files.append(path)
    if others := [name for name in formats if name != "slp"]:
        _write_others(labels, path, others, times, done, frames, radii)
    return done


def _write_others(
    labels: sio.Labels,
    path: Path,
    others: Sequence[str],
    times: Callable[[], Mapping[int, np.ndarray]],
    done: Written,
    frames: str,
    radii: Callable[[Poses], np.ndarray] | None,
) -> None:
    """Write the formats beside `slp`; the arguments are those of `write_formats`."""
    poses = to_poses(labels)
    skeleton = replace(poses.skeleton, nodes=unique_names(poses.skeleton.nodes, "node"))
    named = replace(poses, track_names=unique_names(poses.track_names, "track"), skeleton=skeleton)
    done.notes.extend(renamed("other formats than slp", poses, named))
    # This reads the file of the video, once for all formats.
    video = cache(lambda i: described(labels.videos[i], poses.of_video(i)))
    taken: Mapping[int, np.ndarray] = {}
    if set(others) & set(PER_VIDEO):
        try:
            taken = times()
        except RunError as error:
            done.notes.append(
                f"times of frames are left out, because a video cannot be read: {error}"
            )
    around = None if radii is None else radii(poses)
    for name in others:
        if name == "coco":
            videos = [video(i) for i in range(len(labels.videos))]
            write = partial(write_coco, named, labels.videos, videos)
            _write(path.with_suffix(COCO_SUFFIX), name, write, done, frames)
        else:
            _write_videos(
                named,
                labels.videos,
                path,
                video,
                done,
                frames,
                name=name,
                times=taken,
                radii=around,
            )


def format_files(
    path: Path, formats: Sequence[str], videos: Sequence[sio.Video], used: Sequence[int]
) -> list[Path]:
    """Return every file that `write_formats` may write.

    Args:
        path: The `.slp` file.
        formats: The formats.
        videos: Videos of the labels.
        used: Indices of the videos with processed frames.
    """
    return [
        file
        for name in formats
        for file in (
            [path]
            if name == "slp"
            else [path.with_suffix(COCO_SUFFIX)]
            if name == "coco"
            else [_video_file(path, name, videos, used, i) for i in used]
        )
    ]


def _video_file(
    path: Path, name: str, videos: Sequence[sio.Video], used: Sequence[int], i: int
) -> Path:
    """Return the file of a video in a format that holds one video."""
    number = "" if len(used) == 1 else f".{i:03}_{file_stem(videos[i])}"
    return path.with_suffix(number + PER_VIDEO[name].suffix)


def _write_videos(
    poses: Poses,
    videos: Sequence[sio.Video],
    path: Path,
    video: Callable[[int], sio.Video],
    done: Written,
    frames: str,
    *,
    name: str,
    times: Mapping[int, np.ndarray],
    radii: np.ndarray | None,
) -> None:
    """Write a file for each video with processed frames, and record it in `done`.

    Args:
        poses: Poses of all videos.
        videos: The videos.
        path: The `.slp` file.
        video: Returns the video of an index as files describe it.
        done: Gets the files, notes and failures.
        frames: Digest of the processed frames.
        name: The format.
        times: By video, the times of its frames.
        radii: (n, nodes) px, radii of the nodes of all poses, if there are any.
    """
    form = PER_VIDEO[name]
    used = np.unique(poses.frames[:, 0]).tolist()
    for i in used:
        own, length = poses.of_video(i), len(video(i))
        file = _video_file(path, name, videos, used, i)
        if not len(own) and not form.empty:
            done.notes.append(
                f"{video_name(videos[i])} has no poses, and {name.upper()} cannot say so: "
                f"{file.name} was not written."
            )
        elif problem := form.problem(own, length):
            done.failed.append(f"{file.name} was not written: {problem}")
        else:
            done.notes.extend(form.notes(own, length, file.name))
            each = _per_frame(times.get(i), length)
            write = partial(form.write, own, video(i), each)
            if form.radii and radii is not None:
                write = partial(write, radii=radii[poses.video == i])
            _write(file, name, write, done, frames)


def _per_frame(times: np.ndarray | None, length: int) -> np.ndarray | None:
    """Return one time for each frame of a video of that length, nan where there is none."""
    return (
        None
        if times is None
        else np.concatenate([times[:length], np.full(max(length - len(times), 0), np.nan)])
    )


def _write(file: Path, name: str, write: Callable[[str], None], done: Written, frames: str) -> None:
    """Write a file and record the result in `done`; a failure affects no other file and no run."""
    try:
        with replacing_earlier(file, frames, done.notes) as temporary, hdf5_errors():
            write(str(temporary))
        done.files.append(file)
    except RunError as error:
        done.failed.append(str(error))
    except Exception as error:  # each writer has its own errors for poses its format cannot hold
        raise_interruption(error)
        done.failed.append(f"{file}: these poses cannot be written as {name} ({one_line(error)})")
