"""Model folders of SLEAP-NN and of SLEAP.

A folder with `training_config.yaml` is SLEAP-NN's; otherwise one with `training_config.json` is
SLEAP's. One with `model.onnx` and without a checkpoint is an exported model.
"""

from collections.abc import Sequence
from pathlib import Path

from sleap_lab.checkpoints import keras_weights, torch_weights
from sleap_lab.checkpoints.exported import read_export_configs
from sleap_lab.checkpoints.legacy_config import read_legacy_config
from sleap_lab.checkpoints.torch_weights import WEIGHTS_NAME
from sleap_lab.checkpoints.training_config import (
    CONFIG_NAME,
    EXPORT_NAME,
    TrainingConfig,
    model_folder,
    read_yaml_config,
)
from sleap_lab.errors import ConfigError
from sleap_lab.networks import PoseNetwork
from sleap_lab.networks.heads import HEAD_LAYERS


def read_training_configs(*paths: str | Path) -> list[TrainingConfig]:
    """Read the training configs of model folders, given the folders or any file in them.

    An exported top-down pair has two.

    Raises:
        ConfigError: A folder is missing or holds no training config.
        RunError: A config is broken or lacks something that inference needs.
    """
    return [config for path in paths for config in _read(model_folder(path))]


def _read(folder: Path) -> list[TrainingConfig]:
    weights = (WEIGHTS_NAME, keras_weights.WEIGHTS_NAME)
    checkpoint = any((folder / name).is_file() for name in weights)
    if not checkpoint and (folder / EXPORT_NAME).is_file():
        return read_export_configs(folder)
    if (folder / CONFIG_NAME).is_file():
        return [read_yaml_config(folder)]
    return [read_legacy_config(folder)]


def read_training_config(path: str | Path) -> TrainingConfig:
    """Read the training config of a folder with a single model; see `read_training_configs`."""
    (config,) = read_training_configs(path)
    return config


def load_network(
    config: TrainingConfig,
    *,
    offsets: bool = False,
    backbone_ckpt_path: str | None = None,
    head_ckpt_path: str | None = None,
    others: Sequence[TrainingConfig] = (),
) -> PoseNetwork:
    """Build the network of a model folder and fill it with its weights, in evaluation mode.

    Args:
        config: The folder's training config.
        offsets: The network also predicts offsets; only legacy models can.
        backbone_ckpt_path: Checkpoint whose backbone weights replace those of the folder.
        head_ckpt_path: Checkpoint whose head weights replace those of the folder.
        others: Training configs of further models of the run. Heads that are of their kind, and not
            of this model's, replace theirs only.

    Raises:
        ConfigError: A checkpoint is not of the folder's kind: SLEAP-NN's for a legacy model or vice
            versa.
        RunError: A checkpoint is broken or its weights do not fit the network.
    """
    if (
        head_ckpt_path is not None
        and not _has_head(head_ckpt_path, config)
        and any(_has_head(head_ckpt_path, other) for other in others)
    ):
        head_ckpt_path = None
    for key, path in (
        ("backbone_ckpt_path", backbone_ckpt_path),
        ("head_ckpt_path", head_ckpt_path),
    ):
        if path is not None and _is_legacy(path) != config.legacy:
            accepted = (
                "best_model.h5 of another model of SLEAP"
                if config.legacy
                else "best.ckpt of another model of SLEAP-NN"
            )
            raise ConfigError(
                f"model.{key}: {path} cannot replace weights of the model in {config.folder}; "
                f"accepted: {accepted}"
            )
    if config.legacy:
        return keras_weights.load_network(
            config,
            offsets=offsets,
            backbone_ckpt_path=backbone_ckpt_path,
            head_ckpt_path=head_ckpt_path,
        )
    return torch_weights.load_network(
        config, backbone_ckpt_path=backbone_ckpt_path, head_ckpt_path=head_ckpt_path
    )


def _is_legacy(path: str) -> bool:
    """Return whether a checkpoint is one of SLEAP 1.4 or older, by its name."""
    return Path(path).suffix.lower() == ".h5"


def _has_head(path: str, config: TrainingConfig) -> bool:
    """Return whether a checkpoint has a head of the kind of a model."""
    if _is_legacy(path) != config.legacy:
        return False
    read = keras_weights.read_layers if config.legacy else torch_weights.read_state_dict
    names = read(path)
    parts = {part for name in names for part in name.split(".")}
    return not parts.isdisjoint(HEAD_LAYERS[config.kind].values())
