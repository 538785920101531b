"""Readers of trained models: files in, (training config, network) out; nothing in a file is ever run."""

from sleap_lab.checkpoints.native import load_network
from sleap_lab.checkpoints.training_config import TrainingConfig, read_training_config

__all__ = ["TrainingConfig", "load_network", "read_training_config"]
