"""`run_inference`: predictions from Python, in sleap-nn's own argument names."""

import inspect
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sleap_io as sio

from sleap_lab import flags
from sleap_lab.config import Config, check, defaults, keys
from sleap_lab.errors import ConfigError, did_you_mean
from sleap_lab.inference import detect, refine
from sleap_lab.labels import save_labels, to_labels
from sleap_lab.provenance import provenance
from sleap_lab.sources import losses, open_source
from sleap_lab.tracking import check as check_tracker

RETURNED_MAPS = {
    "return_confmaps": ("confmaps", "centroid_confmaps"),
    "return_pafs": ("pafs",),
    "return_class_maps": ("class_maps",),
    "return_class_vectors": ("class_vectors",),
}
MAP_NAMES = {
    "confmaps": "pred_confmaps",
    "centroid_confmaps": "pred_centroid_confmaps",
    "pafs": "pred_part_affinity_fields",
    "class_maps": "pred_class_maps",
    "class_vectors": "pred_class_vectors",
}


def run_inference(
    data_path: str | Path | Sequence[str | Path] | None = None,
    input_labels: sio.Labels | None = None,
    input_video: sio.Video | None = None,
    model_paths: Sequence[str | Path] | str | Path | None = None,
    *,
    make_labels: bool = True,
    output_path: str | Path | None = None,
    return_confmaps: bool = False,
    return_pafs: bool = False,
    return_class_maps: bool = False,
    return_class_vectors: bool = False,
    **options: Any,
) -> sio.Labels | list[dict[str, Any]]:
    """Predict, and track where asked, as `sleap-lab track` does; writes `output_path` and nothing else.

    Args:
        data_path: Video or `.slp` file, or several videos: a list, a glob, a folder, or a `.txt` file of paths.
        input_labels: Labels that are already open, instead of `data_path`.
        input_video: A video that is already open, instead of `data_path`.
        model_paths: Model folders, or a single one; none to track existing labels.
        make_labels: Return labels; otherwise a list of dictionaries of arrays, one per batch.
        output_path: Where to write the labels; nowhere without it.
        return_confmaps: Add the confidence maps to the dictionaries.
        return_pafs: Add the part affinity fields.
        return_class_maps: Add the class maps.
        return_class_vectors: Add the class vectors of crops.
        **options: Every other flag of `sleap-lab track` by its name, e.g. `tracking=True`, `frames=[0, 1]`.

    Returns:
        The labels; or with `make_labels=False` per batch of B frames a dictionary of
        `video_idx` and `frame_idx` (B,); `pred_instance_peaks`, B arrays (n, nodes, 2) in px of image space,
        `pred_peak_values`, B arrays (n, nodes), and `instance_scores`, B arrays (n,) (for single-instance models one array
        (B, nodes, 2), (B, nodes) and (B,), nan where no instance was found); for multi-class models `pred_class_inds` and `class_scores`,
        B arrays (n,); and the maps that were asked for: `pred_confmaps` (B, or crops, nodes, h, w), `pred_centroid_confmaps` (B, 1, h, w),
        `pred_part_affinity_fields` (B, h, w, 2 * edges), `pred_class_maps` (B, classes, h, w), `pred_class_vectors` (crops, classes).

    Raises:
        ConfigError: An argument is unknown or does not fit.
        RunError: Something cannot be read or written.

    Warns:
        UserWarning: Some frames, or some of several videos, could not be read.
    """
    given = [
        name
        for name, value in (("data_path", data_path), ("input_labels", input_labels), ("input_video", input_video))
        if value is not None
    ]
    if not given:
        raise ConfigError("run_inference needs data_path, input_labels or input_video")
    data = input_labels if input_labels is not None else input_video
    config = _config(options, data_path=data_path if data is None else None, model_paths=model_paths, output_path=output_path)
    if not make_labels and config.tracker.tracking:
        raise ConfigError("tracking=True needs make_labels=True")
    wanted = {"return_confmaps": return_confmaps, "return_pafs": return_pafs, "return_class_maps": return_class_maps}
    wanted["return_class_vectors"] = return_class_vectors
    maps = [name for option, names in RETURNED_MAPS.items() if wanted[option] for name in names]
    batches: list[dict[str, Any]] = []
    source = open_source(config.data, predicting=config.model.kind != "none", data=data)
    detected = detect(source, config, keep=None if make_labels else lambda prediction: batches.append(_arrays(prediction, maps)))
    for loss in [*source.notes, *losses(source, detected.bad_frames)]:
        warnings.warn(loss, stacklevel=2)
    if not make_labels:
        return [_stacked(batch) for batch in batches] if detected.kind == "single_instance" else batches
    inference = refine(detected, source, config)
    labels = to_labels(inference.poses, source.videos, provenance=provenance(config, inference))
    if config.output.no_empty_frames:
        labels.labeled_frames = [frame for frame in labels.labeled_frames if len(frame.instances)]
    if output_path is not None:
        save_labels(labels, output_path)
    return labels


def _config(
    options: dict[str, Any],
    *,
    data_path: str | Path | Sequence[str | Path] | None,
    model_paths: Sequence[str | Path] | str | Path | None,
    output_path: str | Path | None,
) -> Config:
    """Build the config of a call; settings are checked as on the command line."""
    by_name = {flag.name: flag for flag in flags.TRACK if flag.name not in ("data_path", "model_paths", "output_path")}
    config = Config()
    paths = [model_paths] if isinstance(model_paths, (str, Path)) else model_paths or []
    values: dict[str, Any] = {"data.path": data_path, "model.paths": paths, "output.path": output_path}
    for name, value in options.items():
        if name not in by_name:
            raise ConfigError(f"run_inference has no argument {name!r}.{did_you_mean(name, by_name)}")
        values[by_name[name].key] = value
    if not paths:
        values["model.kind"] = "none"
    for key, value in (flags.parity(values) | values).items():
        group, _, name = key.partition(".")
        setattr(getattr(config, group), name, _plain(value))
    check(config, opened=data_path is None)
    if config.tracker.tracking:
        check_tracker(config.tracker)
    return config


def _plain(value: Any) -> Any:
    """Return paths as text, and numbers, arrays and ranges as the plain ones that a config and a file hold."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    return [_plain(item) for item in value] if isinstance(value, (list, tuple, range)) else value


def _arrays(prediction: Any, maps: Sequence[str]) -> dict[str, Any]:
    """Return a batch as arrays, per frame."""
    poses = prediction.poses
    rows = [rows for *_, rows in poses.by_frame()]
    batch: dict[str, Any] = {
        "video_idx": poses.frames[:, 0],
        "frame_idx": poses.frames[:, 1],
        "pred_instance_peaks": [poses.points[r] for r in rows],
        "pred_peak_values": [poses.point_scores[r] for r in rows],
        "instance_scores": [poses.instance_scores[r] for r in rows],
    }
    if poses.track_names:
        batch["pred_class_inds"] = [poses.tracks[r] for r in rows]
        batch["class_scores"] = [poses.track_scores[r] for r in rows]
    for name in maps:
        if name in prediction.maps:
            array = prediction.maps[name].cpu().numpy()
            batch[MAP_NAMES[name]] = array.transpose(0, 2, 3, 1) if name == "pafs" else array
    return batch


def _stacked(batch: dict[str, Any]) -> dict[str, Any]:
    """Turn the lists of a single-instance batch into arrays with one row per frame, nan where there is no instance."""
    nodes = batch["pred_instance_peaks"][0].shape[1]
    empty = {
        "pred_instance_peaks": np.full((1, nodes, 2), np.nan),
        "pred_peak_values": np.zeros((1, nodes)),
        "instance_scores": np.full(1, np.nan),
    }
    stacked = {name: np.concatenate([rows if len(rows) else nothing for rows in batch[name]]) for name, nothing in empty.items()}
    return batch | stacked


def _signature() -> inspect.Signature:
    """Return the signature with every flag spelled out, for help pages and editors."""
    shown = inspect.signature(run_inference)
    named = [p for p in shown.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    for flag in flags.TRACK:
        if flag.name not in shown.parameters:
            kind = inspect.Parameter.KEYWORD_ONLY
            named.append(inspect.Parameter(flag.name, kind, default=defaults()[flag.key], annotation=keys()[flag.key].type))
    return shown.replace(parameters=named)


run_inference.__signature__ = _signature()  # type: ignore[attr-defined]
