"""Models that `sleap-nn export` wrote: `model.onnx` and the training configs, without a checkpoint.

The file holds the graph of a network and its weights, most of them under the names that they have
in a checkpoint. They are read, and the network is the one that a checkpoint would fill: an exported
model gives the same answers, on every device and with every setting. The graph is not run.

The exporter turns some matrices over, folds tables of Swin transformers, and keeps equal arrays
once. Arrays under other names are told apart by the module that takes them and their shape.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sleap_lab.checkpoints.training_config import (
    CONFIG_NAME,
    EXPORT_NAME,
    TrainingConfig,
    positive_number,
    read_yaml_config,
)
from sleap_lab.errors import RunError, one_line
from sleap_lab.files.safe_load import read_json

if TYPE_CHECKING:
    from sleap_lab.files.onnx_file import OnnxArrays

METADATA_NAME = "export_metadata.json"
CENTROIDS, CROPS = "model.", "instance_model."
"""Beginnings of the names of weights: of the only model or the centroid model, and of the model of
crops beside it."""
TABLE, INDEX = "relative_position_bias_table", "relative_position_index"


def read_export_configs(folder: Path) -> list[TrainingConfig]:
    """Read the training configs of an exported model: one, or those of a top-down pair.

    Raises:
        RunError: A config is broken or missing.
    """
    files = sorted(folder.glob("training_config*.yaml"))
    if not files:
        raise RunError(
            f"{folder}: {EXPORT_NAME} without {CONFIG_NAME}, which says what its outputs mean"
        )
    configs = [read_yaml_config(folder, file.name) for file in files]
    if len(configs) == 1:
        scale = positive_number(_metadata(folder), "input_scale", f"{folder / METADATA_NAME}: ")
        return [replace(configs[0], exported=CENTROIDS, scale=scale or configs[0].scale)]
    return [
        replace(config, exported=CENTROIDS if config.kind == "centroid" else CROPS)
        for config in configs
    ]


def _metadata(folder: Path) -> Mapping[str, Any]:
    """Return what the exporter writes about its settings; empty where it is not there."""
    file = folder / METADATA_NAME
    try:
        content = read_json(file) if file.is_file() else {}
    except (OSError, ValueError, json.JSONDecodeError) as error:
        raise RunError(f"{file}: not a readable JSON file ({error})") from error
    return content if isinstance(content, dict) else {}


def read_exported_weights(config: TrainingConfig) -> "OnnxArrays":
    """Return the arrays of an exported model, under the names of its network where it has them.

    Their uses are by modules of the network, not by nodes of the graph.

    Raises:
        RunError: The file is missing, broken, or holds no weights of the model.
    """
    from sleap_lab.files.onnx_file import OnnxArrays, read_onnx

    path = config.folder / EXPORT_NAME
    try:
        read = read_onnx(path)
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: not a readable model: {one_line(error)}") from error
    arrays = {
        name.removeprefix(config.exported): array
        for name, array in read.arrays.items()
        if name.startswith(config.exported) or not name.startswith((CENTROIDS, CROPS))
    }
    uses = [
        (module.removeprefix(config.exported), name.removeprefix(config.exported))
        for node, name in read.uses
        if (module := _module(node)).startswith(config.exported)
    ]
    return OnnxArrays(arrays, uses)


def complete(read: "OnnxArrays", expected: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Return the weights of a network.

    Args:
        read: Arrays of the file, and modules with the arrays that they take.
        expected: The network's weights by name, of which the shapes count, and its tables.
        path: The file, for errors.

    Raises:
        RunError: An array is missing, or it is not known which it is.
    """
    state: dict[str, Tensor] = {}
    for name, value in expected.items():
        if name in read.arrays:
            state[name] = torch.from_numpy(read.arrays[name])
        elif name.endswith(INDEX):
            state[name] = value
        else:
            array = _renamed(name, value, read, expected)
            if array is None:
                raise RunError(
                    f"{path}: it is not known which of its arrays is {name}; "
                    "give the folder with the checkpoint"
                )
            state[name] = torch.from_numpy(np.ascontiguousarray(array))
    return state


def _renamed(
    name: str, value: Tensor, read: "OnnxArrays", expected: Mapping[str, Tensor]
) -> np.ndarray | None:
    """Return the array that became a weight under another name; None where there is not just one.

    Of a weight and a bias of one shape, the node takes the weight first.
    """
    module, _, last = name.rpartition(".")
    users = (module,) if last == TABLE else (module, module.rpartition(".")[0])
    near = [read.arrays[array] for user, array in read.uses if user in users]
    if last == TABLE:
        index = expected[f"{module}.{INDEX}"]
        side = round(index.numel() ** 0.5)
        found = [
            _unfolded(array, index.numpy(), tuple(value.shape))
            for array in near
            if array.shape == (1, value.shape[1], side, side)
        ]
    else:
        found = [array.T for array in near if array.T.shape == tuple(value.shape)]
    if value.ndim == 1 and len(found) == 2:
        return found[last == "bias"]
    return found[0] if len(found) == 1 else None


def _unfolded(folded: np.ndarray, index: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the table (positions, heads) from its values for each pair of pixels of a window.

    Args:
        folded: (1, heads, pixels, pixels).
        index: (pixels x pixels,) the row of the table for each pair.
        shape: Shape of the table.
    """
    table = np.zeros(shape, dtype=np.float32)
    table[index] = folded.reshape(shape[1], -1).T
    return table


def _module(node: str) -> str:
    """Return the module that a node comes from.

    `/model/enc/features.1/features.1.0/attn/MatMul` comes from `model.enc.features.1.0.attn`.
    """
    parts: list[str] = []
    for part in node.split("/")[1:-1]:
        if parts and re.fullmatch(rf"{re.escape(parts[-1])}\.\w+", part):
            parts.pop()
        parts.append(part)
    return ".".join(parts)
