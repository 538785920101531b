"""Frames through a pipeline, batch by batch."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from sleap_lab.poses import make_poses
from sleap_lab.predict.model import FrameBatch, Prediction
from sleap_lab.predict.pipeline import Pipeline
from sleap_lab.preprocess import prepare
from sleap_lab.sources import Frame


def predict(frames: Iterable[Frame], pipeline: Pipeline, *, batch_size: int) -> Iterator[Prediction]:
    """Predict frames in order; one prediction per batch, unreadable frames stay empty.

    Args:
        frames: Frames in order; of differing sizes, if need be.
        pipeline: Loaded models with their options.
        batch_size: Largest number of frames per batch.
    """
    images: list[torch.Tensor] = []
    effs: list[float] = []
    where: list[tuple[int, int]] = []

    def flush() -> Prediction:
        batch = FrameBatch(torch.stack(images), np.array(effs), np.array(where, dtype=np.int64).reshape(-1, 2))
        for pending in (images, effs, where):
            pending.clear()
        return pipeline.predict(batch)

    for frame in frames:
        if frame.image is None:
            if images:
                yield flush()
            empty = make_poses(pipeline.skeleton, [], track_names=pipeline.track_names, frames=[(frame.video, frame.index)])
            yield Prediction(empty, {})
            continue
        image, eff = prepare(frame.image, pipeline.images)
        if images and (image.shape, image.dtype) != (images[0].shape, images[0].dtype):
            yield flush()
        images.append(image)
        effs.append(eff)
        where.append((frame.video, frame.index))
        if len(images) == batch_size:
            yield flush()
    if images:
        yield flush()
