"""Readers of trained models: files in, training config and network out.

Nothing in a file is ever run.
"""

from sleap_lab.checkpoints.crop_rule import CropRule, crop_rule
from sleap_lab.checkpoints.folder import load_network, read_training_config, read_training_configs
from sleap_lab.checkpoints.training_config import TrainingConfig

__all__ = [
    "CropRule",
    "TrainingConfig",
    "crop_rule",
    "load_network",
    "read_training_config",
    "read_training_configs",
]
