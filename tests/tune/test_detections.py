"""Detections of other settings are scored in the blocks of the default setting."""

from dataclasses import replace

import numpy as np
import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.inference.detect import Inference
from sleap_lab.settings.config import Config, ModelConfig
from sleap_lab.tune import detections as module
from sleap_lab.tune.detections import changed_config, redetecting
from sleap_lab.tune.problem import with_detections


@pytest.fixture
def predicted(problem, monkeypatch):
    """A problem, the function for other settings, and the thresholds that were predicted with.

    A threshold above 0.5 finds every other instance only.
    """
    asked = []
    made = replace(problem(), others={"model.peak_threshold": 0.2})
    everything = [*made.search, made.held_out]

    def detect_all(config, source, cache):
        asked.append(config.model.peak_threshold)
        found = np.concatenate([part.detections.frame for part in everything])
        assert len(found)
        return Inference(source, "bottomup", "cpu")

    class Opened:
        project = None

    monkeypatch.setattr(module, "open_source", lambda *_, **__: Opened)
    monkeypatch.setattr(module, "detect_all", detect_all)
    monkeypatch.setattr(module, "check", lambda config: None)
    monkeypatch.setattr(module, "uncorrected", lambda source, detected: None)
    monkeypatch.setattr(
        module, "with_detections", lambda problem, poses: replace(problem, length=99)
    )
    return made, redetecting(made, Config(model=ModelConfig(kind="bottomup"))), asked


def test_only_other_values_predict_anew_and_each_once(predicted):
    made, problem_of, asked = predicted
    assert problem_of({"tracker.max_tracks": 2}) is made
    assert problem_of({"model.peak_threshold": 0.2}) is made
    first = problem_of({"model.peak_threshold": 0.6, "tracker.max_tracks": 2})
    assert problem_of({"model.peak_threshold": 0.6, "tracker.max_tracks": 3}) is first
    assert asked == [0.6]


def test_blocks_stay_those_of_the_default_setting(problem, crossings):
    made = problem()
    _, found = crossings(120)
    half = found[np.arange(len(found)) % 2 == 0]
    other = with_detections(made, half)
    assert other.held_out.blocks == made.held_out.blocks
    assert [part.blocks for part in other.search] == [part.blocks for part in made.search]
    before, after = (sum(len(part.detections) for part in each.search) for each in (made, other))
    assert after == before / 2
    same = with_detections(made, found)
    for part, own in zip(same.search, made.search, strict=True):
        np.testing.assert_array_equal(part.detections.points, own.detections.points)
        assert part.truth is own.truth


def test_a_config_with_some_keys_changed_is_checked():
    config = Config(model=ModelConfig(kind="none"))
    config.data.path = __file__
    with pytest.raises(ConfigError):
        changed_config(config, {"model.peak_threshold": "high"})
