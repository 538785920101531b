import json
import threading

import numpy as np
import pytest

from sleap_lab.poses import Skeleton, make_poses
from sleap_lab.runs.cache import remember

POSES = make_poses(Skeleton(("a", "b")), [[[1, 2], [3, np.nan]]], frame=[4], frames=[(0, 3), (0, 4)])


class Work:
    """Counts how often it is done."""

    def __init__(self, **facts):
        self.times, self.facts = 0, {"kind": "topdown", **facts}

    def __call__(self):
        self.times += 1
        return POSES, self.facts


def test_a_result_is_computed_once(tmp_path):
    work = Work()
    first = remember(tmp_path / "cache", "k", "rw", work)
    again = remember(tmp_path / "cache", "k", "rw", work)
    assert work.times == 1
    assert (first[2], again[2]) == (False, True)
    np.testing.assert_array_equal(again[0].points, POSES.points)
    assert again[1] == work.facts


def test_another_key_is_another_result(tmp_path):
    work = Work()
    remember(tmp_path, "k", "rw", work)
    remember(tmp_path, "other", "rw", work)
    assert work.times == 2


@pytest.mark.parametrize(("mode", "times"), [("rw", 1), ("read", 2), ("off", 2)])
def test_modes(tmp_path, mode, times):
    work = Work()
    for _ in range(2):
        remember(tmp_path, "k", mode, work)
    assert work.times == times


def test_read_uses_what_is_there(tmp_path):
    remember(tmp_path, "k", "rw", Work())
    work = Work()
    assert remember(tmp_path, "k", "read", work)[2]
    assert work.times == 0


def test_incomplete_results_are_not_kept(tmp_path):
    work = Work(incomplete=True)
    remember(tmp_path, "k", "rw", work)
    remember(tmp_path, "k", "rw", work)
    assert work.times == 2


@pytest.mark.parametrize("name", ["k.npz", "k.json"])
def test_a_damaged_entry_is_computed_again(tmp_path, name):
    remember(tmp_path, "k", "rw", Work())
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-20])
    work = Work()
    _, facts, recalled = remember(tmp_path, "k", "rw", work)
    assert (work.times, recalled, facts["kind"]) == (1, False, "topdown")
    assert remember(tmp_path, "k", "rw", Work())[2]


def test_an_entry_without_facts_does_not_count(tmp_path):
    """Facts are written last: without them the poses may be half written."""
    remember(tmp_path, "k", "rw", Work())
    (tmp_path / "k.json").unlink()
    assert not remember(tmp_path, "k", "rw", Work())[2]


def test_those_who_need_the_same_wait_for_one(tmp_path):
    started, release, work = threading.Event(), threading.Event(), Work()

    def slow():
        started.set()
        release.wait(10)
        return work()

    results = []

    def run(compute):
        results.append(remember(tmp_path, "k", "rw", compute))

    threads = [threading.Thread(target=run, args=(compute,)) for compute in (slow, work)]
    threads[0].start()
    started.wait(10)
    threads[1].start()
    release.set()
    for thread in threads:
        thread.join(10)
    assert work.times == 1
    assert sorted(recalled for *_, recalled in results) == [False, True]


def test_facts_are_plain(tmp_path):
    remember(tmp_path, "k", "rw", Work(notes=["a"]))
    assert json.loads((tmp_path / "k.json").read_text()) == {"kind": "topdown", "notes": ["a"]}
