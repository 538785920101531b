"""Fixtures: the real command, on the demo that ships with the package."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import pytest

from sleap_lab.cli import main
from sleap_lab.runs.store import import_mlflow

DEMO = Path(str(resources.files("sleap_lab.demo")))
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("MLFLOW_", "HYDRA_", "SLEAP_LAB_"))
}
WAITING_RUN = """
import sys, time
from pathlib import Path
from sleap_lab.cli import main
from sleap_lab.inference import chunks

store, here = chunks.Chunks.store, Path("waits")
chunks.CHUNK_SECONDS = -1

def store_and_wait(self):
    store(self)
    chunks.Chunks.store = store
    here.touch()
    while here.exists():
        time.sleep(0.01)

chunks.Chunks.store = store_and_wait
main(sys.argv[1:])
"""


@pytest.fixture(scope="session")
def demo():
    """The demo: a clip, its true poses, a top-down pair of models, and the override for them."""
    models = [DEMO / "models" / "centroid", DEMO / "models" / "centered_instance"]
    return SimpleNamespace(
        clip=DEMO / "clip.mp4",
        truth=DEMO / "truth.slp",
        models=models,
        paths=f"model.paths=[{models[0]},{models[1]}]",
    )


@pytest.fixture(scope="session")
def start():
    """Return a function that starts `python -m sleap_lab` in a folder."""

    def start(*words, cwd):
        return subprocess.Popen(
            [sys.executable, "-m", "sleap_lab", *words],
            cwd=cwd,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture(scope="session")
def waiting_run(tmp_path_factory):
    """The path of a program: the command, which stores a chunk after each batch.

    After the first one it makes the file `waits` in its working directory, and continues when that
    is gone.
    """
    program = tmp_path_factory.mktemp("program") / "waiting_run.py"
    program.write_text(WAITING_RUN)
    return program


@pytest.fixture(scope="session")
def wait_for():
    """Return a function that waits for what a function returns, while a process lives."""

    def wait_for(condition, process=None):
        end = time.monotonic() + 300
        while not (found := condition()):
            assert process is None or process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.02)
        return found

    return wait_for


@pytest.fixture(scope="session")
def sleap_lab(start):
    """Return a function that runs `python -m sleap_lab` in a folder, and gives code, out, err."""

    def sleap_lab(*words, cwd):
        process = start(*words, cwd=cwd)
        out, err = process.communicate(timeout=300)
        return SimpleNamespace(code=process.returncode, out=out, err=err)

    return sleap_lab


@pytest.fixture(scope="session")
def finished(sleap_lab, tmp_path_factory):
    """The demo experiment on few frames, with everything that a run leaves.

    Its folder has a space in its name.
    """
    cwd = tmp_path_factory.mktemp("app") / "my lab"
    cwd.mkdir()
    words = ["experiment=demo", "data.frames=0-5"]
    ended = sleap_lab(*words, cwd=cwd)
    (record,) = cwd.glob("outputs/*/*/run.json")
    return SimpleNamespace(
        cwd=cwd,
        words=words,
        folder=record.parent,
        run=json.loads(record.read_text()),
        **vars(ended),
    )


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Return a function that runs the command in this process; it returns code, out and err.

    The working directory is an empty folder.
    """
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)

    def call(*words):
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        captured = capsys.readouterr()
        return SimpleNamespace(code=end.value.code, out=captured.out, err=captured.err)

    yield call
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def mlflow_runs():
    """Return a function that lists all runs in the MLflow store of a working directory."""

    def mlflow_runs(cwd):
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # MLflow's own mappings use deprecated options of SQLAlchemy
            client = import_mlflow().MlflowClient(f"sqlite:///{cwd}/outputs/mlflow.db")
            return client.search_runs(
                [experiment.experiment_id for experiment in client.search_experiments()]
            )

    return mlflow_runs
