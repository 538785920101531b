"""Predictions of a pipeline, batch by batch; the cores share the frames of a batch."""

import logging
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from math import ceil
from typing import Any

import numpy as np
import torch

from sleap_lab.errors import RunError
from sleap_lab.media.source import Frame
from sleap_lab.networks.preprocess import prepare
from sleap_lab.pipelines.accelerator import uploaded
from sleap_lab.pipelines.memory import Room, attempt
from sleap_lab.pipelines.model import Crops, FrameBatch, Prediction
from sleap_lab.pipelines.pipeline import Pipeline
from sleap_lab.pipelines.profile import PREPROCESS, Clock, doing
from sleap_lab.pipelines.turns import Turns
from sleap_lab.poses.record import concatenate, make_poses

CACHE_BYTES = 8_000_000
"""Most bytes of the first maps of a pass.

Larger maps do not fit into the cache of a core; with smaller ones the fixed cost of a pass
dominates.
"""

Kind = tuple[tuple[int, ...], np.dtype[Any]] | None
"""Shape and number format of an image; None where it is unreadable."""

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
    batch, unless the frames are so small that one core takes them all. On an accelerator each
    worker takes a batch, and while it waits for the device the others do their part of the work.

    Args:
        frames: Frames in order; their sizes may differ.
        pipeline: Loaded models with their options.
        batch_size: Frames per batch. One batch is in flight while the next waits; with small
            frames, one batch per core is in flight, and on an accelerator one per worker.
        clock: Measures the time of each stage.
        ahead: Take the next frames while a batch is predicted, not after it.

    Yields:
        The prediction of each batch: consecutive frames of one size.

    Raises:
        RunError: There is not enough memory for a single frame.
    """
    clock = clock or Clock()
    threads = torch.get_num_threads()
    accelerator = pipeline.accelerator
    workers = min(threads, batch_size) if accelerator is None else accelerator.workers
    pool = ThreadPoolExecutor(
        workers,
        "predict",
        initializer=torch.set_num_threads,
        initargs=(max(threads // workers, 1) if accelerator is None else 1,),
    )
    pending: deque[list[Future[Prediction]]] = deque()
    turns, room = Turns(), Room()
    waiting = workers if ahead else 0  # passes that wait, so that no worker does
    try:
        batches = _batches(frames, batch_size)
        while True:
            with _one_thread():
                for batch in batches:
                    passes = _passes(batch, pipeline, workers)
                    pending.append(
                        [pool.submit(_turn, part, pipeline, clock, turns, room) for part in passes]
                    )
                    if sum(map(len, pending)) > waiting:
                        break
                if not pending:
                    return
                prediction = _joined([part.result() for part in pending.popleft()])
            yield prediction
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let this thread, which does little, have no further ones.

    They would stay awake and disturb the workers. Whoever takes predictions has as many as before.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _batches(frames: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    """Put consecutive frames of one shape into batches of at most `size`.

    Unreadable frames are batches of their own.
    """
    batch: list[Frame] = []
    kind: Kind = None
    for frame in frames:
        this = _kind(frame)
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


def _kind(frame: Frame) -> Kind:
    return None if frame.image is None else (frame.image.shape, frame.image.dtype)


def _passes(batch: list[Frame], pipeline: Pipeline, workers: int) -> list[list[Frame]]:
    """Divide a batch into what one worker takes at a time."""
    image = batch[0].image
    if image is None or pipeline.accelerator is not None:
        return [batch]
    height, width = pipeline.images.matched_size(*image.shape[:2])
    in_cache = int(CACHE_BYTES / (height * width * pipeline.bytes_per_pixel))
    share = max(ceil(len(batch) / workers), min(len(batch), in_cache))
    return [batch[i : i + share] for i in range(0, len(batch), share)]


def _turn(
    frames: list[Frame], pipeline: Pipeline, clock: Clock, turns: Turns, room: Room
) -> Prediction:
    """Predict frames of one size in one pass, or in smaller passes where memory runs out."""
    queue = nullcontext() if pipeline.accelerator is None else pipeline.accelerator.queue()
    size = room.get(_kind(frames[0]), len(frames))
    predictions = []
    with clock.working(), queue:
        for part in (frames[i : i + size] for i in range(0, len(frames), size)):
            with turns.together():
                prediction = attempt(partial(_predict, part, pipeline, room))
            if prediction is None:  # the others may use what is missing
                with turns.alone():
                    prediction = _in_halves(part, pipeline, room)
            predictions.append(prediction)
    return _of_parts(predictions)


def _in_halves(frames: list[Frame], pipeline: Pipeline, room: Room) -> Prediction:
    """Predict frames whose pass did not fit into memory, and note how many fit.

    Nobody else uses the memory meanwhile.

    Raises:
        RunError: There is not enough memory for a single frame.
    """
    if len(frames) == 1:
        found = attempt(partial(_predict, frames, pipeline, room, alone=True))
        if found is None:
            shape = (0, 0) if frames[0].image is None else frames[0].image.shape[:2]
            height, width = pipeline.images.matched_size(*shape)
            raise RunError(
                f"not enough memory on {pipeline.device} for one frame of {height}x{width} px; "
                "a smaller preprocessing.input_scale, preprocessing.max_height or max_width "
                "needs less"
            )
        return found
    half = len(frames) // 2
    log.warning(
        "not enough memory for %d frames at once, they are done in two halves; "
        "a smaller runtime.batch_size avoids this",
        len(frames),
    )
    room[_kind(frames[0])] = min(half, room.get(_kind(frames[0]), half))
    return _of_parts(
        [
            attempt(partial(_predict, part, pipeline, room)) or _in_halves(part, pipeline, room)
            for part in (frames[:half], frames[half:])
        ]
    )


def _of_parts(parts: list[Prediction]) -> Prediction:
    """Put the predictions of the passes of one turn together.

    With memory for a single pass, observations of several would differ in the last bits.
    """
    return parts[0] if len(parts) == 1 else replace(_joined(parts), observations=None)


def _predict(
    frames: list[Frame], pipeline: Pipeline, room: Room, *, alone: bool = False
) -> Prediction:
    """Predict frames of one size in one pass."""
    where = np.array([(frame.video, frame.index) for frame in frames], dtype=np.int64).reshape(
        -1, 2
    )
    images = [frame.image for frame in frames if frame.image is not None]
    if not images:
        empty = make_poses(pipeline.skeleton, [], track_names=pipeline.track_names, frames=where)
        return Prediction(empty, {}, sizes=np.zeros_like(where), eff=np.full(len(where), np.nan))
    sizes = np.array([image.shape[:2] for image in images], dtype=np.int64)
    with doing(PREPROCESS):
        prepared, factor = prepare(
            uploaded(*images, accelerator=pipeline.accelerator), pipeline.images
        )
    eff = np.full(len(images), factor)
    prediction = pipeline.predict(FrameBatch(prepared, eff, where, room, alone))
    return replace(prediction, sizes=sizes, eff=eff)


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
