"""What runs leave in a folder: unreadable files, and results that interruptions must not change."""

import csv
import io
import json
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml

from sleap_lab.inference.cache import CACHE_FILE, Cache, recall
from sleap_lab.media.labels import read_labels, to_poses
from sleap_lab.runs.store import ARTIFACT_FOLDER, UNFINISHED


def unreadable(folder: Path) -> list[str]:
    """Return each file below a folder that is not whole, and why.

    Unfinished files have names that begin with a dot, and nobody reads them. Nobody reads the files
    of Hydra, either, while a run has not begun. The files of an MLflow run are complete once it is
    `FINISHED`, so they are not checked here.
    """
    problems = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        hidden = path.name.startswith(".") or any(part.startswith(UNFINISHED) for part in inside)
        hidden = hidden or (
            path.parent.name == ".hydra" and not (path.parents[1] / "run.json").exists()
        )
        if (
            path.is_dir()
            or path.is_symlink()
            or hidden
            or ARTIFACT_FOLDER in inside
            or path.suffix not in READERS
        ):
            continue
        try:
            READERS[path.suffix](path)
        except Exception as error:  # whatever it is, the file is not as it should be
            problems.append(f"{path.relative_to(folder)}: {type(error).__name__}: {error}")
    for cache in folder.rglob("cache"):
        problems += unusable(cache)
    return problems


def unusable(folder: Path) -> list[str]:
    """Return what the entries of a cache are that are there and cannot be used."""
    warnings: list[str] = []
    for path in folder.glob("[!.]*.json"):
        if (match := CACHE_FILE.fullmatch(path.name)) and recall(
            Cache(folder, warn=warnings.append), match[1], lambda result: True
        ) is None:
            warnings.append(f"{path.name} is of no use")
    return warnings


def _read_csv(path: Path) -> None:
    rows = list(csv.reader(io.StringIO(path.read_text()), strict=True))
    if not rows or len({len(row) for row in rows}) != 1:
        raise ValueError("rows of different lengths, or none")


def _read_npz(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        if (damaged := archive.testzip()) is not None:
            raise ValueError(f"{damaged} is damaged")


def _read_html(path: Path) -> None:
    if not path.read_text().rstrip().endswith("</html>"):
        raise ValueError("it ends early")


def _read_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        if (answer := database.execute("PRAGMA integrity_check").fetchall()) != [("ok",)]:
            raise ValueError(str(answer))


READERS: dict[str, Callable[[Path], object]] = {
    ".slp": lambda path: to_poses(read_labels(path)),
    ".h5": lambda path: h5py.File(path).close(),
    ".npz": _read_npz,
    ".json": lambda path: json.loads(path.read_text()),
    ".yaml": lambda path: yaml.safe_load(path.read_text()),
    ".csv": _read_csv,
    ".html": _read_html,
    ".db": _read_database,
}


def results(run: Path, poses: Path) -> dict[str, Any]:
    """Return what must not depend on interruptions: exact poses and tracks, counts and metrics.

    Args:
        run: The run folder.
        poses: The labels file that the run wrote.
    """
    arrays = to_poses(read_labels(poses)).to_arrays()
    record = json.loads((run / "run.json").read_text())
    tables = {path.name: path.read_text() for path in run.glob("*.csv")}
    with np.load(run / "metrics.flat.npz") as flat:
        metrics = {name: array.tobytes() for name, array in flat.items()}
    return {
        **{f"poses: {name}": array.tobytes() for name, array in arrays.items()},
        **{f"metrics: {name}": content for name, content in metrics.items()},
        **{
            f"run: {name}": record[name] for name in ("status", "exit_code", "counts", "bad_frames")
        },
        "metrics.json": json.loads((run / "metrics.json").read_text()),
        **tables,
    }


def differences(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Return the names of results that differ."""
    return [
        f"{name} differs"
        for name in expected.keys() | found.keys()
        if found.get(name) != expected.get(name)
    ]


def run_folders(folder: Path) -> list[Path]:
    """Return the run folders below the folder in which the command ran, the latest last."""
    return sorted(path.parent for path in folder.glob("outputs/*/*/run.json"))


def mlflow_problems(folder: Path) -> list[str]:
    """Return which runs below a folder differ in MLflow, after `sleap-lab sync` in it."""
    from sleap_lab.runs.mlflow_log import MLFLOW_STATUS
    from sleap_lab.runs.store import import_mlflow
    from sleap_lab.runs.tags import FOLDER_TAG

    client = import_mlflow().MlflowClient(f"sqlite:///{folder}/outputs/mlflow.db")
    runs = client.search_runs(
        [experiment.experiment_id for experiment in client.search_experiments()]
    )
    held = sorted((run.data.tags[FOLDER_TAG], run.info.status) for run in runs)
    ended = {
        str(run): json.loads((run / "run.json").read_text())["status"]
        for run in run_folders(folder)
    }
    all_runs = sorted((run, MLFLOW_STATUS.get(status, status)) for run, status in ended.items())
    # Where a run is to be logged stands in its snapshot; one that ended before may be there, too.
    needed = [
        (run, status)
        for run, status in all_runs
        if (Path(run) / "snapshot" / "config.yaml").exists()
    ]
    known = [one for one in all_runs if one in needed or one in held]
    return [] if held == known else [f"MLflow holds {held}, not {known}"]
