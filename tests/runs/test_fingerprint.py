import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sleap_lab.config import Config, ModelConfig
from sleap_lab.poses import Skeleton, make_poses
from sleap_lab.runs.fingerprint import (
    PREDICT_ROOMS,
    TRACK_ROOMS,
    array_hash,
    code_hash,
    fingerprint,
    predict_fingerprint,
    track_fingerprint,
)
from sleap_lab.sources import Source


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
    source = Source(tmp_path / "video.mp4", [Video(str(tmp_path / "video.mp4"))], np.array([[0, 0], [0, 1]]), None)
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
    assert predict_fingerprint(config, source, "cpu") != predict_fingerprint(changed(config, section, **values), source, "cpu")


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
    assert predict_fingerprint(config, source, "cpu") == predict_fingerprint(changed(config, section, **values), source, "cpu")


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
    assert predict_fingerprint(config, replace(source, path=copy, videos=[Video(str(copy))]), "cpu") == predict_fingerprint(
        config, source, "cpu"
    )


def test_a_model_named_by_one_of_its_files_counts_as_a_whole(case, tmp_path):
    config, source = case
    config = changed(config, "model", paths=[str(tmp_path / "model" / "best.ckpt")])
    before = predict_fingerprint(config, source, "cpu")
    (tmp_path / "model" / "training_config.yaml").write_text("a: 2")
    assert predict_fingerprint(config, source, "cpu") != before


def test_videos_embedded_in_one_file_are_different(case):
    """Both have the name and the content of the file."""
    config, source = case
    fingerprints = {predict_fingerprint(changed(config, "data", video_index=index), source, "cpu") for index in (None, 0, 1)}
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


def test_of_graphics_cards_the_name_counts_and_not_the_threads(case, monkeypatch):
    config, source = case
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    found = set()
    for card, threads in (("H100", 2), ("H100", 3), ("H200", 2)):
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device, card=card: f"{card} {device}")
        found.add(predict_fingerprint(changed(config, "runtime", num_threads=threads), source, "cuda:1"))
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
    assert track_fingerprint(changed(config, "tracker", tracking_window_size=3), source, POSES) != before
    assert track_fingerprint(config, source, replace(POSES, points=POSES.points + 1)) != before
    assert track_fingerprint(config, source, replace(POSES, frames=POSES.frames[:1])) != before


@pytest.mark.parametrize(
    ("settings", "looks"), [({}, False), ({"use_flow": True}, True), ({"features": "image", "scoring_method": "cosine_sim"}, True)]
)
def test_images_count_where_the_tracker_looks_at_them(case, settings, looks):
    config, source = case
    config = changed(config, "tracker", **settings)
    before = track_fingerprint(config, source, POSES)
    source.path.write_bytes(b"other video")
    assert (track_fingerprint(config, source, POSES) != before) == looks


def test_arrays_of_other_type_or_shape_are_others():
    a = np.zeros((2, 3), dtype=np.float32)
    hashes = {array_hash({name: array}) for name, array in [("a", a), ("b", a), ("a", a.T), ("a", a.view(np.int32)), ("a", a + 1)]}
    assert len(hashes) == 5
    assert array_hash({"a": a, "b": a + 1}) == array_hash({"b": a + 1, "a": a.copy()})


# --- code -------------------------------------------------------------------------------

NOT_IN_RESULTS = {"config", "errors", "atomic"}
"""Modules that check, report or write, but decide no number."""


@pytest.mark.parametrize(("room", "rooms"), [("predict", PREDICT_ROOMS), ("tracking", TRACK_ROOMS)])
def test_all_code_that_a_stage_imports_counts(room, rooms):
    package = Path(__file__).parents[2] / "sleap_lab"
    reached, waiting = set(), {room}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        files = [package / f"{name}.py"] if (package / f"{name}.py").is_file() else (package / name).glob("*.py")
        for file in files:
            if file == package / "predict" / "__init__.py":
                continue  # offers run_inference, which is above all stages
            imports = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
            modules = {node.module.split(".")[1] for node in imports if node.module and node.module.startswith("sleap_lab.")}
            waiting |= modules - reached - NOT_IN_RESULTS
    assert reached <= {name.removesuffix(".py") for name in rooms}


def test_code_of_different_rooms_differs():
    assert code_hash("decode") != code_hash("predict")
    assert code_hash("decode") == code_hash("decode")


def test_the_build_of_opencv_does_not_matter(case, use_headless_opencv):
    config, source = case
    poses = make_poses(Skeleton(("a",)), [[[1, 2]]])

    def fingerprints():
        return [predict_fingerprint(config, source, "cpu"), track_fingerprint(config, source, poses)]

    before = fingerprints()
    use_headless_opencv()
    assert fingerprints() == before
