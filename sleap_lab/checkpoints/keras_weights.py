"""Weights of SLEAP 1.4 and older: Keras models in HDF5, read without TensorFlow.

No other file that the HDF5 file points to is read.

A layer's weights are at `model_weights/<layer>/<layer>/kernel:0` and `bias:0`. Kernels of
convolutions are (h, w, in, out), of transposed convolutions (h, w, out, in), of dense layers
(in, out); none is flipped. SLEAP-NN names its parameters after the same layers, so weights load by
name. The network is SLEAP-NN's UNet, except for the padding of transposed convolutions.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from sleap_lab.checkpoints.torch_weights import network_errors, refuse_giants
from sleap_lab.checkpoints.training_config import LEGACY_CONFIG_NAME, TrainingConfig
from sleap_lab.errors import RunError, one_line
from sleap_lab.errors.interruption import raise_interruption
from sleap_lab.files.safe_load import check_hdf5
from sleap_lab.networks import PoseNetwork
from sleap_lab.networks.heads import OFFSETS_LAYER
from sleap_lab.networks.unet import UNet

WEIGHTS_NAME = "best_model.h5"
DATASETS = {"weight": "kernel:0", "bias": "bias:0"}
FIRST_LAYER = "stack0_enc0_conv0"

Layers = dict[str, dict[str, np.ndarray]]
"""Layer -> its arrays by dataset name, in Keras' layout."""


def read_layers(path: str | Path) -> Layers:
    """Read the weights of a Keras model, layer by layer.

    The number that Keras may append to the name of a head is removed.

    Raises:
        RunError: The file is missing or broken, holds no Keras model, or points to other files.
    """
    path = Path(path)
    if not path.is_file():
        raise RunError(f"{path}: no such file; it holds the weights of a legacy model")
    layers: Layers = {}
    try:
        check_hdf5(path)
        with h5py.File(path, "r") as file:
            for layer, group in _members(_member(file, "model_weights")):
                arrays = {
                    name: _array(item)
                    for _, inner in _members(group)
                    for name, item in _members(inner)
                }
                name = re.sub(r"Head_\d+$", "Head", layer)
                if arrays and layers.setdefault(name, arrays) is not arrays:
                    raise ValueError(f"it has two layers {name}")
    except Exception as error:  # a broken HDF5 file can raise anything
        raise_interruption(error)
        raise RunError(f"{path}: not a readable Keras model: {one_line(error)}") from error
    return layers


def _members(group: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(group, h5py.Group):
        raise ValueError(f"{group.name} is no group")
    for name in group:
        yield name, _member(group, name)


def _member(group: h5py.Group, name: str) -> Any:
    """Return what a group holds under a name."""
    if name not in group:
        raise ValueError(f"it has no {name}")
    return group[name]


def _array(dataset: Any) -> np.ndarray:
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind != "f":
        raise ValueError(f"{dataset.name} is no array of numbers")
    return np.asarray(dataset[()], dtype=np.float32)


def load_network(
    config: TrainingConfig,
    *,
    offsets: bool = False,
    backbone_ckpt_path: str | None = None,
    head_ckpt_path: str | None = None,
) -> PoseNetwork:
    """Build the network of a legacy model folder and fill it with its weights, in evaluation mode.

    Args:
        config: The folder's training config.
        offsets: Also build the head of offsets, which the config must have.
        backbone_ckpt_path: Keras model whose backbone weights replace those of `best_model.h5`.
        head_ckpt_path: Keras model whose head weights replace those of `best_model.h5`.

    Raises:
        RunError: A file is broken, or its weights do not fit the network; the layer is named.
    """
    path = config.folder / WEIGHTS_NAME
    layers = read_layers(path)
    network = _build(config, layers, path, offsets=offsets)
    expected = network.state_dict()
    unknown = layers.keys() - {_layer(name) for name in expected} - {OFFSETS_LAYER}
    if unknown:
        raise RunError(
            f"{path}: the network of {LEGACY_CONFIG_NAME} has no layer {min(unknown)}, "
            "for which there are weights"
        )
    state = {name: _weights(layers, name, value, path) for name, value in expected.items()}
    for other, part in ((backbone_ckpt_path, "backbone"), (head_ckpt_path, "head_layers")):
        if other is not None:
            layers = read_layers(other)
            names = [
                name for name in expected if name.startswith(f"{part}.") and _layer(name) in layers
            ]
            if not names:
                raise RunError(
                    f"{other}: holds no {part} weights of the network in {config.folder}"
                )
            state |= {name: _weights(layers, name, expected[name], Path(other)) for name in names}
    network.load_state_dict(state, assign=True)
    return network.eval()


def _build(config: TrainingConfig, layers: Layers, path: Path, *, offsets: bool) -> PoseNetwork:
    """Build the network without memory for its weights.

    The config alone does not prove that the weights are as large as it says.
    """
    first = layers.get(FIRST_LAYER, {}).get(DATASETS["weight"])
    if first is None or first.ndim != 4:
        raise RunError(f"{path}: the first layer, {FIRST_LAYER}, is missing or no convolution")
    heads = {name: head for name, head in config.heads.items() if offsets or name != "offsets"}
    unet = config.raw["model_config"]["backbone_config"]["unet"] | {"in_channels": first.shape[2]}
    with network_errors(config.folder / LEGACY_CONFIG_NAME, "model"), torch.device("meta"):
        refuse_giants(unet, "backbone.unet")
        refuse_giants(heads, "heads")
        return PoseNetwork(UNet(unet, keras=True), config.kind, heads)


def _layer(parameter: str) -> str:
    """Return the layer a parameter belongs to: `a.0.Head.0.weight` to `Head`."""
    return next(part for part in reversed(parameter.split(".")[:-1]) if not part.isdigit())


def _weights(layers: Layers, parameter: str, expected: Tensor, path: Path) -> Tensor:
    """Return a parameter's weights in PyTorch's layout."""
    layer, dataset = _layer(parameter), DATASETS[parameter.rpartition(".")[2]]
    if dataset not in layers.get(layer, {}):
        raise RunError(
            f"{path}: layer {layer} has no {dataset}, "
            f"which the network of {LEGACY_CONFIG_NAME} needs"
        )
    array = layers[layer][dataset]
    shape = tuple(expected.permute(2, 3, 1, 0).shape if expected.ndim == 4 else expected.t().shape)
    if array.shape != shape:
        raise RunError(
            f"{path}: {dataset} of layer {layer} has shape {array.shape}, "
            f"the network of {LEGACY_CONFIG_NAME} needs {shape}"
        )
    return torch.from_numpy(
        array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
    ).contiguous()
