"""Poses batch by batch, for closed loops and notebooks: memory does not grow with the frames."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from sleap_lab.errors import RunError
from sleap_lab.filters import apply_filters
from sleap_lab.inference.automatic import settled, settled_for
from sleap_lab.inference.models import load_models
from sleap_lab.media.bad_frames import readable
from sleap_lab.media.read_ahead import read_ahead
from sleap_lab.media.source import Frame, Source
from sleap_lab.poses.plot import draw_frame
from sleap_lab.poses.record import Poses
from sleap_lab.settings.config import Config

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sleap_lab.pipelines.pipeline import Pipeline


@dataclass(frozen=True, repr=False)
class PoseBatch:
    """The poses of consecutive frames.

    Attributes:
        poses: The poses, a row per instance; its `frames` are the frames of the batch.
        images: The frames, each (h, w, c); None where one is unreadable.
    """

    poses: Poses
    images: tuple[np.ndarray | None, ...]

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.images)

    def __repr__(self) -> str:
        """Return frames and counts in a line."""
        numbers = self.poses.frames[:, 1]
        return (
            f"PoseBatch(frames {numbers[0]}-{numbers[-1]}, {len(self.poses)} instances of "
            f"{len(self.poses.skeleton.nodes)} nodes, {int(self.poses.visible.sum())} points)"
        )

    def to_dataframe(self) -> Any:
        """Return a tidy pandas table: a row per node of each instance.

        Columns are video, frame, instance (its place in the frame), track (None without one), node,
        x and y in px of the frame (nan where the node was not found), score, and instance_score.

        Raises:
            RunError: pandas is not installed.
        """
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            raise RunError("a table needs pandas: pip install pandas") from error
        return pandas.DataFrame(tidy(self.poses))

    def plot(self, index: int = 0, axes: "Axes | None" = None) -> "Axes":
        """Draw the poses of one frame of the batch on its image.

        Args:
            index: Place of the frame in the batch.
            axes: Where to draw; new axes by default.

        Returns:
            The axes.
        """
        video, frame = self.poses.frames[index].tolist()
        return draw_frame(self.poses, video, frame, self.images[index], axes)


def tidy(poses: Poses) -> dict[str, Any]:
    """Return columns with a row per node of each instance, in the order of the frames.

    `PoseBatch.to_dataframe` says what they hold.
    """
    own = [rows for *_, rows in poses.by_frame()]
    order = np.concatenate([np.zeros(0, dtype=np.intp), *own])
    places = np.concatenate([np.zeros(0, dtype=np.intp), *(np.arange(len(rows)) for rows in own)])
    nodes = len(poses.skeleton.nodes)
    tracks = [poses.track_names[i] if i >= 0 else None for i in poses.tracks[order].tolist()]
    points = poses.points[order].reshape(-1, 2)
    return {
        "video": np.repeat(poses.video[order], nodes),
        "frame": np.repeat(poses.frame[order], nodes),
        "instance": np.repeat(places, nodes),
        "track": [name for name in tracks for _ in range(nodes)],
        "node": list(poses.skeleton.nodes) * len(order),
        "x": points[:, 0],
        "y": points[:, 1],
        "score": poses.point_scores[order].ravel(),
        "instance_score": np.repeat(poses.instance_scores[order], nodes),
    }


def stream_source(source: Source, config: Config) -> Iterator[PoseBatch]:
    """Yield the filtered poses of a source, batch by batch.

    Args:
        source: Opened videos and selected frames.
        config: The experiment; the sections data, model, preprocessing, runtime and filters are
            used.
    """
    bad_frames: list[Frame] = []
    config, _ = settled(config, source)
    pipeline = load_models(source.truth, config)
    with closing(read_ahead(source, config.runtime.queue_maxsize)) as read:
        frames = readable(read, len(source.frames), config.data, bad_frames)
        yield from _batches(frames, pipeline, config)


def stream_images(images: Iterable[np.ndarray], config: Config) -> Iterator[PoseBatch]:
    """Yield the filtered poses of images, batch by batch, as the images come.

    Args:
        images: (h, w) or (h, w, c) with 1 or 3 channels, uint8, or fractions with 1 as white.
        config: As for `stream_source`.

    Raises:
        RunError: An image is something else.
    """
    frames = (Frame(0, number, _checked(image, number)) for number, image in enumerate(images))
    decided: list[Frame] = []

    def first(count: int) -> list[Frame]:
        decided.extend(islice(frames, max(count - len(decided), 0)))
        return decided[:count]

    config, _ = settled_for(config, None, first, None)
    pipeline = load_models(None, config)
    yield from _batches(chain(decided, frames), pipeline, config)


def _checked(image: Any, number: int) -> np.ndarray:
    """Return an image as (h, w, c), uint8 or float32."""
    image = np.asarray(image)
    image = image[..., None] if image.ndim == 2 else image
    if image.ndim == 3 and not image.size:
        raise RunError(f"stream: frame {number} has no pixels: its shape is {image.shape}")
    if image.ndim != 3 or image.shape[2] not in (1, 3) or image.dtype.kind not in "uf":
        raise RunError(
            f"stream: frame {number} is an array of {image.dtype} of the shape {image.shape}; "
            "accepted: (h, w) or (h, w, c) with 1 or 3 channels, uint8, or fractions up to 1"
        )
    if image.dtype.kind == "u" and image.dtype != np.uint8:
        raise RunError(f"stream: frame {number} is of {image.dtype}; accepted: uint8, or fractions")
    return image if image.dtype == np.uint8 else image.astype(np.float32)


def _batches(frames: Iterable[Frame], pipeline: "Pipeline", config: Config) -> Iterator[PoseBatch]:
    """Yield the poses of each batch before the frames of the next are taken."""
    from sleap_lab.pipelines.engine import predict

    waiting: list[Frame] = []

    def taken() -> Iterator[Frame]:
        for frame in frames:
            waiting.append(frame)
            yield frame

    size = int(config.runtime.batch_size)
    with closing(predict(taken(), pipeline, batch_size=size, ahead=False)) as predictions:
        for prediction in predictions:
            count = len(prediction.poses.frames)
            images = tuple(frame.image for frame in waiting[:count])
            del waiting[:count]
            yield PoseBatch(apply_filters(prediction.poses, config.filters), images)
