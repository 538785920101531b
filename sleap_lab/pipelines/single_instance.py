"""One animal per frame: the highest pixel of every node's map."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sleap_lab.decode.peaks import global_peaks
from sleap_lab.pipelines.accelerator import on_host
from sleap_lab.pipelines.model import FrameBatch, Model
from sleap_lab.pipelines.observation import Observed, Refinements, refined
from sleap_lab.poses.record import Poses, Skeleton, make_poses


@dataclass(frozen=True)
class GlobalPeaks:
    """The highest pixel of every map.

    Attributes:
        where: (b, 2) int64 (video, frame).
        points: (b, nodes, refinements, 2) float64 px, image space, by each of the requested
            refinements.
        values: (b, nodes) float32, confidence.
    """

    where: np.ndarray
    points: np.ndarray
    values: np.ndarray


def observe_global_peaks(
    batch: FrameBatch, model: Model, *, refinements: Refinements
) -> Observed[GlobalPeaks]:
    """Find the highest pixel of every map of a batch."""
    maps = model(batch.images)
    points, values = refined_global_peaks(maps, refinements)
    points, values = on_host(points, values)
    in_image = model.to_image(points.double().numpy(), "confmaps") / batch.eff[:, None, None, None]
    return Observed(
        GlobalPeaks(batch.where, in_image, values.numpy()), maps, model.pixel_sizes(*maps)
    )


def refined_global_peaks(
    maps: Mapping[str, Tensor], refinements: Refinements
) -> tuple[Tensor, Tensor]:
    """Return the points and values of the highest pixels of confidence maps.

    Returns:
        points (b, nodes, refinements, 2) in map space, values (b, nodes).
    """
    points, values = global_peaks(maps["confmaps"])
    b, nodes = values.shape
    each = torch.arange(b * nodes, device=values.device)
    moved = refined(
        maps, each.div(nodes, rounding_mode="floor"), each % nodes, points.view(-1, 2), refinements
    )
    return moved.view(b, nodes, -1, 2), values


def decode_global_peaks(
    observed: GlobalPeaks, skeleton: Skeleton, *, peak_threshold: float, refinement: int
) -> Poses:
    """Make at most one instance per frame; its score is the sum of its point scores.

    Frames in which no node is found stay empty.

    Args:
        observed: Observed pixels.
        skeleton: Skeleton of the poses.
        peak_threshold: Smallest confidence of a node.
        refinement: Which of the observed refinements to take.
    """
    found = observed.values >= peak_threshold
    points = np.where(found[..., None], observed.points[:, :, refinement], np.nan)
    scores = np.where(found, observed.values, 0).astype(np.float64)
    kept = ~np.isnan(points).all(axis=(1, 2))
    return make_poses(
        skeleton,
        points[kept],
        video=observed.where[kept, 0],
        frame=observed.where[kept, 1],
        point_scores=scores[kept],
        instance_scores=scores[kept].sum(axis=1),
        frames=observed.where,
    )
