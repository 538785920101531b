"""Compiled networks: one compilation for each size, and the maps of the network itself."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from shutil import which

import numpy as np
import pytest
import torch
from torch import nn

from sleap_lab.media.source import Frame
from sleap_lab.pipelines import compiled as module
from sleap_lab.pipelines.accelerator import Accelerator
from sleap_lab.pipelines.compiled import Compiled
from sleap_lab.pipelines.engine import predict
from sleap_lab.pipelines.pipeline import assemble
from sleap_lab.pipelines.plan import make_plan
from sleap_lab.poses.record import Skeleton, concatenate
from sleap_lab.settings.config import ModelConfig, PreprocessingConfig


@pytest.fixture(autouse=True)
def forgotten():
    """PyTorch remembers what it has compiled in other tests."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture
def compiler():
    """Take the place of a compiler; returns the shapes of images that it compiled for."""
    shapes = []

    def compile_(graph, inputs):
        shapes.extend(tuple(one.shape) for one in inputs if one.ndim == 4 and one.shape[1] == 1)
        return graph.forward

    compile_.shapes = shapes
    return compile_


class Sums(nn.Module):
    """A network whose maps show what it was given."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x):
        return {"twice": 2 * x, "sums": x.sum(dim=(1, 2, 3))[:, None]}


@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_any_number_of_images_is_compiled_once_and_answered_in_order(compiler, count, worst):
    network, told = Sums(), []
    run = Compiled(network, 4, told.append, compiler)
    images = torch.rand(count, 1, 6, 8)
    with torch.inference_mode():
        for part in (images, images[:1], images.contiguous(memory_format=torch.channels_last)):
            found = run(part)
            assert worst(found, network(part)) == 0
            assert {name: len(values) for name, values in found.items()} == {
                "twice": len(part),
                "sums": len(part),
            }
    assert compiler.shapes == [(4, 1, 6, 8)]
    assert told == []


def test_a_real_network_filled_up_answers_as_it_does_by_itself(two_heads, compiler, worst):
    run = Compiled(two_heads, 4, pytest.fail, compiler)
    images = torch.rand(6, 1, 32, 48)
    with torch.inference_mode():
        assert worst(run(images), two_heads(images)) < 1e-5


def test_each_size_is_compiled_for_and_so_is_each_network(compiler):
    networks = [Compiled(Sums(), rows, pytest.fail, compiler) for rows in (2, 3)]
    sizes = [(4 + i, 5) for i in range(module.MAX_SHAPES)]
    with torch.inference_mode():
        for _ in range(2):
            for size in sizes:
                for run in networks:
                    run(torch.ones(1, 1, *size))
    assert compiler.shapes == [(rows, 1, *size) for size in sizes for rows in (2, 3)]


def test_more_sizes_are_computed_without_compilation(compiler, worst, monkeypatch):
    monkeypatch.setattr(module, "MAX_SHAPES", 1)
    told = []
    run = Compiled(Sums(), 2, told.append, compiler)
    with torch.inference_mode():
        for size in (4, 5, 5):
            images = torch.rand(1, 1, size, size)
            assert worst(run(images), Sums()(images)) == 0
    assert compiler.shapes == [(2, 1, 4, 4)]
    assert told == ["A network is not compiled for images of 5x5 px: 1 other sizes are."]


def test_what_cannot_be_compiled_is_computed_and_told(worst):
    def fail(graph, inputs):
        raise OSError("no compiler\nis here")

    told = []
    run = Compiled(Sums(), 4, told.append, fail)
    images = torch.rand(2, 1, 6, 8)
    with torch.inference_mode():
        for _ in range(2):
            assert worst(run(images), Sums()(images)) == 0
    assert len(told) == 1
    assert told[0].startswith("A network is not compiled for images of 6x8 px: ")
    assert told[0].endswith("no compiler is here.")


def test_a_python_that_pytorch_cannot_compile_for_is_told(worst, monkeypatch):
    def refuse(*args, **settings):
        raise RuntimeError("torch.compile is not supported on Python 3.15+")

    monkeypatch.setattr(torch, "compile", refuse)
    told = []
    run = Compiled(Sums(), 4, told.append)
    images = torch.rand(2, 1, 6, 8)
    with torch.inference_mode():
        assert worst(run(images), Sums()(images)) == 0
    assert told == [
        "A network is not compiled for images of 6x8 px: "
        "torch.compile is not supported on Python 3.15+."
    ]


class Full(nn.Module):
    """A network that has memory for two images at most."""

    def forward(self, x):
        if len(x) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return {"maps": x}


@pytest.mark.parametrize("known", [False, True])
def test_without_memory_for_a_whole_pass_fewer_images_are_computed_as_they_are(compiler, known):
    told, network = [], Full()
    run = Compiled(network, 4, told.append, compiler)
    images = torch.rand(2, 1, 6, 8)
    if known:  # it was compiled, and others use the memory since then
        network.forward = lambda x: {"maps": x}
        run(images)
        del network.forward
        torch._dynamo.reset()
    with torch.inference_mode():
        with pytest.raises(torch.OutOfMemoryError):  # halved by those who called
            run(torch.rand(4, 1, 6, 8))
        assert torch.equal(run(images)["maps"], images)
    assert told == [
        "A network is not compiled for images of 6x8 px: there is not enough memory for 4 at once."
    ]


def test_threads_compile_one_after_the_other(worst):
    """Else one loads what another has half written."""
    at_work, most, shapes = 0, 0, []
    both = threading.Barrier(2)

    def compile_(graph, inputs):
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        shapes.append(1)
        at_work -= 1
        return graph.forward

    runs = [Compiled(Sums(), 2, pytest.fail, compile_) for _ in range(2)]

    def call(number):
        both.wait(timeout=60)
        with torch.inference_mode():
            return runs[number](torch.full((3, 1, 5 + number, 5), 1.0))

    with ThreadPoolExecutor(2) as pool:
        for number, found in enumerate(pool.map(call, range(2))):
            assert found["sums"].tolist() == [[5 * (5 + number)]] * 3
    assert (most, len(shapes)) == (1, 2)


class Short(nn.Module):
    """A network that has memory for so many images at most, compiled or not."""

    def __init__(self, limit):
        super().__init__()
        self.limit = limit

    def forward(self, x):
        if len(x) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return {"confmaps": torch.cat([x, x.flip(3)], dim=1)}


@pytest.mark.parametrize("limit", [8, 3, 2])
@pytest.mark.parametrize("kinds", [["single_instance"], ["centroid", "centered_instance"]])
def test_nothing_is_lost_where_a_compiled_pass_on_a_device_finds_no_memory(
    fake, compiler, kinds, limit
):
    """Batches of eight are halved until they fit; the first and the last pass are filled up."""
    images = np.zeros((11, 24, 32, 1), dtype=np.uint8)
    images[:, 6, 8], images[:, 16, 20] = np.arange(22).reshape(2, 11, 1) + 200  # two animals
    images[5] = 0
    frames = [Frame(0, i, image) for i, image in enumerate(images)]
    frames[4] = Frame(0, 4, None, "torn")

    def poses(run_of, accelerator):
        models = {
            kind: replace(
                fake(
                    kind,
                    run_of(kind),
                    nodes=("a",) if kind == "centroid" else ("a", "b"),
                    crop_size=8 if kind == "centered_instance" else None,
                ),
                accelerator=accelerator,
            )
            for kind in kinds
        }
        plan = make_plan(
            "topdown" if len(kinds) == 2 else kinds[0],
            {kind: model.config for kind, model in models.items()},
            Skeleton(("a", "b")),
            ModelConfig(max_instances=2, integral_refinement=None),
            PreprocessingConfig(),
            None,
        )
        pipeline = assemble(plan, models, PreprocessingConfig())
        return concatenate([p.poses for p in predict(frames, pipeline, batch_size=8)])

    def plain(kind):
        return (lambda x: {"confmaps": x}) if kind == "centroid" else Short(99)

    told = []

    def tight(kind):
        network = Short(limit)
        if kind == "centroid":
            return plain(kind)
        return Compiled(network, 8, told.append, compiler)

    expected = poses(plain, None)
    found = poses(tight, Accelerator(torch.device("cpu")))
    assert len(expected) > 0
    for name, array in expected.to_arrays().items():
        np.testing.assert_array_equal(found.to_arrays()[name], array, strict=True)
    assert bool(told) == (limit < 8)


INDUCTOR = """
import torch
from sleap_lab.pipelines.compiled import Compiled
network = torch.nn.Conv2d(1, 2, 3)
run = Compiled(lambda x: {"maps": network(x)}, 2, print)
images = torch.rand(3, 1, 6, 8)
with torch.inference_mode():
    assert torch.allclose(run(images)["maps"], network(images), atol=1e-6)
"""


@pytest.mark.slow
@pytest.mark.skipif(which("g++") is None, reason="PyTorch compiles with g++")
def test_pytorchs_own_compiler_agrees(tmp_path):
    place = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", INDUCTOR], env=place, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
