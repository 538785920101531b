"""One trained model, ready to run: its device, its input, and how its maps relate to the image."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sleap_lab.checkpoints import CropRule, TrainingConfig
from sleap_lab.decode.paf import Candidates
from sleap_lab.networks.preprocess import crop_origins, scale_and_pad, to_float
from sleap_lab.pipelines.accelerator import Accelerator
from sleap_lab.pipelines.memory import Room
from sleap_lab.pipelines.precision import AUTOCAST_DTYPES
from sleap_lab.pipelines.profile import NETWORK, PREPROCESS, doing
from sleap_lab.poses.record import Poses

Network = Callable[[Tensor], dict[str, Tensor]]


@dataclass(frozen=True)
class Model:
    """A network with its training config on a device.

    Attributes:
        network: Maps images to maps by head; in evaluation mode, on `device`.
        config: Training config of the model.
        scale: Factor applied to images before the network.
        first_channels: Channels of the network's first layer.
        device: Device that the network runs on.
        precision: `32`, `bf16` or `16`.
        crop_size: Side of the crops it sees, size-matched px; None for models of whole images.
        crop_rule: How training crops were cut, to put points on what crops show; None adds the
            fraction of a crop's corner, as sleap-nn does.
        accelerator: The device where it is not the processor.
    """

    network: Network
    config: TrainingConfig
    scale: float
    first_channels: int
    device: torch.device
    precision: str = "32"
    crop_size: int | None = None
    crop_rule: CropRule | None = None
    accelerator: Accelerator | None = None

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Run the network.

        Args:
            images: (b, c, h, w) size-matched images or crops, on the model's device.

        Returns:
            Float32 maps (b, channels, h / stride, w / stride) by head name; class vectors are
            (b, classes).
        """
        with doing(PREPROCESS):
            images = scale_and_pad(images, self.scale, self.config.image_stride)
            inputs = to_float(images).contiguous(memory_format=torch.channels_last)
        dtype = AUTOCAST_DTYPES.get(self.precision)
        with (
            doing(NETWORK),
            torch.inference_mode(),
            torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None),
        ):
            maps = {name: output.float() for name, output in self.network(inputs).items()}
            if self.accelerator is not None:
                self.accelerator.wait()
        return maps

    def from_crops(self, points: np.ndarray, corners: np.ndarray) -> np.ndarray:
        """Turn points of crops into points of the image that the crops are cut from.

        Args:
            points: (n, nodes, 2) points from the network, px of the crops.
            corners: (n, 2) top-left corners of the crops, size-matched px.

        Returns:
            (n, nodes, 2) size-matched px.
        """
        if self.crop_rule is None:
            return points + corners[:, None]
        assert self.crop_size is not None, "models that see whole images have no crops"
        return (
            self.crop_rule.content(points, self.crop_size)
            + crop_origins(corners, self.crop_size)[:, None]
        )

    def crop_boxes(self, corners: np.ndarray) -> np.ndarray:
        """Return the positions of the first and the last pixel of crops.

        Args:
            corners: (n, 2) top-left corners of the crops, size-matched px.

        Returns:
            (n, 2, 2) size-matched px, (x, y) of both pixels.
        """
        assert self.crop_size is not None, "models that see whole images have no crops"
        last = self.crop_size - 1.0
        ends = np.broadcast_to([[0.0, 0.0], [last, last]], (len(corners), 2, 2))
        return self.from_crops(ends, corners)

    def pixel_size(self, head: str) -> float:
        """Return the size of a pixel of a head's maps, size-matched px."""
        return self.config.stride(head) / self.scale

    def pixel_sizes(self, *heads: str) -> dict[str, float]:
        """Return the sizes of the pixels of maps by head, size-matched px."""
        return {head: self.pixel_size(head) for head in heads}

    def to_image(self, points: np.ndarray, head: str) -> np.ndarray:
        """Turn points (…, 2) of a head's map space into size-matched px."""
        return points * self.pixel_size(head)


@dataclass(frozen=True)
class FrameBatch:
    """Frames that a pipeline processes together.

    Attributes:
        images: (b, c, h, w) size-matched, channels converted.
        eff: (b,) float64 factor from image space to size-matched px.
        where: (b, 2) int64 (video, frame).
        room: What passes have room for, of all batches.
        alone: Whether nobody else uses the memory and the frames cannot be fewer, so that passes of
            crops must become smaller where it runs out.
    """

    images: Tensor
    eff: np.ndarray
    where: np.ndarray
    room: Room = field(default_factory=Room)
    alone: bool = False


@dataclass(frozen=True)
class Graph:
    """What a frame's instances are assembled from: peaks and the edges that can connect them.

    Attributes:
        points: (p, 2) px, image space, all peaks of the frame.
        scores: (p,) confidence of each peak.
        nodes: (p,) node of each peak.
        candidates: Candidate edges; their peaks are rows of `points`.
    """

    points: np.ndarray
    scores: np.ndarray
    nodes: np.ndarray
    candidates: Candidates


@dataclass(frozen=True)
class Crops:
    """The crop of each instance, one row per instance.

    Attributes:
        centroids: (n, 2) px, image space, centroids that the crops are cut around.
        scores: (n,) confidence of the centroids; 1 for labelled ones.
        boxes: (n, 2, 2) px, image space (x, y), positions of the first and the last pixel of each
            crop.
        maps: Network outputs (n, …) by name.
    """

    centroids: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    maps: dict[str, Tensor]


@dataclass(frozen=True)
class Prediction:
    """What a pipeline finds in a batch.

    Attributes:
        poses: Instances in image space, with the batch's frames as processed frames.
        maps: Network outputs of whole frames by name, if requested: (b, …).
        pixel_sizes: Size of a pixel of maps by name, size-matched px.
        crops: Crops of the instances of top-down models, if requested.
        graphs: For each frame, what the instances of bottom-up models are assembled from, if
            requested.
        sizes: (b, 2) int64 height and width of the frames, px; 0 for unreadable frames.
        eff: (b,) factor from image space to size-matched px; nan for unreadable frames.
        observations: Dataclasses of arrays that the pipeline's plan decodes into these poses; None
            where they are not enough for other settings, as with an unreadable frame.
        truncated: Whether there were more peaks above the threshold than can be used.
    """

    poses: Poses
    maps: dict[str, Tensor]
    pixel_sizes: dict[str, float] = field(default_factory=dict)
    crops: Crops | None = None
    graphs: tuple[Graph, ...] = ()
    sizes: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))
    eff: np.ndarray = field(default_factory=lambda: np.zeros(0))
    observations: tuple[Any, ...] | None = None
    truncated: bool = False
