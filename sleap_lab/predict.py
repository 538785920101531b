"""`run_inference`: predictions from Python, in sleap-nn's own argument names."""

import inspect
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import sleap_io as sio

from sleap_lab.errors import ConfigError, did_you_mean
from sleap_lab.errors.interruption import interruptible
from sleap_lab.inference.detect import Inference, detect, filter_and_track
from sleap_lab.inference.emptiness import look_at_empty
from sleap_lab.inference.labels import result_labels
from sleap_lab.inference.outputs import batch_outputs, outputs_file
from sleap_lab.inference.streaming import PoseBatch, stream_images, stream_source
from sleap_lab.media.bad_frames import bad_frame_notes
from sleap_lab.media.formats.places import check_places
from sleap_lab.media.labels import save_labels
from sleap_lab.media.open_source import open_source
from sleap_lab.media.revising import leave_out_empty_frames
from sleap_lab.media.source import Source
from sleap_lab.settings import flags
from sleap_lab.settings.check import check
from sleap_lab.settings.check_tracker import check_tracker
from sleap_lab.settings.config import Config, defaults, keys
from sleap_lab.settings.credentials import begin_command, redact

if TYPE_CHECKING:
    from sleap_lab.pipelines.model import Prediction


def run_inference(
    data_path: str | Path | Sequence[str | Path] | None = None,
    input_labels: sio.Labels | None = None,
    input_video: sio.Video | np.ndarray | None = None,
    model_paths: Sequence[str | Path] | str | Path | None = None,
    *,
    make_labels: bool = True,
    moved: Mapping[str, str | Path] | None = None,
    output_path: str | Path | None = None,
    return_confmaps: bool = False,
    return_pafs: bool = False,
    return_paf_graph: bool = False,
    return_class_maps: bool = False,
    return_class_vectors: bool = False,
    **options: Any,
) -> sio.Labels | list[dict[str, Any]]:
    """Predict, and track if requested, as `sleap-lab track` does.

    Writes `output_path` and nothing else.

    Args:
        data_path: Video or `.slp` file, or several videos: a list, a glob, a folder, or a `.txt`
            file of paths.
        input_labels: Labels that are already open, instead of `data_path`.
        input_video: A video that is already open, or an array of frames, (frames, h, w) or
            (frames, h, w, c), instead of `data_path`.
        model_paths: Model folders, or a single one; none to track existing labels.
        make_labels: Return labels; otherwise a list of dictionaries of arrays, one per batch of
            frames.
        moved: Where folders of videos have moved since labels named them: then -> now, as in
            `{"D:/lab": "/data/lab"}`.
        output_path: File for the labels, or with `make_labels=False` `.npz` file for the arrays;
            nothing is written without it.
        return_confmaps: Add the confidence maps to the arrays. This and the following arguments
            have no effect on labels.
        return_pafs: Add the part affinity fields.
        return_paf_graph: Add all peaks and candidate edges.
        return_class_maps: Add the class maps.
        return_class_vectors: Add the class probabilities of crops.
        **options: Every other flag of `sleap-lab track` by its name, e.g. `tracking=True`,
            `frames=[0, 1]`.

    Returns:
        The labels; or with `make_labels=False` a dictionary per batch of B frames, filtered as the
        labels are. All points are (x, y) in px of image space. Keys: `video_idx`, `frame_idx` (B,),
        `orig_size` (B, 2) height and width, `eff_scale` (B,), `pred_instance_peaks`, B arrays
        (n, nodes, 2), `pred_peak_values`, B arrays (n, nodes), and `instance_scores`, B arrays
        (n,); of single-instance models these are (B, nodes, 2), (B, nodes) and (B,), nan where no
        instance was found. Multi-class models add `pred_class_inds` and `class_scores`, B arrays
        (n,), top-down models `pred_centroids` (n, 2), `centroid_val` (n,) and `instance_bbox`
        (n, 4, 2). `docs/network-outputs.md` describes these and the maps.

    Raises:
        ConfigError: An argument is unknown or does not fit.
        RunError: Something cannot be read or written.

    Warns:
        UserWarning: Some frames, or some of several videos, are unreadable, or there is a note
            about the frames or the poses.
    """
    data = _opened(
        "run_inference", data_path=data_path, input_labels=input_labels, input_video=input_video
    )
    options |= {
        "make_labels": make_labels,
        "return_confmaps": return_confmaps,
        "return_pafs": return_pafs,
        "return_paf_graph": return_paf_graph,
        "return_class_maps": return_class_maps,
        "return_class_vectors": return_class_vectors,
    }
    with interruptible():
        config = _config(
            "run_inference",
            options,
            data_path=data_path if data is None else None,
            model_paths=model_paths,
            moved=moved,
            output_path=output_path,
        )
        notes, result = _predicted(config, data)
    if data is not None and data_path is not None:
        notes.insert(
            0, f"data_path={redact(str(data_path))} is not used, as open data are given, too"
        )
    for note in notes:
        warnings.warn(note, stacklevel=2)
    return result


def _predicted(
    config: Config, data: sio.Labels | sio.Video | np.ndarray | None
) -> tuple[list[str], sio.Labels | list[dict[str, Any]]]:
    """Return notes, and the labels or arrays that a config asks for."""
    make_labels = config.output.make_labels
    source = open_source(config.data, predicting=config.model.kind != "none", data=data)
    check_places(config, source)
    batches: list[dict[str, Any]] = []

    def keep(prediction: "Prediction") -> None:
        batches.append(batch_outputs(prediction, config.filters, config.output))

    detected = detect(source, config, keep=None if make_labels else keep, details=not make_labels)
    refined = filter_and_track(detected, source, config)
    notes = [
        *source.notes,
        *refined.notes,
        *bad_frame_notes(source, refined.bad_frames),
        *filter(None, [look_at_empty(detected, refined, source, config, None).note]),
        *source.remarks,
        *refined.remarks,
    ]
    if make_labels:
        return notes, _labels(refined, source, config, notes)
    return notes, _arrays(batches, detected.kind, source, config, notes)


def _labels(refined: Inference, source: Source, config: Config, notes: list[str]) -> sio.Labels:
    """Return poses as labels, and write them to the output path if there is one.

    Notes get a sentence about an earlier file that was kept.
    """
    labels = result_labels(refined, source, config)
    if config.output.no_empty_frames:
        leave_out_empty_frames(labels)
    if config.output.path is not None:
        save_labels(labels, config.output.path, source.digest, notes)
    return labels


def _arrays(
    batches: list[dict[str, Any]], kind: str, source: Source, config: Config, notes: list[str]
) -> list[dict[str, Any]]:
    """Write the outputs of all batches to the output path if there is one, and return them.

    Notes get a sentence about an earlier file that was kept.
    """
    if config.output.path is not None:
        with outputs_file(Path(config.output.path), source.digest, notes) as add:
            for batch in batches:
                add(batch)
    return list(map(_stacked, batches)) if kind == "single_instance" else batches


def stream(
    video: str | Path | sio.Video | np.ndarray | Iterable[np.ndarray],
    model_paths: Sequence[str | Path] | str | Path,
    *,
    precision: str = "32",
    **options: Any,
) -> Iterator[PoseBatch]:
    """Yield poses batch by batch, while memory stays bounded; nothing is written.

    The poses are those of `run_inference`. Those of a batch come before the first frame of the next
    is taken: with `batch_size=1`, those of a frame before the next.

    Args:
        video: A video file or any other `data_path`, an open video, an array of frames
            (frames, h, w) or (frames, h, w, c), or an iterable of frames (h, w) or (h, w, c), such
            as a generator that asks a camera. These are uint8, or fractions with 1 as white.
        model_paths: Model folders, or a single one.
        precision: Number format of the network: `32`, `bf16`, `16`, or `auto`, which takes a faster
            one if the first batch comes out the same, as `runtime.precision=auto` does.
        **options: Flags of `sleap-lab track` by name, but not those of tracking and output.

    Yields:
        Consecutive frames of one size with their poses.

    Raises:
        ConfigError: An argument is unknown or does not fit.
        RunError: Something cannot be read.

    Warns:
        UserWarning: There is a note about the frames.
    """
    if isinstance(video, (str, Path, sio.Video, np.ndarray, list, tuple)):
        given = "input_video" if isinstance(video, (sio.Video, np.ndarray)) else "data_path"
        data = _opened("stream", **{given: video})
        config = _stream_config(options, model_paths, video if data is None else None, precision)
        source = open_source(config.data, data=data)
        for note in source.notes:
            warnings.warn(note, stacklevel=2)
        return stream_source(source, config)
    if not isinstance(video, Iterable):
        raise ConfigError(
            f"stream: got {type(video).__name__}; accepted: a path, an open video, "
            "an array of frames, or an iterable of frames"
        )
    frames: Any = video  # for mypy it could still be text, which is an iterable of text
    return stream_images(frames, _stream_config(options, model_paths, None, precision))


NOT_STREAMED = ("Tracking", "Arrays")
"""Sections of flags that a stream does not take."""


def _stream_config(
    options: dict[str, Any],
    model_paths: Sequence[str | Path] | str | Path,
    data_path: Any,
    precision: str,
) -> Config:
    """Build the config of a stream, which neither tracks nor writes."""
    if not model_paths:
        raise ConfigError("stream: model_paths is empty; accepted: model folders")
    refused = {flag.name for flag in flags.TRACK if flag.section in NOT_STREAMED}
    for name in options:
        if name in refused | {"tracking", "output_path", "no_empty_frames"}:
            raise ConfigError(f"stream has no argument {name}; run_inference takes it")
    moved = options.pop("moved", None)
    return _config(
        "stream",
        options,
        data_path=data_path,
        model_paths=model_paths,
        moved=moved,
        output_path=None,
        precision=precision,
    )


ACCEPTED: dict[str, tuple[tuple[type, ...], str]] = {
    "data_path": ((str, Path), "a path, or a list of paths"),
    "input_labels": ((sio.Labels,), "open labels, as sleap_io.load_slp(path) returns"),
    "input_video": (
        (sio.Video, np.ndarray),
        "an open video, as sleap_io.load_video(path) returns, or an array of frames",
    ),
}
"""Argument -> accepted types, and what an error says of them."""
HINTS = {
    "str": "; give a path as data_path",
    "Video": "; give it as input_video",
    "Labels": "; give them as input_labels",
}
"""Type of a value -> what an error says about the argument that accepts it."""


def _opened(function: str, **inputs: Any) -> sio.Labels | sio.Video | np.ndarray | None:
    """Return the input that is already open; None where it is a path.

    Args:
        function: Name of the function that was called, for errors.
        **inputs: Its arguments.

    Raises:
        ConfigError: There is no input, or one is of another kind; the message says how it becomes
            one of those that are accepted.
    """
    given = {name: value for name, value in inputs.items() if value is not None}
    if not given:
        raise ConfigError(f"{function} needs data_path, input_labels or input_video")
    for name, value in given.items():
        types, accepted = ACCEPTED[name]
        several = name == "data_path" and isinstance(value, (list, tuple))
        for item in value if several else [value]:
            if item is None or isinstance(item, types):
                continue
            if hasattr(item, "dtype"):
                got, hint = (
                    f"an array of the shape {tuple(item.shape)}",
                    "; give frames as input_video, a NumPy array (frames, h, w, c)",
                )
            else:
                got, hint = type(item).__name__, HINTS.get(type(item).__name__, "")
            raise ConfigError(f"{function}: {name} is {got}; accepted: {accepted}{hint}")
    return given.get("input_labels", given.get("input_video"))


def _config(
    function: str,
    options: dict[str, Any],
    *,
    data_path: str | Path | Sequence[str | Path] | None,
    model_paths: Sequence[str | Path] | str | Path | None,
    moved: Mapping[str, str | Path] | None,
    output_path: str | Path | None,
    precision: str = "32",
) -> Config:
    """Build the config of a call of a function; settings are checked as on the command line."""
    by_name = {
        flag.name: flag
        for flag in flags.TRACK
        if flag.name not in ("data_path", "model_paths", "output_path")
    }
    if moved and data_path is None:
        raise ConfigError(f"{function}: moved is for the videos of a data_path; leave it out")
    config = Config()
    paths = [model_paths] if isinstance(model_paths, (str, Path)) else model_paths or []
    values: dict[str, Any] = {
        "data.path": data_path,
        "data.moved": None if moved is None else {str(a): str(b) for a, b in moved.items()},
        "model.paths": paths,
        "output.path": output_path,
        "runtime.precision": precision,
    }
    for name, value in options.items():
        if name not in by_name:
            raise ConfigError(f"{function} has no argument {name!r}.{did_you_mean(name, by_name)}")
        values[by_name[name].key] = value
    if not paths:
        values["model.kind"] = "none"
    begin_command()
    for key, value in (flags.parity(values) | values).items():
        group, _, name = key.partition(".")
        setattr(getattr(config, group), name, _plain(value))
    check(config, opened=data_path is None)
    if config.tracker.tracking:
        check_tracker(config.tracker)
    return config


def _plain(value: Any) -> Any:
    """Return paths as text, and numbers, arrays and ranges as plain values for config and file."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    return [_plain(item) for item in value] if isinstance(value, (list, tuple, range)) else value


def _stacked(batch: dict[str, Any]) -> dict[str, Any]:
    """Turn the lists of a single-instance batch into arrays of one row per frame.

    Rows without an instance are nan.
    """
    nodes = batch["pred_instance_peaks"][0].shape[1]
    empty = {
        "pred_instance_peaks": np.full((1, nodes, 2), np.nan),
        "pred_peak_values": np.zeros((1, nodes)),
        "instance_scores": np.full(1, np.nan),
    }
    stacked = {
        name: np.concatenate([rows if len(rows) else nothing for rows in batch[name]])
        for name, nothing in empty.items()
    }
    return batch | stacked


def _signature() -> inspect.Signature:
    """Return the signature with every flag spelled out, for help pages and editors."""
    shown = inspect.signature(run_inference)
    named = [p for p in shown.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    for flag in flags.TRACK:
        if flag.name not in shown.parameters:
            kind = inspect.Parameter.KEYWORD_ONLY
            named.append(
                inspect.Parameter(
                    flag.name, kind, default=defaults()[flag.key], annotation=keys()[flag.key].type
                )
            )
    return shown.replace(parameters=named)


run_inference.__signature__ = _signature()  # type: ignore[attr-defined]
