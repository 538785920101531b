"""Images inside a `.slp` file, so that it needs no video (`.pkg.slp`).

The layout is that of SLEAP's packages: of video i, `video<i>/video` has a row of PNG bytes per
image, `video<i>/frame_numbers` the frames, and `video<i>/source_video` says where they are from.
sleap-io embeds only what its own readers read, and holds all images in memory.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import sleap_io as sio

ATTRIBUTE_LIMIT = 60_000
"""Bytes; HDF5 stores at most 64 KiB in an attribute. sleap-io looks for a dataset, too."""

Read = Callable[[sio.Video, int], np.ndarray]
"""Video and frame -> (h, w, c) uint8, c 1 or 3."""


def embed_images(path: Path, labels: sio.Labels, read: Read) -> None:
    """Copy the images of all labeled and suggested frames into a labels file.

    Args:
        path: The `.slp` file of the labels. It is changed.
        labels: The labels.
        read: Reads an image.

    Raises:
        RunError: An image cannot be read.
    """
    frames: dict[int, set[int]] = defaultdict(set)
    place = {id(video): i for i, video in enumerate(labels.videos)}
    for frame in [*labels.labeled_frames, *labels.suggestions]:
        frames[place[id(frame.video)]].add(int(frame.frame_idx))
    with h5py.File(path, "r+") as file:
        rows = [json.loads(row) for row in file["videos_json"][:]]
        for i, numbers in sorted(frames.items()):
            images = (read(labels.videos[i], number) for number in sorted(numbers))
            shape = _write_images(file, f"video{i}", images, len(numbers))
            _write_facts(file[f"video{i}"], rows[i], sorted(numbers))
            rows[i] = _embedded(i, shape, rows[i])
        texts = [json.dumps(row, separators=(",", ":")).encode() for row in rows]
        del file["videos_json"]
        file.create_dataset("videos_json", data=texts, maxshape=(None,))


def _write_images(
    file: h5py.File, group: str, images: Iterable[np.ndarray], count: int
) -> tuple[int, int, int, int]:
    """Write images as rows of bytes, the shorter ones filled up with zeros.

    Returns:
        The shape of the video of these images, (frames, h, w, c).
    """
    name = f"{group}/video"
    if name in file:
        del file[name]
    stored, shape = None, (count, 0, 0, 0)
    for row, image in enumerate(images):
        data = _png(image)
        if stored is None:
            shape = (count, *image.shape)
            stored = file.create_dataset(
                name, (count, len(data)), "int8", maxshape=(count, None), chunks=(1, len(data))
            )
        if len(data) > stored.shape[1]:
            stored.resize(len(data), axis=1)
        stored[row, : len(data)] = data
    assert stored is not None, "a video without frames is left out"
    names = ("frames", "height", "width", "channels")
    stored.attrs.update(
        {"format": "png", "channel_order": "RGB", **dict(zip(names, shape, strict=True))}
    )
    return shape


def _png(image: np.ndarray) -> np.ndarray:
    """Return the bytes of an image (h, w, c) as PNG, (bytes,) int8."""
    return np.asarray(cv2.imencode(".png", image[..., ::-1])[1]).view(np.int8).ravel()


def _write_facts(group: h5py.Group, source: dict[str, Any], numbers: list[int]) -> None:
    """Write which frames the images are, and the video that they are from."""
    if "frame_numbers" in group:
        del group["frame_numbers"]
    group.create_dataset("frame_numbers", data=np.array(numbers, dtype=np.int64))
    if "source_video" in group:
        del group["source_video"]
    about, text = group.create_group("source_video"), json.dumps(source, separators=(",", ":"))
    if len(text.encode()) <= ATTRIBUTE_LIMIT:
        about.attrs["json"] = text
    else:
        about.create_dataset("json", data=np.bytes_(text.encode()))
    if (rate := source["backend"].get("fps")) is not None:
        group["video"].attrs["fps"] = rate


def _embedded(i: int, shape: tuple[int, int, int, int], source: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of a video whose images are in the file itself."""
    backend = {
        "type": "HDF5Video",
        "shape": shape,
        "filename": ".",
        "dataset": f"video{i}/video",
        "input_format": "channels_last",
        "convert_range": False,
        "has_embedded_images": True,
        "grayscale": shape[-1] == 1,
        "fps": source["backend"].get("fps"),
    }
    return {"filename": ".", "backend": backend, "source_video": source}
