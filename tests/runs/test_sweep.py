"""The parent of a multirun: its table, its best job and its status."""

import csv
import io
import subprocess
import sys

import pytest
from rich.console import Console

from sleap_lab.config import LoggerConfig
from sleap_lab.errors import RunError
from sleap_lab.runs import summary
from sleap_lab.runs.mlflow_log import log_run
from sleap_lab.runs.summary import SWEEP_FILE, RunSummary
from sleap_lab.runs.sweep import best_job, finish_parent, read_jobs, start_parent, sweep_rows, sweep_table

COMMAND = ["sleap-lab", "-m", "tracker=flow,kalman"]


@pytest.fixture
def sweep(root):
    return root / "multirun" / "2026-01-02" / "03-04-05"


@pytest.fixture
def make_jobs(sweep, make_run):
    """Return a function that writes the jobs of a sweep, given what is special about each."""

    def make(*jobs, logger=None):
        for number, fields in enumerate(jobs):
            make_run(sweep / str(number), logger, **{"job": number, **fields})

    return make


FLOW = {"overrides": ["data.path=a.mp4", "tracker=flow"], "metrics": {"eval/oks_map": 0.5, "eval/other": 1.0}}
KALMAN = {"overrides": ["data.path=a.mp4", "tracker=kalman"], "metrics": {"eval/oks_map": 0.75}}
BROKEN = {"overrides": ["data.path=a.mp4", "tracker=x|y[z]"], "metrics": {}, "status": "failed", "error": "out of memory"}


def test_rows_show_what_varied_and_what_came_out(sweep, make_jobs):
    make_jobs(FLOW, KALMAN, BROKEN)
    assert sweep_rows(read_jobs(sweep)) == [
        {"job": 0, "status": "finished", "tracker": "flow", "eval/oks_map": 0.5, "seconds": 1.5, "error": None},
        {"job": 1, "status": "finished", "tracker": "kalman", "eval/oks_map": 0.75, "seconds": 1.5, "error": None},
        {"job": 2, "status": "failed", "tracker": "x|y[z]", "eval/oks_map": None, "seconds": 1.5, "error": "out of memory"},
    ]


def test_an_override_that_only_some_jobs_have_varied(sweep, make_jobs):
    make_jobs({"overrides": ["a=1"]}, {"overrides": []})
    assert [row["a"] for row in sweep_rows(read_jobs(sweep))] == ["1", None]


def test_jobs_are_in_the_order_of_their_numbers(sweep):
    for number in range(11):
        (sweep / str(number)).mkdir(parents=True)
        summary.write(sweep / str(number), RunSummary(job=number))
    assert [job.number for job in read_jobs(sweep)] == list(range(11))


def test_jobs_that_left_little_or_nothing_are_in_the_table(sweep, make_jobs):
    gone = subprocess.Popen([sys.executable, "-S", "-c", ""])
    gone.wait()
    make_jobs(FLOW, {"status": "running", "ended": None, "pid": gone.pid})
    (sweep / "2").mkdir()
    (sweep / ".submitit").mkdir()
    rows = sweep_rows(read_jobs(sweep))
    assert [(row["job"], row["status"]) for row in rows] == [(0, "finished"), (1, "interrupted"), ("2", "failed")]
    assert "holds no run.json" in rows[2]["error"]


@pytest.mark.parametrize(
    ("jobs", "criterion", "best"),
    [
        ([FLOW, KALMAN], "eval/oks_map", 1),
        (
            [FLOW | {"metrics": {"eval/oks_map": 0.5, "identity/idf1": 0.25}}, KALMAN],
            "identity/idf1",
            0,
        ),  # it decides where there is one
        ([FLOW, KALMAN | {"status": "failed"}], "eval/oks_map", 0),  # a failed job is never best
        ([FLOW, KALMAN | {"metrics": {"eval/oks_map": float("nan")}}], "eval/oks_map", 0),
        ([BROKEN], None, None),
        ([], None, None),
    ],
)
def test_the_best_job(sweep, make_jobs, jobs, criterion, best):
    sweep.mkdir(parents=True)
    make_jobs(*jobs)
    found = best_job(read_jobs(sweep))
    assert (found[0], found[1] and found[1].number) == (criterion, best)


def test_without_mlflow_there_are_only_files(sweep, make_jobs, root):
    off = LoggerConfig(mlflow=False)
    assert start_parent(off, sweep, COMMAND, root) is None
    make_jobs(FLOW, BROKEN)
    rows = finish_parent(off, sweep, root)
    assert [row["status"] for row in rows] == ["finished", "failed"]
    assert list(csv.reader((sweep / "results.csv").read_text().splitlines()))[1:] == [
        ["0", "finished", "flow", "0.5", "1.5", ""],
        ["1", "failed", "x|y[z]", "", "1.5", "out of memory"],
    ]
    assert (sweep / "results.md").read_text().splitlines() == [
        "| job | status | tracker | eval/oks_map | seconds | error |",
        "| --- | --- | --- | --- | --- | --- |",
        "| 0 | finished | flow | 0.5 | 1.5 | – |",
        "| 1 | failed | x\\|y[z] | – | 1.5 | out of memory |",
    ]
    assert (sweep / "command.txt").read_text() == "sleap-lab -m tracker=flow,kalman\n"
    recorded = summary.read(sweep, SWEEP_FILE)
    assert (recorded.status, recorded.mlflow) == ("failed", None)
    assert recorded.counts == {"jobs": 2, "jobs_finished": 1, "jobs_failed": 1}


def test_the_terminal_table_shows_values_as_they_are(sweep, make_jobs):
    make_jobs(FLOW, BROKEN)
    console = Console(file=io.StringIO(), width=120)
    console.print(sweep_table(sweep_rows(read_jobs(sweep))))
    text = console.file.getvalue()
    assert all(word in text for word in ("tracker", "x|y[z]", "out of memory", "oks map"))
    assert sweep_table([]).row_count == 0


@pytest.mark.parametrize(
    ("jobs", "interrupted", "expected"),
    [
        ([FLOW, KALMAN], False, "FINISHED"),
        ([FLOW, KALMAN | {"status": "partial"}], False, "FINISHED"),
        ([FLOW, BROKEN], False, "FAILED"),
        ([FLOW, KALMAN | {"status": "interrupted"}], False, "FAILED"),
        ([], False, "FAILED"),  # no job at all is no success
        ([FLOW, BROKEN], True, "KILLED"),
    ],
)
def test_the_status_of_the_parent(sweep, make_jobs, root, logger, store, jobs, interrupted, expected):
    parent = start_parent(logger, sweep, COMMAND, root)
    assert store.client.get_run(parent).info.status == "RUNNING"
    make_jobs(*jobs)
    finish_parent(logger, sweep, root, interrupted=interrupted)
    assert store.client.get_run(parent).info.status == expected


def test_the_parent_holds_its_children_and_the_best_of_them(sweep, make_jobs, root, logger, store, monkeypatch):
    parent = start_parent(logger, sweep, COMMAND, root)
    monkeypatch.setenv("MLFLOW_RUN_ID", parent)
    make_jobs(FLOW, KALMAN, BROKEN, logger=logger)
    for number in "01":  # the third died before it could log itself
        log_run(sweep / number, logger, outputs_root=root)
    finish_parent(logger, sweep, root)

    children = store.client.search_runs([store.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'")
    assert {child.data.tags["sleap_lab.job"]: child.info.status for child in children} == {"0": "FINISHED", "1": "FINISHED", "2": "FAILED"}
    assert {child.data.tags["sleap_lab.sweep"] for child in children} == {"2026-01-02/03-04-05"}

    run = store.client.get_run(parent)
    assert run.data.metrics == {"eval/oks_map": 0.75, "counts/jobs": 3, "counts/jobs_finished": 2, "counts/jobs_failed": 1}
    assert run.data.tags.items() >= {"sleap_lab.best_by": "eval/oks_map", "sleap_lab.best_job": "1"}.items()
    assert run.data.tags["varied.tracker"] == "flow, kalman, x|y[z]"
    assert run.info.run_name == "sweep 2026-01-02/03-04-05"
    assert {item.path for item in store.client.list_artifacts(parent)} == {
        *("results.csv", "results.md", "results.json", "command.txt", "sweep.json")
    }


def test_finishing_twice_changes_nothing(sweep, make_jobs, root, logger, store):
    start_parent(logger, sweep, COMMAND, root)
    make_jobs(FLOW, KALMAN)
    finish_parent(logger, sweep, root)
    before = summary.read(sweep, SWEEP_FILE)
    finish_parent(logger, sweep, root)
    assert summary.read(sweep, SWEEP_FILE) == before
    assert len(store.client.search_runs([store.experiment_id])) == 1 + 2


def test_a_server_that_is_away_at_both_ends_costs_only_the_mirror(sweep, make_jobs, root, logger, store):
    away = LoggerConfig(mlflow=True, tracking_uri="http://127.0.0.1:9")
    with pytest.raises(RunError, match="sleap-lab sync"):
        start_parent(away, sweep, COMMAND, root)
    make_jobs(FLOW, KALMAN)
    with pytest.raises(RunError, match="sleap-lab sync"):
        finish_parent(away, sweep, root)
    assert (sweep / "results.csv").is_file()
    orphan = log_run(sweep / "0", logger, outputs_root=root)  # the server came back for the second job
    assert "mlflow.parentRunId" not in store.client.get_run(orphan).data.tags

    finish_parent(logger, sweep, root)
    parent = summary.read(sweep, SWEEP_FILE).mlflow["run_id"]
    children = store.client.search_runs([store.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'")
    assert orphan in {child.info.run_id for child in children}
    assert len(children) == 2
