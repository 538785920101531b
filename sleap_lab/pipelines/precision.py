"""Number formats of the network: which are fast on a device, and how much they move points."""

import numpy as np
import torch
from torch import nn

from sleap_lab.poses.record import Poses

MOST_SHIFT = 0.1
"""Largest shift of a point that `runtime.precision=auto` accepts, px of the image."""

AUTOCAST_DTYPES = {"bf16": torch.bfloat16, "16": torch.float16}
"""Number format of the network, where it is not that of the images -> what autocast turns it to."""


def hold_weights(network: nn.Module, precision: str) -> None:
    """Keep the weights of convolutions and matrix products in the format of a precision.

    Otherwise autocast converts them in every pass. The results are the same.
    """
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.to(AUTOCAST_DTYPES.get(precision))


def fast_precision(device: torch.device) -> str | None:
    """Return the number format that a device computes faster than float32: bf16, 16, or None.

    MPS was never tried.
    """
    if device.type == "cpu":
        return "bf16" if torch.cpu.get_capabilities().get("avx512_bf16") else None
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16"
        return "16" if torch.cuda.get_device_capability(device) >= (7, 0) else None
    return None


def largest_shift(exact: Poses, other: Poses) -> float:
    """Return how far the points of one prediction lie from those of another, at most, px.

    Returns:
        nan where both are empty; infinity where one has an instance or a node that the other lacks.
    """
    if not (len(exact) or len(other)):
        return np.nan
    same = len(exact) == len(other) and all(
        np.array_equal(getattr(exact, name), getattr(other, name))
        for name in ("video", "frame", "visible")
    )
    if not same:
        return np.inf
    shifts = np.linalg.norm(exact.points - other.points, axis=-1)[exact.visible]
    return float(shifts.max(initial=0.0))
