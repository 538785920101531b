import threading

import pytest

from sleap_lab import terminal
from sleap_lab.inference import stopwatch
from sleap_lab.inference.stopwatch import Stopwatch, paced, predicting_seconds, untimed


def test_stages_are_listed_in_the_order_in_which_they_start(pass_time):
    seconds = {}
    stage = Stopwatch(seconds)
    for name, wait in (("open", 1), ("track", 2), ("open", 4)):
        with stage(name):
            pass_time(wait)
    assert list(seconds.items()) == [("open", 1 + 4), ("track", 2)]


def test_a_second_counts_once(pass_time):
    seconds = {}
    stage = Stopwatch(seconds)
    with stage("cache"):
        pass_time(1)
        with stage("load"):
            pass_time(2)
            with stage("read"):
                pass_time(4)
        with stage("track"):
            pass_time(8)
        pass_time(16)
    with stage("write"):
        pass_time(32)
    assert list(seconds.items()) == [
        ("cache", 1 + 16),
        ("load", 2),
        ("read", 4),
        ("track", 8),
        ("write", 32),
    ]


def test_a_stage_is_shared_out_among_its_parts(pass_time):
    seconds = {"read": 1.0}
    stage = Stopwatch(seconds)
    with stage("predict", lambda own: {"read": own / 4, "network": own * 3 / 4}):
        pass_time(8)
        with stage("write"):
            pass_time(5)
    assert seconds == {"read": 1 + 8 / 4, "write": 5, "network": 8 * 3 / 4}


def test_a_stage_that_fails_is_timed(pass_time):
    seconds = {}
    stage = Stopwatch(seconds)
    with pytest.raises(KeyError), stage("cache"):  # noqa: PT012 - the time of both
        pass_time(1)
        with stage("load"):
            pass_time(2)
            raise KeyError
    assert seconds == {"cache": 1, "load": 2}


def test_without_a_watch_stages_just_run():
    with untimed("load"), untimed("predict", dict):
        pass


@pytest.mark.parametrize(
    ("seconds", "total"),
    [
        (
            {
                "load": 9.0,
                "read": 1.0,
                "preprocess": 2.0,
                "network": 4.0,
                "peaks": 8.0,
                "write": 16.0,
            },
            1 + 2 + 4 + 8,
        ),
        ({"peaks": 1.0}, 0),  # what was observed came from the cache
        ({}, 0),
    ],
)
def test_seconds_of_a_prediction(seconds, total):
    assert predicting_seconds(seconds) == total


def test_a_stage_that_takes_long_is_named_once(monkeypatch):
    monkeypatch.setattr(terminal, "SECONDS_OF_SILENCE", 0.001)
    told, said = [], threading.Event()

    def tell(what):
        told.append(what)
        said.set()

    stage = Stopwatch({}, tell)
    with stage("predict"), stage("track"), stage("write"):  # two show their own progress
        assert said.wait(30)
    assert told == ["writing the predictions"]


def test_a_stage_that_is_over_is_not_named(monkeypatch):
    monkeypatch.setattr(terminal, "SECONDS_OF_SILENCE", 60)
    told, before = [], set(threading.enumerate())  # timers of other tests may be about to end
    with Stopwatch({}, told.append)("write"):
        (timer,) = set(threading.enumerate()) - before
    timer.join(30)
    assert (timer.is_alive(), told) == (False, [])


def test_the_pace_of_a_long_prediction_is_noted(monkeypatch):
    now = [0.0]  # other threads may look at the clock, too
    monkeypatch.setattr(stopwatch.time, "monotonic", lambda: now[0])

    def frames():
        for frame in range(2000):
            now[0] += 1 / 20
            yield frame

    rates = []
    assert list(paced(frames(), 2000, rates)) == list(range(2000))
    assert rates == [[40 * (i + 1), 20.0] for i in range(50)]  # after each of 50 times 40 frames
    short = []
    assert list(paced(range(999), 999, short)) == list(range(999))
    assert short == []
