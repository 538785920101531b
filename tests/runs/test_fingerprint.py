from dataclasses import replace

import numpy as np
import pytest

from sleap_lab.config import Config, ModelConfig
from sleap_lab.runs.fingerprint import code_hash, fingerprint, predict_fingerprint
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


def test_code_of_different_rooms_differs():
    assert code_hash("decode") != code_hash("predict")
    assert code_hash("decode") == code_hash("decode")
