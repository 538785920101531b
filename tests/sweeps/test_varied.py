"""What varies between jobs, and the names that say so."""

import pytest

from sleap_lab.settings.overrides import quote
from sleap_lab.sweeps.varied import job_titles, recording_names, sweep_title, varied_keys


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


def test_a_job_is_named_by_what_sets_it_apart_short_values_first():
    jobs = [
        ["data.path=a.mp4", "tracker=flow", "tracker.oks_stddev=0.01"],
        ["data.path=a.mp4", "tracker=kalman", "tracker.oks_stddev=0.1"],
        ["data.path=a.mp4", "tracker=kalman"],
    ]
    assert job_titles(jobs) == [
        "0.01, flow (oks_stddev, tracker)",
        "0.1, kalman (oks_stddev, tracker)",
        "kalman (tracker)",
    ]
    assert sweep_title(jobs) == "sweep of tracker, oks_stddev"
    assert job_titles([["a=1"], ["a=1"]]) == ["", ""]
    assert sweep_title([["a=1"], ["a=1"]]) == "sweep of 2 jobs"


def test_paths_are_named_by_their_last_parts_that_differ():
    assert job_titles([["data.path=/d/one.mp4"], ["data.path=/d/two.mp4"]]) == [
        "one.mp4 (path)",
        "two.mp4 (path)",
    ]
    assert job_titles([["data.path=/d/one/v.mp4"], ["data.path=/d/two/v.mp4"]]) == [
        "one/v.mp4 (path)",
        "two/v.mp4 (path)",
    ]


def test_a_sweep_over_recordings_is_named_by_their_number():
    overrides = [[f"data.path={name}.mp4", f"tracker={name}"] for name in "abc"]
    assert sweep_title(overrides) == "sweep of 3 recordings, tracker"
    assert recording_names(overrides) == ["a.mp4", "b.mp4", "c.mp4"]
    assert recording_names([["data.path='x/my clip.mp4'"], ["tracker=a"]]) == ["my clip.mp4", None]


@pytest.mark.parametrize(
    "name", ["it's.mp4", "[x].mp4", "a,b.mp4", "${q}.mp4", "back\\slash.mp4", "007", "end\\"]
)
def test_a_recording_is_named_as_its_file_is(name):
    overrides = [[f"data.path={quote(f'/some, folder/it is/{each}')}"] for each in (name, "b.mp4")]
    assert recording_names(overrides) == [name, "b.mp4"]
    assert job_titles(overrides) == [f"{name} (path)", "b.mp4 (path)"]
