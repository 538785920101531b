"""The results of a sweep side by side, and which job was best."""

import io

import pytest
from rich.console import Console

from sleap_lab.runs.summary import RunSummary
from sleap_lab.runs.sweep_table import Job, as_csv, as_markdown, best_job, short_name, sweep_rows, sweep_table, varied_keys, varied_name


@pytest.fixture
def make_job(tmp_path):
    """Return a function that makes a job whose run took 1.5 s."""

    def make(number, overrides=(), status="finished", error=None, metrics=None):
        run = RunSummary(status=status, error=error, metrics=metrics or {}, stages={"track": 1.5}) if status != "not run" else None
        return Job(number, tmp_path / str(number), list(overrides), run)

    return make


@pytest.fixture
def jobs(make_job):
    return [
        make_job(0, ["data.path=a.mp4", "tracker=flow"], metrics={"eval/oks_map": 0.5, "eval/other": 1.0}),
        make_job(1, ["data.path=a.mp4", "tracker=kalman"], metrics={"eval/oks_map": 0.75}),
        make_job(2, ["data.path=a.mp4", "tracker=x|y[z]"], "failed", "out of memory"),
        make_job(3, ["data.path=a.mp4", "tracker=none"], "not run"),
    ]


def test_rows_show_what_varied_and_what_came_out(jobs):
    assert sweep_rows(jobs) == [
        {"job": 0, "status": "finished", "best": None, "tracker": "flow", "eval/oks_map": 0.5, "seconds": 1.5, "error": None},
        {"job": 1, "status": "finished", "best": "best", "tracker": "kalman", "eval/oks_map": 0.75, "seconds": 1.5, "error": None},
        {"job": 2, "status": "failed", "best": None, "tracker": "x|y[z]", "eval/oks_map": None, "seconds": 1.5, "error": "out of memory"},
        {"job": 3, "status": "not run", "best": None, "tracker": "none", "eval/oks_map": None, "seconds": None, "error": None},
    ]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([["a=1", "b=2"], ["a=1", "b=3"]], ["b"]),
        ([["a=1"], []], ["a"]),  # only some jobs have it
        ([["a=1"], ["a=1"]], []),
        ([], []),
    ],
)
def test_what_varied(overrides, expected):
    assert varied_keys(overrides) == expected


def test_a_job_is_named_by_what_sets_it_apart():
    assert varied_name(["a.b=1", "c=x=y", "d=2"], ["c", "a.b"]) == "c=x=y, b=1"
    assert varied_name(["a.b=1", "c.b=2"], ["a.b", "c.b"]) == "a.b=1, c.b=2"  # their last parts are the same
    assert varied_name(["a=1"], ["b"]) == ""
    assert short_name("eval/oks_map", ["eval/oks_map", "seconds"]) == "oks_map"


MAP, IDF1 = "eval/oks_map", "identity/idf1"


@pytest.mark.parametrize(
    ("given", "criterion", "best"),
    [
        ([{"metrics": {MAP: 0.5}}, {"metrics": {MAP: 0.75}}], MAP, 1),
        ([{"metrics": {MAP: 0.5, IDF1: 0.25}}, {"metrics": {MAP: 0.75}}], IDF1, 0),  # it decides where there is one
        ([{"metrics": {MAP: 0.5}}, {"metrics": {MAP: 0.75}, "status": "failed"}], MAP, 0),  # a failed job is never best
        ([{"metrics": {MAP: 0.5}}, {"metrics": {MAP: float("nan")}}], MAP, 0),
        ([{"metrics": {MAP: 0.5}}, {"status": "not run"}], MAP, 0),
        ([{"status": "failed"}], None, None),
        ([], None, None),
    ],
)
def test_the_best_job(make_job, given, criterion, best):
    found = best_job([make_job(number, **fields) for number, fields in enumerate(given)])
    assert (found and found.criterion, found and found.job.number) == (criterion, best)


def test_the_terminal_table_shows_values_as_they_are(jobs):
    console = Console(file=io.StringIO(), width=120)
    console.print(sweep_table(sweep_rows(jobs)))
    text = console.file.getvalue()
    assert all(word in text for word in ("tracker", "x|y[z]", "out of memory", "oks map", "not run"))
    assert sweep_table([]).row_count == 0


def test_files_hold_the_same_rows(jobs):
    rows = sweep_rows(jobs)
    assert as_csv(rows).splitlines()[0] == "job,status,best,tracker,eval/oks_map,seconds,error"
    assert as_csv(rows).splitlines()[3] == "2,failed,,x|y[z],,1.5,out of memory"
    assert as_markdown(rows).splitlines() == [
        "| job | status | best | tracker | eval/oks_map | seconds | error |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| 0 | finished | – | flow | 0.5 | 1.5 | – |",
        "| 1 | finished | best | kalman | 0.75 | 1.5 | – |",
        "| 2 | failed | – | x\\|y[z] | – | 1.5 | out of memory |",
        "| 3 | not run | – | none | – | – | – |",
    ]
    assert as_csv([]) == "job,status\n"
