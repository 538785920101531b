"""The MLflow store: its address, opening it safely, and writing one run into it.

Everything goes through `MlflowClient` with explicit ids. There is no active run and no global
tracking address, so several jobs in one process, or an `MLFLOW_RUN_ID` in the environment, cannot
make one run write into another.
"""

import hashlib
import logging
import os
import posixpath
import shutil
import socket
import sqlite3
import ssl
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote, unquote_to_bytes
from urllib.request import urlopen
from uuid import uuid4

from filelock import FileLock

from sleap_lab import terminal
from sleap_lab.errors import RunError, listed
from sleap_lab.files.hashes import file_facts
from sleap_lab.runs import summary
from sleap_lab.runs.names import clean_name, file_name
from sleap_lab.runs.summary import RunSummary
from sleap_lab.settings.config import LoggerConfig
from sleap_lab.settings.credentials import conceal, redact, reveal, without_user

SQLITE = "sqlite:///"
ARTIFACT_FOLDER = "mlartifacts"
EXPERIMENT = "sleap_lab"
MAX_ARTIFACT_BYTES = 50_000_000
MAX_VALUE = 5000
ODD = set("?%")
MAX_BATCH = 100  # parameters or tags that MLflow accepts at once
UNFINISHED = ".mlflow-"
# A request that also needs the database of the server.
PROBE = "api/2.0/mlflow/experiments/get-by-name?experiment_name=Default"
PROBE_SECONDS = 3
LOCK_SECONDS = 120
ASIDE = "(raised as a result of"  # SQLAlchemy prints this context before the actual error

# With MLflow's own defaults a server that cannot be reached delays a run by 4 to 20 minutes.
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": "120",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}

HOST_TAG = "sleap_lab.host"
PID_TAG = "sleap_lab.pid"
COMPLETE_TAG = "sleap_lab.complete"
"""Tag with the end of the attempt that the MLflow run holds completely.

A job that is run again has a later end, and is logged again.
"""
KEY_TAG = "sleap_lab.key"
PARENT_TAG = "mlflow.parentRunId"
LEFT_OUT_TAG = "sleap_lab.left_out"
DELETED = "deleted"

# Where MLflow stores whole addresses of artifacts.
ADDRESSES = (("experiments", "artifact_location"), ("runs", "artifact_uri"))


@dataclass(frozen=True)
class Store:
    """An open MLflow store and the experiment in it that runs go to.

    Attributes:
        client: MLflow's client.
        uri: Its address, without passwords.
        experiment_id: The experiment.
        created: Creation time of the experiment. It is different in every store, and thus
            identifies a store that was moved.
    """

    client: Any
    uri: str
    experiment_id: str
    created: str = ""


@dataclass(frozen=True)
class Entry:
    """The content of one MLflow run.

    Attributes:
        name: Name of the run.
        tags: Tags; those that are None are left out.
        params: Parameters, as text.
        metrics: Metrics; only finite ones, because MLflow stores infinity as a number.
        files: Files to upload, by their path among the artifacts.
        documents: Further artifacts to write as JSON, by name.
    """

    name: str
    tags: Mapping[str, str | None]
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    documents: Mapping[str, Any] = field(default_factory=dict)


def import_mlflow() -> Any:
    """Import MLflow with short timeouts and no output; variables that the user set are kept."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow

    # Errors are raised, too, and shown in one line.
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return mlflow


def store_uri(logger: LoggerConfig, outputs_root: Path) -> str:
    """Return the tracking address without passwords; by default an SQLite file in `outputs_root`.

    The text behind `sqlite:///` is a literal path with any characters. It is percent-decoded, as
    MLflow does, only if the literal path does not exist and the decoded one does.
    """
    if logger.tracking_uri is None:
        return f"{SQLITE}{(outputs_root / 'mlflow.db').absolute().as_posix()}"
    if logger.tracking_uri.startswith(SQLITE):
        path = Path(logger.tracking_uri.removeprefix(SQLITE)).absolute()
        decoded = Path(unquote(str(path)))
        return f"{SQLITE}{(decoded if decoded.exists() and not path.exists() else path).as_posix()}"
    return conceal(logger.tracking_uri).rstrip("/")


def client_of(uri: str) -> Any:
    """Return MLflow's client for an address as `store_uri` gives it.

    Raises:
        RunError: MLflow cannot read the path.
    """
    mlflow = import_mlflow()
    if not uri.startswith(SQLITE):
        return mlflow.MlflowClient(tracking_uri=reveal(uri))
    database = Path(uri.removeprefix(SQLITE))
    if database.exists():
        follow_moved(database)
    return mlflow.MlflowClient(tracking_uri=_sqlite_address(database))


def _sqlite_address(database: Path) -> str:
    """Return the address of an SQLite file in a form that MLflow can read.

    MLflow reads the text behind a `?` as options. Whether `%20` is decoded depends on the version
    of SQLAlchemy, while MLflow itself creates folders with the literal name. A path with one of
    these characters is therefore given as a link, which SQLite resolves.
    """
    path = database.as_posix()
    return f"{SQLITE}{_alias(path) if ODD & set(path) else path}"


@cache
def _alias(path: str) -> str:
    """Return a link to a file; the link exists as long as this process."""
    link = Path(_aliases().name) / hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    try:
        link.symlink_to(path)
    except OSError as error:  # as on Windows
        raise RunError(
            f"logger.tracking_uri: MLflow cannot read {path}, because of the ? or % in its name; "
            "rename the folder"
        ) from error
    return link.as_posix()


@cache
def _aliases() -> "TemporaryDirectory[str]":
    return TemporaryDirectory(prefix="sleap-lab-mlflow-")


def follow_moved(database: Path) -> None:
    """Update the artifact addresses in a store that was moved, or copied with its artifacts.

    MLflow stores whole addresses. Without the update it would read and write artifacts at the old
    place of the store.
    """
    here = database.parent / ARTIFACT_FOLDER
    with closing(sqlite3.connect(database, timeout=LOCK_SECONDS)) as connection:
        try:
            found = connection.execute(
                "SELECT artifact_location FROM experiments WHERE experiment_id = 0"
            ).fetchone()
        except sqlite3.OperationalError:  # not a store (yet); opening it with MLflow says why
            return
        there = found[0].removesuffix("/0") if found else ""
        if there == here.as_uri() or not (
            there.startswith("file://") and there.endswith(f"/{ARTIFACT_FOLDER}")
        ):
            return
        before = Path(os.fsdecode(unquote_to_bytes(there.removeprefix("file://"))))
        if before.exists() and not (here.exists() and not here.samefile(before)):
            return
        with connection:
            for table, column in ADDRESSES:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                    f"WHERE substr({column} || '/', 1, ?) = ?",
                    (here.as_uri(), len(there) + 1, len(there) + 1, f"{there}/"),
                )


def prepare_store(logger: LoggerConfig, outputs_root: Path) -> Store:
    """Open the store before any work, so that runs can be logged later.

    Creates the database and the experiment where they are missing, probes a server, and closes runs
    of this machine whose process died before it could. The parent of a multirun calls this once
    before its jobs start.

    Raises:
        RunError: The store cannot be used.
    """
    store = open_store(logger, outputs_root)
    with suppress(Exception):  # new runs do not depend on closing earlier ones
        close_orphans(store)
    return store


def open_store(logger: LoggerConfig, outputs_root: Path) -> Store:
    """Open the store that `logger` names and find or create its experiment.

    Many processes may do this at the same time.

    Raises:
        RunError: The store cannot be used; the message has the address and the reason.
    """
    uri = store_uri(logger, outputs_root)
    try:
        probe(uri)
        artifacts = None
        if uri.startswith(SQLITE):
            database = Path(uri.removeprefix(SQLITE))
            # MLflow would write artifacts into a folder of another name.
            if _storable(str(database)) != str(database):
                raise RunError(
                    f"logger.tracking_uri: MLflow cannot use {database.parent}, "
                    "whose name holds bytes that are no text"
                )
            artifacts = (database.parent / ARTIFACT_FOLDER).as_uri()
            import_mlflow()
            create_database(database, artifacts)
        client = client_of(uri)
        experiment = _experiment(client, logger.experiment_name or EXPERIMENT, artifacts)
        return Store(client, uri, experiment.experiment_id, str(experiment.creation_time or ""))
    except RunError:
        raise
    except Exception as error:  # every kind of store raises errors of its own
        raise RunError(f"logger.tracking_uri: cannot use {uri}: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message that names the problem, without passwords.

    An error without a message is named by its type.
    """
    lines = [line for line in str(error).strip().splitlines() if not line.startswith(ASIDE)]
    return redact((lines or [type(error).__name__])[0])


def probe(uri: str) -> None:
    """Check that a tracking server answers; addresses that are not servers are not checked.

    Raises:
        RunError: The server does not answer within `PROBE_SECONDS`.
    """
    if not uri.startswith(("http://", "https://")):
        return
    try:
        urlopen(f"{without_user(uri).rstrip('/')}/{PROBE}", timeout=PROBE_SECONDS).close()
    except HTTPError as error:
        error.close()  # an error is an answer, too
    except (OSError, HTTPException, ValueError) as error:
        # MLflow has its own settings for certificates.
        if not isinstance(getattr(error, "reason", None), ssl.SSLError):
            raise RunError(
                f"logger.tracking_uri: no MLflow server answers at {redact(uri)} "
                f"({first_line(error)})"
            ) from error


def create_database(path: Path, artifacts: str) -> None:
    """Create an MLflow database if there is none.

    MLflow's own creation breaks when several processes start it at once, and can leave half a
    database behind. Here one process, under a lock, creates it elsewhere and moves it into place.

    Args:
        path: The SQLite file.
        artifacts: URI of the artifact folder of MLflow's default experiment.
    """
    if path.exists():
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        FileLock(f"{path}.lock", timeout=LOCK_SECONDS),
        TemporaryDirectory(dir=path.parent, prefix=UNFINISHED) as scratch,
    ):
        for leftover in path.parent.glob(f"{UNFINISHED}*"):  # of processes that were killed
            if leftover != Path(scratch):
                shutil.rmtree(leftover, ignore_errors=True)
        if not path.exists():
            unfinished = Path(scratch) / path.name
            SqlAlchemyStore(_sqlite_address(unfinished), artifacts).engine.dispose()
            unfinished.replace(path)


def _experiment(client: Any, name: str, artifacts: str | None) -> Any:
    """Return the experiment of a name, created if there is none."""
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return client.get_experiment(
                client.create_experiment(name, artifact_location=artifacts)
            )
        except MlflowException:
            experiment = client.get_experiment_by_name(name)  # another process was faster
            if experiment is None:
                raise
    if experiment.lifecycle_stage == DELETED:
        raise RunError(
            f"logger.experiment_name: {name!r} was deleted in MLflow; "
            "restore it there, or choose another name"
        )
    return experiment


def close_orphans(store: Store) -> list[str]:
    """Mark RUNNING runs of this machine as KILLED if their process is gone; return their ids."""
    host = socket.gethostname()
    still_open = store.client.search_runs(
        [store.experiment_id], f"attributes.status = 'RUNNING' and tags.`{HOST_TAG}` = '{host}'"
    )
    orphans = [
        run.info.run_id
        for run in still_open
        if not summary.process_exists(host, int(run.data.tags[PID_TAG]))
    ]
    for run_id in orphans:
        store.client.set_terminated(run_id, "KILLED")
    return orphans


def is_complete(store: Store, run: RunSummary) -> bool:
    """Say whether the store holds all of a run; a run that the user deleted counts as complete."""
    found = find(store, run.mlflow)
    if found is None or found.info.lifecycle_stage == DELETED:
        return is_deleted(store, run)
    return (
        found.data.tags.get(COMPLETE_TAG) == (run.ended or run.started)
        and found.info.status != "RUNNING"
    )


def is_deleted(store: Store, run: RunSummary) -> bool:
    """Say whether the user deleted a run in exactly this store, permanently or restorably."""
    found = find(store, run.mlflow)
    if found is None:
        return store.created != "" and (run.mlflow or {}).get("experiment") == store.created
    return found.info.lifecycle_stage == DELETED


def open_run(store: Store, folder: Path, name: str, run: RunSummary, entry: Entry) -> str:
    """Return the id of the MLflow run that mirrors a folder; it is created if missing, and RUNNING.

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
            store.experiment_id, milliseconds(run.started), tags, _storable(entry.name)
        ).info.run_id
    else:
        run_id = found.info.run_id
        _reopen(store, found, entry, tags)
    run.mlflow = {
        "key": key,
        "run_id": run_id,
        "tracking_uri": store.uri,
        "experiment": store.created,
    }
    summary.write(folder, run, name)
    return run_id


def _reopen(store: Store, found: Any, entry: Entry, tags: Mapping[str, str]) -> None:
    """Set the run of an earlier attempt to RUNNING, and delete tags that only that attempt had."""
    from mlflow.entities import RunTag

    run_id = found.info.run_id
    store.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
    for key in found.data.tags:
        if key in entry.tags and entry.tags[key] is None:
            store.client.delete_tag(run_id, key)
    if found.info.status != "RUNNING":
        store.client.update_run(run_id, status="RUNNING")


def fill_run(store: Store, run_id: str, entry: Entry, *, status: str, ended: str) -> None:
    """Write everything into an MLflow run and close it.

    * A second call with the same entry gives the same run.
    * Of a file larger than `MAX_ARTIFACT_BYTES` only path, size and SHA-256 are logged, in
      `references.json`. A tag and a line on the terminal name it.
    * MLflow does not allow to change a parameter. One that already has another value, as
      `sweep.rerun` may where a job runs again, keeps it, and a tag `now.KEY` has the new value.
    * On an error the run is closed as FAILED, unless the server cannot be reached.

    Args:
        store: The open store.
        run_id: The run.
        entry: Its content.
        status: MLflow's word for the outcome of the run: FINISHED, FAILED or KILLED.
        ended: End of the run, ISO 8601; also the time of every metric.
    """
    from mlflow.entities import Metric, Param, RunTag

    end_time = milliseconds(ended)
    try:
        small = {
            place: path
            for place, path in entry.files.items()
            if path.stat().st_size <= MAX_ARTIFACT_BYTES
        }
        large = {
            place: file_facts(path) for place, path in entry.files.items() if place not in small
        }
        documents = {**entry.documents, **({"references.json": large} if large else {})}
        params = {
            clean_name(key): _bounded(_storable(value)) for key, value in entry.params.items()
        }
        there = store.client.get_run(run_id).data.params
        tags = _tags(entry) | {
            f"now.{key}": value for key, value in params.items() if there.get(key, value) != value
        }
        if large:
            names = [f"{place} ({facts['size'] / 1e6:,.0f} MB)" for place, facts in large.items()]
            tags[LEFT_OUT_TAG] = ", ".join(names)[:MAX_VALUE]
            most = f"{MAX_ARTIFACT_BYTES / 1e6:,.0f} MB"
            terminal.note(
                f"MLflow: larger than {most} and left out: {listed(names, 5)}; "
                "the run names them, and they stay where they are"
            )
        new = [Param(key, value) for key, value in params.items() if key not in there]
        store.client.log_batch(
            run_id,
            metrics=[
                Metric(clean_name(key), value, end_time, 0) for key, value in entry.metrics.items()
            ],
        )
        for start in range(0, max(len(new), len(tags)), MAX_BATCH):
            batch = [
                RunTag(key, value) for key, value in list(tags.items())[start : start + MAX_BATCH]
            ]
            store.client.log_batch(run_id, params=new[start : start + MAX_BATCH], tags=batch)
        for place, path in small.items():
            _upload(store, run_id, path, posixpath.dirname(place) or None)
        for name, document in documents.items():
            store.client.log_dict(run_id, document, name)
        store.client.set_terminated(run_id, status, end_time)
        store.client.set_tag(run_id, COMPLETE_TAG, ended)
    except BaseException:
        with suppress(Exception):
            probe(store.uri)
            store.client.set_terminated(run_id, "FAILED", end_time)
        raise


def _upload(store: Store, run_id: str, path: Path, folder: str | None) -> None:
    """Upload a file, under a name that every store keeps."""
    with TemporaryDirectory(prefix="sleap-lab-") as scratch:
        if (name := file_name(path.name)) != path.name:
            path = shutil.copyfile(path, Path(scratch) / name)
        store.client.log_artifact(run_id, str(path), folder)


def nest(store: Store, recorded: Mapping[str, str] | None, parent_run_id: str) -> None:
    """Put a logged run under a parent that was opened after it."""
    run = find(store, recorded)
    if (
        run is not None
        and run.info.lifecycle_stage != DELETED
        and run.data.tags.get(PARENT_TAG) != parent_run_id
    ):
        store.client.set_tag(run.info.run_id, PARENT_TAG, parent_run_id)


def milliseconds(time: str) -> int:
    """Return MLflow's form of an ISO 8601 time."""
    return round(datetime.fromisoformat(time).timestamp() * 1000)


def find(store: Store, recorded: Mapping[str, str] | None) -> Any:
    """Return the recorded run if this store has it, deleted or not, else None.

    A run is identified by its id or key, which are unique, and not by the address of the store,
    which may change.
    """
    from mlflow.entities import ViewType
    from mlflow.exceptions import MlflowException

    if recorded is None:
        return None
    if "run_id" in recorded:
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


def _storable(value: str) -> str:
    """Return a text that every store accepts: bytes of a path that are not text are escaped."""
    return value.encode(errors="backslashreplace").decode()


def _tags(entry: Entry) -> dict[str, str]:
    owner = {HOST_TAG: socket.gethostname(), PID_TAG: str(os.getpid())}
    return {
        clean_name(key): _storable(str(value))[:MAX_VALUE]
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
