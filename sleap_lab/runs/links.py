"""Addresses of pages of MLflow, which otherwise opens on an empty page for language models."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from sleap_lab import terminal
from sleap_lab.runs.store import ODD, SQLITE, VIEW

LOCAL = "http://127.0.0.1:5000"
KIND = "workflowType=machine_learning"

SERVER = "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow server --workers 1"
"""MLflow's server, without the workers for language models that it would start first."""


def runs_page(experiment_id: str) -> str:
    """Return the page with the table of all runs and the metrics that decide.

    The address of the server is left out.
    """
    return f"#/experiments/{experiment_id}/runs?{KIND}&viewStateShareKey={VIEW}"


def run_page(experiment_id: str, run_id: str, file: str | None = None) -> str:
    """Return the page of a run, or of one of its files."""
    place = "" if file is None else f"/artifacts/{quote(file)}"
    return f"#/experiments/{experiment_id}/runs/{run_id}{place}?{KIND}"


def compare_page(experiment_id: str, run_ids: Sequence[str]) -> str:
    """Return the page with runs side by side."""
    runs, experiments = (
        quote(json.dumps(each, separators=(",", ":"))) for each in (run_ids, [experiment_id])
    )
    return f"#/compare-runs?runs={runs}&experiments={experiments}&{KIND}"


def where_to_look(recorded: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """Return the lines that say how to see a logged run in MLflow; none where it was not logged.

    Args:
        recorded: The `mlflow` of the run's summary.
    """
    if recorded is None or not {"run_id", "experiment_id"} <= recorded.keys():
        return []
    uri, experiment = recorded["tracking_uri"], recorded["experiment_id"]
    rows = []
    if uri.startswith(SQLITE):
        database = terminal.shown(Path(uri.removeprefix(SQLITE)))
        if ODD & set(database):  # MLflow's server cannot read such a path
            return []
        store = shlex.quote(f"{SQLITE}{database}")
        rows = [("MLflow", f"{SERVER} --backend-store-uri {store}")]
        uri = LOCAL
    elif not uri.startswith(("http://", "https://")):
        return []
    return [
        *rows,
        ("all runs", f"{uri}/{runs_page(experiment)}"),
        ("this one", f"{uri}/{run_page(experiment, recorded['run_id'])}"),
    ]
