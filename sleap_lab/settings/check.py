"""Checks of the settings: each value by itself, and all of them together."""

import os
from dataclasses import Field
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

from sleap_lab.errors import ConfigError, brief, did_you_mean
from sleap_lab.files.remote import is_url, shown_url
from sleap_lab.settings.check_backend import check_backend
from sleap_lab.settings.check_outputs import check_outputs
from sleap_lab.settings.config import (
    EXPERIMENT_NAME,
    Config,
    LoggerConfig,
    keys,
)
from sleap_lab.settings.copies import REMOTE, copy_of
from sleap_lab.settings.credentials import TRACKING_URI, conceal
from sleap_lab.settings.frames import parse_frames
from sleap_lab.settings.inputs import find_inputs, is_labels
from sleap_lab.settings.objective import check_objective
from sleap_lab.settings.thresholds import oks_stddevs, peak_thresholds


def check(config: Config, *, opened: bool = False) -> None:
    """Check every value by itself and settings against each other, and make paths absolute.

    Args:
        config: The config, changed in place.
        opened: The data are already open, so that `data.path` is not needed.

    Raises:
        ConfigError: Naming the key, what it got, and what it may be.
    """
    for name, field_ in keys().items():
        group, _, last = name.rpartition(".")
        owner = getattr(config, group) if group else config
        setattr(owner, last, check_value(name, getattr(owner, last), field_))
    _check_models(config)
    if not opened:
        _check_data(config)
    _check_together(config)
    check_outputs(config)
    _settle_logger(config.logger)
    if config.sweep.objective is not None:
        check_objective(config.sweep.objective, config.sweep.direction)


def check_value(name: str, value: Any, field_: Field[Any]) -> Any:
    """Return the value of a key with its paths made absolute.

    Args:
        name: The key, for the message.
        value: What it got.
        field_: Its declaration, made with `key`.

    Raises:
        ConfigError: The value has another type than the key, or is none of those it accepts.
    """
    metadata = field_.metadata
    choices, minimum, maximum = metadata["choices"], metadata["minimum"], metadata["maximum"]
    if not _fits(value, field_.type):
        raise ConfigError(f"{name}: got {value!r}; accepted: {accepted_by(field_)}")
    for item in value if isinstance(value, list) else [value]:
        if item is None or item in metadata["words"]:
            continue
        if isinstance(item, str) and metadata["words"]:
            raise ConfigError(f"{name}: got {item!r}; accepted: {accepted_by(field_)}")
        if choices and item not in choices:
            accepted = accepted_by(field_)
            hint = did_you_mean(str(item), map(str, choices))
            raise ConfigError(f"{name}: got {item!r}; accepted: {accepted}.{hint}")
        # Negated, because nan is neither above nor below anything.
        if (minimum is not None and not item >= minimum) or (
            maximum is not None and not item <= maximum
        ):
            bounds = [
                f"at least {minimum}" if minimum is not None else "",
                f"at most {maximum}" if maximum is not None else "",
            ]
            raise ConfigError(
                f"{name}: got {item!r}; accepted: {' and '.join(filter(None, bounds))}"
            )
    if not metadata["path"] or value is None:
        return value
    return (
        [_absolute(name, item) for item in value]
        if isinstance(value, list)
        else _absolute(name, value)
    )


def _absolute(name: str, value: Any) -> str:
    """Return a path as absolute: `~` is the home folder, and a number is a name, too."""
    if not isinstance(value, (str, int)) or isinstance(value, bool) or value == "":
        raise ConfigError(f"{name}: got {value!r}; accepted: a path")
    if is_url(value):
        return _copied(name, str(value))
    # Unlike `Path.expanduser`, this leaves `~nobody` as it is.
    path = Path(os.path.expanduser(str(value))).absolute()  # noqa: PTH111
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:  # too long, not allowed, not a name
        raise ConfigError(
            f"{name}: {brief(value)} cannot be looked for ({getattr(error, 'strerror', error)})"
        ) from error
    return str(path)


def _copied(name: str, url: str) -> str:
    """Return the copy of a file on a server, where a key may name one."""
    if name not in REMOTE:
        raise ConfigError(
            f"{name}: {shown_url(url)} is on a server; accepted: a path of this machine "
            f"({' and '.join(REMOTE)} take the URL of a file)"
        )
    try:
        return str(copy_of(url))
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error


def _fits(value: Any, annotation: Any) -> bool:
    """Return whether a value is of a key's type.

    An int is accepted where a float is expected; a bool is accepted as neither.
    """
    if annotation is Any:
        return True
    if isinstance(annotation, UnionType):
        return any(_fits(value, option) for option in get_args(annotation))
    if (container := get_origin(annotation)) is not None:
        parts = (
            value.items()
            if isinstance(value, dict)
            else [(item,) for item in value]
            if isinstance(value, list)
            else ()
        )
        return isinstance(value, container) and all(
            all(map(_fits, part, get_args(annotation))) for part in parts
        )
    if annotation in (int, float):
        return isinstance(value, (int, annotation)) and not isinstance(value, bool)
    return isinstance(value, annotation)


def shown(value: Any) -> str:
    """Return the value of a key as it is typed."""
    return (
        "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )


def accepted_by(field_: Field[Any]) -> str:
    """Return what a key accepts, as a message shows it."""
    if field_.metadata["choices"]:
        return ", ".join(map(str, field_.metadata["choices"]))
    name = type_name(field_.type)
    return " or ".join([name.removesuffix(" | str"), *field_.metadata["words"]])


def type_name(annotation: Any) -> str:
    """Return the type of a key as a message shows it."""
    name = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return name.replace(" | None", " or null").replace("list[str]", "a list, e.g. [a,b]")


def _check_data(config: Config) -> None:
    """Refuse data that do not exist or that the rest of the experiment cannot use."""
    path, predicting, evaluator = config.data.path, config.model.kind != "none", config.evaluator
    if path is None:
        raise ConfigError("data.path: give a video or a .slp file, e.g. data.path=video.mp4")
    labels = is_labels(find_inputs(path))
    if not predicting and not labels:
        raise ConfigError(f"data.path: without a model it must be a .slp file, got {path}")
    if evaluator.evaluate and evaluator.ground_truth_path is None and not (labels and predicting):
        raise ConfigError("evaluator.ground_truth_path: give the .slp file with the ground truth")


def _check_models(config: Config) -> None:
    """Refuse models that do not exist."""
    model = config.model
    peak_thresholds(model)
    if model.kind == "none" and model.paths:
        raise ConfigError("model.kind: none was asked for, but model.paths is given; leave one out")
    if model.kind != "none" and not model.paths:
        raise ConfigError(
            "model.paths: give the model folders, "
            "e.g. model.paths=[models/centroid,models/centered]; "
            "model=none only tracks or evaluates"
        )
    for path in model.paths:
        if not Path(path).exists():
            raise ConfigError(f"model.paths: no such model folder: {path}")
    for name in ("backbone_ckpt_path", "head_ckpt_path"):
        if (path := getattr(model, name)) is not None and not Path(path).is_file():
            raise ConfigError(f"model.{name}: no such file: {path}")


def _check_together(config: Config) -> None:
    """Refuse settings that contradict each other."""
    data, evaluator = config.data, config.evaluator
    parse_frames(data.frames)
    moved = data.moved if data.moved is not None else {}
    if not isinstance(moved, dict) or not all(
        isinstance(part, str) and part.strip() for pair in moved.items() for part in pair
    ):
        raise ConfigError(
            f"data.moved: got {data.moved!r}; accepted: folders, {{then: now}}, "
            "e.g. {'D:/lab': '/data/lab'}"
        )
    oks_stddevs(evaluator)
    to_do = config.tracker.tracking or evaluator.evaluate or evaluator.quality
    if config.model.kind == "none" and not to_do:
        raise ConfigError(
            "model=none leaves nothing to do; add tracker=fixed_window to track, evaluator=oks to "
            "evaluate, or evaluator=quality to look for signs of errors"
        )
    check_backend(config.runtime)
    if config.preprocessing.ensure_rgb and config.preprocessing.ensure_grayscale:
        raise ConfigError(
            "preprocessing.ensure_rgb and preprocessing.ensure_grayscale exclude each other"
        )
    if data.only_labeled_frames and data.exclude_user_labeled:
        raise ConfigError(
            "data.only_labeled_frames and data.exclude_user_labeled exclude each other"
        )
    if evaluator.video_map is not None:
        if not isinstance(evaluator.video_map, dict):
            raise ConfigError(
                f"evaluator.video_map: got {evaluator.video_map!r}; "
                f"accepted: names or indices, e.g. {{0:1,b.mp4:null}}"
            )
        if evaluator.ground_truth_path is None:
            raise ConfigError(
                "evaluator.video_map is given, but no evaluator.ground_truth_path, "
                "whose videos it could name"
            )
    for name in ("ground_truth_path", "save_metrics"):
        if getattr(evaluator, name) is not None and not evaluator.evaluate:
            raise ConfigError(
                f"evaluator.{name} is given, but nothing is evaluated; "
                "add evaluator=oks (or centroid, identity)"
            )
    truth = evaluator.ground_truth_path
    if truth is not None and not Path(truth).is_file():
        raise ConfigError(f"evaluator.ground_truth_path: no such file: {truth}")


def _settle_logger(logger: LoggerConfig) -> None:
    """Fill settings of the logger that the config leaves open from MLflow's variables.

    The config then records where the run is logged, so that a later upload goes there, too. The
    tracking address is kept without its password.
    """
    if logger.mlflow:
        logger.tracking_uri = logger.tracking_uri or os.environ.get(TRACKING_URI) or None
        logger.experiment_name = logger.experiment_name or os.environ.get(EXPERIMENT_NAME) or None
    if logger.tracking_uri is not None:
        logger.tracking_uri = conceal(logger.tracking_uri)
