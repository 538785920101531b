"""A sweep as a whole: its jobs, its status, its results in the folder."""

import csv
import subprocess
import sys
from dataclasses import replace

import pytest
import yaml

from sleap_lab.report.drawing import canvas
from sleap_lab.runs import summary
from sleap_lab.runs.summary import SWEEP_FILE
from sleap_lab.sweeps.ledger import read_plan, write_plan
from sleap_lab.sweeps.mlflow_log import log_sweep
from sleap_lab.sweeps.results import finish_sweep, read_jobs

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


def test_the_plan_says_where_it_is_logged(sweep, make_jobs, logger):
    make_jobs(FLOW, logger=logger)
    assert read_plan(sweep).logger == logger
