"""The results of a sweep side by side."""

import io

import pytest
from rich.console import Console

from sleap_lab.sweeps.best import DEFAULT, Objective, best_job
from sleap_lab.sweeps.rendering import as_csv, as_markdown, sweep_table
from sleap_lab.sweeps.table import constant, sweep_rows, telling


def rows_of(jobs, objective=DEFAULT):
    return sweep_rows(jobs, best_job(jobs, objective))


@pytest.fixture
def jobs(make_job):
    return [
        make_job(
            0, ["data.path=a.mp4", "tracker=flow"], metrics={"eval/oks_map": 0.5, "eval/other": 1.0}
        ),
        make_job(1, ["data.path=a.mp4", "tracker=kalman"], metrics={"eval/oks_map": 0.75}),
        make_job(2, ["data.path=a.mp4", "tracker=x|y[z]"], "failed", "out of memory"),
        make_job(3, ["data.path=a.mp4", "tracker=none"], "not run"),
    ]


def test_rows_show_what_varied_and_what_came_out(jobs):
    assert rows_of(jobs) == [
        {
            "job": 0,
            "status": "finished",
            "best": None,
            "tracker": "flow",
            "eval/oks_map": 0.5,
            "seconds": 1.5,
            "error": None,
        },
        {
            "job": 1,
            "status": "finished",
            "best": "best",
            "tracker": "kalman",
            "eval/oks_map": 0.75,
            "seconds": 1.5,
            "error": None,
        },
        {
            "job": 2,
            "status": "failed",
            "best": None,
            "tracker": "x|y[z]",
            "eval/oks_map": None,
            "seconds": 1.5,
            "error": "out of memory",
        },
        {
            "job": 3,
            "status": "not run",
            "best": None,
            "tracker": "none",
            "eval/oks_map": None,
            "seconds": None,
            "error": None,
        },
    ]


MAP, IDF1 = "eval/oks_map", "identity/idf1"


def test_ties_are_shown_as_ties(make_job):
    jobs = [
        make_job(i, [f"x={i}"], metrics={MAP: score}) for i, score in enumerate([0.5, 0.75, 0.75])
    ]
    rows = rows_of(jobs)
    assert [row["best"] for row in rows] == [None, "best", "tied"]
    console = Console(file=io.StringIO(), width=120)
    console.print(sweep_table(rows))
    assert [line.split()[2] for line in console.file.getvalue().splitlines()[2:]] == [
        "best",
        "tied",
    ]


def test_jobs_that_another_metric_tells_apart_are_not_called_tied(make_job):
    scores = [0.5, 0.75, 0.75, 0.5]
    jobs = [
        make_job(i, [f"x={i}"], metrics={IDF1: 1.0, MAP: score}) for i, score in enumerate(scores)
    ]
    best = best_job(jobs)
    assert (best.job.number, best.tied, best.as_good) == (1, (0, 2, 3), (2,))
    marks = [row["best"] for row in sweep_rows(jobs, best)]
    assert marks == ["same idf1", "best", "tied", "same idf1"]


def test_the_metric_that_decides_is_a_column(make_job):
    jobs = [make_job(i, metrics={MAP: 0.5, "eval/mine": 1.0}) for i in range(2)]
    rows = rows_of(jobs, Objective("eval/mine", "maximize"))
    assert list(rows[0])[:4] == ["job", "status", "best", "eval/mine"]
    console = Console(file=io.StringIO(), width=120)
    console.print(sweep_table(rows, "eval/mine"))
    assert "mine" in console.file.getvalue()  # though it is the same in all jobs
    assert "oks map" not in console.file.getvalue()


def test_without_ground_truth_counts_and_quality_are_compared(make_job):
    jobs = [
        make_job(
            i,
            metrics={"quality/jumps_per_1000": 0.5 + i / 4, "speed/frames_per_second": 9.0},
            counts={"tracks": 3 + i, "fragments": 7, "instances": 40, "frames": 20},
        )
        for i in range(2)
    ]
    rows = rows_of(jobs)
    assert list(rows[0]) == [
        "job",
        "status",
        "counts/instances",
        "counts/tracks",
        "counts/fragments",
        "quality/jumps_per_1000",
        "speed/frames_per_second",
        "seconds",
        "error",
    ]
    assert telling(rows) == ["job", "counts/tracks", "quality/jumps_per_1000", "seconds"]
    assert constant(rows) == {
        "status": "finished",
        "counts/instances": "40",
        "counts/fragments": "7",
        "speed/frames_per_second": "9",
    }


def test_the_terminal_table_shows_values_as_they_are(jobs):
    console = Console(file=io.StringIO(), width=120)
    console.print(sweep_table(rows_of(jobs)))
    text = console.file.getvalue()
    assert all(
        word in text for word in ("tracker", "x|y[z]", "out of memory", "oks map", "not run")
    )
    assert sweep_table([]).row_count == 0


def test_files_hold_the_same_rows(jobs):
    rows = rows_of(jobs)
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


# --- recordings -------------------------------------------------------------------------


@pytest.fixture
def recorded(make_job):
    """Two recordings of equal name, of which one job failed."""
    scores = {"eval/oks_map": 0.5}
    return [
        make_job(
            0,
            ["data.path='/lab/day 1/clip.mp4'", "tracker=flow"],
            metrics=scores,
            counts={"frames": 100, "bad_frames": 3},
        ),
        make_job(1, ["data.path='/lab/day 2/clip.mp4'", "tracker=flow"], "failed", "no frames"),
    ]


def test_a_sweep_over_recordings_shows_video_frames_bad_seconds_and_status(recorded):
    rows = rows_of(recorded)
    assert [list(row) for row in rows] == [
        ["job", "status", "video", "frames", "bad", "eval/oks_map", "seconds", "error"]
    ] * 2
    assert [[row[name] for name in ("video", "frames", "bad", "status")] for row in rows] == [
        ["day 1/clip.mp4", 100, 3, "finished"],
        ["day 2/clip.mp4", None, None, "failed"],
    ]
    assert {"video", "frames", "bad", "seconds", "status"} <= {*telling(rows)}
    assert as_csv(rows).splitlines()[1] == "0,finished,day 1/clip.mp4,100,3,0.5,1.5,"


def test_columns_of_recordings_are_shown_where_they_are_the_same_in_all(recorded):
    rows = rows_of([recorded[0], recorded[0]])
    assert "video" not in rows[0]  # the same recording twice is no sweep over recordings
    same = [{**row, "video": name} for row, name in zip(rows_of(recorded), "ab", strict=True)]
    for row in same:
        row |= {"frames": 100, "bad": 0, "status": "finished"}
    assert {"frames", "bad", "status"} <= {*telling(same)}
    assert not {"frames", "bad", "status"} & {*constant(same)}
