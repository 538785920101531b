"""Real MLflow servers: shared, killed in the middle, and with passwords."""

import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow_servers
import pytest
from mlflow import MlflowClient
from mlflow_servers import PASSWORD, USER, free_port, postgres, serving
from slurm_daemons import SECONDS, until
from sweep_commands import DEMO

from sleap_lab.runs.store import import_mlflow

LOGIN = {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": PASSWORD}
QUICK = [f"data.path={DEMO / 'truth.slp'}", "model=none", "tracker=fixed_window", "report=none"]
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}


@pytest.fixture(scope="module")
def folder():
    if lacking := mlflow_servers.missing():
        pytest.skip(f"the servers: {lacking}")
    with TemporaryDirectory(prefix="mlflow-", ignore_cleanup_errors=True) as made:
        Path(made).chmod(0o755)  # another user runs PostgreSQL
        yield Path(made)


@pytest.fixture(scope="module")
def database(folder):
    with postgres(folder / "postgres") as address:
        yield address


def start(*words, cwd, environment=None):
    return subprocess.Popen(
        [sys.executable, "-m", "sleap_lab", *words],
        cwd=cwd,
        env=CLEAN | {"PYTHONUNBUFFERED": "1"} | (environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(*words, cwd, environment=None):
    process = start(*words, cwd=cwd, environment=environment)
    said, _ = process.communicate(timeout=SECONDS)
    return process.returncode, said


def runs_of(address, experiment):
    import_mlflow()
    client = MlflowClient(address)
    found = client.get_experiment_by_name(experiment)
    return client, [] if found is None else client.search_runs([found.experiment_id])


def test_two_sweeps_while_the_server_is_killed(database, folder, tmp_path):
    port = free_port()
    words = [f"--backend-store-uri={database}", "--serve-artifacts"]
    words.append(f"--artifacts-destination={folder / 'artifacts'}")
    logged = [f"logger.tracking_uri=http://127.0.0.1:{port}", "logger.experiment_name=shared"]
    windows = ("2,3,4,5,6,7", "8,9,10,11,12,13")
    with serving(folder / "server", port, words) as address:
        sweeps = [
            start("-m", *QUICK, *logged, f"tracker.tracking_window_size={values}", cwd=tmp_path)
            for values in windows
        ]
        until(
            lambda: any("FINISHED" in run.info.status for run in runs_of(address, "shared")[1]),
            "a job is logged",
        )
    said = [sweep.communicate(timeout=SECONDS)[0] for sweep in sweeps]
    assert [sweep.returncode for sweep in sweeps] == [0, 0]
    assert any("uploads it later" in text for text in said)
    for text in said:
        assert "Traceback" not in text
        assert text.count("no MLflow server answers") <= 2  # for the jobs, and for the sweep
    code, text = run("sync", cwd=tmp_path)
    assert code == 1
    assert "no MLflow server answers" in text
    with serving(folder / "server", port, words) as address:
        assert run("sync", cwd=tmp_path)[0] == 0
        code, text = run("sync", cwd=tmp_path)
        assert code == 0
        assert text.count("already logged") == 2
        client, found = runs_of(address, "shared")
        parents = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
        assert len(parents) == 2
        for parent in parents:
            children = [
                run
                for run in found
                if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id
            ]
            assert len({run.data.tags["sleap_lab.job"] for run in children}) == 6 == len(children)
        assert {run.info.status for run in found} == {"FINISHED"}
        assert len(found) == 2 * 7
        for run_ in found:
            names = {item.path for item in client.list_artifacts(run_.info.run_id)}
            assert {"predictions.slp", "run.json"} <= names or "results.html" in names


def test_wrong_passwords(folder, tmp_path):
    port = free_port()
    words = [f"--backend-store-uri=sqlite:///{folder / 'auth.db'}", "--app-name=basic-auth"]
    words += ["--serve-artifacts", f"--artifacts-destination={folder / 'auth-artifacts'}"]
    secrets = {
        "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "key of a test",
    }
    wrong = LOGIN | {"MLFLOW_TRACKING_PASSWORD": "wr0ng-password"}
    with serving(folder / "auth", port, words, secrets) as address:
        host = address.removeprefix("http://")
        told = re.compile(r"^warning: .*\(401\).*MLFLOW_TRACKING_USERNAME.*$", re.MULTILINE)
        # Without a password, with a wrong one, and with a wrong one in the address.
        for uri, environment in (
            (address, {}),
            (address, wrong),
            (f"http://{USER}:wr0ng-password@{host}", {}),
        ):
            code, said = run(
                *QUICK, f"logger.tracking_uri={uri}", cwd=tmp_path, environment=environment
            )
            assert code == 0
            assert len(told.findall(said)) == 1
            assert "Traceback" not in said
        code, said = run("sync", cwd=tmp_path, environment=wrong)
        assert code == 1
        assert said.count("(401)") == 3
        assert "Traceback" not in said
        code, said = run("sync", cwd=tmp_path, environment=LOGIN)
        assert code == 0
        uri = f"logger.tracking_uri=http://{USER}:{PASSWORD}@{host}"
        code, more = run("-m", *QUICK, uri, "tracker.tracking_window_size=2,3", cwd=tmp_path)
        assert code == 0
        assert "http://admin:***@" in more
        os.environ.update(LOGIN)
        try:
            client, found = runs_of(address, "sleap_lab")
            assert len(found) == 3 + 1 + 2
            values = [str(client.get_run(run.info.run_id).to_dictionary()) for run in found]
        finally:
            for name in LOGIN:
                del os.environ[name]
        stored = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
        artifacts = folder / "auth-artifacts"
        stored += [path.read_bytes() for path in artifacts.rglob("*") if path.is_file()]
        for secret in (PASSWORD, "wr0ng-password"):
            assert not any(secret in text for text in (said, more, *values))
            assert not any(secret.encode() in content for content in stored)


def test_a_dead_server_does_not_keep_others_from_being_logged(tmp_path):
    for where in ("logger.tracking_uri=http://127.0.0.1:9", "logger=none"):
        assert run(*QUICK, where, cwd=tmp_path)[0] == 0
    folders = [str(path.parent) for path in sorted(tmp_path.glob("outputs/*/*/run.json"))]
    code, said = run("sync", *folders, cwd=tmp_path)
    assert code == 1
    assert "no MLflow server answers" in said
    _, found = runs_of(f"sqlite:///{tmp_path}/outputs/mlflow.db", "sleap_lab")
    assert [run.info.status for run in found] == ["FINISHED"]


def test_an_artifact_store_without_its_package_is_told_in_words(folder, tmp_path):
    port = free_port()
    words = [f"--backend-store-uri=sqlite:///{folder / 's3.db'}", "--no-serve-artifacts"]
    words.append("--default-artifact-root=s3://bucket/artifacts")
    with serving(folder / "s3", port, words) as address:
        code, said = run(*QUICK, f"logger.tracking_uri={address}", cwd=tmp_path)
    assert code == 0
    assert "an artifact store in S3 needs a package" in said
    assert "pip install boto3" in said
    assert "Traceback" not in said
