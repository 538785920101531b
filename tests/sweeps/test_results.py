"""A sweep as a whole: its jobs, its status, its results in the folder and in MLflow."""

import csv
import subprocess
import sys
from dataclasses import replace

import pytest
import yaml

from sleap_lab.errors import RunError
from sleap_lab.report.drawing import canvas
from sleap_lab.runs import summary
from sleap_lab.runs.mlflow_log import log_run
from sleap_lab.runs.summary import SWEEP_FILE
from sleap_lab.sweeps.ledger import read_plan, write_plan
from sleap_lab.sweeps.results import (
    begin_sweep,
    finish_sweep,
    log_sweep,
    mirror_job,
    open_parent,
    read_jobs,
    titles_of,
)

COMMAND = ["sleap-lab", "-m", "tracker=flow,kalman"]
FLOW = {
    "overrides": ["data.path=a.mp4", "tracker=flow"],
    "metrics": {"eval/oks_map": 0.5, "eval/other": 1.0},
}
KALMAN = {"overrides": ["data.path=a.mp4", "tracker=kalman"], "metrics": {"eval/oks_map": 0.75}}
BROKEN = {
    "overrides": ["data.path=a.mp4", "tracker=x|y[z]"],
    "metrics": {},
    "status": "failed",
    "error": "out of memory",
}
NOT_RUN = {"overrides": ["data.path=a.mp4", "tracker=none"], "status": None}


@pytest.fixture
def sweep(root):
    return root / "multirun" / "2026-01-02" / "03-04-05"


@pytest.fixture
def make_jobs(sweep, make_sweep):
    """Return a function that begins the sweep and writes its jobs from their special values."""

    def make(*jobs, logger=None):
        make_sweep(sweep, *jobs, logger=logger)
        return begin_sweep(sweep, COMMAND)

    return make


def in_order(children):
    """Return the runs of jobs by number."""
    return sorted(children, key=lambda child: int(child.data.tags["sleap_lab.job"]))


def children_of(store, parent):
    return store.client.search_runs(
        [store.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'"
    )


# --- its jobs ---------------------------------------------------------------------------


def test_jobs_are_those_of_the_ledger_in_its_order(sweep, make_jobs):
    make_jobs(*(FLOW for _ in range(11)))
    (sweep / "12").mkdir()  # nobody planned it
    assert [job.number for job in read_jobs(sweep)] == list(range(11))


def test_jobs_that_left_little_or_nothing_are_jobs_too(sweep, make_jobs):
    gone = subprocess.Popen([sys.executable, "-S", "-c", ""])
    gone.wait()
    make_jobs(FLOW, {"status": "running", "ended": None, "pid": gone.pid}, NOT_RUN, FLOW)
    (sweep / "3" / "run.json").write_text("{")
    jobs = read_jobs(sweep)
    assert [job.status for job in jobs] == ["finished", "interrupted", "not run", "failed"]
    assert "run.json is damaged" in jobs[3].run.error


# --- what it leaves ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("jobs", "interrupted", "expected"),
    [
        ([FLOW, KALMAN], False, "finished"),
        ([FLOW, KALMAN | {"status": "partial"}], False, "finished"),
        ([FLOW, BROKEN], False, "failed"),
        ([FLOW, KALMAN | {"status": "interrupted"}], False, "failed"),
        ([FLOW, NOT_RUN], False, "failed"),
        ([], False, "failed"),  # no job at all is no success
        ([FLOW, BROKEN], True, "interrupted"),
    ],
)
def test_its_status(sweep, make_jobs, jobs, interrupted, expected):
    make_jobs(*jobs)
    finish_sweep(sweep, interrupted=interrupted)
    assert summary.read(sweep, SWEEP_FILE).status == expected


def test_results_are_written_in_several_ways(sweep, make_jobs):
    make_jobs(FLOW, KALMAN, BROKEN)
    finish_sweep(sweep)
    assert list(csv.reader((sweep / "results.csv").read_text().splitlines())) == [
        ["job", "status", "best", "tracker", "eval/oks_map", "seconds", "error"],
        ["0", "finished", "", "flow", "0.5", "1.5", ""],
        ["1", "finished", "best", "kalman", "0.75", "1.5", ""],
        ["2", "failed", "", "x|y[z]", "", "1.5", "out of memory"],
    ]
    assert (
        "| 2 | failed | – | x\\|y[z] | – | 1.5 | out of memory |"
        in (sweep / "results.md").read_text()
    )
    page = (sweep / "results.html").read_text()
    assert all(
        text in page
        for text in (
            "2026-01-02/03-04-05",
            "x|y[z]",
            "out of memory",
            "sleap-lab data.path=a.mp4 tracker=kalman",
        )
    )
    assert {path.name for path in (sweep / "figures").iterdir()} == {
        "importance.png",
        "parallel_coordinates.png",
    }
    assert (sweep / "command.txt").read_text() == "sleap-lab -m tracker=flow,kalman\n"
    assert yaml.safe_load((sweep / "best.yaml").read_text())["tracker"] == {
        "tracking_window_size": 10
    }
    recorded = summary.read(sweep, SWEEP_FILE)
    assert recorded.counts == {
        **{"jobs": 3, "jobs_running": 0, "jobs_finished": 2, "jobs_partial": 0, "jobs_failed": 1},
        **{"jobs_interrupted": 0, "jobs_not_run": 0},
    }
    assert recorded.metrics == {"eval/oks_map": 0.75}


def test_the_best_job_runs_by_itself_where_predictions_were_jobs_of_their_own(sweep, make_jobs):
    words = ["data.path=a.mp4", "sweep.split_frames=100", "tracker=kalman"]
    make_jobs(FLOW, {**KALMAN, "overrides": words})
    config = sweep / "1" / "snapshot" / "config.yaml"
    config.write_text(
        config.read_text() + "sweep: {split_frames: 100, cpu_launcher: cpu, fail_fast: true}\n"
    )
    finish_sweep(sweep)
    assert "<pre>sleap-lab data.path=a.mp4 tracker=kalman</pre>" in (
        (sweep / "results.html").read_text()
    )
    assert yaml.safe_load((sweep / "best.yaml").read_text())["sweep"] == {
        "split_frames": None,
        "cpu_launcher": None,
        "fail_fast": True,
    }


def test_the_best_job_is_the_same_everywhere(sweep, make_jobs, root, logger, store, monkeypatch):
    tie = {"metrics": {"eval/oks_map": 0.75}}
    make_jobs(
        FLOW, KALMAN, {"overrides": ["data.path=a.mp4", "tracker=ocsort"], **tie}, logger=logger
    )
    for number, window in enumerate([5, 7, 6]):
        path = sweep / str(number) / "snapshot" / "config.yaml"
        path.write_text(
            path.read_text().replace("tracking_window_size: 10", f"tracking_window_size: {window}")
        )
    drawn = {}
    monkeypatch.setattr(
        "sleap_lab.sweeps.page.parallel_coordinates",
        lambda axes, scores, best, **_: (drawn.update(best=best), canvas(1, 1)[0])[1],
    )
    finish_sweep(sweep)
    log_sweep(sweep, logger, root)
    assert yaml.safe_load((sweep / "best.yaml").read_text())["tracker"]["tracking_window_size"] == 6
    rows = csv.DictReader((sweep / "results.csv").read_text().splitlines())
    assert [row["best"] for row in rows] == ["", "tied", "best"]
    assert (
        "job 2 is called best: the simpler setting decides" in (sweep / "results.html").read_text()
    )
    assert drawn == {"best": 2}
    tags = store.client.get_run(summary.read(sweep, SWEEP_FILE).mlflow["run_id"]).data.tags
    assert (tags["sleap_lab.best_job"], tags["sleap_lab.best_tied"]) == ("2", "1")


def test_the_objective_of_the_command_decides_and_is_kept(sweep, make_jobs):
    make_jobs(FLOW, KALMAN)
    write_plan(sweep, replace(read_plan(sweep), objective="eval/oks_map", direction="minimize"))
    finish_sweep(sweep)
    assert (
        "tracker=flow"
        in (sweep / "results.html").read_text().partition("best.yaml")[2].partition("</pre>")[0]
    )
    assert summary.read(sweep, SWEEP_FILE).metrics["eval/oks_map"] == 0.5
    assert "has the smallest eval/oks_map, 0.5" in (sweep / "results.html").read_text()
    write_plan(sweep, replace(read_plan(sweep), objective="eval/dist_avg", direction=None))
    finish_sweep(sweep)
    assert not (sweep / "best.yaml").exists()  # none of them has it


def test_without_a_metric_to_compare_there_is_no_best_job(sweep, make_jobs):
    make_jobs(BROKEN, NOT_RUN)
    finish_sweep(sweep)
    assert not (sweep / "best.yaml").exists()
    assert not (sweep / "figures").exists()
    assert "Best configuration" not in (sweep / "results.html").read_text()


# --- in MLflow --------------------------------------------------------------------------


def test_the_parent_holds_its_children_and_the_best_of_them(
    sweep, make_jobs, root, logger, store, monkeypatch
):
    make_jobs(FLOW, KALMAN, BROKEN, NOT_RUN, logger=logger)
    parent = open_parent(logger, sweep, root)
    assert store.client.get_run(parent.run_id).info.status == "RUNNING"
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, parent.run_id)
    jobs = read_jobs(sweep)
    for job in jobs[:2]:  # the third died while its sweep did
        mirror_job(parent.store, job, titles_of(jobs), logger, parent.run_id, None)
    finish_sweep(sweep)
    log_sweep(sweep, logger, root)

    children = children_of(store, parent.run_id)
    assert {child.info.run_name: child.info.status for child in children} == {
        "0: flow (tracker)": "FINISHED",
        "1: kalman (tracker)": "FINISHED",
        "2: x|y[z] (tracker)": "FAILED",
    }
    assert {child.data.tags["sleap_lab.sweep"] for child in children} == {"2026-01-02/03-04-05"}
    assert {child.data.tags["lab"] for child in children} == {"west"}

    run = store.client.get_run(parent.run_id)
    assert run.info.status == "FAILED"
    assert (
        run.data.metrics.items()
        >= {
            "best_by/eval/oks_map": 0.75,
            "eval/oks_map": 0.75,
            "counts/jobs": 4,
            "counts/jobs_finished": 2,
            "counts/jobs_failed": 1,
        }.items()
    )
    assert (
        run.data.tags.items()
        >= {"sleap_lab.best_by": "eval/oks_map", "sleap_lab.best_job": "1"}.items()
    )
    assert run.data.tags["sleap_lab.best_command"] == "sleap-lab data.path=a.mp4 tracker=kalman"
    assert run.data.tags["varied.tracker"] == "flow, kalman, x|y[z], none"
    assert run.info.run_name == "sweep of tracker"
    assert run.data.params.items() >= {"data.path": "/videos/a.mp4"}.items()
    said = run.data.tags["mlflow.note.content"]
    assert said.startswith("**Best: job 1 by eval/oks\\_map**")
    assert "`sleap-lab data.path=a.mp4 tracker=kalman`\n" in said
    best, worse = (said.index(child.info.run_id) for child in in_order(children)[1::-1])
    assert best < worse  # the best job is the first row
    assert f"runs/{parent.run_id}/artifacts/results.html" in said
    assert {item.path for item in store.client.list_artifacts(parent.run_id)} == {
        *(
            "results.csv",
            "results.md",
            "results.html",
            "results.json",
            "figures",
            "best.yaml",
            "command.txt",
            "sweep.json",
            "ledger.jsonl",
        )
    }


def test_names_tell_what_varied_even_where_a_name_was_chosen(sweep, make_jobs, root, logger, store):
    named = replace(logger, run_name="mice")
    overrides = [["a.size=1", "b.size=1", "c=0"], ["a.size=1", "b.size=2", "c=0"], ["a.size=2"]]
    make_jobs(*({"overrides": each} for each in overrides), logger=named)
    finish_sweep(sweep)
    log_sweep(sweep, named, root)
    parent = summary.read(sweep, SWEEP_FILE).mlflow["run_id"]
    assert store.client.get_run(parent).info.run_name == "mice"
    names = sorted(child.info.run_name for child in children_of(store, parent))
    assert names == [
        "mice 0: 1, 1, 0 (a.size, b.size, c)",
        "mice 1: 1, 2, 0 (a.size, b.size, c)",
        "mice 2: 2 (size)",
    ]


def test_jobs_that_do_not_differ_are_named_by_number(sweep, make_jobs, root, logger, store):
    make_jobs(FLOW, FLOW, logger=logger)
    finish_sweep(sweep)
    log_sweep(sweep, logger, root)
    parent = summary.read(sweep, SWEEP_FILE).mlflow["run_id"]
    assert sorted(child.info.run_name for child in children_of(store, parent)) == ["job 0", "job 1"]


def test_logging_twice_changes_nothing(sweep, make_jobs, root, logger, store):
    make_jobs(FLOW, KALMAN, logger=logger)
    finish_sweep(sweep)
    log_sweep(sweep, logger, root)
    before = summary.read(sweep, SWEEP_FILE)
    log_sweep(sweep, logger, root)
    assert summary.read(sweep, SWEEP_FILE) == before
    assert len(store.client.search_runs([store.experiment_id])) == 1 + 2


def test_a_sweep_that_goes_on_keeps_its_runs(sweep, make_jobs, root, logger, store):
    first = make_jobs(FLOW, BROKEN, logger=logger)
    finish_sweep(sweep)
    log_sweep(sweep, logger, root)
    parent, child = summary.read(sweep, SWEEP_FILE).mlflow, summary.read(sweep / "1").mlflow
    assert store.client.get_run(parent["run_id"]).info.status == "FAILED"

    again = begin_sweep(sweep, COMMAND)
    assert (again.started, again.mlflow, again.ended) == (first.started, parent, None)
    assert open_parent(logger, sweep, root).run_id == parent["run_id"]
    assert store.client.get_run(parent["run_id"]).info.status == "RUNNING"
    now = {
        "status": "finished",
        "error": None,
        "ended": "2026-01-02T03:06:00+00:00",
        "metrics": {"eval/oks_map": 1.0},
    }
    summary.write(sweep / "1", replace(summary.read(sweep / "1"), **now))
    finish_sweep(sweep)
    log_sweep(sweep, logger, root)
    assert len(store.client.search_runs([store.experiment_id])) == 1 + 2
    assert store.client.get_run(child["run_id"]).info.status == "FINISHED"
    run = store.client.get_run(parent["run_id"])
    assert (
        run.info.status,
        run.data.metrics["counts/jobs_failed"],
        run.data.metrics["eval/oks_map"],
    ) == ("FINISHED", 0, 1.0)


def test_a_server_that_is_away_at_both_ends_costs_only_the_mirror(
    sweep, make_jobs, root, logger, store
):
    away = replace(logger, tracking_uri="http://127.0.0.1:9")
    make_jobs(FLOW, KALMAN, logger=away)
    with pytest.raises(RunError, match="sleap-lab sync"):
        open_parent(away, sweep, root)
    finish_sweep(sweep)
    with pytest.raises(RunError, match="sleap-lab sync"):
        log_sweep(sweep, away, root)
    assert (sweep / "results.csv").is_file()
    # The server is back for the second job.
    orphan = log_run(sweep / "0", logger, outputs_root=root)
    assert "mlflow.parentRunId" not in store.client.get_run(orphan).data.tags

    log_sweep(sweep, logger, root)
    children = children_of(store, summary.read(sweep, SWEEP_FILE).mlflow["run_id"])
    assert orphan in {child.info.run_id for child in children}
    assert len(children) == 2


def test_the_plan_says_where_it_is_logged(sweep, make_jobs, logger):
    make_jobs(FLOW, logger=logger)
    assert read_plan(sweep).logger == logger
