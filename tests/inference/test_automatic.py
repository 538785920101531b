"""`runtime.batch_size=auto` and `runtime.compile=auto`; test_self_check.py tests the precision."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sleap_lab.inference import automatic
from sleap_lab.inference.automatic import settled, settled_for
from sleap_lab.inference.cache import Cache
from sleap_lab.inference.cached_stages import detect_cached
from sleap_lab.inference.detect import detect
from sleap_lab.media.open_source import open_source
from sleap_lab.pipelines import batch_size, pipeline, precision
from sleap_lab.settings.config import Config, ModelConfig, RuntimeConfig

GREEN, BLUE = [0, 1.0, 0, 0], [0, 0, 1.0, 0]


@pytest.fixture
def config(make_model, write_h5):
    image = np.zeros((24, 32, 3), dtype=np.uint8)
    image[6, 4], image[16, 20] = [0, 255, 0], [0, 0, 204]
    config = Config()
    config.data.path = str(write_h5([image] * 7))
    config.model.paths = [str(make_model("single_instance", {"confmaps": [GREEN, BLUE]}))]
    config.model.integral_refinement = None
    config.runtime.device, config.runtime.batch_size = "cpu", "auto"
    config.runtime.num_threads = 1
    threads = torch.get_num_threads()
    yield config
    torch.set_num_threads(threads)


def on(config, **runtime):
    return replace(config, runtime=replace(config.runtime, **runtime))


def chosen(config):
    now, notes = settled(config, open_source(config.data))
    return now.runtime, notes


def test_a_processor_gets_a_frame_for_each_thread_and_four_at_least(config):
    assert chosen(config)[0].batch_size == 4
    runtime, notes = chosen(on(config, num_threads=6))
    assert runtime.batch_size == 8
    assert notes == ["runtime.batch_size=auto chose 8: 4 at least, and one for each thread (6)."]


def test_what_is_asked_for_stays(config):
    assert chosen(on(config, batch_size=3)) == (on(config, batch_size=3).runtime, [])
    tracked = replace(config, model=ModelConfig(kind="none"))
    assert settled_for(tracked, None, pytest.fail, 7) == (tracked, [])


def test_the_result_is_stored_under_the_size_that_was_chosen(config, tmp_path):
    source, cache, outcomes = open_source(config.data), Cache(tmp_path / "cache", "rw"), {}
    watch = lambda frames, total: frames  # noqa: E731
    first = detect_cached(source, config, "cpu", cache, {}, watch=watch)
    again = detect_cached(source, on(config, batch_size=4), "cpu", cache, outcomes, watch=watch)
    assert outcomes["predict"] == "hit"
    assert first.remarks == (
        "runtime.batch_size=auto chose 4: 4 at least, and one for each thread (1).",
    )
    assert again.remarks == ()
    assert first.poses.points[:, 0].tolist() == [[4, 6]] * 7
    assert detect(source, config).remarks == first.remarks


@pytest.fixture
def card(monkeypatch):
    """Let `cuda` be a card of 24 GB, and note how models are loaded and what is measured."""
    seen = []

    def load(config, truth, precision):
        seen.append(precision)
        return "the models"

    def measure(models, frames):
        assert models == "the models"
        seen.append([frame.index for frame in frames])
        return 24 * 32, 500e6

    monkeypatch.setattr(pipeline, "choose_device", torch.device)
    monkeypatch.setattr(automatic, "load_plain", load)
    monkeypatch.setattr(batch_size, "measure", measure)
    monkeypatch.setattr(batch_size, "memory_of", lambda device: 24 * 10**9)
    monkeypatch.setattr(precision, "fast_precision", lambda device: None)
    return seen


@pytest.mark.parametrize(("asked", "measured"), [("32", "32"), ("bf16", "bf16"), ("auto", "32")])
def test_the_first_frames_tell_what_a_card_has_memory_for(config, card, asked, measured):
    runtime, notes = chosen(on(config, device="cuda", precision=asked))
    assert runtime.batch_size == 8  # 0.7 * 24 / 3 / 0.5 = 11.2
    assert card == [measured, [0, 1, 2, 3]]
    assert notes[0] == (
        "runtime.batch_size=auto chose 8: a frame of 768 px takes 500 MB of the 24 GB of cuda."
    )


def test_without_a_frame_to_measure_or_a_memory_to_ask_for_the_size_is_that_of_sleap_nn(
    config, card, monkeypatch
):
    assert chosen(on(config, device="mps"))[0].batch_size == 4
    monkeypatch.setattr(automatic, "_first_frames", lambda source, count: [])
    assert chosen(on(config, device="cuda"))[0].batch_size == 4
    assert card == []


def test_the_batch_that_decides_on_the_precision_has_the_chosen_size(config, card, monkeypatch):
    asked = []
    monkeypatch.setattr(precision, "fast_precision", lambda device: "bf16")
    monkeypatch.setattr(automatic, "_first_frames", lambda source, n: asked.append(n) or [])
    settled(on(config, num_threads=6, precision="auto"), open_source(config.data))
    assert asked == [8]


@pytest.mark.parametrize(
    ("runtime", "frames", "compiled", "why"),
    [
        ({"device": "cuda"}, 50_000, True, "50,000 frames are no fewer than 50,000"),
        ({"device": "cuda"}, 49_999, False, "49,999 frames are fewer than 50,000"),
        ({"device": "cuda"}, None, False, "nobody knows how many frames will come"),
        ({"device": "cpu"}, 10**6, False, "on a processor it gains nothing"),
        (
            {"device": "cuda", "backend": "onnxruntime"},
            10**6,
            False,
            "onnxruntime compiles by itself",
        ),
    ],
)
def test_long_recordings_are_compiled_for_on_accelerators(card, runtime, frames, compiled, why):
    config = Config(
        model=ModelConfig(paths=["m"]), runtime=RuntimeConfig(compile="auto", **runtime)
    )
    now, notes = settled_for(config, None, pytest.fail, frames)
    assert now.runtime.compile is compiled
    assert notes == [f"runtime.compile=auto chose {str(compiled).lower()}: {why}."]
