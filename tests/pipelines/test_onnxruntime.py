"""Networks that ONNX Runtime computes answer as they do in PyTorch."""

import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.inference.detect import detect
from sleap_lab.media.open_source import open_source
from sleap_lab.pipelines.onnxruntime import choose_provider, run_network
from sleap_lab.settings.config import Config

CPU, CUDA = torch.device("cpu"), torch.device("cuda:1")
HERE = ["AzureExecutionProvider", "CPUExecutionProvider"]


@pytest.fixture
def network(two_heads):
    for name in ("onnxruntime", "onnx"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    return two_heads


def test_it_answers_as_the_network_whatever_the_size_of_images_and_batches(network, worst):
    run = run_network(network, CPU, 2)
    for shape in ((2, 1, 32, 48), (5, 1, 32, 48), (1, 1, 64, 16), (3, 1, 32, 48)):
        images = torch.rand(shape)
        with torch.inference_mode():
            channels_last = images.to(memory_format=torch.channels_last)
            assert worst(run(channels_last), network(images)) < 1e-5


def test_a_network_of_three_channels_takes_images_with_channels_last(network, worst):
    network.down = torch.nn.Conv2d(3, 8, 3, padding=1)
    run, images = run_network(network, CPU, 1), torch.rand(2, 3, 16, 8)
    with torch.inference_mode():
        found = run(images.contiguous(memory_format=torch.channels_last))
        assert worst(found, network(images)) < 1e-5


def test_threads_that_share_a_network_do_not_disturb_each_other(network, worst):
    """Not even while it is exported, two networks at the same time."""
    runs = [run_network(network, CPU, 4) for _ in range(2)]
    batches = [torch.full((2, 1, 16, 16), float(value)) for value in range(16)]
    with ThreadPoolExecutor(4) as pool, torch.inference_mode():
        answers = pool.map(lambda i: runs[i % 2](batches[i]), range(16))
        for images, found in zip(batches, answers, strict=True):
            assert worst(found, network(images)) < 1e-4  # of values up to 15


def test_answers_stay_what_they_are_when_the_network_is_called_again(network, worst):
    run = run_network(network, CPU, 1)
    first = run(torch.ones(1, 1, 16, 16))
    kept = {name: map_.clone() for name, map_ in first.items()}
    run(torch.zeros(1, 1, 16, 16))
    assert worst(first, kept) == 0


def test_a_run_finds_the_same(network, make_model, write_h5):
    """From the config to the poses."""
    pixels = np.zeros((3, 24, 32, 3), dtype=np.uint8)
    for i, image in enumerate(pixels):
        image[6, 4 + 2 * i, 1], image[16, 20, 2] = 255, 204
    config = Config()
    config.data.path = str(write_h5(list(pixels)))
    heads = {"confmaps": [[0, 1.0, 0, 0], [0, 0, 1.0, 0]]}
    config.model.paths = [str(make_model("single_instance", heads))]
    config.model.integral_refinement = None
    config.runtime.device, config.runtime.backend = "cpu", "onnxruntime"
    poses = detect(open_source(config.data), config).poses
    assert poses.points.tolist() == [[[4 + 2 * i, 6], [20, 16]] for i in range(3)]
    np.testing.assert_allclose(poses.point_scores, [[1, 0.8]] * 3, rtol=1e-6)


# --- who computes -----------------------------------------------------------------------


def test_the_device_chooses_who_computes():
    assert choose_provider(CPU, HERE) == ("CPUExecutionProvider", {})
    # TensorRT's float32 is none, and its engines are chosen by timing.
    with_cuda = ["TensorrtExecutionProvider", "CUDAExecutionProvider", *HERE]
    name, options = choose_provider(CUDA, with_cuda)
    assert name == "CUDAExecutionProvider"
    assert options["device_id"] == "1"
    assert options["use_tf32"] == "0"


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("mps", r"onnxruntime is for processors and CUDA, got runtime\.device=mps; accepted there"),
        ("cuda", r"no CUDAExecutionProvider for runtime\.device=cuda; pip install onnxruntime-gpu"),
    ],
)
def test_a_device_that_it_does_not_know_is_refused(device, message):
    with pytest.raises(ConfigError, match=rf"runtime\.backend: .*{message}"):
        choose_provider(torch.device(device), HERE)


def test_it_does_not_fall_back_to_the_processor_in_silence(network, monkeypatch):
    """As ONNX Runtime does where it finds no CUDA of its version."""
    fallen_back = SimpleNamespace(get_providers=lambda: ["CPUExecutionProvider"])
    monkeypatch.setitem(
        sys.modules,
        "onnxruntime",
        SimpleNamespace(
            SessionOptions=SimpleNamespace,
            InferenceSession=lambda *_, **__: fallen_back,
            get_available_providers=lambda: ["CUDAExecutionProvider", *HERE],
            disable_telemetry_events=lambda: None,
        ),
    )
    run = run_network(network, CUDA, 3)
    with pytest.raises(RunError, match="cannot load its CUDAExecutionProvider for"):
        run(torch.zeros(1, 1, 16, 16))
