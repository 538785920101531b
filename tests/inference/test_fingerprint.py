import ast
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sleap_lab.inference import fingerprint as fingerprints
from sleap_lab.inference.fingerprint import (
    RECORD,
    STAGE_CODE,
    array_hash,
    code_hash,
    fingerprint,
    network_fingerprint,
    predict_fingerprint,
    results_version,
    track_fingerprint,
)
from sleap_lab.media.source import Source
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import Config, ModelConfig

PACKAGE = Path(__file__).parents[2] / "sleap_lab"


class Video:
    def __init__(self, filename):
        self.filename = filename


@pytest.fixture
def case(tmp_path):
    """A config and a source whose files exist."""
    (tmp_path / "video.mp4").write_bytes(b"video")
    model = tmp_path / "model"
    model.mkdir()
    (model / "best.ckpt").write_bytes(b"weights")
    (model / "training_config.yaml").write_text("a: 1")
    config = Config(model=ModelConfig(paths=[str(model)]))
    source = Source(
        tmp_path / "video.mp4",
        [Video(str(tmp_path / "video.mp4"))],
        np.array([[0, 0], [0, 1]]),
        None,
    )
    return config, source


def test_order_of_facts_does_not_matter():
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": "1"})


def changed(config, section, **values):
    return replace(config, **{section: replace(getattr(config, section), **values)})


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("model", {"peak_threshold": 0.3}),
        ("model", {"max_instances": 2}),
        ("preprocessing", {"input_scale": 0.5}),
        ("runtime", {"precision": "bf16"}),
        ("runtime", {"batch_size": 8}),
    ],
)
def test_settings_that_can_change_a_number_count(case, section, values):
    config, source = case
    assert predict_fingerprint(config, source, "cpu") != predict_fingerprint(
        changed(config, section, **values), source, "cpu"
    )


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("runtime", {"queue_maxsize": 2}),
        ("tracker", {"tracking": True}),
        ("filters", {"filter_overlapping": True}),
        ("output", {"path": "x.slp"}),
    ],
)
def test_settings_that_cannot_do_not(case, section, values):
    config, source = case
    assert predict_fingerprint(config, source, "cpu") == predict_fingerprint(
        changed(config, section, **values), source, "cpu"
    )


def test_frames_device_and_contents_count(case):
    config, source = case
    before = predict_fingerprint(config, source, "cpu")
    assert predict_fingerprint(config, replace(source, frames=np.array([[0, 0]])), "cpu") != before
    assert predict_fingerprint(config, source, "cuda") != before
    source.path.write_bytes(b"other video")
    assert predict_fingerprint(config, source, "cpu") != before


def test_one_byte_of_the_weights_counts(case, tmp_path):
    config, source = case
    before = predict_fingerprint(config, source, "cpu")
    (tmp_path / "model" / "best.ckpt").write_bytes(b"weightt!")
    assert predict_fingerprint(config, source, "cpu") != before


def test_a_copy_elsewhere_is_the_same(case, tmp_path):
    config, source = case
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(source.path.read_bytes())
    assert predict_fingerprint(
        config, replace(source, path=copy, videos=[Video(str(copy))]), "cpu"
    ) == predict_fingerprint(config, source, "cpu")


def test_a_model_named_by_one_of_its_files_counts_as_a_whole(case, tmp_path):
    config, source = case
    config = changed(config, "model", paths=[str(tmp_path / "model" / "best.ckpt")])
    before = predict_fingerprint(config, source, "cpu")
    (tmp_path / "model" / "training_config.yaml").write_text("a: 2")
    assert predict_fingerprint(config, source, "cpu") != before


def test_videos_embedded_in_one_file_are_different(case):
    """Both have the name and the content of the file."""
    config, source = case
    fingerprints = {
        predict_fingerprint(changed(config, "data", video_index=index), source, "cpu")
        for index in (None, 0, 1)
    }
    assert len(fingerprints) == 3


def test_the_processor_and_its_threads_count(case, monkeypatch):
    config, source = case
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    before = predict_fingerprint(config, source, "cpu")
    assert predict_fingerprint(changed(config, "runtime", num_threads=2), source, "cpu") == before
    assert predict_fingerprint(changed(config, "runtime", num_threads=3), source, "cpu") != before
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert predict_fingerprint(config, source, "cpu") != before
    monkeypatch.undo()
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "another")
    assert predict_fingerprint(config, source, "cpu") != before


@pytest.mark.parametrize(("backend", "counts"), [("torch", False), ("onnxruntime", True)])
def test_the_version_of_what_runs_the_network_counts(case, monkeypatch, backend, counts):
    config, source = case
    config = changed(config, "runtime", backend=backend)
    versions = dict.fromkeys(("onnxruntime", "onnx"), "1")
    monkeypatch.setattr(fingerprints, "package_version", lambda name: versions.get(name, "0"))
    before = predict_fingerprint(config, source, "cpu")
    versions["onnxruntime"] = "2"
    assert (predict_fingerprint(config, source, "cpu") != before) == counts


def test_of_graphics_cards_the_name_counts_and_not_the_threads(case, monkeypatch):
    config, source = case
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    found = set()
    for card, threads in (("H100", 2), ("H100", 3), ("H200", 2)):
        monkeypatch.setattr(
            torch.cuda, "get_device_name", lambda device, card=card: f"{card} {device}"
        )
        found.add(
            predict_fingerprint(changed(config, "runtime", num_threads=threads), source, "cuda:1")
        )
    assert len(found) == 2


def test_only_videos_that_are_looked_at_count(case, tmp_path):
    config, source = case
    other = tmp_path / "other.mp4"
    other.write_bytes(b"other")
    both = replace(source, videos=[*source.videos, Video(str(other))])
    before = predict_fingerprint(config, both, "cpu")
    other.write_bytes(b"changed")
    assert predict_fingerprint(config, both, "cpu") == before
    both = replace(both, frames=np.array([[0, 0], [1, 0]]))
    before = predict_fingerprint(config, both, "cpu")
    other.write_bytes(b"changed again")
    assert predict_fingerprint(config, both, "cpu") != before


# --- tracks -----------------------------------------------------------------------------

POSES = make_poses(Skeleton(("a",)), [[[1, 2]]], frames=[(0, 0), (0, 1)])


def test_tracks_depend_on_poses_and_tracker(case):
    config, source = case
    before = track_fingerprint(config, source, POSES)
    assert track_fingerprint(changed(config, "model", peak_threshold=0.3), source, POSES) == before
    assert (
        track_fingerprint(changed(config, "tracker", tracking_window_size=3), source, POSES)
        != before
    )
    assert track_fingerprint(config, source, replace(POSES, points=POSES.points + 1)) != before
    assert track_fingerprint(config, source, replace(POSES, frames=POSES.frames[:1])) != before


@pytest.mark.parametrize(
    ("settings", "looks"),
    [
        ({}, False),
        ({"use_flow": True}, True),
        ({"features": "image", "scoring_method": "cosine_sim"}, True),
    ],
)
def test_images_count_where_the_tracker_looks_at_them(case, settings, looks):
    config, source = case
    config = changed(config, "tracker", **settings)
    before = track_fingerprint(config, source, POSES)
    source.path.write_bytes(b"other video")
    assert (track_fingerprint(config, source, POSES) != before) == looks


def test_arrays_of_other_type_or_shape_are_others():
    a = np.zeros((2, 3), dtype=np.float32)
    hashes = {
        array_hash({name: array})
        for name, array in [("a", a), ("b", a), ("a", a.T), ("a", a.view(np.int32)), ("a", a + 1)]
    }
    assert len(hashes) == 5
    assert array_hash({"a": a, "b": a + 1}) == array_hash({"b": a + 1, "a": a.copy()})


# --- code -------------------------------------------------------------------------------

NOT_IN_RESULTS = {
    "errors/__init__.py",
    "errors/interruption.py",
    "terminal.py",
    "files/atomic.py",
    "files/earlier.py",
    "media/coverage.py",
    "media/moved.py",
    "files/remote.py",
    "settings/config.py",
    "settings/copies.py",
    "settings/credentials.py",
    "settings/frames.py",
    "settings/objective.py",
}
"""Modules that check, report or write, but decide no number.

Settings and frames count by their values.
"""


def imports_of(file):
    """Yield the modules of the package that a file imports while it is loaded or runs."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sleap_lab"):
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                path = name.removeprefix("sleap_lab").removeprefix(".").replace(".", "/")
                for candidate in (f"{path}.py", f"{path}/__init__.py"):
                    if path and (PACKAGE / candidate).is_file():
                        yield Path(candidate)


@pytest.mark.parametrize(("room", "stage"), [("pipelines", "predict"), ("tracking", "track")])
def test_all_code_that_a_stage_imports_counts(room, stage):
    listed = [PACKAGE / name for name in STAGE_CODE[stage]]
    counted = {
        path for name in listed for path in ([name] if name.is_file() else name.glob("*.py"))
    }
    reached, waiting = set(), set((PACKAGE / room).glob("*.py"))
    while waiting:
        file = waiting.pop()
        reached.add(file)
        found = {
            PACKAGE / name
            for name in imports_of(file)
            if name.as_posix() not in NOT_IN_RESULTS and name.name != "__init__.py"
        }
        waiting |= found - reached
    assert {path.relative_to(PACKAGE).as_posix() for path in reached - counted} == set()


@pytest.mark.parametrize("stage", ["predict", "tune"])
def test_defaults_that_are_worked_out_from_settings_count(stage):
    assert "settings/thresholds.py" in STAGE_CODE[stage]


def test_code_of_different_rooms_differs():
    assert code_hash("decode") != code_hash("pipelines")
    assert code_hash("decode") == code_hash("decode")


@pytest.mark.parametrize("stage", STAGE_CODE)
def test_somebody_has_said_whether_the_code_of_a_stage_still_answers_the_same(stage):
    """Its code has changed: run `python scripts/stage_code.py --help`."""
    recorded = json.loads((PACKAGE / "inference" / RECORD).read_text())[stage]
    assert code_hash(*STAGE_CODE[stage]) == recorded["code"]
    assert results_version(stage) == recorded["results"]


def test_code_that_nobody_has_looked_at_is_a_version_of_its_own(monkeypatch):
    before = results_version("index")
    monkeypatch.setattr(fingerprints, "code_hash", lambda *rooms: "another")
    results_version.cache_clear()
    assert results_version("index") == "another" != before
    results_version.cache_clear()


CONFIGS = (
    {},
    {"model": {"peak_threshold": 0.3}},
    {"model": {"max_instances": 2, "integral_refinement": None}},
    {"preprocessing": {"input_scale": 0.5}},
    {"preprocessing": {"ensure_grayscale": True}},
    {"runtime": {"batch_size": 8, "precision": "bf16"}},
    {"runtime": {"backend": "openvino"}},
    {"tracker": {"tracking": True, "use_flow": True}},
    {"tracker": {"tracking": True, "candidates_method": "local_queues", "max_tracks": 2}},
    {
        "data": {"video_index": 0},
        "tracker": {"tracking": True, "features": "image", "scoring_method": "cosine_sim"},
    },
)
WERE = (
    "01ef754f5f69-1dc5fa77249f-bf410c01f1a3",
    "01ef754f5f69-f25d53b08fe8-bf410c01f1a3",
    "01ef754f5f69-d5c2710ae479-bf410c01f1a3",
    "8c1f056a634b-2a5ad2577447-bf410c01f1a3",
    "4bf17581ae31-6b7a61274e38-bf410c01f1a3",
    "3c46c2c13915-f25b04832185-bf410c01f1a3",
    "0b31f5ce2c9b-a8f94a33f6df-bf410c01f1a3",
    "01ef754f5f69-1dc5fa77249f-b4ae41efd908",
    "01ef754f5f69-1dc5fa77249f-77c5cc4e5284",
    "1e77de47add1-aef585e32564-53c972c896ba",
)
"""Network, predictions and tracks of each of these before the rooms were moved."""


def test_what_was_cached_before_the_rooms_moved_still_counts(case, monkeypatch):
    config, source = case
    monkeypatch.setattr(fingerprints, "results_version", lambda stage: f"code of {stage}")
    monkeypatch.setattr(fingerprints, "package_version", lambda name: f"version of {name}")
    monkeypatch.setattr(fingerprints, "processor_facts", lambda device, threads: [device, threads])
    found = []
    for settings in CONFIGS:
        chosen = config
        for section, values in settings.items():
            chosen = changed(chosen, section, **values)
        hashes = (
            network_fingerprint(chosen, source, "cpu", {"peak_threshold": 0.1}),
            predict_fingerprint(chosen, source, "cpu"),
            track_fingerprint(chosen, source, POSES),
        )
        found.append("-".join(each[:12] for each in hashes))
    assert found == list(WERE)


@pytest.mark.parametrize(
    "values", [{"filter_min_centroid_distance": 3.0}, {"copy_labelled": False}]
)
def test_settings_that_came_later_count_where_they_change_something(case, values):
    config, source = case
    other = changed(config, "model", **values)
    assert predict_fingerprint(other, source, "cpu") != predict_fingerprint(config, source, "cpu")


def test_the_build_of_opencv_does_not_matter(case, use_headless_opencv):
    config, source = case
    poses = make_poses(Skeleton(("a",)), [[[1, 2]]])

    def fingerprints():
        return [
            predict_fingerprint(config, source, "cpu"),
            track_fingerprint(config, source, poses),
        ]

    before = fingerprints()
    use_headless_opencv()
    assert fingerprints() == before
