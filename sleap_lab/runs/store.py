"""The MLflow store: its address, and opening it safely.

Everything goes through `MlflowClient` with explicit ids. There is no active run and no global
tracking address, so several jobs in one process, or an `MLFLOW_RUN_ID` in the environment, cannot
make one run write into another.
"""

import hashlib
import json
import logging
import os
import re
import shutil
import socket
import sqlite3
import ssl
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote, unquote_to_bytes
from urllib.request import urlopen

from filelock import FileLock

from sleap_lab.errors import RunError
from sleap_lab.runs import summary
from sleap_lab.settings.config import LoggerConfig
from sleap_lab.settings.credentials import conceal, redact, reveal, without_user

SQLITE = "sqlite:///"
ARTIFACT_FOLDER = "mlartifacts"
EXPERIMENT = "sleap_lab"
VIEW = "sleap_lab"
"""Name of the view of the runs that links lead to; MLflow keeps views as tags of experiments."""
COLUMNS = (
    *(f"metrics.`best_by/{name}`" for name in ("identity/idf1", "eval/oks_map")),
    *(f"metrics.`{name}`" for name in ("coco/ap", "eval/dist_p90", "identity/switches")),
    *("metrics.`counts/fragments`", "metrics.`counts/tracks`", "params.`tracker`"),
)
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.note.content": "Runs of sleap-lab: *Model training* at the top left, then *Runs*.",
    VIEW_TAG: json.dumps(
        {
            "searchFilter": "",
            "orderByKey": "attributes.start_time",
            "orderByAsc": False,
            "startTime": "ALL",
            "lifecycleFilter": "Active",
            "modelVersionFilter": "All Runs",
            "datasetsFilter": [],
            "selectedColumns": COLUMNS,
            "runsExpanded": {},
            "runsPinned": [],
            "runsHidden": [],
        }
    ),
}
ODD = set("?%")
UNFINISHED = ".mlflow-"
# A request that also needs the database of the server.
PROBE = "api/2.0/mlflow/experiments/get-by-name?experiment_name=Default"
PROBE_SECONDS = 3
LOCK_SECONDS = 120
DRIVERS = {
    "boto3": ("boto3", "an artifact store in S3"),
    "botocore": ("boto3", "an artifact store in S3"),
    "google": ("google-cloud-storage", "an artifact store at Google"),
    "azure": ("azure-storage-blob azure-identity", "an artifact store at Azure"),
    "psycopg2": ("psycopg2-binary", "a store in PostgreSQL"),
    "MySQLdb": ("mysqlclient", "a store in MySQL"),
    "pymysql": ("pymysql", "a store in MySQL"),
}
"""Modules that MLflow imports for a store: the packages that have them, and what needs them."""
REFUSED = re.compile(r"\b401\b")
HOW_TO_LOG_IN = (
    "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, "
    "in the environment"
)
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
        models: Ids of the logged models that were looked up in it, by the hash of their weights.
            MLflow reads every metric of a model to look it up, so the jobs of a sweep do so once.
    """

    client: Any
    uri: str
    experiment_id: str
    created: str = ""
    models: dict[str, str] = field(default_factory=dict)


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
            if storable(str(database)) != str(database):
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

    An error without a message is named by its type. What a server or a store needs is told in
    words.
    """
    if isinstance(error, ModuleNotFoundError) and error.name:
        name = error.name.partition(".")[0]
        package, what = DRIVERS.get(name, (name, "the store"))
        return f"{what} needs a package that is not installed here: pip install {package}"
    if REFUSED.search(str(error)):
        return f"the server refuses the user or the password (401); {HOW_TO_LOG_IN}"
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
                client.create_experiment(name, artifact_location=artifacts, tags=EXPERIMENT_TAGS)
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
    if experiment.tags.get(VIEW_TAG) != EXPERIMENT_TAGS[VIEW_TAG]:  # made by another version
        client.set_experiment_tag(experiment.experiment_id, VIEW_TAG, EXPERIMENT_TAGS[VIEW_TAG])
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


def storable(value: str) -> str:
    """Return a text that every store accepts: bytes of a path that are not text are escaped."""
    return value.encode(errors="backslashreplace").decode()
