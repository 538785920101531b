"""Which job of a sweep is best, and what decides between equals."""

from itertools import permutations

import pytest

from sleap_lab.sweeps.best import SIMPLER, Objective, best_job, objective_problem

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


def test_no_recording_is_best_unless_an_objective_is_chosen(make_job):
    jobs = [make_job(i, [f"data.path={i}.mp4"], metrics={MAP: 0.5 - i / 4}) for i in range(2)]
    assert best_job(jobs) is None
    best = best_job(jobs, Objective(MAP))
    assert best is not None
    assert best.job.number == 0
