"""Sources of frames: videos and labels files, the selection of their frames, and reading ahead."""

import queue
import shlex
import threading
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import sleap_io as sio

from sleap_lab.errors import ConfigError, RunError, listed
from sleap_lab.media.fit import size_problem
from sleap_lab.media.images import orientation_notes
from sleap_lab.media.index import read_index, uneven_times, unevenness
from sleap_lab.media.labels import read_labels, staying_tracks, to_poses, video_name
from sleap_lab.media.relink import missing_frames, refuse_mistaken
from sleap_lab.media.videos import (
    ACCEPTED,
    NO_FRAME,
    Indexer,
    Levels,
    Reader,
    file_state,
    find_levels,
    open_reader,
    open_video,
)
from sleap_lab.poses.record import Poses
from sleap_lab.settings.config import DataConfig
from sleap_lab.settings.frames import parse_frames
from sleap_lab.settings.inputs import HDF5, Input, find_inputs, input_name, is_labels

LABEL_FILTERS = (
    "only_labeled_frames",
    "only_suggested_frames",
    "exclude_user_labeled",
    "only_predicted_frames",
)


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
        readers: By video, its reader; only videos that were opened are in it.
        index: Reads the index of a media file.
        project: The labels themselves, where nothing is predicted; the changed poses are put back
            into them.
        staying: Names of the tracks that stay when the poses are tracked anew.
    """

    path: Path
    videos: Sequence[sio.Video]
    frames: np.ndarray
    labels: Poses | None
    levels: dict[int, Levels] = field(default_factory=dict)
    unreadable: tuple[tuple[Path, str], ...] = ()
    cut_short: tuple[tuple[Path, str], ...] = ()
    notes: tuple[str, ...] = ()
    readers: dict[int, Reader] = field(default_factory=dict)
    index: Indexer = read_index
    project: sio.Labels | None = None
    staying: tuple[str, ...] = ()

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

    def reading(self) -> list[dict[str, Any]]:
        """Return facts on the reading of each open video: decoder, and data of its packets."""
        facts: list[dict[str, Any]] = []
        for i, reader in sorted(self.readers.items()):
            own: dict[str, Any] = {
                "video": str(_called(self.videos[i])),
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

    def meaning(self, video: int) -> Levels:
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
            reason = " ".join(str(error).split()) or type(error).__name__
            raise RunError(
                f"{_called(self.videos[video])}: frame {frame} cannot be read ({reason})"
            ) from error
        return (
            image
            if image.dtype == np.uint8
            else (image / self.meaning(video).white).astype(np.float32)
        )

    def read(self, video: int, frame: int) -> np.ndarray:
        """Read one frame as a picture, (h, w, c) uint8.

        Raises:
            RunError: It cannot be read.
        """
        image = self.pixels(video, frame)
        if image.dtype == np.uint8:
            return image
        levels = self.meaning(video)
        return (
            (image * (levels.white / levels.brightest * 255)).round().clip(0, 255).astype(np.uint8)
        )


def open_source(
    config: DataConfig,
    *,
    predicting: bool = True,
    data: sio.Labels | sio.Video | None = None,
    index: Indexer = read_index,
) -> Source:
    """Open videos or a labels file and select their frames.

    Args:
        config: What to open and which frames of it.
        predicting: Whether the frames go through a network; otherwise only labeled frames are
            selected, and `frames` are their frame numbers.
        data: Open labels or an open video in place of `config.path`; they are not changed.
        index: Reads the index of a media file.

    Raises:
        ConfigError: The selection does not fit the files.
        RunError: A file cannot be read; of several videos, none.
    """
    _require_opencv()
    inputs = _inputs(config) if data is None else []
    path = (
        _file(data)
        if data is not None
        else input_name(inputs[0])
        if len(inputs) == 1
        else _named(config.path, inputs)
    )
    if isinstance(data, sio.Labels) or is_labels(inputs):
        _refuse_hdf5_keys(config, path)
        labels = data if data is not None else read_labels(path)
        if predicting:
            refuse_mistaken(labels)
            source = _from_labels(labels, path, config, index)
        else:
            source = _labeled(labels if data is None else _copy(labels), path, config)
    elif not predicting:
        raise ConfigError(f"data.path: without a model it must be a .slp file, got {path}")
    else:
        source = _from_videos([data] if data is not None else inputs, path, config, index)
    if not len(source.frames):
        raise ConfigError(f"data: the selection holds no frame of {path} ({_selection(config)})")
    return (
        _with_levels(_checked(replace(source, index=index), config))
        if predicting
        else replace(source, index=index)
    )


def _copy(labels: sio.Labels) -> sio.Labels:
    """Return a copy of labels that can be changed, over the same videos."""
    whole = labels.materialize() if labels.is_lazy else labels
    return deepcopy(whole, {id(video): video for video in whole.videos})


def _inputs(config: DataConfig) -> list[Input]:
    try:
        return find_inputs(config.path)
    except ConfigError as error:  # the config was checked before, so the files have changed
        raise RunError(str(error)) from error


def _named(path: str | Sequence[str], inputs: Sequence[Input]) -> Path:
    """Return the name of several inputs in messages."""
    return (
        Path(path)
        if isinstance(path, str)
        else Path(f"{input_name(inputs[0])} and {len(inputs) - 1} more")
    )


def _require_opencv() -> None:
    """Refuse to go on without OpenCV, which decodes images and converts colours.

    Raises:
        RunError: OpenCV or a system library that it needs is missing.
    """
    try:
        import cv2  # noqa: F401  # sleap-io uses it
    except ImportError as error:
        # The missing libraries are those for windows, which nothing here opens.
        windows = "cannot open shared object file" in str(error)
        hint = (
            "put opencv-python-headless in place of opencv-python"
            if windows
            else "install opencv-python"
        )
        raise RunError(f"OpenCV cannot be loaded ({error}); {hint}") from error


def _file(data: sio.Labels | sio.Video) -> Path:
    """Return the file of open data, for messages."""
    return Path(
        video_name(data)
        if isinstance(data, sio.Video)
        else data.provenance.get("filename", "the labels")
    )


def _called(video: sio.Video) -> Path:
    """Return the name of a video in messages: its file, or the folder of its images."""
    return (
        Path(video.filename[0]).parent if isinstance(video.filename, list) else Path(video.filename)
    )


def _given(value: Any) -> bool:
    """Say whether a setting is given; the number 0 is."""
    return value is not None and value is not False


def _selection(config: DataConfig) -> str:
    chosen = {name: getattr(config, name) for name in ("frames", "video_index", *LABEL_FILTERS)}
    return (
        ", ".join(f"data.{name}={value}" for name, value in chosen.items() if _given(value))
        or "no filter"
    )


def _refuse_hdf5_keys(config: DataConfig, path: Path) -> None:
    """Refuse settings of HDF5 videos where there are none."""
    for name, unset in (("video_dataset", None), ("video_input_format", "channels_last")):
        if getattr(config, name) != unset:
            raise ConfigError(
                f"data.{name}: only for HDF5 videos ({', '.join(HDF5)}), data.path is {path}"
            )


def _checked(source: Source, config: DataConfig) -> Source:
    """Check before any work that the requested frames exist, and collect notes on the videos.

    Raises:
        RunError: More frames are missing than `config` allows.
    """
    notes: list[str] = []
    cut_short: list[tuple[Path, str]] = []
    missing = 0
    allowed = 0.0 if config.on_bad_frame == "fail" else config.max_bad_share
    for i in np.unique(source.frames[:, 0]).tolist():
        video, reader = source.videos[i], source.reader(i)
        name, frames = _called(video), source.frames[source.frames[:, 0] == i, 1]
        notes += orientation_notes(video, frames.tolist())
        if source.labels is not None and not reader.problem and (size := size_problem(video)):
            notes.append(
                f"{name} has {size}, as the labels say. "
                "If it is another recording, so are the frames."
            )
        lost, why = _lost(video, reader, frames)
        if lost:
            missing += lost
            notes.append(f"{name} {why}: {lost} of the {len(frames)} frames asked for are missing.")
            if missing > allowed * len(source.frames):
                elsewhere = source.labels is not None and (
                    reader.index is None or bool(reader.problem)
                )
                raise RunError(
                    f"data.path: {notes[-1]} {MISSING_VIDEO if elsewhere else MISSING_FRAMES} "
                    "or go on in any case with data.on_bad_frame=nan data.max_bad_share=1"
                )
        if reader.index is not None:
            if reader.index.short:
                cut_short.append((name, reader.index.short))
            if others := reader.index.others:
                path, other = (
                    shlex.quote(str(path))
                    for path in (name, name.with_suffix(f".second{name.suffix}"))
                )
                notes.append(OTHERS.format(name=name, count=others + 1, path=path, other=other))
            if reader.index.empty:
                notes.append(EMPTY.format(name=name, count=reader.index.empty))
            if uneven := unevenness(reader.index, str(name)):
                notes.append(uneven)
        if len(source.videos) > 1:
            reader.close()
    return replace(source, notes=(*source.notes, *notes), cut_short=tuple(cut_short))


MISSING_VIDEO = (
    "Put the video, or a link to it, beside the labels file, or give the video itself as data.path,"
)
MISSING_FRAMES = (
    "Copy the file again from where it was recorded, ask for what is there with data.frames,"
)
OTHERS = (
    "{name} holds {count} video streams, of which the first is read. "
    "A file of the second alone: ffmpeg -i {path} -map 0:V:1 -c copy {other}"
)
EMPTY = (
    "{name} has {count} places without a picture, where the recorder dropped frames. "
    "They are not counted; programs that count them, and show the picture before again, "
    "give later frames higher numbers."
)


def _lost(video: sio.Video, reader: Reader, frames: np.ndarray) -> tuple[int, str]:
    """Return how many frames a video lacks, and why, as words that follow its name.

    Damage within the video shows only when frames are read.
    """
    gone, why = missing_frames(video, frames.tolist())
    if gone:
        return gone, why
    if reader.problem:
        return len(frames), reader.problem.removeprefix("it ")
    if reader.index is None:
        return 0, ""
    held = len(reader.index.packet)
    promised = f"says it has {reader.index.count} frames, but " if reader.index.missing else ""
    return int((frames >= held).sum()), f"{promised}ends after frame {held - 1}"


def _with_levels(source: Source) -> Source:
    """Find the levels of the videos, and add a note on numbers that are beyond white."""
    notes = []
    for i, reader in sorted(source.readers.items()):
        levels = source.meaning(i)
        if len(source.videos) > 1:
            reader.close()
        if levels.brightest > levels.white:
            notes.append(
                f"{_called(source.videos[i])} holds numbers up to {levels.brightest:.0f}; "
                f"to the network {levels.white:.0f} is white, as in sleap-nn's training. "
                "A model that was trained on 8-bit images needs an 8-bit video."
            )
    return replace(source, notes=(*source.notes, *notes))


def _from_videos(
    inputs: Sequence[Input | sio.Video], path: Path, config: DataConfig, index: Indexer
) -> Source:
    for name in LABEL_FILTERS:
        if _given(getattr(config, name)):
            raise ConfigError(f"data.{name}: only for .slp files, data.path is {path}")
    if config.video_index is not None:
        if config.video_index >= len(inputs):
            raise ConfigError(
                f"data.video_index: {path} has no video {config.video_index}; "
                f"accepted: 0-{len(inputs) - 1}"
            )
        inputs = [inputs[config.video_index]]
    if not any(isinstance(item, Path) and item.suffix.lower() in HDF5 for item in inputs):
        _refuse_hdf5_keys(config, path)
    videos: list[sio.Video] = []
    readers: dict[int, Reader] = {}
    unreadable: list[tuple[Path, str]] = []
    for item in inputs:
        try:
            video, reader = _opened(item, config, index)
            if len(inputs) > 1:
                reader.close()
            readers[len(videos)] = reader
            videos.append(video)
        except RunError as error:
            unreadable.append(
                (path if isinstance(item, sio.Video) else input_name(item), str(error))
            )
    if not videos:
        which = (
            f"none of the {len(inputs)} videos can be read; the first: " if len(inputs) > 1 else ""
        )
        raise RunError(f"data.path: {which}{unreadable[0][1]}")
    wanted = parse_frames(config.frames)
    if len(inputs) == 1:
        return Source(
            path, videos, _in_video(0, wanted, readers[0].numbers, path), None, readers=readers
        )
    frames, notes = _in_each(videos, [readers[i].numbers for i in range(len(videos))], wanted)
    return Source(
        path, videos, frames, None, unreadable=tuple(unreadable), notes=notes, readers=readers
    )


def _opened(
    item: Input | sio.Video, config: DataConfig, index: Indexer
) -> tuple[sio.Video, Reader]:
    if not isinstance(item, sio.Video):
        return open_video(
            item, dataset=config.video_dataset, input_format=config.video_input_format, index=index
        )
    reader = open_reader(item, index)
    if not len(reader.numbers):
        raise RunError(
            f"{_called(item)} cannot be read as a video: {reader.problem or NO_FRAME}; {ACCEPTED}"
        )
    return item, reader


def _in_video(
    video: int, wanted: list[int] | None, numbers: Sequence[int], path: Path | str
) -> np.ndarray:
    """Return the (video, frame) rows of requested frames of a video, which must have them all."""
    if wanted is None:
        wanted = list(numbers)
    if missing := sorted(set(wanted) - set(numbers)):
        whole = len(numbers) == numbers[-1] + 1
        has = f"0-{numbers[-1]}" if whole else listed(list(map(str, numbers)), 20)
        raise ConfigError(
            f"data.frames: frame {missing[-1]} is out of range; {path} has frames {has}"
        )
    return np.array([(video, frame) for frame in wanted], dtype=np.int64).reshape(-1, 2)


def _in_each(
    videos: Sequence[sio.Video], numbers: Sequence[Sequence[int]], wanted: list[int] | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the rows of the requested frames of several videos.

    A video that ends early gives the frames that it has, and a note.
    """
    if wanted is None:
        return np.concatenate([_in_video(i, None, own, "") for i, own in enumerate(numbers)]), ()
    longest = max(range(len(videos)), key=lambda i: len(numbers[i]))
    _in_video(longest, wanted, numbers[longest], f"the longest video, {_called(videos[longest])},")
    rows = [
        _in_video(i, [frame for frame in wanted if frame < len(own)], own, "")
        for i, own in enumerate(numbers)
    ]
    short = [
        f"{_called(video)} (frames 0-{own[-1]})"
        for video, own in zip(videos, numbers, strict=True)
        if max(wanted, default=0) >= len(own)
    ]
    if not short:
        return np.concatenate(rows), ()
    return np.concatenate(rows), (
        f"data.frames goes beyond the end of {listed(short, 5)}: what they have of it was taken.",
    )


def _from_labels(labels: sio.Labels, path: Path, config: DataConfig, index: Indexer) -> Source:
    poses, notes = _read_poses(labels, path)
    frames = _filtered(labels, poses, config)
    wanted = parse_frames(config.frames)
    if config.video_index is None:
        if wanted is not None:
            if frames is None:
                frames = poses.frames
            if wanted and max(wanted) >= len(frames):
                raise ConfigError(
                    f"data.frames: position {max(wanted)} is out of range; "
                    f"{path} has {len(frames)} such labeled frames. "
                    "Positions count labeled frames; "
                    "for frame numbers of a video add data.video_index"
                )
            frames = frames[wanted]
        return Source(
            path, labels.videos, poses.frames if frames is None else frames, poses, notes=notes
        )
    video = _video(labels, path, config.video_index)
    reader = open_reader(video, index)
    if not len(reader.numbers):
        why = missing_frames(video, ())[1] or (reader.problem or NO_FRAME).removeprefix("it ")
        raise RunError(
            f"data.path: video {config.video_index} of {path} cannot be read: "
            f"{_called(video)} {why}"
        )
    chosen = _in_video(0, wanted, reader.numbers, f"video {config.video_index} of {path}")
    if frames is not None:
        allowed = set(frames[frames[:, 0] == config.video_index][:, 1].tolist())
        chosen = chosen[[frame in allowed for frame in chosen[:, 1].tolist()]]
    return Source(
        path, [video], chosen, poses.of_video(config.video_index), readers={0: reader}, notes=notes
    )


def _video(labels: sio.Labels, path: Path, index: int) -> sio.Video:
    if index >= len(labels.videos):
        raise ConfigError(
            f"data.video_index: {path} has no video {index}; accepted: 0-{len(labels.videos) - 1}"
        )
    return labels.videos[index]


def _read_poses(labels: sio.Labels, path: Path) -> tuple[Poses, tuple[str, ...]]:
    """Return the poses of a labels file, and notes on what does not count."""
    notes: list[str] = []
    poses = to_poses(labels, notes)
    return poses, tuple(f"{path}: {note}" for note in notes)


def _labeled(labels: sio.Labels, path: Path, config: DataConfig) -> Source:
    """Select labeled frames by frame number, for tracking or evaluating the poses of a file."""
    poses, notes = _read_poses(labels, path)
    frames = poses.frames if (filtered := _filtered(labels, poses, config)) is None else filtered
    videos = labels.videos
    if config.video_index is not None:
        videos = [_video(labels, path, config.video_index)]
        frames = frames[frames[:, 0] == config.video_index] * [0, 1]
        poses = poses.of_video(config.video_index)
    if (wanted := parse_frames(config.frames)) is not None:
        frames = frames[np.isin(frames[:, 1], wanted)]
    staying = tuple(track.name for track in staying_tracks(labels))
    return Source(path, videos, frames, poses, notes=notes, project=labels, staying=staying)


def _filtered(labels: sio.Labels, poses: Poses, config: DataConfig) -> np.ndarray | None:
    """Return the (video, frame) rows that the label filters leave; None where none is set."""
    users = set(
        zip(poses.video[poses.user].tolist(), poses.frame[poses.user].tolist(), strict=True)
    )
    predicted = set(
        zip(poses.video[~poses.user].tolist(), poses.frame[~poses.user].tolist(), strict=True)
    )
    labeled = [(int(video), int(frame)) for video, frame in poses.frames]
    if config.only_labeled_frames:
        rows = [where for where in labeled if where in users]
    elif config.only_suggested_frames:
        suggested = [(labels.videos.index(s.video), int(s.frame_idx)) for s in labels.suggestions]
        rows = list(dict.fromkeys(where for where in suggested if where not in users))
    elif config.exclude_user_labeled:
        rows = [where for where in labeled if where not in users]
    elif config.only_predicted_frames:
        rows = [where for where in labeled if where in predicted]
    else:
        return None
    return np.array(rows, dtype=np.int64).reshape(-1, 2)


def read_ahead(source: Source, queue_maxsize: int) -> Iterator[Frame]:
    """Yield the frames of a source in order, read by a thread.

    The thread stays at most `queue_maxsize` frames ahead.

    Raises:
        RunError: A frame cannot be read because its file is gone or has changed since reading
            began.
    """
    frames: queue.Queue[Frame | RunError | None] = queue.Queue(maxsize=queue_maxsize)
    stop = threading.Event()

    def put(frame: Frame | RunError | None) -> None:
        while not stop.is_set():
            try:
                return frames.put(frame, timeout=0.1)
            except queue.Full:
                continue

    rows = source.frames.tolist()
    ends = {video: place for place, (video, _) in enumerate(rows)}

    def work() -> None:
        for place, (video, index) in enumerate(rows):
            if stop.is_set():
                return
            try:
                put(Frame(video, index, source.pixels(video, index)))
            except RunError as error:
                if file_state(source.videos[video].filename) != source.reader(video).state:
                    name = _called(source.videos[video])
                    return put(
                        RunError(
                            f"{name}: it has changed, or is gone, since the run began; "
                            "put it back, and run the same command again"
                        )
                    )
                put(Frame(video, index, None, str(error)))
            if place == ends[video] and len(ends) > 1:
                source.reader(video).close()
        put(None)

    thread = threading.Thread(target=work, name="read-ahead", daemon=True)
    thread.start()
    try:
        while (frame := frames.get()) is not None:
            if isinstance(frame, RunError):
                raise frame
            yield frame
    finally:
        stop.set()
        thread.join()
