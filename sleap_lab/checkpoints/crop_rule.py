"""Where training put the content of a crop relative to its labels.

This depends on the version of SLEAP-NN that trained the model. Labels of a training crop are
relative to a corner with fractional coordinates. Only before 0.1.0 does the content of the crop
lie exactly there. Since then training cuts twice in a row, and each cut stretches a box of n - 1 px
over n pixels, which moves and magnifies the content. The network learns this displacement, so its
points must be moved by as much to lie on what it sees.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from packaging.version import Version

from sleap_lab.checkpoints.training_config import TrainingConfig

STRETCHED_SINCE = Version("0.1.0")


@dataclass(frozen=True)
class CropRule:
    """How the content of a training crop is displaced from its labels.

    What is labelled p appears at p + shift + gain * (p - middle of the crop), px of the crop.

    Attributes:
        shift: Displacement of the content along both axes, px.
        gain: Magnification of the content, minus 1.
    """

    shift: float
    gain: float = 0.0

    def content(self, points: np.ndarray, size: int) -> np.ndarray:
        """Return where in a crop the content lies that a network's points refer to.

        Args:
            points: (…, 2) points from the network, px of the crop before scaling, (x, y) from its
                first pixel.
            size: Side of the crop, px.
        """
        return points + self.shift + self.gain * (points - (size - 1) / 2)


def crop_rule(config: TrainingConfig, size: int) -> CropRule:
    """Return how the training crops of a model were cut.

    Without a version in the config, content is taken to be half a pixel off, which is the mean of
    what sleap-nn adds at inference.

    Args:
        config: Training config of a model of crops.
        size: Side of its crops where the config names none, px.
    """
    if config.legacy:
        return CropRule(0.0)
    if config.version is None:
        return CropRule(0.5)
    if config.version < STRETCHED_SINCE:
        return CropRule(0.0)
    size = max(config.crop_size or size, 2)
    first = int(math.sqrt(2) * size)  # side of the first cut, px
    # Each cut moves the middle of the crop by half a pixel along both axes. Random rotations of the
    # image turn this displacement, so that only its mean counts.
    return CropRule(
        shift=_mean_cosine(config.raw), gain=first / (first - 1) * size / (size - 1) - 1
    )


def _mean_cosine(raw: Mapping[str, Any]) -> float:
    """Return the mean cosine of the angles by which training rotated its images; 1 without any."""
    data = _section(raw, "data_config")
    geometric = _section(_section(data, "augmentation_config"), "geometric")
    low, high = (
        math.radians(_number(geometric, "rotation_min", 0)),
        math.radians(_number(geometric, "rotation_max", 0)),
    )
    share = _number(geometric, "rotation_p", _number(geometric, "affine_p", 0))
    if not data.get("use_augmentations_train") or high <= low:
        return 1.0
    return 1 - share + share * (math.sin(high) - math.sin(low)) / (high - low)


def _section(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = raw.get(name)
    return section if isinstance(section, Mapping) else {}


def _number(section: Mapping[str, Any], name: str, default: float) -> float:
    number = section.get(name)
    return float(number) if isinstance(number, (int, float)) else default
