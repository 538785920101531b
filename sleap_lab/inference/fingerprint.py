"""What a stage's result depends on, as one hash: equal fingerprints mean equal results."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sleap_lab.files.hashes import file_facts
from sleap_lab.files.packages import package_version
from sleap_lab.poses.record import Poses
from sleap_lab.settings.check_backend import PACKAGES
from sleap_lab.settings.config import Config
from sleap_lab.settings.inputs import model_files

if TYPE_CHECKING:
    from sleap_lab.media.source import Source

INDEX = tuple(
    f"media/{name}.py" for name in ("decoding", "index", "packets", "recording", "stretches")
)
READING = (
    *INDEX,
    *(
        f"media/{name}.py"
        for name in (
            *("fit", "headers", "images", "missing", "readers", "relink", "timing", "videos"),
            *("source", "open_source", "from_videos", "from_labels", "selection"),
            *("source_checks", "read_ahead"),
        )
    ),
    *("poses/record.py", "files/safe_load.py", "files/pointers.py", "settings/inputs.py"),
)
STAGE_CODE: dict[str, tuple[str, ...]] = {
    "index": INDEX,
    "predict": (
        "checkpoints",
        "decode",
        "networks",
        "pipelines",
        *(f"media/{name}.py" for name in ("labels", "counting", "revising")),
        *("poses/centroids.py", "poses/suppression.py"),
        "settings/thresholds.py",
        *READING,
    ),
    "track": (
        "tracking",
        "filters.py",
        "poses/boxes.py",
        "poses/suppression.py",
        "settings/similarities.py",
        "settings/check_tracker.py",
        *READING,
    ),
    "tune": (
        *("tracking", "evaluation", "tune", "filters.py", "poses"),
        *("settings/similarities.py", "settings/thresholds.py", "settings/check_tracker.py"),
    ),
}
"""Files and folders whose code determines the result of a stage."""

RECORD = "stage_code.json"
"""File with two hashes per stage: of its code at the last review, and the version of its results.

The version of the results is the hash of the code that first gave them.
"""

TRACK_PACKAGES = ("numpy", "scipy", "sleap-io", "av", "opencv-python")
"""Packages that determine tracks, and the images that trackers and networks see."""

PREDICT_PACKAGES = ("torch", *TRACK_PACKAGES)
"""Packages that determine the outputs of networks, with those of `runtime.backend`."""

WEIGHTS = ("paths", "backbone_ckpt_path", "head_ckpt_path")
"""Settings of the model that name files; the content of the files counts, not their names."""

ADDED = {"filter_min_centroid_distance": 0.0, "copy_labelled": True}
"""Settings of the model that came later: where they change nothing, older predictions hold."""


def fingerprint(facts: Mapping[str, Any]) -> str:
    """Return the SHA-256 of plain facts."""
    return hashlib.sha256(
        json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()


def index_fingerprint(path: Path) -> str:
    """Return the fingerprint of a media file's index: the file's content and the code."""
    return fingerprint(
        {
            "stage": "index",
            "code": results_version("index"),
            "version": package_version("av"),
            "file": _content(path),
        }
    )


def network_fingerprint(
    config: Config, source: "Source", device: str, depends: Mapping[str, Any]
) -> str:
    """Return the fingerprint of what networks observe.

    Observations depend on all that predictions depend on, but on only some decoding options.

    Args:
        config: The experiment.
        source: Opened videos and selected frames.
        device: Where the networks run.
        depends: The decoding options that matter, as a `Plan` names them.
    """
    return fingerprint(
        {"stage": "network", **_network_facts(config, source, device), "depends": depends}
    )


def predict_fingerprint(
    config: Config, source: "Source", device: str, processor: list[Any] | None = None
) -> str:
    """Return the fingerprint of predictions.

    They depend on videos, labels, frames, weights, every setting that can change a number, and the
    code.

    Args:
        config: The experiment.
        source: Opened videos and selected frames.
        device: Where the networks run.
        processor: The `processor_facts` of another machine that has predicted.
    """
    model = {
        name: value
        for name, value in asdict(config.model).items()
        if name not in WEIGHTS and (name not in ADDED or value != ADDED[name])
    }
    return fingerprint(
        {"stage": "predict", **_network_facts(config, source, device, processor), "model": model}
    )


def _network_facts(
    config: Config, source: "Source", device: str, processor: list[Any] | None = None
) -> dict[str, Any]:
    model, runtime = config.model, config.runtime
    overrides = [
        path for path in (model.backbone_ckpt_path, model.head_ckpt_path) if path is not None
    ]
    folders = [path if path.is_dir() else path.parent for path in map(Path, model.paths)]
    return {
        "code": results_version("predict"),
        "versions": {
            name: package_version(name) for name in (*PREDICT_PACKAGES, *PACKAGES[runtime.backend])
        },
        "images": image_facts(config, source),
        "frames": hashlib.sha256(np.ascontiguousarray(source.frames).tobytes()).hexdigest(),
        "weights": [
            _content(path)
            for path in [
                *(file for folder in folders for file in model_files(folder)),
                *map(Path, overrides),
            ]
        ],
        "overridden": [model.backbone_ckpt_path is not None, model.head_ckpt_path is not None],
        "preprocessing": asdict(config.preprocessing),
        "runtime": [
            device,
            runtime.precision,
            runtime.batch_size,
            "passes of one size" if runtime.compile else False,
            runtime.backend,
        ],
        "processor": processor or processor_facts(device, runtime.num_threads),
    }


def track_fingerprint(config: Config, source: "Source", poses: Poses) -> str:
    """Return the fingerprint of tracks.

    They depend on the poses, the tracker's settings, the images where the tracker uses them, and
    the code.
    """
    tracker = config.tracker
    return fingerprint(
        {
            "stage": "track",
            "code": results_version("track"),
            "versions": {name: package_version(name) for name in TRACK_PACKAGES},
            "poses": array_hash(poses.to_arrays()),
            "images": image_facts(config, source)
            if tracker.use_flow or tracker.features == "image"
            else None,
            "tracker": asdict(tracker),
        }
    )


def array_hash(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of arrays by name: types, shapes and every byte."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode() + array.tobytes())
    return digest.hexdigest()


def image_facts(config: Config, source: "Source") -> list[Any]:
    """Return what determines the images of a source's frames: files, and how they are read."""
    return [
        [_content(path) for path in source.files],
        config.data.video_index,
        config.data.video_dataset,
        config.data.video_input_format,
    ]


def processor_facts(device: str, num_threads: int | None) -> list[Any]:
    """Return what determines how a device rounds.

    On a GPU this is the name of the card; on a processor, the instruction set and the number of
    threads that share a batch.
    """
    import torch  # those who predict have it

    if device.startswith("cuda") and torch.cuda.is_available():
        return [torch.cuda.get_device_name(device)]
    return [torch.backends.cpu.get_cpu_capability(), num_threads or torch.get_num_threads()]


def _content(path: Path) -> str:
    """Return the hash of a file's or folder's content; the name of one that does not exist."""
    return file_facts(path)["sha256"] or str(path)


@lru_cache
def results_version(stage: str) -> str:
    """Return the version of a stage's results, which changes whenever the results can change.

    Code that is declared to give the same results, e.g. after a move or a renaming, keeps the
    version, and cached results of users stay valid. Code that nobody has reviewed has a version of
    its own, so that an undeclared change never uses an old result.

    Args:
        stage: Key of `STAGE_CODE`.
    """
    recorded = json.loads(resources.files("sleap_lab.inference").joinpath(RECORD).read_text())[
        stage
    ]
    code = code_hash(*STAGE_CODE[stage])
    return str(recorded["results"]) if code == recorded["code"] else code


@lru_cache
def code_hash(*rooms: str) -> str:
    """Return the SHA-256 of the package's own source code in some files and folders."""
    package = Path(__file__).parents[1]
    files = [
        file
        for room in rooms
        for file in (
            [package / room] if room.endswith(".py") else sorted((package / room).glob("*.py"))
        )
    ]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.relative_to(package).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
