"""Frames that are shared out among devices give what one device gives."""

import os
import threading
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleap_lab import experiment
from sleap_lab.errors import ConfigError, RunError
from sleap_lab.inference import shard_process, shards
from sleap_lab.inference.cache import Cache, entries
from sleap_lab.inference.cached_stages import detect_cached
from sleap_lab.inference.detect import detect
from sleap_lab.inference.shards import check_devices, predictor, shard_ranges
from sleap_lab.inference.stopwatch import Stopwatch
from sleap_lab.media.open_source import open_source
from sleap_lab.media.source import Source
from sleap_lab.runs.folder import Invocation
from sleap_lab.settings.config import Config

DEMO = Path(str(resources.files("sleap_lab.demo")))
N = 9


@pytest.fixture
def config(monkeypatch):
    """Single animals on nine frames, for two devices of two cores, in batches of two frames."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    config = Config()
    config.data.path, config.data.frames = str(DEMO / "single.mp4"), "10-18"
    config.model.paths = [str(DEMO / "models" / "single_instance")]
    config.runtime.device, config.runtime.batch_size, config.runtime.devices = "cpu", 2, 2
    return config


# --- ranges -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frames", "devices", "batch_size", "expected"),
    [
        (10, 1, 4, [(0, 10)]),
        (16, 2, 4, [(0, 8), (8, 16)]),
        (10, 2, 4, [(0, 4), (4, 10)]),  # three batches, the last of them not full
        (9, 4, 1, [(0, 2), (2, 4), (4, 6), (6, 9)]),
        (5, 4, 4, [(0, 4), (4, 5)]),  # fewer batches than devices
        (3, 8, 4, [(0, 3)]),
    ],
)
def test_ranges(frames, devices, batch_size, expected):
    assert [(own.start, own.stop) for own in shard_ranges(frames, devices, batch_size)] == expected


@given(st.integers(1, 500), st.integers(1, 12), st.integers(1, 40))
def test_ranges_are_whole_batches_in_order_and_nearly_equal(frames, devices, batch_size):
    ranges = shard_ranges(frames, devices, batch_size)
    assert [place for own in ranges for place in own] == list(range(frames))
    assert len(ranges) <= devices
    assert all(own and own.start % batch_size == 0 for own in ranges)
    batches = [-(-len(own) // batch_size) for own in ranges]
    assert max(batches) - min(batches) <= 1


# --- how many devices -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "there", "wanted", "message"),
    [
        (
            "cpu",
            2,
            3,
            r"runtime\.devices: got 3; accepted: 1-2, as many processes as there are cores",
        ),
        ("cpu", 1, 2, r"runtime\.devices: got 2; accepted: 1, as many processes"),
        (
            "cuda",
            4,
            5,
            r"runtime\.devices: got 5; accepted: 1-4, as many as there are of the kind cuda",
        ),
        (
            "mps",
            1,
            2,
            r"runtime\.devices: got 2; accepted: 1, as many as there are of the kind mps",
        ),
        (
            "cuda:1",
            4,
            2,
            r"runtime\.devices: got 2, but runtime\.device=cuda:1 is one device; "
            r"accepted: 1, or runtime\.device=cuda",
        ),
    ],
)
def test_more_devices_than_there_are_are_refused(monkeypatch, device, there, wanted, message):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(there)), raising=False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: there)
    with pytest.raises(ConfigError, match=message):
        check_devices(device, wanted)
    check_devices(device, 1)
    if ":" not in device:
        check_devices(device, there)


def test_they_are_refused_before_any_work(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(experiment, "snapshot_experiment", lambda *_: pytest.fail("work began"))
    config.runtime.devices = 3
    result = experiment.run(config, tmp_path / "run", Invocation())
    assert (result.summary.status, result.summary.exit_code) == ("failed", 2)
    assert result.summary.error.startswith("runtime.devices: got 3")


# --- predicting -------------------------------------------------------------------------


class Alone:
    """Stands in for Lightning: the calls, one after the other, in this process."""

    local_rank = 0
    device = "cpu"


@pytest.fixture
def in_turn(monkeypatch):
    """Let devices take turns in this process; returns the function that decides who comes when."""
    from sleap_lab.inference import devices

    def launch(function, kind, count):
        for rank in range(count):
            fabric = Alone()
            fabric.local_rank = rank
            function(fabric)

    monkeypatch.setattr(devices, "launch", launch)
    monkeypatch.setattr(shard_process, "_interrupt_on_signal", lambda: None)


def predicted(config, cache):
    """Predict and report.

    Returns:
        The inference, the outcome, how many frames were shown of how many, and the seconds of
        stages.
    """
    outcomes, shown, seconds = {}, [], {}

    def watch(frames, total):
        shown.append(total)
        for frame in frames:
            shown.append((frame.video, frame.index))
            yield frame

    predict = predictor(config, "cpu", cache, outcomes)
    found = detect_cached(
        open_source(config.data),
        config,
        "cpu",
        cache,
        outcomes,
        stage=Stopwatch(seconds),
        watch=watch,
        predict=predict,
    )
    return found, outcomes, shown, seconds


def assert_same(a, b):
    for name, array in a.poses.to_arrays().items():
        np.testing.assert_array_equal(array, b.poses.to_arrays()[name], strict=True)
    assert (a.kind, a.device, a.notes, a.bad_frames) == (b.kind, b.device, b.notes, b.bad_frames)


def one_device(config):
    alone = Config(**vars(config))
    alone.runtime = type(config.runtime)(**vars(config.runtime) | {"devices": 1})
    return alone


def test_two_processes_give_what_one_gives(config, tmp_path):
    """Takes seven seconds: each of the processes that share the frames imports PyTorch."""
    found, outcomes, shown, seconds = predicted(config, Cache(tmp_path))
    assert_same(found, detect(open_source(config.data), config))
    assert outcomes == {"network": "miss", "predict": "miss"}
    assert shown == [N, *((0, 10 + i) for i in range(N))]
    assert {"load", "cache", "open", "read", "preprocess", "network", "peaks"} <= seconds.keys()
    again, outcomes, *_ = predicted(one_device(config), Cache(tmp_path))
    assert outcomes == {"predict": "hit"}  # how many devices there were does not matter
    assert_same(again, found)


@pytest.mark.parametrize("mode", ["rw", "read", "off"])
def test_whatever_the_cache(config, tmp_path, in_turn, mode):
    found, outcomes, *_ = predicted(config, Cache(tmp_path, mode))
    assert_same(found, detect(open_source(config.data), config))
    assert outcomes == ({} if mode == "off" else {"network": "miss", "predict": "miss"})


def test_what_a_range_has_is_not_done_again(config, tmp_path, in_turn, monkeypatch):
    cache = Cache(tmp_path)
    work = shard_process._predict

    def stopped(rank, *arguments):
        if rank == 1:
            raise RunError("stopped")
        work(rank, *arguments)

    with monkeypatch.context() as broken:
        broken.setattr(shard_process, "_predict", stopped)
        with pytest.raises(RunError, match="stopped"):
            predicted(config, cache)
    assert sorted(entry.stage for entry in entries(tmp_path)) == ["index", "network", "predict"]
    found, outcomes, *_ = predicted(config, cache)
    assert outcomes == {"network": "miss", "predict": "resumed"}
    assert_same(found, detect(open_source(config.data), config))


def test_frames_that_cannot_be_read_are_counted_over_all_ranges(
    config, tmp_path, in_turn, monkeypatch
):
    pixels = Source.pixels

    def broken(source, video, frame):
        if frame in (11, 17):
            raise RunError(f"frame {frame} is broken")
        return pixels(source, video, frame)

    source = open_source(config.data)
    monkeypatch.setattr(Source, "pixels", broken)
    monkeypatch.setattr(shard_process, "open_source", lambda data, index: source)
    config.data.max_bad_share = 2 / N
    outcomes, cache = {}, Cache(tmp_path)

    def predicted():
        predict = predictor(config, "cpu", cache, outcomes)
        return detect_cached(
            source,
            config,
            "cpu",
            cache,
            outcomes,
            watch=lambda frames, total: frames,
            predict=predict,
        )

    found = predicted()
    assert [(frame.index, frame.problem) for frame in found.bad_frames] == [
        (11, "frame 11 is broken"),
        (17, "frame 17 is broken"),
    ]
    assert found.poses.frames[:, 1].tolist() == list(range(10, 10 + N))
    config.data.max_bad_share = 1.5 / N  # one is not too many, two are
    with pytest.raises(RunError, match=r"data\.max_bad_share: 2 of 9 frames could not be read"):
        predicted()


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (ConfigError("model.paths: no"), ConfigError, "^model.paths: no$"),
        (ZeroDivisionError("what"), RuntimeError, "^ZeroDivisionError: what$"),
    ],
)
def test_errors_of_a_process_come_through(
    config, tmp_path, in_turn, monkeypatch, error, raised, message
):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(shard_process, "_predict", fail)
    with pytest.raises(raised, match=message):
        predicted(config, Cache(tmp_path))


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (
            {"error_index": 1, "exit_code": -9},
            "the process of device 1 ended without an error message "
            ".exit code -9: killed, or out of memory",
        ),
        ({"error_index": 1}, "the process of device 1: the last line"),
    ],
)
def test_a_process_that_dies_is_told(config, tmp_path, monkeypatch, attributes, message):
    from sleap_lab.inference import devices

    error = ValueError("Traceback\nthe last line\n")
    vars(error).update(attributes)

    def launch(*arguments):
        raise error

    monkeypatch.setattr(devices, "launch", launch)
    with pytest.raises(RuntimeError, match=message):
        predicted(config, Cache(tmp_path))


@pytest.mark.parametrize(("wanted", "expected"), [(None, 7), (2, 2)])
def test_each_process_has_as_many_threads_as_one_would_have(
    config, tmp_path, in_turn, monkeypatch, wanted, expected
):
    told = []
    monkeypatch.setattr("torch.get_num_threads", lambda: 7)
    monkeypatch.setattr("torch.set_num_threads", told.append)
    config.runtime.num_threads = wanted
    work = shard_process._predict
    seen = []
    monkeypatch.setattr(
        shard_process,
        "_predict",
        lambda rank, device, task, done: seen.append(task) or work(rank, device, task, done),
    )
    predicted(config, Cache(tmp_path))
    assert [task.config.runtime.num_threads for task in seen] == [expected] * 2
    assert [task.config.runtime.devices for task in seen] == [1, 1]


class Stubborn:
    """A process that counts what is done to it."""

    def __init__(self, pid):
        self.pid, self.calls = pid, []

    def terminate(self):
        self.calls.append("terminate")

    def kill(self):
        self.calls.append("kill")

    def join(self):
        self.calls.append("join")


def test_processes_are_asked_to_end_once_and_killed_when_they_do_not(monkeypatch):
    other, own = Stubborn(1), Stubborn(2)
    monkeypatch.setattr(shards, "SECONDS_TO_STOP", 0.35)
    monkeypatch.setattr(shards.multiprocessing, "active_children", lambda: [other, own])
    shards._end(threading.Event(), [other])
    assert own.calls == ["terminate", "kill", "join"]
    assert other.calls == []  # of somebody else


def test_where_all_is_over_nobody_is_asked_to_end(monkeypatch):
    own, over = Stubborn(2), threading.Event()
    over.set()
    children = [[own], []]
    monkeypatch.setattr(shards.multiprocessing, "active_children", lambda: children.pop())
    shards._end(over, [])
    assert own.calls == []


@pytest.mark.parametrize(("there", "count"), [(4, 4), (None, 1)])
def test_cores_are_counted_where_the_system_does_not_say_which_may_be_used(
    monkeypatch, there, count
):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: there)
    assert shards._count("cpu") == count


def test_what_processes_logged_is_told_whatever_bytes_it_holds(config, tmp_path, caplog):
    (tmp_path / "1.log").write_bytes(b"second\xff\n")
    (tmp_path / "0.log").write_bytes(b"first\nagain\n")
    source = open_source(config.data)
    with caplog.at_level("INFO", logger=shards.__name__):
        shards._launch_and_watch(
            lambda: None, source, [4, N - 4], lambda frames, total: frames, tmp_path
        )
    assert caplog.messages == ["device 0: first", "device 0: again", "device 1: second\\xff"]
