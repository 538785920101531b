"""The MLflow store: where it is, opening it, and what is written when something breaks."""

import io
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from sleap_lab.errors import RunError
from sleap_lab.runs import store as store_module
from sleap_lab.runs.mlflow_run import MlflowRun, fill_run, open_run
from sleap_lab.runs.store import (
    VIEW_TAG,
    close_orphans,
    open_store,
    prepare_store,
    probe,
    store_uri,
)
from sleap_lab.runs.summary import RunSummary
from sleap_lab.settings.config import LoggerConfig

STARTED = "2026-01-02T03:04:05+00:00"
ENDED = "2026-01-02T03:04:06.250000+00:00"


@pytest.fixture
def server():
    """A server that answers, if only with an error."""

    class Refuse(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(401)

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Refuse)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, "sqlite:////out/mlflow.db"),
        ("sqlite:////data/x.db", "sqlite:////data/x.db"),
        (
            "sqlite:///x.db",
            f"sqlite:///{Path.cwd()}/x.db",
        ),  # relative to where the command was typed
        ("http://server:5000/", "http://server:5000"),
    ],
)
def test_where_the_store_is(given, expected):
    assert store_uri(LoggerConfig(tracking_uri=given), Path("/out")) == expected


def test_runs_from_any_folder_share_one_store(root, logger, monkeypatch, tmp_path):
    monkeypatch.chdir(root.parent)
    first = open_store(logger, Path(root.name))
    monkeypatch.chdir("/")
    second = open_store(logger, root)
    assert (first.uri, first.experiment_id) == (second.uri, second.experiment_id)
    assert (
        first.client.get_experiment(first.experiment_id).artifact_location
        == (root / "mlartifacts").as_uri()
    )
    assert [path.name for path in tmp_path.iterdir()] == [root.name]


ODD = [
    "fed or starved?",
    "My%20Data",
    "%hh",
    '#1 it\'s "x"',
    "Mäuse 日本",
    "x?timeout=1",
    "a%25b",
    "file:",
    "new\nline",
]


@pytest.mark.parametrize("name", ODD)
def test_any_name_of_a_folder_will_do(root, logger, tmp_path, monkeypatch, name):
    folder = root / name
    folder.mkdir()
    shutil.copy(root / "mlflow.db", folder)
    monkeypatch.chdir(folder)
    store = open_store(logger, folder)
    assert store.uri == f"sqlite:///{folder}/mlflow.db"
    (folder / "a.txt").write_text("poses")
    run = RunSummary(started=STARTED, ended=ENDED)
    entry = MlflowRun("x", {"where": str(folder)}, files={"snapshot/a.txt": folder / "a.txt"})
    opened = open_run(store, folder, "run.json", run, entry)
    run_id = opened.id
    fill_run(store, opened, entry, status="FINISHED", ended=ENDED)
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        assert database.execute("SELECT run_uuid FROM runs").fetchall() == [(run_id,)]
    assert [
        path.relative_to(folder / "mlartifacts" / run_id).as_posix()
        for path in folder.rglob("mlartifacts/**/*.txt")
    ] == ["artifacts/snapshot/a.txt"]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert (
        Path(store.client.download_artifacts(run_id, "snapshot/a.txt", str(scratch))).read_text()
        == "poses"
    )
    assert {path.name for path in root.iterdir()} == {"mlflow.db", name}  # nothing beside it
    assert {path.name for path in folder.iterdir()} == {
        "mlflow.db",
        "mlartifacts",
        "a.txt",
        "run.json",
    }


def test_a_missing_database_is_created_in_a_folder_of_any_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    open_store(LoggerConfig(), tmp_path / "50%20?")
    assert {path.name for path in (tmp_path / "50%20?").iterdir()} == {
        "mlflow.db",
        "mlflow.db.lock",
    }
    assert {path.name for path in tmp_path.iterdir()} == {"50%20?"}


def test_a_folder_whose_name_is_no_text_is_refused_at_once(root, logger):
    folder = root / os.fsdecode(b"caf\xe9")
    with pytest.raises(
        RunError, match=r"MLflow cannot use .*, whose name holds bytes that are no text"
    ):
        open_store(logger, folder)
    assert not folder.exists()


def test_an_address_may_be_written_as_mlflow_shows_it(root):
    (root / "My%20Data").mkdir()
    (root / "My Data").mkdir()
    (root / "My Data" / "x.db").touch()
    given = LoggerConfig(tracking_uri=f"sqlite:///{root}/My%20Data/x.db")
    assert store_uri(given, root) == f"sqlite:///{root}/My Data/x.db"
    (root / "My%20Data" / "x.db").touch()  # what it says comes first
    assert store_uri(given, root) == f"sqlite:///{root}/My%20Data/x.db"


def test_a_store_whose_artifacts_lie_elsewhere_is_left_alone(root, logger, store, tmp_path):
    (root / "mlartifacts").mkdir()
    before = [experiment.artifact_location for experiment in store.client.search_experiments()]
    shutil.copy(root / "mlflow.db", tmp_path)  # a copy of the database alone
    assert [
        each.artifact_location for each in open_store(logger, tmp_path).client.search_experiments()
    ] == before
    link = tmp_path / "link"
    link.symlink_to(root)
    assert [
        each.artifact_location for each in open_store(logger, link).client.search_experiments()
    ] == before


def test_passwords_go_to_the_server_and_nowhere_else(root, logger, server, monkeypatch):
    asked = []
    monkeypatch.setattr(
        store_module, "urlopen", lambda address, timeout: asked.append(address) or io.BytesIO()
    )
    client_uris = []

    def break_off(self, name):
        client_uris.append(self._tracking_client.tracking_uri)
        raise OSError(f"request to {self._tracking_client.tracking_uri} failed")

    monkeypatch.setattr("mlflow.MlflowClient.get_experiment_by_name", break_off)
    given = server.replace("://", "://ann:s3cret@")
    with pytest.raises(RunError) as error:
        open_store(replace(logger, tracking_uri=given), root)
    assert client_uris == [given]
    assert asked[0].startswith(f"{server}/api/")
    assert "s3cret" not in str(error.value)
    assert "ann:***@127.0.0.1" in str(error.value)


def test_a_run_never_lands_in_another_experiment(root, store):
    assert store.client.get_experiment(store.experiment_id).name == "flies"
    store.client.delete_experiment(store.experiment_id)
    with pytest.raises(RunError, match=r"^logger\.experiment_name: 'flies' was deleted in MLflow"):
        open_store(LoggerConfig(experiment_name="flies"), root)


def test_every_experiment_has_the_view_that_links_lead_to(root, store, logger):
    """MLflow answers an address with an unknown view with a page for language models."""
    state = store.client.get_experiment(store.experiment_id).tags[VIEW_TAG]
    assert "metrics.`best_by/identity/idf1`" in json.loads(state)["selectedColumns"]
    store.client.set_experiment_tag(store.experiment_id, VIEW_TAG, "of another version")
    again = open_store(logger, root)
    assert again.client.get_experiment(again.experiment_id).tags[VIEW_TAG] == state


def test_another_process_may_be_faster_to_create_the_experiment(root, store, monkeypatch):
    from mlflow import MlflowClient

    found = MlflowClient.get_experiment_by_name
    answers = iter([lambda *_: None, found])  # it is created between looking and creating
    monkeypatch.setattr(
        MlflowClient, "get_experiment_by_name", lambda *arguments: next(answers)(*arguments)
    )
    assert (
        open_store(LoggerConfig(experiment_name="flies"), root).experiment_id == store.experiment_id
    )


def test_a_damaged_database_is_named(root, logger):
    (root / "mlflow.db").write_bytes(b"no database" * 100)
    with pytest.raises(
        RunError,
        match=r"^logger\.tracking_uri: cannot use sqlite:///.*mlflow\.db: .*not a database",
    ) as error:
        open_store(logger, root)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://no such host"])
def test_a_server_that_is_away_is_named_at_once(address, root):
    with pytest.raises(
        RunError, match=rf"^logger\.tracking_uri: no MLflow server answers at {address} "
    ):
        open_store(LoggerConfig(tracking_uri=address), root)


def test_a_server_that_never_answers_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(store_module, "PROBE_SECONDS", 0.1)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(RunError, match="timed out"),
    ):
        probe(f"http://127.0.0.1:{silent.getsockname()[1]}")


def test_a_server_that_answers_anything_is_there(server):
    probe(server)


def test_settings_of_the_user_are_kept(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    store_module.import_mlflow()
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_orphans_are_closed_and_living_runs_are_not(tmp_path, root, logger, store):
    gone = subprocess.Popen([sys.executable, "-S", "-c", ""])
    gone.wait()
    orphan, alive = (
        open_run(store, tmp_path, "run.json", RunSummary(), MlflowRun(name, {})).id
        for name in ("orphan", "alive")
    )
    store.client.set_tag(orphan, "sleap_lab.pid", str(gone.pid))
    foreign = store.client.create_run(
        store.experiment_id
    ).info.run_id  # not ours: no tag says whose it is
    prepare_store(logger, root)
    assert [store.client.get_run(run_id).info.status for run_id in (orphan, alive, foreign)] == [
        "KILLED",
        "RUNNING",
        "RUNNING",
    ]
    assert close_orphans(store) == []


START = """
import sys
from pathlib import Path
from sleap_lab.settings.config import LoggerConfig
from sleap_lab.runs.store import open_store
store = open_store(LoggerConfig(), Path(sys.argv[1]))
store.client.set_terminated(store.client.create_run(store.experiment_id).info.run_id)
"""


def test_four_processes_may_start_on_a_missing_store(tmp_path):
    """Takes seven seconds: each of the processes imports MLflow."""
    root = tmp_path / "outputs"
    (root / ".mlflow-killed" / "mlflow.db").mkdir(parents=True)  # one that did not get far
    starters = [
        subprocess.Popen([sys.executable, "-c", START, root], stderr=subprocess.PIPE, cwd=tmp_path)
        for _ in range(4)
    ]
    printed = [starter.communicate()[1].decode() for starter in starters]
    assert [starter.returncode for starter in starters] == [0] * 4, printed
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        query = (
            "SELECT experiments.name, status, COUNT(*) "
            "FROM runs JOIN experiments USING (experiment_id) GROUP BY 1, 2"
        )
        assert database.execute(query).fetchall() == [("sleap_lab", "FINISHED", 4)]
    assert {path.name for path in root.iterdir()} == {"mlflow.db", "mlflow.db.lock"}
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]
    assert all("INFO" not in text for text in printed)
