"""Predictions of a pipeline, batch by batch; the cores share the frames of a batch."""

import logging
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from math import ceil

import numpy as np
import torch

from sleap_lab.errors import RunError
from sleap_lab.media.source import Frame
from sleap_lab.networks.preprocess import prepare
from sleap_lab.pipelines.model import Crops, FrameBatch, Prediction
from sleap_lab.pipelines.pipeline import Pipeline
from sleap_lab.pipelines.profile import PREPROCESS, Clock, doing
from sleap_lab.poses.record import concatenate, make_poses

CACHE_BYTES = 8_000_000
"""Most bytes of the first maps of a pass.

Larger maps do not fit into the cache of a core; with smaller ones the fixed cost of a pass
dominates.
"""

log = logging.getLogger(__name__)


def predict(
    frames: Iterable[Frame],
    pipeline: Pipeline,
    *,
    batch_size: int,
    clock: Clock | None = None,
    ahead: bool = True,
) -> Generator[Prediction, None, None]:
    """Predict frames in order; unreadable frames stay empty.

    On a processor each core takes frames all the way from image to poses: cores that share the work
    of every single layer wait for each other most of the time. The cores share the frames of a
    batch, unless the frames are so small that one core takes them all.

    Args:
        frames: Frames in order; their sizes may differ.
        pipeline: Loaded models with their options.
        batch_size: Frames per batch. One batch is in flight while the next waits; with small
            frames, one batch per core is in flight.
        clock: Measures the time of each stage.
        ahead: Take the next frames while a batch is predicted, not after it.

    Yields:
        The prediction of each batch: consecutive frames of one size.

    Raises:
        RunError: There is not enough memory for a single frame.
    """
    clock = clock or Clock()
    threads = torch.get_num_threads()
    workers = min(threads, batch_size) if pipeline.device.type == "cpu" else 1
    pool = ThreadPoolExecutor(
        workers,
        "predict",
        initializer=torch.set_num_threads,
        initargs=(max(threads // workers, 1),),
    )
    pending: deque[list[Future[Prediction]]] = deque()
    if pipeline.device.type == "cpu":
        # This thread does little: further threads for it would stay awake and disturb the workers.
        torch.set_num_threads(1)
    try:
        for batch in _batches(frames, batch_size):
            share = max(
                ceil(len(batch) / workers), min(len(batch), _frames_at_once(batch[0], pipeline))
            )
            pending.append(
                [
                    pool.submit(_timed, batch[i : i + share], pipeline, clock)
                    for i in range(0, len(batch), share)
                ]
            )
            if sum(map(len, pending)) > workers * ahead:  # waiting work, so that no core waits
                yield _joined([part.result() for part in pending.popleft()])
        while pending:
            yield _joined([part.result() for part in pending.popleft()])
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


def _batches(frames: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    """Put consecutive frames of one shape into batches of at most `size`.

    Unreadable frames are batches of their own.
    """
    batch: list[Frame] = []
    kind = None
    for frame in frames:
        this = None if frame.image is None else (frame.image.shape, frame.image.dtype)
        if batch and this != kind:
            yield batch
            batch = []
        kind = this
        batch.append(frame)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _frames_at_once(frame: Frame, pipeline: Pipeline) -> int:
    """Return how many frames of this size a core can process in one pass within its cache."""
    if frame.image is None or pipeline.device.type != "cpu":
        return 1
    height, width = (
        pipeline.images.max_height or frame.image.shape[0],
        pipeline.images.max_width or frame.image.shape[1],
    )
    return int(CACHE_BYTES / (height * width * pipeline.bytes_per_pixel))


def _timed(frames: list[Frame], pipeline: Pipeline, clock: Clock) -> Prediction:
    with clock.working():
        return _predict(frames, pipeline)


def _predict(frames: list[Frame], pipeline: Pipeline) -> Prediction:
    """Predict frames of one size in one pass, or in smaller passes where memory runs out."""
    where = np.array([(frame.video, frame.index) for frame in frames], dtype=np.int64).reshape(
        -1, 2
    )
    with doing(PREPROCESS):
        prepared = [
            prepare(frame.image, pipeline.images) for frame in frames if frame.image is not None
        ]
    if not prepared:
        empty = make_poses(pipeline.skeleton, [], track_names=pipeline.track_names, frames=where)
        return Prediction(empty, {}, sizes=np.zeros_like(where), eff=np.full(len(where), np.nan))
    sizes = np.array(
        [frame.image.shape[:2] for frame in frames if frame.image is not None], dtype=np.int64
    )
    eff = np.array([factor for _, factor in prepared])
    try:
        # Channels stay last in memory, which resizing needs.
        images = torch.stack([image.movedim(0, 2) for image, _ in prepared]).movedim(3, 1)
        prediction = pipeline.predict(FrameBatch(images, eff, where))
        return replace(prediction, sizes=sizes, eff=eff)
    except (torch.OutOfMemoryError, RuntimeError, MemoryError) as error:
        if not _out_of_memory(error):
            raise
        if len(frames) == 1:
            height, width = prepared[0][0].shape[-2:]
            raise RunError(
                f"not enough memory on {pipeline.device} for one frame of {height}x{width} px; "
                "a smaller preprocessing.input_scale, preprocessing.max_height or max_width "
                "needs less"
            ) from error
    half = len(frames) // 2
    log.warning(
        "not enough memory for %d frames at once, they are done in two halves; "
        "a smaller runtime.batch_size avoids this",
        len(frames),
    )
    halves = _joined([_predict(frames[:half], pipeline), _predict(frames[half:], pipeline)])
    # With more memory the observations would differ in the last bits.
    return replace(halves, observations=None)


def _joined(parts: list[Prediction]) -> Prediction:
    """Put the predictions of consecutive frames together."""
    if len(parts) == 1:
        return parts[0]
    found = [part.crops for part in parts if part.crops is not None]
    crops = (
        Crops(
            centroids=np.concatenate([one.centroids for one in found]),
            scores=np.concatenate([one.scores for one in found]),
            boxes=np.concatenate([one.boxes for one in found]),
            maps=_all_maps([one.maps for one in found]),
        )
        if found
        else None
    )
    observations = [part.observations for part in parts]
    return Prediction(
        poses=concatenate([part.poses for part in parts]),
        maps=_all_maps([part.maps for part in parts]),
        pixel_sizes=parts[0].pixel_sizes,
        crops=crops,
        graphs=tuple(graph for part in parts for graph in part.graphs),
        sizes=np.concatenate([part.sizes for part in parts]),
        eff=np.concatenate([part.eff for part in parts]),
        observations=None
        if None in observations
        else tuple(content for contents in observations for content in contents or ()),
        truncated=any(part.truncated for part in parts),
    )


def _all_maps(parts: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    names = dict.fromkeys(name for maps in parts for name in maps)
    return {name: torch.cat([maps[name] for maps in parts if name in maps]) for name in names}


def _out_of_memory(error: Exception) -> bool:
    """Return whether an error means that memory ran out.

    PyTorch has no class for this error on a processor.
    """
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "not enough memory" in str(
        error
    )
