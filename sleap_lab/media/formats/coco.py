"""One COCO file of all videos, which lists the processed frames only."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sleap_io as sio

from sleap_lab.media.formats.names import as_path, file_stem
from sleap_lab.media.headers import ADDRESS
from sleap_lab.media.labels import to_labels
from sleap_lab.poses.record import Poses


def write_coco(
    poses: Poses, videos: Sequence[sio.Video], described: Sequence[sio.Video], path: str
) -> None:
    """Write one COCO file: images are the processed frames, annotations their instances.

    Annotations of predicted instances have scores. Images of a video that is made of images have
    their paths, others the names that sleap-io gives them. Where videos share a name, their number
    comes first.
    """
    from sleap_io.io.coco import convert_labels

    stems = [file_stem(video) for video in videos]
    shared = {stem for stem, count in Counter(stems).items() if count > 1}
    stems = [f"{i:03}_{stem}" if stem in shared else stem for i, stem in enumerate(stems)]

    def image(video: int, frame: int) -> str:
        files = videos[video].filename
        return (
            _absolute(files[frame])
            if isinstance(files, list)
            else f"{stems[video]}_frame_{frame:06d}.png"
        )

    labels = to_labels(poses, described)
    coco: dict[str, Any] = convert_labels(
        labels, [image(video, frame) for video, frame in poses.frames.tolist()]
    )
    instances = [instance for frame in labels.labeled_frames for instance in frame.instances]
    for annotation, instance in zip(coco["annotations"], instances, strict=True):
        if isinstance(instance, sio.PredictedInstance) and np.isfinite(instance.score):
            annotation["score"] = float(instance.score)
    Path(path).write_text(json.dumps(coco, indent=2), encoding="utf-8")


def _absolute(name: str) -> str:
    """Return an absolute file name; Windows paths and addresses stay as they are."""
    path = as_path(name)
    return str(path.absolute()) if isinstance(path, Path) and not ADDRESS.match(name) else name
