"""The stage cache, as the command uses and shows it."""

import json
import re

import pytest

from sleap_lab.inference.cache import entries
from sleap_lab.media.labels import read_labels, to_poses

QUIET = ("report=none", "logger=none")


@pytest.fixture
def track_words(demo):
    return (
        f"data.path={demo.truth}",
        "data.frames=0-3",
        "model=none",
        "tracker=fixed_window",
        *QUIET,
    )


def outcomes(cwd):
    """Return the cache entries of the run records in a folder, oldest run first."""
    return [
        json.loads(path.read_text())["cache"] for path in sorted(cwd.glob("outputs/*/*/run.json"))
    ]


def test_tracks_are_remembered_and_the_run_says_so(call, track_words, tmp_path):
    first, again, other, without = (
        call(*track_words, *more)
        for more in [(), (), ("tracker.tracking_window_size=3",), ("cache=off",)]
    )
    assert [ended.code for ended in (first, again, other, without)] == [0, 0, 0, 0]
    assert outcomes(tmp_path) == [{"track": "miss"}, {"track": "hit"}, {"track": "miss"}, {}]
    told = [
        re.findall(r"^cache +(.*)$", ended.out, re.MULTILINE)
        for ended in (first, again, other, without)
    ]
    assert told == [["track miss"], ["track hit"], ["track miss"], []]
    files = sorted(tmp_path.glob("outputs/*/*/predictions.slp"))
    a, b, _, d = (to_poses(read_labels(file)) for file in files)
    assert a.tracks.tolist() == b.tracks.tolist() == d.tracks.tolist()


def test_what_is_remembered_is_listed_and_removed(call, track_words, tmp_path):
    call(*track_words)
    call(*track_words, "tracker.tracking_window_size=3")
    listed = call("cache", "ls").out.splitlines()
    keys = [line.split()[0] for line in listed[1:-1]]
    assert len(keys) == 2
    assert all("truth.slp, 4 frames; fixed_window" in line for line in listed[1:-1])
    assert re.fullmatch(r"2 entries, [0-9.]+ kB in outputs/cache", listed[-1])
    assert call("cache", "clear", keys[0]).out.splitlines()[-1].startswith("1 entry, ")
    assert [entry.key[:8] for entry in entries(tmp_path / "outputs" / "cache")] == keys[1:]
    removed = call("cache", "clear", "cache_dir=outputs/cache").out
    assert keys[1] in removed
    assert "removed from outputs/cache" in removed
    assert call("cache", "ls").out == "0 entries, 0 B in outputs/cache\n"


@pytest.mark.parametrize("words", [[], ["list"], ["ls", "everything"]], ids=str)
def test_a_wrong_command_is_one_line(call, words):
    ended = call("cache", *words)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "accepted: ls, or clear" in ended.err


def test_the_verb_has_its_own_help(call):
    assert call("cache", "--help").out.startswith("sleap-lab cache ls")


def test_a_cache_that_cannot_be_used_costs_nothing_but_itself(call, track_words, tmp_path):
    (tmp_path / "file").write_text("in the way")
    ended = call(*track_words, "cache_dir=file/cache")
    assert ended.code == 0
    assert "cannot be written to (Not a directory); nothing is stored" in ended.err


def test_a_limit_of_nothing_keeps_nothing(call, track_words, tmp_path):
    assert call(*track_words, "cache_max_gb=0").code == 0
    assert entries(tmp_path / "outputs" / "cache") == []


@pytest.mark.slow
def test_runs_side_by_side_share_one_pass_of_the_networks(demo, start, tmp_path):
    words = [f"data.path={demo.clip}", "data.frames=0-9", demo.paths, "runtime.device=cpu", *QUIET]
    processes = [
        start(*words, f"model.peak_threshold={threshold}", cwd=tmp_path)
        for threshold in (0.2, 0.3, 0.4, 0.5)
    ]
    told = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0], told
    assert sum("predicting" in err for err in told) == 1
    assert sorted(outcome["network"] for outcome in outcomes(tmp_path)) == [
        "hit",
        "hit",
        "hit",
        "miss",
    ]
