"""Run folders and MLflow stores for the tests of this room."""

import importlib.metadata
import os
import shutil
import warnings
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from sleap_lab.config import LoggerConfig
from sleap_lab.runs import snapshot, summary
from sleap_lab.runs.ledger import Plan, PlannedJob, write_plan
from sleap_lab.runs.snapshot import package_version, write_snapshot
from sleap_lab.runs.store import create_database, import_mlflow, open_store
from sleap_lab.runs.summary import RunSummary


@pytest.fixture(scope="session")
def template_database(tmp_path_factory):
    """An empty MLflow database: creating one takes seconds, copying it none."""
    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own mappings use deprecated options of SQLAlchemy
        import_mlflow()
        create_database(path, (path.parent / "mlartifacts").as_uri())
    return path


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """No test depends on the MLflow settings of whoever runs it."""
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def root(tmp_path, template_database):
    """An outputs folder with an empty MLflow store, its path as awkward as paths are."""
    root = tmp_path / "my outputs=1, #2"
    root.mkdir()
    shutil.copy(template_database, root / "mlflow.db")
    return root


@pytest.fixture
def logger():
    return LoggerConfig(mlflow=True, experiment_name="flies", tags={"lab": "west"})


@pytest.fixture
def store(root, logger):
    return open_store(logger, root)


@pytest.fixture
def make_sweep(make_run):
    """Return a function that writes the folder of a sweep whose jobs are over."""

    def make(folder: Path, *jobs, logger: LoggerConfig | None = None) -> Path:
        """Write it.

        Args:
            folder: The sweep folder.
            *jobs: What is special about each job; a status of None for one that has not run.
            logger: Where it is to be logged.
        """
        folder.mkdir(parents=True)
        planned = [PlannedJob(number, str(number), fields.get("overrides", [])) for number, fields in enumerate(jobs)]
        write_plan(folder, Plan("abc", logger or LoggerConfig(), planned))
        for number, fields in enumerate(jobs):
            if fields.get("status", "") is not None:
                make_run(folder / str(number), logger, **{"job": number, "overrides": [], **fields})
        return folder

    return make


@pytest.fixture
def make_run():
    """Return a function that writes a run folder as an experiment would."""

    def make(folder: Path, logger: LoggerConfig | None = None, **fields) -> Path:
        run = {
            "status": "finished",
            "exit_code": 0,
            "started": "2026-01-02T03:04:05.500000+00:00",
            "ended": "2026-01-02T03:05:05.500000+00:00",
            "stages": {"network": 1.5},
            "counts": {"frames": 10},
            "metrics": {"eval/oks_map": 0.75},
            "overrides": ["tracker=flow", "tracker.tracking_window_size=10"],
            "choices": {"tracker": "flow", "hydra/launcher": "basic"},
        }
        folder.mkdir(parents=True)
        config = {
            "data": {"path": "/videos/a.mp4", "frames": None},
            "model": {"paths": ["/models/unet"]},
            "tracker": {"tracking_window_size": 10},
            "logger": vars(logger or LoggerConfig()),
        }
        write_snapshot(folder, config=config, overrides=run["overrides"], command=["sleap-lab", "a b"], inputs={}, models=[], device="cpu")
        (folder / "predictions.slp").write_bytes(b"poses")
        (folder / "scratch.tmp").write_bytes(b"not to be logged")
        (folder / ".hydra").mkdir()
        (folder / ".hydra" / "overrides.yaml").write_text("- tracker=flow\n")
        summary.write(folder, RunSummary(**(run | fields)))
        return folder

    return make


@pytest.fixture
def use_headless_opencv(monkeypatch):
    """Return a function after which OpenCV's other build is installed, as far as Python tells, in the same version."""

    def use():
        installed = {"opencv-python-headless": package_version("opencv-python")}

        def version(name):
            if name == "opencv-python":
                raise PackageNotFoundError(name)
            return installed.get(name) or importlib.metadata.version(name)

        monkeypatch.setattr(snapshot, "version", version)

    return use
