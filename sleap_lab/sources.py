"""Where frames come from: videos and labels files, which of their frames, in which order, read ahead."""

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import sleap_io as sio

from sleap_lab.config import DataConfig, parse_frames
from sleap_lab.errors import ConfigError, RunError
from sleap_lab.labels import read_labels, to_poses, video_name
from sleap_lab.poses import Poses

LABEL_FILTERS = ("only_labeled_frames", "only_suggested_frames", "exclude_user_labeled", "only_predicted_frames")


@dataclass(frozen=True)
class Frame:
    """One frame: which, and its image (h, w, c), or None and the reason where it could not be read."""

    video: int
    index: int
    image: np.ndarray | None
    problem: str = ""


@dataclass(frozen=True)
class Source:
    """Videos and the frames of them that were asked for.

    Attributes:
        path: The video or labels file.
        videos: Videos of the output; `frames` refers to them by position.
        frames: (frames, 2) int64 (video, frame), in order, each once.
        labels: Poses of the labels file on these frames, where there is one.
    """

    path: Path
    videos: Sequence[sio.Video]
    frames: np.ndarray
    labels: Poses | None

    @property
    def truth(self) -> Poses | None:
        """User-labelled instances on these frames; None where there are none."""
        labelled = self.labels[self.labels.user] if self.labels is not None else None
        return labelled if labelled is not None and len(labelled) else None

    def read(self, video: int, frame: int) -> np.ndarray:
        """Read one frame as (h, w, c).

        Raises:
            RunError: It cannot be read.
        """
        try:
            return np.asarray(self.videos[video][frame])
        except Exception as error:  # every backend has its own errors for a frame it cannot decode
            name = self.videos[video].filename
            name = Path(name[0]).parent if isinstance(name, list) else name
            raise RunError(f"{name}: frame {frame} cannot be read ({' '.join(str(error).split()) or type(error).__name__})") from error


def open_source(config: DataConfig, *, predicting: bool = True, data: sio.Labels | sio.Video | None = None) -> Source:
    """Open a video or labels file and select its frames.

    Args:
        config: What to open and which frames of it.
        predicting: Whether the frames go through a network; otherwise only labeled frames are selected, and
            `frames` are their frame numbers.
        data: Labels or a video that are already open and stand for `config.path`.

    Raises:
        ConfigError: The selection does not fit the file.
        RunError: The file cannot be read.
    """
    _require_opencv()
    path = Path(str(config.path)) if data is None else _file(data)
    if isinstance(data, sio.Labels) or (data is None and path.suffix.lower() == ".slp"):
        labels = data if data is not None else read_labels(path)
        source = _from_labels(labels, path, config) if predicting else _labeled(labels, path, config)
    elif not predicting:
        raise ConfigError(f"data.path: without a model it must be a .slp file, got {path}")
    else:
        source = _from_video(data, path, config)
    if not len(source.frames):
        raise ConfigError(f"data: the selection holds no frame of {path} ({_selection(config)})")
    return source


def _require_opencv() -> None:
    """Refuse to go on without OpenCV: other ways to read videos are a hundred times slower.

    Raises:
        RunError: OpenCV or a system library that it needs is missing.
    """
    try:
        import cv2  # noqa: F401  # it is sleap-io that uses it
    except ImportError as error:
        hint = "install it: on Debian and Ubuntu apt-get install libgl1" if "libGL" in str(error) else "install opencv-python"
        raise RunError(f"OpenCV cannot be loaded ({error}); {hint}") from error


def _file(data: sio.Labels | sio.Video) -> Path:
    """Return the file that open data come from, for messages."""
    return Path(video_name(data) if isinstance(data, sio.Video) else data.provenance.get("filename", "the labels"))


def _given(value: Any) -> bool:
    """Say whether a setting asks for something; the number 0 does."""
    return value is not None and value is not False


def _selection(config: DataConfig) -> str:
    chosen = {name: getattr(config, name) for name in ("frames", "video_index", *LABEL_FILTERS)}
    return ", ".join(f"data.{name}={value}" for name, value in chosen.items() if _given(value)) or "no filter"


def _from_video(video: sio.Video | None, path: Path, config: DataConfig) -> Source:
    for name in (*LABEL_FILTERS, "video_index"):
        if _given(getattr(config, name)):
            raise ConfigError(f"data.{name}: only for .slp files, data.path is {path}")
    video = video or _load_video(path, config)
    count = _length(video)
    if not count:
        raise RunError(f"data.path: {path} cannot be read as a video: it holds no readable frame; accepted: videos, image folders, .slp")
    return Source(path, [video], _in_video(0, parse_frames(config.frames), count, path), None)


def _load_video(path: Path, config: DataConfig) -> sio.Video:
    if not path.exists():
        raise RunError(f"data.path: no such file: {path}")
    options = {} if config.video_dataset is None else {"dataset": config.video_dataset}
    if path.suffix.lower() in (".h5", ".hdf5"):
        options["input_format"] = config.video_input_format
    try:
        return sio.load_video(str(path), **options)
    except Exception as error:  # every backend has its own errors for a file it cannot read
        raise RunError(
            f"data.path: {path} cannot be read as a video ({' '.join(str(error).split())}); accepted: videos, image folders, .slp"
        ) from error


def _length(video: sio.Video) -> int:
    try:
        return len(video) if video.shape is not None else 0
    except Exception:  # an unreadable file
        return 0


def _in_video(video: int, frames: list[int] | None, count: int, path: Path | str) -> np.ndarray:
    chosen = range(count) if frames is None else frames
    if len(chosen) and max(chosen) >= count:
        raise ConfigError(f"data.frames: frame {max(chosen)} is out of range; {path} has frames 0-{count - 1}")
    return np.array([(video, frame) for frame in chosen], dtype=np.int64).reshape(-1, 2)


def _from_labels(labels: sio.Labels, path: Path, config: DataConfig) -> Source:
    poses = to_poses(labels)
    frames = _filtered(labels, poses, config)
    wanted = parse_frames(config.frames)
    if config.video_index is None:
        if wanted is not None:
            if frames is None:
                frames = poses.frames
            if wanted and max(wanted) >= len(frames):
                raise ConfigError(
                    f"data.frames: position {max(wanted)} is out of range; {path} has {len(frames)} such labeled frames. "
                    "Positions count labeled frames; for frame numbers of a video add data.video_index"
                )
            frames = frames[wanted]
        return Source(path, labels.videos, poses.frames if frames is None else frames, poses)
    video = _video(labels, path, config.video_index)
    count = _length(video)
    if not count:
        raise RunError(f"data.path: video {config.video_index} of {path} cannot be read: {video.filename}")
    chosen = _in_video(0, wanted, count, f"video {config.video_index} of {path}")
    if frames is not None:
        allowed = set(frames[frames[:, 0] == config.video_index][:, 1].tolist())
        chosen = chosen[[frame in allowed for frame in chosen[:, 1].tolist()]]
    return Source(path, [video], chosen, _only_video(poses, config.video_index))


def _video(labels: sio.Labels, path: Path, index: int) -> sio.Video:
    if index >= len(labels.videos):
        raise ConfigError(f"data.video_index: {path} has no video {index}; accepted: 0-{len(labels.videos) - 1}")
    return labels.videos[index]


def _labeled(labels: sio.Labels, path: Path, config: DataConfig) -> Source:
    """Select labeled frames by frame number, for tracking or evaluating what a file already holds."""
    poses = to_poses(labels)
    frames = poses.frames if (filtered := _filtered(labels, poses, config)) is None else filtered
    videos = labels.videos
    if config.video_index is not None:
        videos = [_video(labels, path, config.video_index)]
        frames = frames[frames[:, 0] == config.video_index] * [0, 1]
        poses = _only_video(poses, config.video_index)
    if (wanted := parse_frames(config.frames)) is not None:
        frames = frames[np.isin(frames[:, 1], wanted)]
    return Source(path, videos, frames, poses)


def _only_video(poses: Poses, video: int) -> Poses:
    """Return the poses of one video, renumbered to be the only one."""
    own = poses[poses.video == video]
    frames = poses.frames[poses.frames[:, 0] == video] * [0, 1]
    return replace(own, video=np.zeros_like(own.video), frames=frames)


def _filtered(labels: sio.Labels, poses: Poses, config: DataConfig) -> np.ndarray | None:
    """Return the (video, frame) rows that the label filters leave, or None where no filter is set."""
    users = set(zip(poses.video[poses.user].tolist(), poses.frame[poses.user].tolist(), strict=True))
    predicted = set(zip(poses.video[~poses.user].tolist(), poses.frame[~poses.user].tolist(), strict=True))
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
    """Yield the frames of a source in order, read by a thread that stays at most `queue_maxsize` frames ahead."""
    frames: queue.Queue[Frame | None] = queue.Queue(maxsize=queue_maxsize)
    stop = threading.Event()

    def put(frame: Frame | None) -> None:
        while not stop.is_set():
            try:
                return frames.put(frame, timeout=0.1)
            except queue.Full:
                continue

    def work() -> None:
        for video, index in source.frames.tolist():
            if stop.is_set():
                return
            try:
                put(Frame(video, index, source.read(video, index)))
            except RunError as error:
                put(Frame(video, index, None, str(error)))
        put(None)

    thread = threading.Thread(target=work, name="read-ahead", daemon=True)
    thread.start()
    try:
        while (frame := frames.get()) is not None:
            yield frame
    finally:
        stop.set()
        thread.join()
