"""One run in an MLflow store: found, opened, filled, and nested under its sweep."""

import hashlib
import os
import posixpath
import shutil
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from uuid import uuid4

from sleap_lab import terminal
from sleap_lab.errors import listed
from sleap_lab.files.hashes import file_facts
from sleap_lab.runs import summary
from sleap_lab.runs.lineage import Lineage, Series, log_inputs
from sleap_lab.runs.names import clean_name, file_name
from sleap_lab.runs.store import DELETED, HOST_TAG, PID_TAG, Store, probe, storable
from sleap_lab.runs.summary import RunSummary

MAX_ARTIFACT_BYTES = 50_000_000
MAX_VALUE = 5000
MAX_METRICS_AT_ONCE = 800  # of 1,000 entries that MLflow accepts at once
MAX_BATCH = 100  # parameters or tags that it accepts at once
MAX_RUNS_AT_ONCE = 100  # with all they hold, so that an answer takes no longer than it may

COMPLETE_TAG = "sleap_lab.complete"
"""Tag with the end of the attempt that the MLflow run holds completely.

A job that is run again has a later end, and is logged again.
"""
KEY_TAG = "sleap_lab.key"
PARENT_TAG = "mlflow.parentRunId"
LEFT_OUT_TAG = "sleap_lab.left_out"


@dataclass(frozen=True)
class MlflowRun:
    """The content of one MLflow run.

    Attributes:
        name: Name of the run.
        tags: Tags; those that are None are left out.
        params: Parameters, as text.
        metrics: Metrics; only finite ones, because MLflow stores infinity as a number.
        files: Files to upload, by their path among the artifacts.
        documents: Further artifacts to write as JSON, by name.
        lineage: What the run was made from.
        series: Metrics with a value at each of several steps.
    """

    name: str
    tags: Mapping[str, str | None]
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    documents: Mapping[str, Any] = field(default_factory=dict)
    lineage: Lineage = field(default_factory=Lineage)
    series: Series = field(default_factory=dict)


class Opened(NamedTuple):
    """An open MLflow run: its id, and the parameters and tags that it has already."""

    id: str
    params: Mapping[str, str]
    tags: Mapping[str, str]


def is_complete(store: Store, run: RunSummary, known: Mapping[str, Any] | None = None) -> bool:
    """Return whether the store holds all of a run; a deleted one counts as complete.

    Args:
        store: The open store.
        run: The run.
        known: Runs that were just looked up, by id.
    """
    found = find(store, run.mlflow, known)
    if found is None or found.info.lifecycle_stage == DELETED:
        return found is not None or _is_missing(store, run)
    return (
        found.data.tags.get(COMPLETE_TAG) == (run.ended or run.started)
        and found.info.status != "RUNNING"
    )


def is_deleted(store: Store, run: RunSummary) -> bool:
    """Return whether the user deleted a run in exactly this store, permanently or restorably."""
    found = find(store, run.mlflow)
    return _is_missing(store, run) if found is None else found.info.lifecycle_stage == DELETED


def _is_missing(store: Store, run: RunSummary) -> bool:
    """Return whether a run that is not in this store was."""
    return store.created != "" and (run.mlflow or {}).get("experiment") == store.created


def open_run(store: Store, folder: Path, name: str, run: RunSummary, entry: MlflowRun) -> Opened:
    """Return the MLflow run that mirrors a folder; it is created if missing, and RUNNING.

    The summary records the run's key before the run is created, and its id afterwards. A later call
    thus continues an interrupted attempt instead of creating a second run.

    Args:
        store: The open store.
        folder: The folder that is mirrored.
        name: File of the summary in it.
        run: That summary; its `mlflow` is updated.
        entry: Name and tags of the run.
    """
    found = find(store, run.mlflow)
    key = (run.mlflow or {}).get("key") or uuid4().hex
    tags = _tags(entry) | {KEY_TAG: key}
    if found is None:
        run.mlflow = {"key": key, "tracking_uri": store.uri}
        summary.write(folder, run, name)
        run_id = store.client.create_run(
            store.experiment_id, milliseconds(run.started), tags, storable(entry.name)
        ).info.run_id
    else:
        run_id = found.info.run_id
        _reopen(store, found, entry, tags)
    params = {} if found is None else found.data.params
    run.mlflow = {
        "key": key,
        "run_id": run_id,
        "tracking_uri": store.uri,
        "experiment": store.created,
        "experiment_id": store.experiment_id,
    }
    summary.write(folder, run, name)
    return Opened(run_id, params, tags)


def _reopen(store: Store, found: Any, entry: MlflowRun, tags: Mapping[str, str]) -> None:
    """Set the run of an earlier attempt to RUNNING, and delete tags that only that attempt had."""
    from mlflow.entities import RunTag

    run_id = found.info.run_id
    store.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
    for key in found.data.tags:
        if key in entry.tags and entry.tags[key] is None:
            store.client.delete_tag(run_id, key)
    if found.info.status != "RUNNING":
        store.client.update_run(run_id, status="RUNNING")


def fill_run(store: Store, opened: Opened, entry: MlflowRun, *, status: str, ended: str) -> None:
    """Write everything into an MLflow run and close it.

    * A second call with the same entry gives the same run.
    * Of a file larger than `MAX_ARTIFACT_BYTES` only path, size and SHA-256 are logged, in
      `references.json`. A tag and a line on the terminal name it.
    * MLflow does not allow to change a parameter. One that already has another value, as
      `sweep.rerun` may where a job runs again, keeps it, and a tag `now.KEY` has the new value.
    * On an error the run is closed as FAILED, unless the server cannot be reached.

    Args:
        store: The open store.
        opened: The run.
        entry: Its content.
        status: MLflow's word for the outcome of the run: FINISHED, FAILED or KILLED.
        ended: End of the run, ISO 8601; also the time of every metric.
    """
    run_id, end_time = opened.id, milliseconds(ended)
    try:
        small, large = _by_size(entry.files)
        model_id = log_inputs(store, run_id, entry.lineage)
        _write_values(store, opened, entry, _left_out(large), end_time, model_id)
        for place, path in small.items():
            _upload(store, run_id, path, posixpath.dirname(place) or None)
        references = {"references.json": large} if large else {}
        for name, document in {**entry.documents, **references}.items():
            store.client.log_dict(run_id, document, name)
        store.client.set_terminated(run_id, status, end_time)
        store.client.set_tag(run_id, COMPLETE_TAG, ended)
    except BaseException:
        with suppress(Exception):
            probe(store.uri)
            store.client.set_terminated(run_id, "FAILED", end_time)
        raise


def _by_size(
    files: Mapping[str, Path],
) -> tuple[dict[str, Path], dict[str, dict[str, Any]]]:
    """Return the files to upload, and the facts of those that are too large, by their path."""
    small = {
        place: path for place, path in files.items() if path.stat().st_size <= MAX_ARTIFACT_BYTES
    }
    return small, {place: file_facts(path) for place, path in files.items() if place not in small}


def _left_out(large: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the tag that names the files that are too large, and name them on the terminal."""
    if not large:
        return {}
    names = [f"{place} ({facts['size'] / 1e6:,.0f} MB)" for place, facts in large.items()]
    most = f"{MAX_ARTIFACT_BYTES / 1e6:,.0f} MB"
    terminal.note(
        f"MLflow: larger than {most} and left out: {listed(names, 5)}; "
        "the run names them, and they stay where they are"
    )
    return {LEFT_OUT_TAG: ", ".join(names)[:MAX_VALUE]}


def _write_values(
    store: Store,
    opened: Opened,
    entry: MlflowRun,
    more_tags: Mapping[str, str],
    end_time: int,
    model_id: str | None,
) -> None:
    """Write metrics, parameters and tags, in batches of sizes that MLflow accepts.

    The metrics are those of the logged model, too, if there is one.
    """
    from mlflow.entities import Metric, Param, RunTag

    params = {clean_name(key): _bounded(storable(value)) for key, value in entry.params.items()}
    changed = {
        f"now.{key}": value
        for key, value in params.items()
        if opened.params.get(key, value) != value
    }
    metrics = [
        Metric(clean_name(key), value, end_time, 0, model_id=model_id)
        for key, value in entry.metrics.items()
    ]
    metrics += [
        Metric(clean_name(key), value, end_time, step)
        for key, steps in entry.series.items()
        for step, value in steps
    ]
    new = [Param(key, value) for key, value in params.items() if key not in opened.params]
    tags = _tags(entry) | changed | dict(more_tags)
    other = [RunTag(*tag) for tag in tags.items() if opened.tags.get(tag[0]) != tag[1]]
    batches = zip_longest(
        _batches(metrics, MAX_METRICS_AT_ONCE), _batches(new, MAX_BATCH), _batches(other, MAX_BATCH)
    )
    for batch in batches:
        store.client.log_batch(opened.id, *(part or () for part in batch))


def _batches(values: Sequence[Any], most: int) -> list[Sequence[Any]]:
    """Return values in parts of at most so many."""
    return [values[start : start + most] for start in range(0, len(values), most)]


def _upload(store: Store, run_id: str, path: Path, folder: str | None) -> None:
    """Upload a file, under a name that every store keeps."""
    with TemporaryDirectory(prefix="sleap-lab-") as scratch:
        if (name := file_name(path.name)) != path.name:
            path = shutil.copyfile(path, Path(scratch) / name)
        store.client.log_artifact(run_id, str(path), folder)


def nest(
    store: Store,
    recorded: Mapping[str, str] | None,
    parent_run_id: str,
    known: Mapping[str, Any] | None = None,
) -> None:
    """Put a logged run under a parent that was opened after it.

    Args:
        store: The open store.
        recorded: The `mlflow` of the run's summary.
        parent_run_id: The parent.
        known: Runs that were just looked up, by id.
    """
    run = find(store, recorded, known)
    if (
        run is not None
        and run.info.lifecycle_stage != DELETED
        and run.data.tags.get(PARENT_TAG) != parent_run_id
    ):
        store.client.set_tag(run.info.run_id, PARENT_TAG, parent_run_id)


def milliseconds(time: str) -> int:
    """Return MLflow's form of an ISO 8601 time."""
    return round(datetime.fromisoformat(time).timestamp() * 1000)


def children(store: Store, parent: Mapping[str, str] | None) -> dict[str, Any]:
    """Return the runs nested under a parent by id, deleted ones too, with few requests.

    Args:
        store: The open store.
        parent: The `mlflow` of the parent's summary.
    """
    from mlflow.entities import ViewType

    if parent is None or "run_id" not in parent:
        return {}
    found: dict[str, Any] = {}
    condition, token = f"tags.`{PARENT_TAG}` = '{parent['run_id']}'", None
    while token is None or token:
        page = store.client.search_runs(
            [parent.get("experiment_id", store.experiment_id)],
            condition,
            ViewType.ALL,
            MAX_RUNS_AT_ONCE,
            page_token=token,
        )
        found |= {run.info.run_id: run for run in page}
        token = page.token or ""
    return found


def find(
    store: Store, recorded: Mapping[str, str] | None, known: Mapping[str, Any] | None = None
) -> Any:
    """Return the recorded run if this store has it, deleted or not, else None.

    A run is identified by its id or key, which are unique, and not by the address of the store,
    which may change.

    Args:
        store: The open store.
        recorded: The `mlflow` of the run's summary.
        known: Runs that were just looked up, by id; the store is not asked for these.
    """
    from mlflow.entities import ViewType
    from mlflow.exceptions import MlflowException

    if recorded is None:
        return None
    if "run_id" in recorded:
        if known and recorded["run_id"] in known:
            return known[recorded["run_id"]]
        try:
            return store.client.get_run(recorded["run_id"])
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    if "key" not in recorded:
        return None
    found = store.client.search_runs(
        [store.experiment_id], f"tags.`{KEY_TAG}` = '{recorded['key']}'", ViewType.ALL
    )
    return found[0] if found else None


def _tags(entry: MlflowRun) -> dict[str, str]:
    owner = {HOST_TAG: socket.gethostname(), PID_TAG: str(os.getpid())}
    return {
        clean_name(key): storable(str(value))[:MAX_VALUE]
        for key, value in {**entry.tags, **owner}.items()
        if value is not None
    }


def _bounded(value: str) -> str:
    """Return a value, or its hash if it is too long for MLflow; the snapshot has the value."""
    return (
        value
        if len(value) <= MAX_VALUE
        else f"{len(value)} characters, sha256 {hashlib.sha256(value.encode()).hexdigest()}"
    )
