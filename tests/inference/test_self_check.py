from dataclasses import replace

import numpy as np
import pytest

from sleap_lab.inference import automatic
from sleap_lab.inference.automatic import settled
from sleap_lab.inference.cache import Cache
from sleap_lab.inference.cached_stages import detect_cached
from sleap_lab.inference.detect import detect
from sleap_lab.media.open_source import open_source
from sleap_lab.pipelines import precision
from sleap_lab.settings.config import Config

GREEN, BLUE = [0, 1.0, 0, 0], [0, 0, 1.0, 0]


def picture(node_a):
    image = np.zeros((24, 32, 3), dtype=np.uint8)
    if node_a:
        image[6, 4], image[16, 20] = [0, 255, 0], [0, 0, 204]
    return image


@pytest.fixture
def config(make_model, write_h5, monkeypatch):
    monkeypatch.setattr(precision, "fast_precision", lambda device: "bf16")
    config = Config()
    config.data.path = str(write_h5([picture(True)] * 4))
    config.model.paths = [str(make_model("single_instance", {"confmaps": [GREEN, BLUE]}))]
    config.model.integral_refinement = None
    config.runtime.device, config.runtime.batch_size = "cpu", 2
    config.runtime.precision = "auto"
    return config


def chosen(config):
    now, notes = settled(config, open_source(config.data))
    return now.runtime.precision, *notes


def test_a_faster_format_that_moves_nothing_is_taken_and_told(config):
    found = detect(open_source(config.data), config)
    assert found.remarks == (
        "runtime.precision=auto chose bf16: on the first 2 frames no point moves by more than "
        "0.000 px.",
    )
    assert found.poses.points[:, 0].tolist() == [[4, 6]] * 4


@pytest.mark.parametrize(
    ("shift", "expected", "why"),
    [
        (0.0999, "bf16", "no point moves by more than 0.100 px"),
        (0.101, "32", "bf16 moves a point by 0.101 px, more than 0.1 px"),
        (np.inf, "32", "bf16 finds other nodes or instances"),
        (np.nan, "32", "nothing is found on the first 2 frames"),
    ],
)
def test_what_moves_a_point_too_far_is_not(config, monkeypatch, shift, expected, why):
    monkeypatch.setattr(precision, "largest_shift", lambda exact, other: shift)
    name, note = chosen(config)
    assert name == expected
    assert note.startswith(f"runtime.precision=auto chose {expected}: ")
    assert why in note


def test_devices_without_a_faster_format_stay(config, monkeypatch):
    monkeypatch.setattr(precision, "fast_precision", lambda device: None)
    assert chosen(config) == ("32", "runtime.precision=auto chose 32: cpu has no faster format.")


def test_frames_that_cannot_be_read_decide_nothing(config, monkeypatch):
    monkeypatch.setattr(automatic, "_first_frames", lambda source, count: [])
    assert chosen(config)[0] == "32"


def test_a_format_that_is_asked_for_stays(config):
    config.runtime.precision = "16"
    assert chosen(config) == ("16",)


def test_what_is_left_of_a_source_does_not_decide(config, tmp_path):
    """The whole source does, and the result is that of the format by its name."""
    source, outcomes = open_source(config.data), {}
    watch = lambda frames, total: frames  # noqa: E731
    cache = Cache(tmp_path / "cache", "rw")
    first = detect_cached(source, config, "cpu", cache, {}, watch=watch)
    named = replace(config, runtime=replace(config.runtime, precision="bf16"))
    again = detect_cached(source, named, "cpu", cache, outcomes, watch=watch)
    assert outcomes["predict"] == "hit"
    assert (len(first.remarks), again.remarks) == (1, ())
