"""Checks of what a run writes and where, before it does anything."""

import os
from pathlib import Path

from sleap_lab.errors import ConfigError
from sleap_lab.files.earlier import refuse_others
from sleap_lab.files.remote import is_url, url_name
from sleap_lab.settings.config import ARRAYS, Config, wants_arrays
from sleap_lab.settings.inputs import HDF5, MEDIA, find_inputs, has_suffix

METRICS_SUFFIXES = (".npz", ".flat.npz", ".json", ".csv", ".frames.csv")
"""Suffixes of the files that hold the metrics of an evaluation."""
NOT_LABELS = (*MEDIA, *HDF5, ".csv", ".nwb", ".json", ".npz")
"""Suffixes by which programs take a file for something else than labels."""


def check_outputs(config: Config) -> None:
    """Refuse outputs that nothing makes, that cannot be written, or that would overwrite a file.

    Raises:
        ConfigError: Naming the key, what is wrong, and what to do.
    """
    _check_arrays(config)
    inputs = read_files(config)
    metrics = config.evaluator.save_metrics
    for key, paths in (
        ("output.path", _predictions(config)),
        # The name as typed, too: without its suffix it may be that of an input.
        ("evaluator.save_metrics", [Path(metrics), *metrics_files(metrics)] if metrics else []),
    ):
        for path in paths[:1]:
            _check_folder(key, path)
        refuse_others(key, paths, inputs)
    _check_suffix(config)


def local_name(path: str) -> str:
    """Return the path that results are named after: of a file on a server, its name alone."""
    return url_name(path) if is_url(path) else path


def metrics_files(path: str) -> list[Path]:
    """Return the files of the metrics that `evaluator.save_metrics` asks for, the `.npz` first."""
    first = Path(path)
    first = first if first.suffix == ".npz" else first.with_name(f"{first.name}.npz")
    return [first.with_suffix(suffix) for suffix in METRICS_SUFFIXES]


def read_files(config: Config) -> list[tuple[str, Path]]:
    """Return the files that settings name as inputs, each with its key."""
    data = [] if config.data.path is None else find_inputs(config.data.path)
    truth = config.evaluator.ground_truth_path
    return [
        *(("data.path", item) for item in data if isinstance(item, Path)),
        *([] if truth is None else [("evaluator.ground_truth_path", Path(truth))]),
    ]


def writes_predictions(config: Config) -> bool:
    """Return whether a run writes predictions; a run that only evaluates has none."""
    return config.output.make_labels and (config.model.kind != "none" or config.tracker.tracking)


def _predictions(config: Config) -> list[Path]:
    """Return the file at `output.path`, if it is written.

    Files beside it in other formats are named after videos, which are not open yet.
    """
    path, output = config.output.path, config.output
    written = not output.make_labels or (writes_predictions(config) and "slp" in output.formats)
    return [Path(path)] if path is not None and written else []


def _check_suffix(config: Config) -> None:
    """Refuse a `.slp` file under a name that says that it is something else."""
    for path in _predictions(config) if config.output.make_labels else ():
        if has_suffix(path, *NOT_LABELS):
            raise ConfigError(
                f"output.path: {path} would be a .slp file; accepted: a name that ends in .slp "
                "(output.formats=[slp,csv] writes further formats beside it)"
            )


def _check_folder(key: str, path: Path) -> None:
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ConfigError(
            f"{key}: {path} cannot be written, because {parent} is not a folder "
            "that can be written to"
        )


def _check_arrays(config: Config) -> None:
    """Refuse arrays that nothing makes or that cannot hold the requested results."""
    if config.model.kind == "none" and wants_arrays(config.output):
        name = next((name for name in ARRAYS if getattr(config.output, name)), "make_labels")
        raise ConfigError(
            f"output.{name}: without a model there is no network whose outputs could be returned"
        )
    path = config.output.path
    if not config.output.make_labels:
        if config.tracker.tracking:
            raise ConfigError(
                "output.make_labels: got False, but the arrays hold no tracks; "
                "tracker.tracking needs labels"
            )
        if path is not None and Path(path).suffix != ".npz":
            raise ConfigError(
                f"output.path: got {path}, but output.make_labels=false writes arrays only; "
                "accepted: an .npz file"
            )
