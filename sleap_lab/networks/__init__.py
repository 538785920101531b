"""Networks as plain modules whose parameter names equal those of the checkpoints."""

from sleap_lab.networks.pose_network import PoseNetwork, build_network

__all__ = ["PoseNetwork", "build_network"]
