"""How many labels would show a difference."""

import numpy as np
import pytest
from scipy.stats import chi2, nct, t

from sleap_lab.compare.paired import read_run
from sleap_lab.compare.plan import as_text, labels_for, plan, reach, underestimated, wanted_of
from sleap_lab.errors import ConfigError


def runs(make_run, *options):
    return [read_run(make_run(str(i), **own), str(i)) for i, own in enumerate(options)]


def test_a_difference_of_that_size_is_found_four_times_in_five():
    for df in (3, 8, 23):
        size = reach(np.array([df]))[0]
        found = nct.sf(t.ppf(0.975, df), df, size)
        assert found == pytest.approx(0.8, abs=0.03), df


@pytest.mark.parametrize(
    ("size", "df", "units", "videos", "needed"),
    [
        (2.9, 23, 400, False, 400),  # what there is shows it: 2.07 + 0.86
        (1.45, 23, 400, False, 1700),  # half of it takes four times as many
        (1.45, 11, 400, False, 1700),  # the degrees of freedom grow with them
        (1e-9, 23, 400, False, None),
        (1.4, 9, 10, True, 43),  # videos
    ],
)
def test_labels_for_a_difference(size, df, units, videos, needed):
    found = labels_for(size, df, units, videos=videos)
    assert found == (None if needed is None else pytest.approx(needed, rel=0.06))


def test_what_few_videos_say_is_needed_may_be_far_too_little():
    """Videos differ by 1, the difference is 1: ten videos show it four times in five."""
    assert underestimated(3) == pytest.approx(np.sqrt(3 / chi2.ppf(0.1, 3)))
    random, shown = np.random.default_rng(0), {"needed": [], "surely": []}
    for _ in range(300):
        error = random.standard_normal(4).std(ddof=1) / 2
        for name, each in (("needed", error), ("surely", error * underestimated(3))):
            n = labels_for(1 / each, 3.0, 4, videos=True)
            found = nct.sf(t.ppf(0.975, n - 1), n - 1, np.sqrt(n))
            shown[name].append(found >= 0.8 - 0.02)
    assert np.mean(shown["needed"]) < 0.6
    assert np.mean(shown["surely"]) == pytest.approx(0.9, abs=0.04)


def test_more_labels_than_needed_are_never_asked_for_the_difference_that_is_seen(make_run):
    videos = [f"{i}.mp4" for i in range(6)]
    found = plan(
        runs(make_run, {"off": 3, "videos": videos}, {"off": [3, 3, 3, 5], "videos": videos[::-1]}),
        {},
    )
    assert (found.unit, found.present) == ("videos", 6)
    (need,) = [need for need in found.needs if need.metric == "eval/dist_avg"]
    assert need.difference == pytest.approx(0.5, abs=0.02)
    assert need.seen < need.difference
    assert need.labels <= 6
    assert need.labels <= need.surely
    assert "videos needed" in as_text(found)
    assert not [need for need in found.needs if need.metric == "eval/n_missed"]  # a count


def test_a_difference_may_be_given(make_run):
    pair = runs(make_run, {"off": 3}, {"off": [3, 3, 3, 3.1], "noise": 0.3})
    found = plan(pair, {"eval/dist_avg": 0.001})
    assert [need.metric for need in found.needs] == ["eval/dist_avg"]
    assert (found.unit, found.present, found.needs[0].difference) == ("frames", 100, 0.001)
    assert found.needs[0].labels > 100


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["eval/dst_avg=1"],
            "no metric 'eval/dst_avg' with a better side. Did you mean 'eval/dist_avg'",
        ),
        (["eval/n_frames=1"], "no metric 'eval/n_frames' with a better side"),
        (["eval/dist_avg=x"], "eval/dist_avg=x: accepted is a number other than 0"),
        (["eval/dist_avg=0"], "accepted is a number other than 0"),
        (["eval/dist_avg=nan"], "accepted is a number other than 0"),
    ],
)
def test_what_is_no_difference_of_a_metric_is_refused(words, message):
    with pytest.raises(ConfigError, match=message):
        wanted_of(words)


def test_differences_are_read():
    assert wanted_of(["eval/dist_avg=-0.5", "coco/ap=1e-2"]) == {
        "eval/dist_avg": 0.5,
        "coco/ap": 0.01,
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([{"off": 3}], "needs two runs with labelled frames in common, got 1"),
        ([{"off": 3}, {}], "labelled frames in common"),
        ([{"off": 3, "frames": 5}, {"off": 4, "frames": 5}], "no intervals from fewer than 20"),
    ],
)
def test_runs_that_tell_nothing_are_refused(make_run, options, message):
    with pytest.raises(ConfigError, match=message):
        plan(runs(make_run, *options), {})
