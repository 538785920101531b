"""The range of frames of one process; test_shards.py puts ranges together."""

import json
from importlib import resources
from pathlib import Path

from sleap_lab.inference import shard_process
from sleap_lab.inference.detect import Inference
from sleap_lab.inference.shard_process import Task, mean_seconds
from sleap_lab.media.open_source import open_source
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import Config

DEMO = Path(str(resources.files("sleap_lab.demo")))
N = 9


def test_the_progress_of_a_range_begins_with_what_an_earlier_run_did(tmp_path, monkeypatch):
    config = Config()
    config.data.path, config.data.frames = str(DEMO / "single.mp4"), "10-18"
    frames = open_source(config.data).frames
    task = Task(
        config, frames, [range(0, 4), range(4, N)], N, (tmp_path / "cache", "rw", 1e9), tmp_path
    )
    done, shown = [0, 0], []

    def detect_rest(source, config, *arguments, watch, **options):
        assert source.frames.tolist() == frames[4:].tolist()
        for _ in watch(source.frames[2:].tolist(), len(source.frames) - 2):
            shown.append(list(done))
        return detect_nothing(source)

    monkeypatch.setattr(shard_process, "detect_cached", detect_rest)
    shard_process._predict(1, "cpu", task, done)
    assert shown == [[0, 3], [0, 4], [0, 5]]
    monkeypatch.setattr(
        shard_process,
        "detect_cached",
        lambda source, *arguments, watch, **options: detect_nothing(source),
    )
    done[:] = [0, 0]
    shard_process._predict(1, "cpu", task, done)
    assert done == [0, 5]  # all of it was in the cache


def detect_nothing(source):
    return Inference(
        make_poses(Skeleton(("a",)), [], frames=source.frames), "single_instance", "cpu"
    )


def test_what_processes_spent_is_averaged_and_the_rest_is_their_start(tmp_path):
    for rank, seconds in enumerate(
        [{"load": 1.0, "network": 4.0}, {"load": 3.0, "network": 2.0, "read": 1.0}, {}]
    ):
        (tmp_path / f"{rank}.json").write_text(json.dumps({"seconds": seconds}))
    spent = mean_seconds(10.0, tmp_path)
    assert spent == {"network": 3.0, "read": 0.5, "load": 2.0 + 10.0 - 2.0 - 3.0 - 0.5}
    assert mean_seconds(10.0, tmp_path / "nothing") == {"load": 10.0}
