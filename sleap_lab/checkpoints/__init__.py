"""Readers of trained models: files in, (training config, network) out; nothing in a file is ever run."""

from sleap_lab.checkpoints.folder import load_network, read_training_config
from sleap_lab.checkpoints.training_config import TrainingConfig

__all__ = ["TrainingConfig", "load_network", "read_training_config"]
