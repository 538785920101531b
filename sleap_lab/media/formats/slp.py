"""The `.slp` file of predictions: whether it holds centroids or images, and the videos it names."""

from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import sleap_io as sio

from sleap_lab.media.formats.package import embed_images
from sleap_lab.media.labels import save_labels
from sleap_lab.media.source import Source
from sleap_lab.settings.config import OutputConfig


def write_slp(
    labels: sio.Labels,
    path: Path,
    frames: str,
    notes: list[str],
    *,
    source: Source,
    output: OutputConfig,
    centroids: Callable[[], str],
) -> None:
    """Write predictions as a `.slp` file.

    Args:
        labels: The predictions; they are not changed.
        path: The file.
        frames: Digest of the frames that the labels cover.
        notes: Gets a sentence about each thing that is not as asked.
        source: Where the frames are from.
        output: What becomes of centroids, images and references to videos.
        centroids: Returns how the model defines a centroid, e.g. `anchor:thorax`.

    Raises:
        RunError: The file cannot be written, or an image for it cannot be read.
    """
    place = {id(video): i for i, video in enumerate(source.videos)}

    def read(video: sio.Video, frame: int) -> np.ndarray:
        return source.read(place[id(video)], frame)

    embedding = output.embed is True or (
        output.embed == "auto" and any(map(_is_package, labels.videos))
    )
    save_labels(
        _as_centroids(labels, output, centroids, notes),
        path,
        frames,
        notes,
        restore=output.restore_source_videos and not embedding,
        finish=(lambda file: embed_images(file, labels, read)) if embedding else None,
    )


def _is_package(video: sio.Video) -> bool:
    """Return whether the images of a video are in a labels file."""
    metadata: object = video.backend_metadata.get("has_embedded_images")
    return bool(metadata or getattr(video.backend, "has_embedded_images", False))


def _as_centroids(
    labels: sio.Labels, output: OutputConfig, how: Callable[[], str], notes: list[str]
) -> sio.Labels:
    """Return the same labels with predictions of one node as centroids, where these are wanted."""
    if output.centroid_output == "instance":
        return labels
    if any(len(skeleton.nodes) != 1 for skeleton in labels.skeletons):
        notes.append(
            f"output.centroid_output={output.centroid_output} is for centroid models alone; these "
            "predictions have several nodes and are written as instances."
        )
        return labels
    keep, source = output.centroid_output == "both", how()
    frames = []
    for frame in labels.labeled_frames:
        own = [one for one in frame.instances if isinstance(one, sio.PredictedInstance)]
        others = [one for one in frame.instances if one not in own]
        made = [_centroid(one, source) for one in own]
        frames.append(
            attrs.evolve(
                frame,
                instances=frame.instances if keep else others,
                centroids=[*frame.centroids, *made],
            )
        )
    return attrs.evolve(labels, labeled_frames=frames)


def _centroid(instance: sio.PredictedInstance, source: str) -> sio.PredictedCentroid:
    """Return the only node of an instance as a centroid."""
    x, y = instance.numpy()[0].tolist()
    return sio.PredictedCentroid(
        x=x,
        y=y,
        score=float(instance.score),
        track=instance.track,
        tracking_score=instance.tracking_score,
        source=source,
    )
