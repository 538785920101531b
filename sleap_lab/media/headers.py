"""Checks of labels and videos before they are opened.

Readers allocate memory for what headers promise, and take some other files for videos.
"""

import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
from sleap_io.io.seq import SeqHeader

from sleap_lab.files.pointers import refuse_pointer
from sleap_lab.files.safe_load import check_hdf5, refuse_larger
from sleap_lab.settings.inputs import HDF5, LABELS, SEQ, is_text

ADDRESS = re.compile("[A-Za-z][A-Za-z0-9+.-]+:/")
"""How an address begins that is no file; a single letter is a drive of Windows."""
SCORE_MAPS = ("mask", "label_image")


def vet_labels(path: Path) -> None:
    """Look at a labels file.

    Raises:
        Exception: It cannot be read, reaches beyond itself, or promises more than it holds.
    """
    check_hdf5(path, images=True)
    with h5py.File(path, "r") as file:
        documents = list(file["videos_json"][()]) if "videos_json" in file else []

        def collect(name: str, item: Any) -> None:
            if name.endswith("_video"):
                documents.extend(_source_documents(item))

        file.visititems(collect)
        _check_instances(file)
        _check_score_maps(file, path.stat().st_size)
    if not is_text(
        json.dumps([json.loads(document) for document in documents], ensure_ascii=False)
    ):
        raise ValueError("the name of a video is no text in UTF-8")


def vet_video(path: Path) -> None:
    """Look at a video whose reader allocates memory for all that its header promises.

    Raises:
        Exception: The file cannot be read, reaches beyond itself, or promises more than it holds.
    """
    refuse_pointer(path)
    if path.suffix.lower() in (*HDF5, LABELS):
        check_hdf5(path, images=True)
    elif path.suffix.lower() == SEQ:
        with open(path, "rb") as file:
            header = SeqHeader.from_file(file)
        if header.num_frames > (size := path.stat().st_size):
            raise ValueError(f"it says it has {header.num_frames} frames in {size} bytes")


def refuse_no_video(path: Path, dataset: str | None = None) -> None:
    """Refuse a file that is given as a video and is something else by its content.

    Args:
        path: The file.
        dataset: Requested dataset of an HDF5 file; then the caller checks whether it holds frames.

    Raises:
        OSError: It cannot be opened.
        ValueError: It is something else; the message names it and the remedy.
    """
    refuse_pointer(path)
    if dataset is None and h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            kind = next((kind for kind, is_it in NO_VIDEOS.items() if is_it(file)), None)
        if kind:
            raise ValueError(f"it is {kind}")


NO_VIDEOS: dict[str, Callable[[h5py.File], bool]] = {
    "a SLEAP analysis file: it holds poses, no frames; give the .slp file or the video": (
        lambda file: "tracks" in file and ("track_occupancy" in file or "node_names" in file)
    ),
    (
        "an NWB file, of poses most likely; give the .slp file or the video, "
        "or name its frames with data.video_dataset"
    ): lambda file: "nwb_version" in file.attrs,
    "a table of pandas, as DeepLabCut writes poses: it holds no frames; give the video": (
        lambda file: any(
            "pandas_type" in item.attrs for item in file.values() if isinstance(item, h5py.Group)
        )
    ),
    "the weights of a Keras model; give its folder as model.paths": (
        lambda file: "model_weights" in file
    ),
    "a SLEAP labels file; call it .slp": (
        lambda file: "videos_json" in file and "frames" in file and "instances" in file
    ),
}
"""Kinds of HDF5 files that are no videos, with the remedy -> test of an open file."""


def _source_documents(item: Any) -> list[Any]:
    """Return the JSON documents of an HDF5 group about the video that embedded frames are from."""
    if not isinstance(item, h5py.Group):
        return []
    return (
        [item.attrs["json"]]
        if "json" in item.attrs
        else [item["json"][()]]
        if "json" in item
        else []
    )


def _check_instances(file: h5py.File) -> None:
    """Refuse labels that lack instances of their frames; readers would ignore the loss."""
    fields = file["frames"].dtype.names if "frames" in file else None
    if (
        fields
        and len(file["frames"])
        and (last := int(file["frames"]["instance_id_end"].max())) > len(file["instances"])
    ):
        raise ValueError(
            f"it has {len(file['instances'])} instances, but a frame with number {last - 1}"
        )


def _check_score_maps(file: h5py.File, size: int) -> None:
    """Refuse packed images that are larger than they say; `size` is the file size in bytes."""
    total = 0
    for kind in SCORE_MAPS:
        if f"{kind}_score_map_index" not in file:
            continue
        data = file[f"{kind}_score_maps"]
        for row in file[f"{kind}_score_map_index"][()]:
            count = 4 * int(row["height"]) * int(row["width"])
            total += count
            refuse_larger(total, size)
            packed = data[int(row["data_start"]) : int(row["data_end"])].tobytes()
            if len(zlib.decompressobj().decompress(packed, count + 1)) > count:
                raise ValueError(f"a score map of {kind} is larger than it says")
