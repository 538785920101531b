"""Networks saved by sleap-nn load and give its outputs.

The files are made by `benchmarks/make_network_fixtures.py`.
"""

import gzip
import json
import tarfile
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from sleap_lab.checkpoints import load_network, read_training_config
from sleap_lab.networks import build_network
from sleap_lab.networks.heads import HEAD_LAYERS

DATA = Path(__file__).parent / "data"
UPSAMPLING = ("interpolated", "transposed")
CASES = [
    "-".join(parts) for parts in product(("unet", "convnext", "swint"), HEAD_LAYERS, UPSAMPLING)
]
VARIANTS = [
    "unet-stem",
    "unet-plain",
    *(
        "-".join(parts)
        for parts in product(("convnext", "swint"), ("stride4", "full", "plain", "odd"))
    ),
]
SIZES = {"convnext": ("tiny", "small", "base", "large"), "swint": ("tiny", "small", "base")}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folder of the model folders."""
    folder = tmp_path_factory.mktemp("sleap_nn")
    with tarfile.open(DATA / "sleap_nn_0.3.5_networks.tar.xz") as archive:
        # Python before 3.11.4 has no filters, and no argument for them.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(folder)
    return folder


def test_nothing_in_the_archive_is_left_out(folders):
    assert sorted(folder.name for folder in folders.iterdir()) == sorted(CASES + VARIANTS)


@torch.no_grad()
@pytest.mark.parametrize("case", CASES + VARIANTS)
def test_maps_are_those_of_sleap_nn(folders, case):
    config = read_training_config(folders / case)
    with np.load(folders / case / "maps.npz") as file:
        expected = {name: torch.from_numpy(file[name]) for name in file.files}
    maps = load_network(config)(expected.pop("images"))
    assert {HEAD_LAYERS[config.kind][name]: value.shape for name, value in maps.items()} == {
        name: value.shape for name, value in expected.items()
    }
    for name, value in maps.items():
        torch.testing.assert_close(
            value, expected[HEAD_LAYERS[config.kind][name]], rtol=0, atol=1e-5
        )


@pytest.mark.parametrize(
    ("backbone", "model_type", "upsampling"),
    [
        (backbone, model_type, upsampling)
        for backbone, sizes in SIZES.items()
        for model_type, upsampling in product(sizes, UPSAMPLING)
    ],
)
def test_parameters_are_those_of_sleap_nn(backbone, model_type, upsampling, training_config):
    config = training_config("single_instance", nodes=("a", "b", "c"), stride=1)
    config["model_config"]["backbone_config"] = {
        backbone: {"model_type": model_type, "up_interpolate": upsampling == "interpolated"}
    }
    with torch.device("meta"):
        network = build_network(config)
    with gzip.open(DATA / "sleap_nn_0.3.5_parameters.json.gz") as file:
        expected = json.load(file)[f"{backbone}-{model_type}-{upsampling}"]
    assert {name: list(value.shape) for name, value in network.state_dict().items()} == expected
