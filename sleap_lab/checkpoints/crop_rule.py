"""Where training put the content of a crop relative to its labels, by the version of SLEAP-NN that trained a model.

Labels of a training crop are counted from a corner with a fraction. What the crop shows lay there exactly only before
0.1.0; since then two crops in a row have each stretched a box of n - 1 px over n pixels, which moves and magnifies it.
A network answers what it was taught, so its answers must be moved by as much to lie on what it sees.
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
    """Training crops show what is labelled p at p + shift + gain * (p - middle of the crop), px of the crop.

    Attributes:
        shift: What the content is moved by along both axes, px.
        gain: What it is magnified by, minus 1.
    """

    shift: float
    gain: float = 0.0

    def content(self, answers: np.ndarray, size: int) -> np.ndarray:
        """Return where in a crop the content lies for which a network answers.

        Args:
            answers: (…, 2) px of the crop before it was scaled, (x, y) from its first pixel.
            size: Side of the crop, px.
        """
        return answers + self.shift + self.gain * (answers - (size - 1) / 2)


def crop_rule(config: TrainingConfig, size: int) -> CropRule:
    """Return how the training crops of a model were cut.

    Where the version is not told, content is half a pixel off, the mean of what sleap-nn adds at inference.

    Args:
        config: Training config of a model that sees crops.
        size: Side of its crops where the config does not tell, px.
    """
    if config.legacy:
        return CropRule(0.0)
    if config.version is None:
        return CropRule(0.5)
    if config.version < STRETCHED_SINCE:
        return CropRule(0.0)
    size = max(config.crop_size or size, 2)
    first = int(math.sqrt(2) * size)
    # Each crop moves its middle by half a pixel along both axes; random rotations of the image turn that, and blur it.
    return CropRule(
        shift=_mean_cosine(config.raw), gain=first / (first - 1) * size / (size - 1) - 1
    )


def _mean_cosine(raw: Mapping[str, Any]) -> float:
    """Return the mean cosine of the angles by which training turned its images; 1 where it did not."""
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
