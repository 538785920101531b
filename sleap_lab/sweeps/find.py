"""Find the folder of a run that the user names.

The name is a run folder, the folder of a sweep, or the id of a run in MLflow.
"""

import os
import re
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.runs import summary
from sleap_lab.runs.mlflow_run import PARENT_TAG
from sleap_lab.runs.snapshot import SNAPSHOT
from sleap_lab.runs.store import SQLITE, client_of, first_line, probe, store_uri
from sleap_lab.runs.tags import FOLDER_TAG, JOB_TAG
from sleap_lab.settings.config import LoggerConfig
from sleap_lab.settings.credentials import TRACKING_URI
from sleap_lab.sweeps.results import read_jobs

RUN_ID = re.compile("[0-9a-f]{32}")
DOCUMENTS = (
    *(
        "config.yaml",
        "overrides.yaml",
        "command.txt",
        "packages.json",
        "git.json",
        "hashes.json",
        "device.json",
        "videos.json",
    ),
    "dirty.patch",
)
ARTIFACTS = (
    *(
        summary.RUN_FILE,
        "metrics.json",
        "metrics.frames.csv",
        "metrics.flat.npz",
        "predictions.slp",
    ),
    *(f"{SNAPSHOT}/{name}" for name in DOCUMENTS),
)
"""Files fetched of a run whose folder is not on this machine, to compare or reproduce it."""


class Found(NamedTuple):
    """Run folders, and one sentence for each job of a sweep that has no result and is left out."""

    folders: list[Path]
    left_out: list[str]


def find_runs(
    word: str, scratch: Path, *, tracking_uri: str | None = None, outputs_root: Path
) -> Found:
    """Return the run folder, or those of all jobs of a sweep.

    Args:
        word: A run folder, a sweep folder, or the id of an MLflow run of either.
        scratch: Folder for files fetched from MLflow where the run folder is not on this machine.
        tracking_uri: The MLflow store; by default that of MLFLOW_TRACKING_URI, else the one in the
            outputs folder.
        outputs_root: The outputs folder.

    Raises:
        ConfigError: The word names no run or sweep, or the store does not have it.
        RunError: The store cannot be used.
    """
    folder = Path(word)
    if (folder / summary.RUN_FILE).is_file() or (folder / summary.SWEEP_FILE).is_file():
        return _expanded(folder)
    if folder.exists() or not RUN_ID.fullmatch(word):
        raise ConfigError(
            f"{word} is not a run folder (it holds no {summary.RUN_FILE}), nor that of a sweep, "
            "nor the id of an MLflow run"
        )
    uri = store_uri(
        LoggerConfig(tracking_uri=tracking_uri or os.environ.get(TRACKING_URI)), outputs_root
    )
    if uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).is_file():
        raise ConfigError(
            f"{word}: there is no MLflow store at {uri.removeprefix(SQLITE)}; "
            "logger.tracking_uri=… names another"
        )
    probe(uri)
    try:
        return _from_mlflow(client_of(uri), word, scratch)
    except (ConfigError, RunError):
        raise
    except Exception as error:  # each kind of store raises errors of its own
        if getattr(error, "error_code", None) == "RESOURCE_DOES_NOT_EXIST":
            raise ConfigError(
                f"{word}: {uri} has no such run; logger.tracking_uri=… names another store"
            ) from error
        raise RunError(f"{word}: cannot be read from {uri}: {first_line(error)}") from error


def find_run(
    word: str, scratch: Path, *, tracking_uri: str | None = None, outputs_root: Path
) -> Path:
    """Return the folder of a single run.

    Arguments and errors are those of `find_runs`; a sweep is refused.
    """
    found = find_runs(word, scratch, tracking_uri=tracking_uri, outputs_root=outputs_root)
    if found.left_out or len(found.folders) != 1:
        raise ConfigError(
            f"{word} is a sweep of {len(found.folders) + len(found.left_out)} jobs; "
            "give the folder of one of them"
        )
    return found.folders[0]


def _expanded(folder: Path) -> Found:
    """Return a run folder, or the folders of a sweep's jobs that ended well."""
    if not (folder / summary.SWEEP_FILE).is_file():
        return Found([folder], [])
    jobs = read_jobs(folder)
    left_out = [
        f"job {job.number} of {folder} is left out: {job.error or job.status}"
        for job in jobs
        if not job.ended_well
    ]
    return Found([job.folder for job in jobs if job.ended_well], left_out)


def _from_mlflow(client: Any, run_id: str, scratch: Path) -> Found:
    """Return the folder that an MLflow run mirrors if it exists, else the run's artifacts.

    For a sweep, these are the folders or artifacts of its jobs.
    """
    run = client.get_run(run_id)
    folder = Path(run.data.tags.get(FOLDER_TAG, ""))
    for name in (summary.RUN_FILE, summary.SWEEP_FILE):
        with suppress(RunError):  # the folder is gone or damaged
            if (summary.read(folder, name).mlflow or {}).get("run_id") == run_id:
                return _expanded(folder)
    if summary.SWEEP_FILE not in _listed(client, run_id):
        return Found([_fetched(client, run_id, scratch)], [])
    jobs = client.search_runs([run.info.experiment_id], f"tags.`{PARENT_TAG}` = '{run_id}'")
    jobs = sorted(jobs, key=lambda job: int(job.data.tags.get(JOB_TAG, 0)))
    found = [
        _from_mlflow(client, job.info.run_id, scratch)
        for job in jobs
        if job.info.status == "FINISHED"
    ]
    left_out = [
        f"job {job.info.run_id} is left out: {job.info.status}"
        for job in jobs
        if job.info.status != "FINISHED"
    ]
    return Found([folder for part in found for folder in part.folders], left_out)


def _listed(client: Any, run_id: str) -> set[str]:
    """Return the paths of a run's artifacts, those of its snapshot included."""
    return {
        item.path for folder in (None, SNAPSHOT) for item in client.list_artifacts(run_id, folder)
    }


def _fetched(client: Any, run_id: str, scratch: Path) -> Path:
    """Copy the needed files of a run from MLflow.

    Only files whose names are known here are requested and written.

    Raises:
        ConfigError: The run was not logged by this package.
    """
    there = _listed(client, run_id)
    if summary.RUN_FILE not in there:
        raise ConfigError(f"{run_id} is not a run of sleap-lab (it holds no {summary.RUN_FILE})")
    folder = scratch / run_id
    for path in ARTIFACTS:
        if path in there:
            with TemporaryDirectory(dir=scratch) as inbox:
                # Where below the inbox a file lands depends on the kind of store.
                file = Path(client.download_artifacts(run_id, path, inbox)).resolve()
                if not (file.is_file() and file.is_relative_to(Path(inbox).resolve())):
                    raise RunError(f"{run_id}: the store wrote {path} to {file}")
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                file.replace(folder / path)
    return folder
