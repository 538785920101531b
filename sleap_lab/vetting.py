"""A look at labels and videos before they are opened: labels open the videos they name, and readers make room for what headers promise."""

import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
from sleap_io.io.seq import SeqHeader

from sleap_lab.inputs import HDF5, LABELS, SEQ, is_text
from sleap_lab.untrusted import check_hdf5, refuse_larger

ADDRESS = re.compile("[A-Za-z][A-Za-z0-9+.-]+:/")
"""How an address begins that is no file; a single letter is a drive of Windows."""
SCORE_MAPS = ("mask", "label_image")


def vet_labels(path: Path) -> list[str]:
    """Look at a labels file and at what opening it opens.

    Returns:
        The names of its videos; of a video that is made of images, the first.

    Raises:
        Exception: The file or one of its videos cannot be read, reaches beyond itself, or says it holds more than it does.
    """
    check_hdf5(path, images=True)
    with h5py.File(path, "r") as file:
        documents = list(file["videos_json"][()]) if "videos_json" in file else []
        file.visititems(lambda name, item: documents.extend(_source_documents(item)) if name.endswith("_video") else None)
        _check_instances(file)
        _check_score_maps(file, path.stat().st_size)
    descriptions = [json.loads(document) for document in documents]
    if not is_text(json.dumps(descriptions, ensure_ascii=False)):
        raise ValueError("the name of a video is no text in UTF-8")
    names = list(dict.fromkeys(name for description in descriptions for name in _named_in(description)))
    for name in names:
        for place in (Path(name), path.parent / Path(name.replace("\\", "/")).name):
            if place.exists() and not place.is_file() and not place.is_dir():
                raise ValueError(f"the video {name} is no file")
            if place.is_file() and not place.samefile(path):
                vet_video(place)
    return names


def vet_video(path: Path) -> None:
    """Look at a video whose reader makes room for all that its header promises.

    Raises:
        Exception: The file cannot be read, reaches beyond itself, or says it holds more than it does.
    """
    if path.suffix.lower() in (*HDF5, LABELS):
        check_hdf5(path, images=True)
    elif path.suffix.lower() == SEQ:
        with open(path, "rb") as file:
            header = SeqHeader.from_file(file)
        if header.num_frames > (size := path.stat().st_size):
            raise ValueError(f"it says it has {header.num_frames} frames in {size} bytes")


def file_names(name: Any) -> list[str]:
    """Return the file that a video is named by; of a list of images the first."""
    return [str(name)] if not isinstance(name, list) else [str(name[0])] if name else []


def _source_documents(item: Any) -> list[Any]:
    """Return what an HDF5 group says about the video that embedded frames are from."""
    if not isinstance(item, h5py.Group):
        return []
    return [item.attrs["json"]] if "json" in item.attrs else [item["json"][()]] if "json" in item else []


def _named_in(document: Any) -> Iterator[str]:
    """Yield the files that the description of a video names."""
    for key, value in document.items() if isinstance(document, dict) else ():
        if key in ("filename", "filenames"):
            yield from file_names(value)
        else:
            yield from _named_in(value)


def _check_instances(file: h5py.File) -> None:
    """Refuse labels that lost instances which their frames have; they would be read as if there were none."""
    fields = file["frames"].dtype.names if "frames" in file else None
    if fields and len(file["frames"]) and (last := int(file["frames"]["instance_id_end"].max())) > len(file["instances"]):
        raise ValueError(f"it has {len(file['instances'])} instances, but a frame with number {last - 1}")


def _check_score_maps(file: h5py.File, size: int) -> None:
    """Refuse packed images that are larger than they say; the size of the file is `size`."""
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
