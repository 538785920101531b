"""The results of a sweep side by side, and which job was best."""

import io
from dataclasses import asdict
from itertools import permutations

import pytest
import yaml
from rich.console import Console

from sleap_lab.runs.summary import RunSummary
from sleap_lab.settings.config import Config
from sleap_lab.sweeps.rendering import as_csv, as_markdown, sweep_table
from sleap_lab.sweeps.table import (
    DEFAULT,
    SIMPLER,
    Job,
    Objective,
    best_job,
    constant,
    objective_problem,
    sweep_rows,
    telling,
)


def rows_of(jobs, objective=DEFAULT):
    return sweep_rows(jobs, best_job(jobs, objective))


@pytest.fixture
def make_job(tmp_path):
    """Return a function that makes a job whose run took 1.5 s."""

    def make(
        number,
        overrides=(),
        status="finished",
        error=None,
        metrics=None,
        counts=None,
        settings=None,
    ):
        ran = {"status": status} if status != "not run" else {}
        run = RunSummary(
            **ran, error=error, metrics=metrics or {}, counts=counts or {}, stages={"track": 1.5}
        )
        if settings is not None:
            config = asdict(Config())
            for key, value in settings.items():
                group, _, last = key.partition(".")
                config[group][last] = value
            snapshot = tmp_path / str(number) / "snapshot"
            snapshot.mkdir(parents=True, exist_ok=True)
            (snapshot / "config.yaml").write_text(yaml.safe_dump(config))
        return Job(
            number, tmp_path / str(number), list(overrides), run if status != "not run" else None
        )

    return make


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


@pytest.mark.parametrize(
    ("given", "criterion", "best"),
    [
        ([{"metrics": {MAP: 0.5}}, {"metrics": {MAP: 0.75}}], MAP, 1),
        # IDF1 decides where a job has it.
        ([{"metrics": {MAP: 0.5, IDF1: 0.25}}, {"metrics": {MAP: 0.75}}], IDF1, 0),
        # A failed job is never best.
        ([{"metrics": {MAP: 0.5}}, {"metrics": {MAP: 0.75}, "status": "failed"}], MAP, 0),
        ([{"metrics": {MAP: 0.5}}, {"metrics": {MAP: float("nan")}}], MAP, 0),
        ([{"metrics": {MAP: 0.5}}, {"status": "not run"}], MAP, 0),
        ([{"status": "failed"}], None, None),
        ([], None, None),
    ],
)
def test_the_best_job(make_job, given, criterion, best):
    found = best_job([make_job(number, **fields) for number, fields in enumerate(given)])
    assert (found and found.criterion, found and found.job.number) == (criterion, best)


DIST, SWITCHES = "eval/dist_avg", "identity/switches"


@pytest.mark.parametrize(
    ("objective", "given", "best", "tied", "decided_by"),
    [
        # Another metric decides.
        ((), [{IDF1: 0.5, MAP: 0.25}, {IDF1: 0.5, MAP: 0.75}, {IDF1: 0.4, MAP: 1.0}], 1, (0,), MAP),
        # The next criterion decides; smaller is better.
        ((), [{IDF1: 0.5, MAP: 0.5, DIST: 2.0}, {IDF1: 0.5, MAP: 0.5, DIST: 1.0}], 1, (0,), DIST),
        ((), [{MAP: 0.5}, {MAP: 0.5, DIST: 9.0}], 1, (0,), DIST),  # no number is no good one
        # A difference in the last bit does not count.
        ((), [{MAP: 0.1 + 0.2}, {MAP: 0.3}, {MAP: 0.3 - 1e-6}], 0, (1,), SIMPLER),
        # For this metric, smaller is better by default.
        ((DIST,), [{DIST: 2.0, MAP: 1.0}, {DIST: 1.0, MAP: 0.5}], 1, (), None),
        ((MAP, "minimize"), [{MAP: 0.5}, {MAP: 0.25}], 1, (), None),
        ((SWITCHES, "maximize"), [{SWITCHES: 1.0}, {SWITCHES: 3.0}], 1, (), None),
        (("counts/tracks", "minimize"), [{}, {}], 0, (1,), SIMPLER),
        (("speed/total_seconds",), [{}, {}], 0, (1,), SIMPLER),
        (("eval/mine", "maximize"), [{"eval/mine": 1.0}, {"eval/mine": 2.0}], 1, (), None),
    ],
)
def test_what_is_best_and_what_decides_between_equals(
    make_job, objective, given, best, tied, decided_by
):
    jobs = [make_job(i, metrics=metrics, counts={"tracks": 2}) for i, metrics in enumerate(given)]
    for order in (jobs, jobs[::-1]):
        found = best_job(order, Objective(*objective))
        assert (found.job.number, found.tied, found.decided_by) == (best, tied, decided_by)
    assert str(found) == f"job {best} by {found.criterion}" + (
        f", tied with job {tied[0]}; {decided_by} decides" if tied else ""
    )


@pytest.mark.parametrize(
    "settings",  # the simplest first
    [
        # Fewer changes.
        [
            {},
            {"tracker.tracking_window_size": 7},
            {"tracker.tracking_window_size": 6, "tracker.oks_stddev": 0.1},
        ],
        # Numbers are compared as numbers, not as texts.
        [{"tracker.tracking_window_size": 7}, {"tracker.tracking_window_size": 10}],
        [{"filters.filter_overlapping": True}, {"tracker.use_flow": True}],  # by name of the key
        [{"tracker.features": "bboxes"}, {"tracker.features": "centroids"}],
    ],
)
def test_of_equals_the_simpler_setting_is_best_whatever_the_order_of_typing(make_job, settings):
    for numbers in permutations(range(len(settings))):
        jobs = [
            make_job(number, metrics={MAP: 0.5}, settings=settings[which])
            for number, which in enumerate(numbers)
        ]
        assert best_job(jobs).job.number == numbers.index(0)


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


def test_a_metric_that_no_job_has_is_told_with_the_nearest(make_job):
    jobs = [make_job(0, metrics={MAP: 0.5}), make_job(1, "failed")]
    objective = Objective("identity/idf1")
    assert best_job(jobs, objective) is None
    problem = objective_problem(jobs, objective)
    assert (
        problem == "sweep.objective: no job has identity/idf1, so none is best. "
        "They have eval/oks_map, speed/total_seconds, speed/track_seconds"
    )
    assert "Did you mean 'eval/oks_map'" in objective_problem(
        jobs, Objective("quality/oks_map", "maximize")
    )
    assert objective_problem(jobs, Objective(MAP)) is None
    assert objective_problem(jobs, Objective()) is None


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


def test_no_recording_is_best_unless_an_objective_is_chosen(recorded):
    assert best_job(recorded) is None
    best = best_job(recorded, Objective("eval/oks_map"))
    assert best is not None
    assert best.job.number == 0
