import importlib.util
import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sleap_lab import run_inference
from sleap_lab.checkpoints.training_config import Tiling
from sleap_lab.pipelines.tiling import starts, tiled, window

spec = importlib.util.spec_from_file_location(
    "make_tile_cases", Path(__file__).parent / "make_tile_cases.py"
)
cases = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cases)
ANSWERS = json.loads(cases.ANSWERS.read_text())
CPU = torch.device("cpu")


@pytest.mark.parametrize("case", cases.CASES)
def test_answers_are_those_of_sleap_nn(case, tmp_path):
    model = cases.make_model(case, tmp_path / "model")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # low confidences
        labels = run_inference(
            data_path=cases.DEMO / "single.mp4",
            model_paths=model,
            frames=list(cases.FRAMES),
            device="cpu",
            **cases.OPTIONS,
        )
    found = [instance.numpy() for frame in labels for instance in frame]
    np.testing.assert_allclose(found, ANSWERS[case], rtol=0, atol=0.01)


def test_the_last_tile_ends_where_the_side_ends():
    assert starts(192, Tiling(96, 32)) == [0, 64, 96]
    assert starts(160, Tiling(96, 32)) == [0, 64]
    assert starts(96, Tiling(96, 32)) == [0]


def test_the_window_is_a_gaussian_that_never_vanishes():
    weights = window(48, Tiling(96, 32, sigma_scale=0.125), CPU)
    assert weights.max() == pytest.approx(np.exp(-(0.5**2) / (2 * 6**2)) ** 2)
    assert weights.min() == pytest.approx(1e-3)
    assert torch.equal(weights, weights.T)
    assert window(3, Tiling(6, 2, blend="constant"), CPU).tolist() == [[1] * 3] * 3


def maps(images):
    """A network of stride 2 and one of stride 4 that see no further than a pixel of their maps."""
    return {"confmaps": F.max_pool2d(images, 2), "pafs": F.avg_pool2d(images, 4).repeat(1, 2, 1, 1)}


@pytest.mark.parametrize("size", [(40, 56), (12, 20), (16, 16)])
def test_a_network_that_sees_no_further_than_its_pixels_answers_as_on_the_whole(size):
    images = torch.rand(3, 1, *size, generator=torch.Generator().manual_seed(1))
    found, expected = tiled(maps, Tiling(16, 4))(images), maps(images)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-6)


def test_no_more_than_a_few_tiles_go_through_the_network_at_once():
    seen = []

    def network(images):
        seen.append(tuple(images.shape))
        return maps(images)

    tiled(network, Tiling(16, 4))(torch.zeros(2, 1, 40, 40))
    assert {shape[1:] for shape in seen} == {(1, 16, 16)}
    assert max(shape[0] for shape in seen) == 4
    assert sum(shape[0] for shape in seen) == 2 * 9


LARGE = """
import sys, resource, numpy as np, sleap_lab
frames = (np.full((3000, 4000), 128, dtype=np.uint8) for _ in range(2))
for batch in sleap_lab.stream(frames, sys.argv[1], batch_size=1, device="cpu"):
    pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="units of ru_maxrss")
def test_a_large_frame_needs_little_memory(tmp_path):
    model = cases.make_model("tile larger than the image", tmp_path / "model")
    command = [sys.executable, "-c", LARGE, str(model)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(done.stdout) < 1500
