"""What a stage's result depends on, as one hash: equal fingerprints mean equal results."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from sleap_lab.config import Config
from sleap_lab.runs.snapshot import file_facts, model_files
from sleap_lab.sources import Source

PREDICT_ROOMS = ("checkpoints", "decode", "networks", "predict", "centroids.py", "labels.py", "poses.py", "preprocess.py", "sources.py")


def fingerprint(facts: Mapping[str, Any]) -> str:
    """Return the SHA-256 of plain facts."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def predict_fingerprint(config: Config, source: Source, device: str) -> str:
    """Return the fingerprint of predictions: videos, labels, frames, weights, every setting that can change a number, and the code."""
    model = asdict(config.model)
    overrides = [path for path in (model.pop("backbone_ckpt_path"), model.pop("head_ckpt_path")) if path is not None]
    weights = [file for path in model.pop("paths") for file in model_files(Path(path))]
    videos = [video.filename for video in source.videos]
    named = [Path(name) for names in videos for name in (names if isinstance(names, list) else [names])]
    return fingerprint(
        {
            "stage": "predict",
            "code": code_hash(*PREDICT_ROOMS),
            "versions": {name: version(name) for name in ("torch", "numpy", "scipy", "sleap-io", "opencv-python")},
            "data": [_content(source.path), *(_content(path) for path in named)],
            "reading": [config.data.video_dataset, config.data.video_input_format],
            "frames": hashlib.sha256(np.ascontiguousarray(source.frames).tobytes()).hexdigest(),
            "weights": [_content(path) for path in [*weights, *map(Path, overrides)]],
            "overridden": [config.model.backbone_ckpt_path is not None, config.model.head_ckpt_path is not None],
            "model": model,
            "preprocessing": asdict(config.preprocessing),
            "runtime": [device, config.runtime.precision, config.runtime.batch_size, config.runtime.compile, config.runtime.num_threads],
        }
    )


def _content(path: Path) -> str:
    """Return the hash of a file's or folder's content; of one that is not there, its name."""
    return file_facts(path)["sha256"] or str(path)


@lru_cache
def code_hash(*rooms: str) -> str:
    """Return the SHA-256 of the package's own source in some files and folders."""
    package = Path(__file__).parents[1]
    files = [file for room in rooms for file in ([package / room] if room.endswith(".py") else sorted((package / room).glob("*.py")))]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.relative_to(package).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
