"""Metrics files: the `.npz` that sleap-nn writes and reads, and a readable `.json` beside it."""

import csv
import io
import json
import math
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from sleap_lab.errors import RunError, one_line
from sleap_lab.errors.interruption import raise_interruption
from sleap_lab.evaluation.breakdown import Row
from sleap_lab.evaluation.coco import Detections
from sleap_lab.evaluation.frames import FrameTable
from sleap_lab.evaluation.intervals import leave_one_out
from sleap_lab.evaluation.result import Evaluation
from sleap_lab.files.atomic import replacing
from sleap_lab.files.safe_load import check_pickle, read_arrays
from sleap_lab.files.table import write_table


def write_metrics(
    evaluation: Evaluation, npz_path: str | Path, *, bad_frames: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Write everything that was found, as files of one name.

    * `NAME.npz`: the single key `metrics`, a 0-d object array with the metrics dictionary, as
      sleap-nn writes it.
    * `NAME.flat.npz`: the same numbers as plain arrays that need no pickle, named `group/key`;
      beside them `pairs/…` and `detections/…`, from which percentiles and average precisions of a
      part of the frames are formed.
    * `NAME.json`: the same groups (arrays as lists, nan and infinities as null, without
      `pck_metrics.pcks`), and beside them `settings`, `headline`, `identity` (of each video, and
      of all others `without` it), `intervals`, `breakdown`, `switches`, `videos`, `bad_frames` and
      `notes`.
    * `NAME.csv`: one row per video, animal and node; see `Row`.
    * `NAME.frames.csv`: one row per labelled frame with the sums from which metrics are formed;
      `read_frames` reads it.

    Missing folders are made; each file is written whole or not at all.

    Args:
        evaluation: What to write.
        npz_path: Path of the `.npz` file; the suffix is added where it is missing.
        bad_frames: Ranges of unreadable frames, as in `run.json`.

    Raises:
        RunError: A file cannot be written.
    """
    path = Path(npz_path)
    if path.suffix != ".npz":
        path = path.with_name(path.name + ".npz")
    with replacing(path) as temporary:
        np.savez_compressed(temporary, metrics=np.array(evaluation.metrics, dtype=object))
    with replacing(path.with_suffix(".flat.npz")) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **_flat_arrays(evaluation))
    with replacing(path.with_suffix(".json")) as temporary:
        content = json.dumps(_plain(_groups(evaluation, bad_frames)), indent=1, allow_nan=False)
        temporary.write_text(content, encoding="utf-8")
    _write_breakdown(path.with_suffix(".csv"), evaluation.breakdown)
    if evaluation.table is not None:
        names = {match.truth: match.truth_name for match in evaluation.videos}
        _write_frames(path.with_suffix(".frames.csv"), evaluation.table, names)


def _flat_arrays(evaluation: Evaluation) -> dict[str, np.ndarray]:
    """Return the metrics as arrays, named `group/key`, with the pairs and detections of frames."""
    flat = {
        f"{group}/{key}": np.asarray(value)
        for group, values in evaluation.metrics.items()
        for key, value in values.items()
    }
    if (table := evaluation.table) is not None:
        for group, items in {"pairs": table.pairs, "detections": table.detections}.items():
            if items is not None:
                flat |= {f"{group}/{name}": values for name, values in items._asdict().items()}
    return flat


def _groups(evaluation: Evaluation, bad_frames: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return everything that was found, group by group, for JSON."""
    return {
        **{
            name: {key: value for key, value in group.items() if key != "pcks"}
            for name, group in evaluation.metrics.items()
        },
        "settings": evaluation.settings,
        "headline": evaluation.headline(),
        "identity": _identity(evaluation),
        "intervals": None if evaluation.intervals is None else evaluation.intervals._asdict(),
        "breakdown": [row._asdict() for row in evaluation.breakdown],
        "switches": [switch._asdict() for switch in evaluation.switches],
        "videos": [match._asdict() for match in evaluation.videos],
        "bad_frames": list(bad_frames),
        "notes": evaluation.notes,
    }


def _write_breakdown(path: Path, rows: Sequence[Row]) -> None:
    """Write one row per video, animal and node."""
    columns = [name for name in Row._fields if name != "stratum"]
    leaves = (row for row in rows if row.animal is not None)
    write_table(path, columns, ([getattr(row, name) for name in columns] for row in leaves))


def _write_frames(path: Path, table: FrameTable, names: Mapping[int | None, str]) -> None:
    """Write one row per labelled frame.

    Args:
        path: The file.
        table: The frames.
        names: Names of the videos; a missing one is replaced by its index.
    """
    videos = [names.get(video, str(video)) for video in table.video.tolist()]
    numbers = [table.frame.tolist(), *(column.tolist() for column in table.columns.values())]
    header = ["video", "frame", *table.columns]
    write_table(path, header, zip(videos, *numbers, strict=True))


def read_frames(npz_path: str | Path) -> tuple[list[tuple[str, int]], FrameTable] | None:
    """Read what each labelled frame adds to the metrics, from the files of `write_metrics`.

    Args:
        npz_path: Path of the `.npz` file; the other files are beside it.

    Returns:
        (video, frame) of each labelled frame, and the table, whose videos are numbered in order of
        appearance; None where the files are missing.

    Raises:
        RunError: They cannot be read.
    """
    frames_file, flat_file = (
        Path(npz_path).with_suffix(".frames.csv"),
        Path(npz_path).with_suffix(".flat.npz"),
    )
    if not (frames_file.is_file() and flat_file.is_file()):
        return None
    try:
        with open(frames_file, newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        arrays = read_arrays(flat_file)
        pairs, detections = (
            Detections(*(arrays[f"{group}/{name}"] for name in Detections._fields))
            if f"{group}/frame" in arrays
            else None
            for group in ("pairs", "detections")
        )
        distances = arrays["distance_metrics/dists"]
        videos, numbers = (
            [row[0] for row in rows],
            np.array([row[1:] for row in rows], dtype=np.float64),
        )
        frame = numbers[:, 0].astype(np.int64)
        columns = dict(zip(header[2:], numbers[:, 1:].T, strict=True))
    except Exception as error:  # whatever a damaged file makes csv, zipfile and numpy raise
        raise_interruption(error)
        raise RunError(
            f"{frames_file}, {flat_file.name}: the frames cannot be read ({one_line(error)})"
        ) from error
    if pairs is None:
        return None
    number = {video: i for i, video in enumerate(dict.fromkeys(videos))}
    video = np.array([number[name] for name in videos])
    distances = distances.reshape(len(pairs.frame), -1) if len(distances) else np.zeros((0, 1))
    return list(zip(videos, frame.tolist(), strict=True)), FrameTable(
        video, frame, columns, distances, pairs, detections
    )


def _identity(evaluation: Evaluation) -> dict[str, Any] | None:
    """Return the identity metrics of all videos together, and of each."""
    if evaluation.identity is None:
        return None
    videos: list[dict[str, Any]] = [
        {"video": video, "name": evaluation.video_name(video), **metrics}
        for video, metrics in evaluation.identity_by_video
    ]
    for row, without in zip(videos, leave_one_out(evaluation.identity_counts), strict=False):
        row["without"] = without
    return {"pooled": evaluation.identity, "videos": videos}


def write_switches(evaluation: Evaluation, path: str | Path) -> None:
    """Write every identity switch as a row of a CSV file.

    A row tells the place, the animal, its track before and after, and the nearest animal.

    Raises:
        RunError: The file cannot be written.
    """
    header = (
        "video",
        "video_name",
        "frame",
        "animal",
        "from_track",
        "to_track",
        "nearest_animal",
        "nearest_distance_px",
    )
    write_table(
        path,
        header,
        (
            (
                switch.video,
                evaluation.video_name(switch.video),
                switch.frame,
                switch.truth_track,
                switch.from_track,
                switch.to_track,
                switch.nearest_track,
                None if math.isnan(switch.nearest_distance) else f"{switch.nearest_distance:.2f}",
            )
            for switch in evaluation.switches
        ),
    )


def _plain(value: Any) -> Any:
    """Turn arrays, numpy numbers and tuples into JSON types; nan and infinities become null."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def load_metrics(path: str | Path, split: str = "test", dataset_idx: int = 0) -> dict[str, Any]:
    """Read a metrics file of ours or of sleap-nn, without running any code that it may contain.

    Args:
        path: An `.npz` file, or a model folder with `metrics.<split>.<dataset_idx>.npz` or
            `<split>_<dataset_idx>_pred_metrics.npz`.
        split: Split to look for in a folder; `test` falls back to `val`.
        dataset_idx: Index of the dataset to look for in a folder.

    Returns:
        The nested dictionary of metrics.

    Raises:
        FileNotFoundError: There is no such file.
        RunError: The file is not a metrics file, or it names objects other than arrays and plain
            containers.
    """
    path = Path(path)
    splits = [split, "val"] if split == "test" else [split]
    names = [
        name
        for s in splits
        for name in (f"metrics.{s}.{dataset_idx}.npz", f"{s}_{dataset_idx}_pred_metrics.npz")
    ]
    candidates = [path / name for name in names] if path.is_dir() else [path]
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    if found is None:
        raise FileNotFoundError(
            f"{path}: no metrics file"
            + (f"; looked for {', '.join(names)}" if path.is_dir() else "")
        )
    try:
        content = read_arrays(found, read_object=_read_object)
    except Exception as error:  # a broken or hostile file makes zipfile, numpy or pickle raise any
        raise_interruption(error)
        raise RunError(
            f"{found}: not a metrics file that can be read safely ({one_line(error)})"
        ) from error
    metrics = content.get("metrics", content)
    if not isinstance(metrics, dict):
        raise RunError(
            f"{found}: not a metrics file, its metrics are of type {type(metrics).__name__}"
        )
    return metrics


def _read_object(content: bytes) -> Any:
    """Read the pickle of an array of objects; of a 0-d array, the object inside."""
    check_pickle(content)
    array = _unwrap(_Unpickler(io.BytesIO(content)).load(), {})
    return (
        array.item()
        if isinstance(array, np.ndarray) and array.dtype.hasobject and array.ndim == 0
        else array
    )


class _Dtype:
    """Stand-in for a pickled dtype; only numbers, text and plain object arrays pass."""

    def __init__(self, code: str, *_: Any) -> None:
        self.dtype = np.dtype(code)
        if self.dtype.kind not in "biufcSUO":
            raise pickle.UnpicklingError(f"it holds data of type {code}")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """Stand-in for a pickled array."""

    def __init__(self, *_: Any) -> None:
        self.array = np.zeros(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, is_fortran, data = state
        if dtype.dtype.hasobject:
            flat = np.empty(len(data), dtype=object)
            known: dict[int, Any] = {}
            flat[:] = [_unwrap(item, known) for item in data]
        else:
            flat = np.frombuffer(data, dtype.dtype).copy()
        self.array = flat.reshape(shape, order="F" if is_fortran else "C")


def _scalar(dtype: _Dtype, data: bytes) -> Any:
    return np.frombuffer(data, dtype.dtype)[0]


def _unwrap(value: Any, known: dict[int, Any]) -> Any:
    """Replace the stand-ins for arrays with the arrays.

    An object that occurs twice is visited once, by its id in `known`: drop `known` together with
    the value.
    """
    if isinstance(value, _Array):
        return value.array
    if not isinstance(value, (dict, list, tuple)):
        return value
    if id(value) not in known:
        if isinstance(value, dict):
            known[id(value)] = {key: _unwrap(item, known) for key, item in value.items()}
        else:
            known[id(value)] = type(value)(_unwrap(item, known) for item in value)
    return known[id(value)]


class _Unpickler(pickle.Unpickler):
    """Unpickler that knows arrays, numbers, text and plain containers, and nothing else.

    Unpickling calls whatever the file names. Here a file can only name our stand-ins, so it cannot
    run code, and not even numpy's own reconstruction, which trusts its input, sees unchecked data.
    """

    KNOWN: ClassVar[dict[tuple[str, str], Any]] = {
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Dtype,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "scalar"): _scalar,
    }

    def find_class(self, module: str, name: str) -> Any:
        # NumPy 1 has the older name.
        known = self.KNOWN.get((module.replace("numpy.core.", "numpy._core."), name))
        if known is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return known
