"""Compiled networks: one compilation for each size, and the maps of the network itself."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from shutil import which

import pytest
import torch
from torch import nn

from sleap_lab.pipelines import compiled as module
from sleap_lab.pipelines.compiled import Compiled


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
    assert "no compiler is here" in told[0]


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
