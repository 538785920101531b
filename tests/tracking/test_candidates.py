import numpy as np
import pytest

from sleap_lab.tracking.candidates import Candidates


def stored(candidates):
    return dict(zip(candidates.ids.tolist(), candidates.rows.tolist(), strict=True))


def store(candidates, entries):
    candidates.store(
        np.array(list(entries), dtype=int), np.array(list(entries.values()), dtype=int)
    )


@pytest.mark.parametrize("method", ["fixed_window", "local_queues"])
def test_newest_first_and_no_more_than_the_window(method):
    candidates = Candidates(method, 2)
    candidates.open(2)
    for entries in [{0: 10, 1: 11}, {0: 20, 1: 21}, {1: 30, 0: 31}]:
        store(candidates, entries)
    assert stored(candidates) == {0: [31, 20], 1: [30, 21]}


def test_a_missed_frame_ages_the_fixed_window_only():
    for method, expected in [("fixed_window", [-1, 10]), ("local_queues", [10, -1])]:
        candidates = Candidates(method, 2)
        candidates.open(2)
        store(candidates, {0: 10, 1: 11})
        store(candidates, {1: 21})
        assert stored(candidates) == {0: expected, 1: [21, 11]}


def test_fixed_window_forgets_tracks_and_never_reuses_ids():
    candidates = Candidates("fixed_window", 2)
    candidates.open(2)
    store(candidates, {0: 10, 1: 11})
    store(candidates, {1: 21})
    store(candidates, {1: 31})
    assert stored(candidates) == {1: [31, 21]}
    store(candidates, {})
    store(candidates, {})
    assert stored(candidates) == {}
    assert candidates.open(1).tolist() == [2]


def test_local_queues_never_forget():
    candidates = Candidates("local_queues", 2)
    candidates.open(1)
    store(candidates, {0: 10})
    for _ in range(5):
        store(candidates, {})
    assert stored(candidates) == {0: [10, -1]}


def test_frames_that_were_not_processed_age_the_fixed_window_only():
    for method, expected in [
        ("fixed_window", {0: [-1, 30], 1: [-1, 31]}),
        ("local_queues", {0: [30, 20], 1: [31, 21]}),
    ]:
        candidates = Candidates(method, 2)
        candidates.open(2)
        store(candidates, {0: 20, 1: 21})
        store(candidates, {0: 30, 1: 31})
        candidates.age(0)
        candidates.age(1)
        assert stored(candidates) == expected
        candidates.age(7)
        assert stored(candidates) == ({} if method == "fixed_window" else expected)
