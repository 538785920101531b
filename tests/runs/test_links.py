"""Addresses of pages of MLflow."""

from pathlib import Path

import pytest

from sleap_lab.runs.links import compare_page, run_page, where_to_look

RUNS = "/#/experiments/7/runs?workflowType=machine_learning&viewStateShareKey=sleap_lab"


def recorded(uri):
    return {"run_id": "ab", "experiment_id": "7", "tracking_uri": uri}


def test_a_server_is_named_with_its_pages():
    assert where_to_look(recorded("http://box:1")) == [
        ("all runs", f"http://box:1{RUNS}"),
        ("this one", "http://box:1/#/experiments/7/runs/ab?workflowType=machine_learning"),
    ]


def test_a_file_is_named_with_the_command_that_serves_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second, _ = where_to_look(recorded(f"sqlite:///{Path.cwd()}/outputs/mlflow.db"))
    assert first[1] == (  # without processes that answer Ctrl-C with tracebacks
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow server --workers 1 "
        "--backend-store-uri sqlite:///outputs/mlflow.db"
    )
    assert second == ("all runs", f"http://127.0.0.1:5000{RUNS}")
    assert "'sqlite:///a b/mlflow.db'" in str(
        where_to_look(recorded(f"sqlite:///{Path.cwd()}/a b/mlflow.db"))
    )


@pytest.mark.parametrize(
    "given",
    [
        None,
        {"key": "x", "tracking_uri": "http://box"},  # it was never created
        recorded("databricks"),
        recorded("sqlite:////a?b/mlflow.db"),
    ],
)
def test_nothing_is_promised_where_it_is_not_known(given):
    assert where_to_look(given) == []


def test_names_of_files_are_quoted():
    assert run_page("7", "ab", "a b#.html").startswith(
        "#/experiments/7/runs/ab/artifacts/a%20b%23.html?"
    )
    assert "runs=%5B%22a%22%2C%22b%22%5D&experiments=%5B%227%22%5D" in compare_page("7", ["a", "b"])
