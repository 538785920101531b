"""Runs of a folder: found, described and chosen."""

import json

import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.runs.listing import (
    ListedRun,
    chosen,
    data_of,
    find_all,
    key_metric,
    models_of,
    open_one,
    parse_condition,
    size_of,
    tags_of,
)
from sleap_lab.runs.tags import add_tags


@pytest.fixture
def outputs(root, logger, make_run, make_sweep):
    """Two runs and a sweep of two jobs, and copies of files that are no runs."""
    make_run(root / "day1" / "a", logger, started="2026-01-01T00:00:00+00:00")
    make_run(
        root / "day1" / "b",
        logger,
        started="2026-01-03T00:00:00+00:00",
        status="failed",
        error="too dark",
        metrics={"eval/oks_map": 0.25},
        choices={"tracker": "kalman"},
    )
    swept = make_sweep(root / "multirun" / "c", {}, {"metrics": {"eval/oks_map": 0.9}})
    record = json.loads((swept / "0" / "run.json").read_text())
    (swept / "sweep.json").write_text(json.dumps(record | {"started": "2026-01-02T00:00:00+00:00"}))
    for copy in ("mlartifacts/1/x/artifacts", "multirun/c/.pieces/k/0-4"):
        (root / copy).mkdir(parents=True)
        (root / copy / "run.json").write_text(json.dumps(record))
    return root


def names(runs):
    return [run.folder.name for run in runs]


def test_runs_and_sweeps_are_listed_newest_first(outputs):
    found = find_all(outputs)
    assert names(found) == ["b", "c", "a"]
    assert [run.is_sweep for run in found] == [False, True, False]
    assert sorted(names(find_all(outputs, jobs=True))) == ["0", "1", "a", "b"]
    assert sorted(names(find_all(outputs / "multirun" / "c", jobs=True))) == ["0", "1"]


def test_a_damaged_run_is_listed_as_failed(outputs):
    (outputs / "day1" / "a" / "run.json").write_text("{")
    damaged = find_all(outputs)[-1]
    assert (damaged.folder.name, damaged.record.status) == ("a", "failed")


def test_what_a_line_says(outputs):
    run = open_one(str(outputs / "day1" / "a"))
    settings = run.settings
    assert (models_of(settings), data_of(settings)) == ("unet", "a.mp4")
    assert key_metric(run) == "oks_map 0.75"
    assert models_of(open_one(str(outputs / "multirun" / "c")).settings) == "unet"
    before = size_of(run.folder)
    (run.folder / "more").write_bytes(b"x" * 100)
    assert size_of(run.folder) == before + 100
    assert data_of({"data.path": ["a", "b"]}) == "2 files"
    with pytest.raises(ConfigError, match="holds no run"):
        open_one(str(outputs / "day1"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["status=failed"], ["b"]),
        (["status!=failed"], ["0", "1", "a"]),
        (["tracker=kalman"], ["b"]),
        (["eval/oks_map>=0.75"], ["0", "1", "a"]),
        (["eval/oks_map>0.75"], ["1"]),
        (["eval/oks_map<0.5", "error~DARK"], ["b"]),
        (["tracker.tracking_window_size=10"], ["0", "1", "a", "b"]),
        (["tracker.tracking_window_size<10"], []),
        (["data.frames=null", "model~une", "data=a.mp4"], ["0", "1", "a", "b"]),
        (["tag.lab=west"], ["a", "b"]),
        (["tag.lab=east"], []),
        (["counts/frames=10"], ["0", "1", "a", "b"]),
        (["speed/network_seconds<1"], []),
    ],
)
def test_conditions_on_keys_metrics_counts_and_tags(outputs, words, expected):
    assert sorted(names(chosen(find_all(outputs, jobs=True), words))) == expected


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("nothing", "'nothing' is neither a folder nor a condition"),
        ("tracker.max_track=2", "no run has tracker.max_track. Did you mean 'tracker.max_tracks'?"),
        ("eval/oks_mapp>0", "Did you mean 'eval/oks_map'?"),
    ],
)
def test_what_is_no_condition_is_told(word, told):
    with pytest.raises(ConfigError) as caught:
        parse_condition(word, ["eval/oks_map"])
    assert told in str(caught.value)


def test_later_tags_replace_and_remove_earlier_ones(outputs):
    folder = outputs / "day1" / "a"
    assert tags_of(folder) == {"lab": "west"}
    add_tags(folder, {"lab": "", "animal": "mouse"})
    add_tags(folder, {"day": "3"})
    assert tags_of(folder) == {"animal": "mouse", "day": "3"}
    assert chosen([ListedRun(folder, open_one(str(folder)).record)], ["tag.animal=mouse"])
