"""Run an experiment again from its snapshot, and say whether the answer is the same.

A snapshot is data: its files are parsed as YAML and JSON, its config is checked like any other, and
nothing in it is executed.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sleap_lab import terminal
from sleap_lab.cli.receipt import Receipt, write_receipt
from sleap_lab.errors import ConfigError, RunError
from sleap_lab.evaluation.agreement import (
    Difference,
    compare_metrics,
    compare_poses,
)
from sleap_lab.experiment import run
from sleap_lab.files.remote import is_url
from sleap_lab.inference.models import device_name
from sleap_lab.media.labels import read_labels, to_poses
from sleap_lab.runs import summary as run_summary
from sleap_lab.runs.folder import Invocation, new_folder
from sleap_lab.runs.snapshot import SNAPSHOT, flatten, read_document, where_it_ran
from sleap_lab.runs.summary import RunSummary
from sleap_lab.runs.verify import (
    CHANGEABLE,
    HARMLESS,
    PATH_KEYS,
    Input,
    changed_facts,
    check_inputs,
    present_facts,
    recorded_facts,
)
from sleap_lab.settings.check import check, check_value
from sleap_lab.settings.config import GROUPS, Config, LoggerConfig, OutputConfig, keys
from sleap_lab.settings.credentials import HIDDEN
from sleap_lab.settings.overrides import as_typed, parse_overrides, quote
from sleap_lab.sweeps.find import RUN_ID


def reproduce(
    folder: Path, changes: Mapping[str, Any], *, command: Sequence[str], outputs_root: Path
) -> Receipt:
    """Run an experiment again, without cache and MLflow, and leave a receipt in a new run folder.

    Args:
        folder: Folder of the first run.
        changes: New values of settings in `CHANGEABLE`, for inputs that moved.
        command: The command line, for the record.
        outputs_root: Where the new run folder is made.

    Raises:
        ConfigError: The folder holds nothing that can be repeated, or the changes do not fit.
        RunError: Inputs are missing or not the same, which is shown; or the second run failed.
    """
    folder, first = folder.absolute(), _first_run(folder)
    snapshot = _snapshot(folder)
    config = _config(snapshot["config.yaml"], changes)
    inputs, then = _inputs(snapshot, config), _facts(folder)
    if wrong := [item for item in inputs if item.status not in HARMLESS]:
        terminal.table([(item.status, f"{item.key}: {item.path}") for item in wrong])
        for line in _copied_from(first.overrides, {item.key for item in wrong}):
            terminal.note(line)
        raise RunError(
            f"{len(wrong)} of {len(inputs)} inputs are missing or have changed, so nothing was "
            "run; KEY=PATH gives the new place of one that has moved"
        )
    check(config)
    device = device_name(config)
    facts = changed_facts(then, present_facts(device))
    for fact in facts:
        terminal.warn(f"{fact.name}: {fact.then} then, {fact.now} now")
    again = new_folder(outputs_root.absolute())
    with where_it_ran(folder):
        second = run(config, again, Invocation(command, first.overrides, first.choices)).summary
    if second.status == "failed":
        raise RunError(f"the second run failed (see {again})")
    exact = not facts and device in ("", "cpu")
    metrics = compare_metrics(_numbers(first), _numbers(second), exact=exact)
    predictions, notes = _compare_predictions(
        folder, first, snapshot["config.yaml"], again, exact=exact
    )
    receipt = Receipt(
        first=folder.name if RUN_ID.fullmatch(folder.name) else str(folder),
        again=again,
        inputs=inputs,
        facts=facts,
        exact=exact,
        predictions=predictions,
        metrics=metrics,
        notes=notes,
    )
    write_receipt(receipt)
    return receipt


def _copied_from(overrides: Sequence[str], wrong: Collection[str]) -> Iterator[str]:
    """Yield a line for each URL that one of some keys got, whose copy is not what it was."""
    for override in parse_overrides(overrides):
        value, key = override.value(), override.key_or_group
        for url in filter(is_url, value if isinstance(value, list) else [value]):
            if key in wrong and HIDDEN in url:
                yield f"{key}: {url} must be given again, as its secret ({HIDDEN}) is not kept"
            elif key in wrong:
                yield f"{key}: {as_typed([f'{key}={quote(url)}'])} copies it again"


def _first_run(folder: Path) -> RunSummary:
    """Return how the first run went.

    Raises:
        ConfigError: It left nothing to compare with.
    """
    first = run_summary.read(folder)
    if not first.ended_well:
        raise ConfigError(
            f"{folder}: the run is {first.status}, so there is nothing to compare with "
            f"({first.error or 'it has not ended'})"
        )
    return first


def _snapshot(folder: Path) -> dict[str, Any]:
    """Return the documents of a snapshot that a run can be repeated from.

    Raises:
        ConfigError: One is missing or cannot be read.
    """
    documents = {}
    for name in ("config.yaml", "hashes.json", "packages.json", "device.json"):
        try:
            documents[name] = read_document(folder, name)
        except RunError as error:
            raise ConfigError(str(error)) from error
        if not isinstance(documents[name], dict):
            raise ConfigError(
                f"{folder / SNAPSHOT / name}: there is no such snapshot to repeat the run from"
            )
    return documents


def _config(document: Mapping[str, Any], changes: Mapping[str, Any]) -> Config:
    """Return the config of a snapshot, changed so that results go to a new run folder only.

    Raises:
        ConfigError: The snapshot has keys or values that this version does not know, or a setting
            outside `CHANGEABLE` is to be changed.
    """
    config = Config()
    for name, value in [*_keys(document), *changes.items()]:
        if name not in keys():
            raise ConfigError(f"{name}: it is in the snapshot, but this version has no such key")
        if name in changes and name not in CHANGEABLE:
            raise ConfigError(
                f"{name}: a reproduction keeps the settings; "
                f"only these can be changed: {', '.join(CHANGEABLE)}"
            )
        group, _, last = name.rpartition(".")
        setattr(
            getattr(config, group) if group else config,
            last,
            check_value(name, value, keys()[name]),
        )
    config.output = OutputConfig(no_empty_frames=config.output.no_empty_frames)
    config.evaluator.save_metrics = None
    config.logger = LoggerConfig()
    config.cache, config.report, config.report_figures = "off", "none", "none"
    return config


def _keys(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the keys of a config and their values, which may be dictionaries themselves."""
    for name, value in document.items():
        if name in GROUPS and isinstance(value, dict):
            yield from ((f"{name}.{key}", item) for key, item in value.items())
        else:
            yield name, value


def _inputs(snapshot: Mapping[str, Any], config: Config) -> list[Input]:
    now = flatten(asdict(config))
    try:
        return check_inputs(
            snapshot["hashes.json"],
            flatten(snapshot["config.yaml"]),
            {key: now[key] for key in PATH_KEYS},
        )
    except (LookupError, TypeError, AttributeError) as error:
        raise ConfigError(f"hashes.json: this is not what a snapshot holds ({error})") from error


def _facts(folder: Path) -> dict[str, str]:
    try:
        return recorded_facts(folder)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{folder / SNAPSHOT}: this is not what a snapshot holds ({error})"
        ) from error


def _compare_predictions(
    folder: Path, first: RunSummary, config: Mapping[str, Any], again: Path, *, exact: bool
) -> tuple[list[Difference], list[str]]:
    """Compare the poses of both runs, if both have some.

    Returns:
        The differences, and notes on them.
    """
    found = again / "predictions.slp"
    if not found.is_file():  # the runs only evaluated
        return [], []
    wanted = (config.get("output") or {}).get("path")
    places = [folder / found.name, *([Path(wanted)] if wanted else [])]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return [], [
            "the first run left no .slp file that is still there, so poses were not compared"
        ]
    differences = compare_poses(
        *(to_poses(read_labels(file)) for file in (path, found)), exact=exact
    )
    ended = datetime.fromisoformat(first.ended) if first.ended else datetime.max.replace(tzinfo=UTC)
    if (
        not all(item.agrees for item in differences)
        and datetime.fromtimestamp(path.stat().st_mtime, UTC) > ended
    ):
        return differences, [
            f"{path} was written after the first run ended; "
            "it may hold something else than what that run found"
        ]
    return differences, []


def _numbers(run: RunSummary) -> dict[str, float]:
    """Return counts and metrics, without speeds, which are no results.

    Signs of errors are left out, too: they come with a report, and follow from the poses.
    """
    metrics = {
        name: value
        for name, value in run.metrics.items()
        if not name.startswith(("speed/", "quality/"))
    }
    return {f"counts/{name}": float(value) for name, value in run.counts.items()} | metrics
