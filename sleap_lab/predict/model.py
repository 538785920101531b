"""One trained model, ready to run: where it runs, what it sees, and how its maps relate to the image."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sleap_lab.checkpoints import CropRule, TrainingConfig
from sleap_lab.networks import PoseNetwork
from sleap_lab.poses import Poses
from sleap_lab.preprocess import crop_origins, scale_and_pad, to_float

AUTOCAST_DTYPES = {"bf16": torch.bfloat16, "16": torch.float16}


@dataclass(frozen=True)
class Model:
    """A network with its training config on a device.

    Attributes:
        network: The network, in evaluation mode, on `device`.
        config: How it was trained.
        scale: Factor applied to images before the network.
        device: Where it runs.
        precision: `32`, `bf16` or `16`.
        crop_size: Side of the crops it sees, size-matched px; None where it sees whole images.
        crop_rule: How training crops were cut, where points are to lie on what crops show; None adds the fraction of
            a crop's corner, as sleap-nn does.
    """

    network: PoseNetwork
    config: TrainingConfig
    scale: float
    device: torch.device
    precision: str = "32"
    crop_size: int | None = None
    crop_rule: CropRule | None = None

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Run the network.

        Args:
            images: (b, c, h, w) size-matched images or crops.

        Returns:
            Float32 maps (b, channels, h / stride, w / stride) by head name; class vectors are (b, classes).
        """
        images = scale_and_pad(images, self.scale, self.config.max_stride)
        inputs = to_float(images.to(self.device)).contiguous(memory_format=torch.channels_last)
        dtype = AUTOCAST_DTYPES.get(self.precision)
        with torch.inference_mode(), torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None):
            return {name: output.float() for name, output in self.network(inputs).items()}

    def from_crops(self, points: np.ndarray, corners: np.ndarray) -> np.ndarray:
        """Turn points of crops into points of the image the crops were cut from.

        Args:
            points: (n, nodes, 2) px of the crops, as the network answers.
            corners: (n, 2) top-left corners of the crops, size-matched px.

        Returns:
            (n, nodes, 2) size-matched px.
        """
        if self.crop_rule is None:
            return points + corners[:, None]
        assert self.crop_size is not None, "models that see whole images have no crops"
        return self.crop_rule.content(points, self.crop_size) + crop_origins(corners, self.crop_size)[:, None]

    def to_image(self, points: np.ndarray, head: str) -> np.ndarray:
        """Turn points (…, 2) of a head's map space into size-matched px."""
        return points * (self.config.stride(head) / self.scale)


@dataclass(frozen=True)
class FrameBatch:
    """Frames on their way through a pipeline.

    Attributes:
        images: (b, c, h, w) size-matched, channels converted.
        eff: (b,) float64 factor from image space to size-matched px.
        where: (b, 2) int64 (video, frame).
    """

    images: Tensor
    eff: np.ndarray
    where: np.ndarray


@dataclass(frozen=True)
class Prediction:
    """What a pipeline finds in a batch.

    Attributes:
        poses: Instances in image space, with the batch's frames as processed frames.
        maps: Network outputs by name, for those who ask for them.
    """

    poses: Poses
    maps: dict[str, Tensor]
