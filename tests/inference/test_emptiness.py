"""A result that is mostly empty is looked at; one from which animals left is not."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sleap_lab.inference import emptiness
from sleap_lab.inference.detect import Inference
from sleap_lab.inference.emptiness import look_at_empty
from sleap_lab.media.source import Frame, Source
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import Config


def result(filled, frames=10, **facts):
    poses = make_poses(
        Skeleton(("a",), (), name="one"),
        np.zeros((len(filled), 1, 2)),
        frame=list(filled),
        frames=[(0, frame) for frame in range(frames)],
    )
    return Inference(poses, "single_instance", "cpu", **facts)


@pytest.fixture
def look(monkeypatch):
    """Return a function that looks at a result, over frames with maps of a given height."""

    def look(detected, result=None, highest=0.0, name="confmaps", config=None):
        seen = []

        def detect(source, config, *, keep, details):
            assert details
            assert config.runtime.devices == 1
            for video, frame in source.frames.tolist():
                seen.append(frame)
                maps = torch.zeros(1, 2, 4, 6)
                maps[0, 1, 2, 3] = highest if isinstance(highest, float) else next(highest)
                keep(
                    SimpleNamespace(
                        maps={name: maps},
                        pixel_sizes={name: 4.0},
                        eff=np.array([0.5]),
                        frames=(video,),
                    )
                )

        monkeypatch.setattr(emptiness, "detect", detect)
        config = config or Config()
        source = Source(Path("video.mp4"), [], detected.poses.frames, None)
        found = look_at_empty(detected, result or detected, source, config, None)
        return found, seen

    return look


@pytest.mark.parametrize("filled", [range(10), range(5)])
def test_half_empty_is_no_reason_to_look(look, filled):
    found, seen = look(result(filled))
    assert (found.note, list(found.frames), seen) == ("", [], [])


def test_mostly_empty_is_said_with_what_the_network_sees(look):
    found, seen = look(result([0, 1]), highest=0.01)
    assert seen == [2, 4, 7, 9]  # evenly spaced, first to last
    assert found.note.startswith(
        "8 of 10 frames have no instance. In 4 that were looked at, the highest confidence is "
        "0.01 to 0.01 (model.peak_threshold=0.2). If animals are in them, the model sees nothing "
        "like what"
    )
    assert found.threshold == 0.2
    (first, *_) = found.frames
    assert (first.video, first.frame, first.pixel) == (0, 2, 8.0)  # 4 px at half the size
    assert first.confidence.shape == (4, 6)
    assert first.highest == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("highest", "name", "says"),
    [
        (0.099, "confmaps", "the model sees nothing like"),
        (0.101, "confmaps", "the model nearly sees them: try model.peak_threshold=0.05."),
        (0.5, "confmaps", "peaks are found, but too few for an instance"),
        (0.5, "centroid_confmaps", "peaks are found"),
        (0.5, "class_maps", "If animals are in them, try a lower model.peak_threshold"),
    ],
)
def test_reasons(look, highest, name, says):
    assert says in look(result([]), highest=highest, name=name)[0].note


def test_peaks_that_some_frames_have_are_no_reason_to_look_further(look):
    note = look(result([]), highest=iter([0.1, 0.3, 0.3, 0.3]))[0].note
    assert "nearly sees them: try model.peak_threshold=0.05." in note  # 0.1 / 2


def test_of_a_pair_of_thresholds_that_of_the_centroids_counts(look):
    config = Config()
    config.model.peak_threshold = [0.6, 0.1]
    found, _ = look(result([]), highest=0.4, config=config)
    assert "(model.peak_threshold=0.6)" in found.note
    assert "nearly sees them" in found.note


def test_filters_that_drop_everything_are_named(look):
    found, seen = look(result(range(10)), result([0]))
    assert found.note == (
        "9 of 10 frames have no instance: in 9 of them the filters dropped every instance; "
        "look at the settings of filters."
    )
    assert seen == []


def test_unreadable_frames_are_not_empty(look):
    bad = tuple(Frame(0, frame, None, "broken") for frame in range(2, 10))
    assert look(result([0, 1], bad_frames=bad))[0].note == ""
    assert look(replace(result([0, 1]), kind="none"))[0].note == ""
