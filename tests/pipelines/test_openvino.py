"""Networks compiled by OpenVINO answer as they do in PyTorch."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from sleap_lab.errors import ConfigError
from sleap_lab.pipelines.openvino import compile_network

CPU = torch.device("cpu")


@pytest.fixture
def network(two_heads):
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    return two_heads


def test_a_compiled_network_answers_as_the_network_whatever_the_size_of_images_and_batches(
    network, worst
):
    compiled = compile_network(network, CPU, "32", 2)
    for shape in ((2, 1, 32, 48), (5, 1, 32, 48), (1, 1, 64, 16)):
        images = torch.rand(shape)
        with torch.inference_mode():
            assert worst(compiled(images), network(images)) < 1e-5


def test_a_network_is_compiled_where_pytorch_chooses_precisions_of_its_own(network, worst):
    compiled = compile_network(network, CPU, "bf16", 1)
    images = torch.rand(1, 1, 16, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = compiled(images)
    with torch.inference_mode():
        assert worst(found, network(images)) < 0.02  # of values below 1; bf16 has 8 bits


def test_threads_that_share_a_compiled_network_do_not_disturb_each_other(network, worst):
    compiled = compile_network(network, CPU, "32", 4)
    batches = [torch.full((2, 1, 16, 16), float(value)) for value in range(16)]
    with ThreadPoolExecutor(4) as pool, torch.inference_mode():
        for images, found in zip(batches, pool.map(compiled, batches), strict=True):
            assert worst(found, network(images)) < 1e-4  # of values up to 15


def test_answers_stay_what_they_are_when_the_network_is_called_again(network, worst):
    compiled = compile_network(network, CPU, "32", 1)
    first = compiled(torch.ones(1, 1, 16, 16))
    kept = {name: map_.clone() for name, map_ in first.items()}
    compiled(torch.zeros(1, 1, 16, 16))
    assert worst(first, kept) == 0


INTERRUPTED_AFTER_TWO_NETWORKS = """
import gc, signal
import torch
from sleap_lab.pipelines.openvino import compile_network

def compiled(channels):
    network = torch.nn.ModuleDict({"maps": torch.nn.Conv2d(1, channels, 3)})
    network.forward = lambda x: {"maps": network["maps"](x)}
    answer = compile_network(network.eval(), torch.device("cpu"), "32", 1)
    answer(torch.zeros(1, 1, 16, 16))
    return answer

first, second = compiled(1), compiled(2)
del first
gc.collect()
del second
gc.collect()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_still_arrives_after_two_networks(network):
    command = [sys.executable, "-X", "faulthandler", "-c", INTERRUPTED_AFTER_TWO_NETWORKS]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (ended.stdout, ended.returncode) == ("interrupted\n", 0), ended.stderr


def test_it_is_for_processors_only():
    with pytest.raises(
        ConfigError,
        match=r"runtime\.backend: openvino runs on the processor only, got runtime\.device=cuda:0",
    ):
        compile_network(nn.Identity(), torch.device("cuda:0"), "32", 1)
