"""Peaks of confidence maps: tensors in, points in map space out."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Refinement:
    """Integral refinement: peaks move off the grid to the centre of mass of the map around them.

    Attributes:
        patch_size: Side of the patch around a peak, map pixels.
        bounded: Leave negative confidences out, so that no peak leaves its patch; otherwise they
            count like others, as in sleap-nn.
    """

    patch_size: int
    bounded: bool = False


def global_peaks(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Find the highest pixel of every map; of equal ones, the first in reading order.

    Args:
        maps: (b, nodes, h, w) confidence maps.

    Returns:
        Points (b, nodes, 2), map space (x, y), whole pixels; values (b, nodes).
    """
    w = maps.shape[-1]
    values, index = maps.flatten(2).max(dim=-1)
    return torch.stack((index % w, index.div(w, rounding_mode="floor")), dim=-1).to(
        maps.dtype
    ), values


def local_peaks(maps: Tensor, threshold: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Find all local maxima.

    A pixel is a peak if it is above the threshold, strictly above the four neighbours before it in
    reading order and at least as high as the four after it. Equal neighbours count as one peak at
    their mean if they fit into a block of 2x2 pixels and all pixels around them are lower; wider
    plateaus are no peak.

    Args:
        maps: (b, nodes, h, w) confidence maps.
        threshold: Peaks are strictly above it.

    Returns:
        samples (n,), nodes (n,), points (n, 2) in map space (x, y), values (n,), ordered by sample,
        row, column, node.
    """
    padded = F.pad(maps, (1, 1, 1, 1), value=-torch.inf)
    n_nodes, height, width = padded.shape[1:]
    pixels = padded.permute(0, 2, 3, 1).reshape(-1)
    row, column = width * n_nodes, n_nodes  # steps from pixel to pixel in the flat array
    before = torch.tensor([-row - column, -row, -row + column], device=maps.device)
    after = torch.tensor([column, row - column, row, row + column], device=maps.device)
    peaks = (pixels > threshold).nonzero().flatten()
    peaks = peaks[pixels[peaks] > pixels[peaks - column]]  # cheap: leaves few pixels for the rest
    peaks = peaks[(pixels[peaks][:, None] > pixels[peaks[:, None] + before]).all(dim=1)]
    values, later = pixels[peaks], pixels[peaks[:, None] + after]
    highest = (values[:, None] >= later).all(dim=1)
    peaks, values, later = peaks[highest], values[highest], later[highest]
    tied = (later == values[:, None]).any(dim=1).nonzero().flatten()
    nodes, places = peaks % n_nodes, peaks.div(n_nodes, rounding_mode="floor")
    columns, places = places % width - 1, places.div(width, rounding_mode="floor")
    rows, samples = places % height - 1, places.div(height, rounding_mode="floor")
    points = torch.stack((columns, rows), dim=-1).to(maps.dtype)
    if len(tied):
        keep = torch.ones(len(values), dtype=torch.bool, device=maps.device)
        for i in tied.tolist():
            mean = _tied_mean(padded[samples[i], nodes[i]], int(rows[i]), int(columns[i]))
            keep[i] = mean is not None
            if mean is not None:
                points[i] = points.new_tensor(mean)
        samples, nodes, points, values = samples[keep], nodes[keep], points[keep], values[keep]
    return samples, nodes, points, values


def _tied_mean(padded: Tensor, row: int, column: int) -> tuple[float, float] | None:
    """Return the mean (x, y) of the pixels equal to a peak, or None if wider than 2x2 pixels.

    Args:
        padded: (h + 2, w + 2) one map with a border of -inf.
        row: Row of the first of the equal pixels, in the map without border.
        column: Column of that pixel.
    """
    value = padded[row + 1, column + 1]
    for left in (column, column - 1):
        tied = {
            (y, x)
            for y in (row, row + 1)
            for x in (left, left + 1)
            if padded[y + 1, x + 1] == value
        }
        around = {
            (y + dy, x + dx) for y, x in tied for dy in (-1, 0, 1) for dx in (-1, 0, 1)
        } - tied
        if all(padded[y + 1, x + 1] < value for y, x in around):
            return sum(x for _, x in tied) / len(tied), sum(y for y, _ in tied) / len(tied)
    return None


def refine(
    maps: Tensor,
    samples: Tensor,
    nodes: Tensor,
    points: Tensor,
    refinement: Refinement | Tensor | None,
) -> Tensor:
    """Move peaks to the centre of mass of the map around them, or by predicted offsets.

    With offsets g from -(k - 1) / 2 to (k - 1) / 2 and map values v in a k x k patch, zeros outside
    the map: dx = sum(g_x v) / sum(v), dy likewise. Unbounded refinement can move a peak any
    distance where the sum is near zero. In bounded refinement values below zero count as zero, and
    a peak with no value above zero in its patch stays where it is.

    Args:
        maps: (b, nodes, h, w) confidence maps.
        samples: (n,) sample of each peak.
        nodes: (n,) map of each peak.
        points: (n, 2) peaks, map space (x, y); peaks between pixels move from their rounded-down
            position.
        refinement: Size k of the patch, and whether values are bounded; or offsets
            (b, 2 * nodes, h, w), map pixels, x and y of the first node, then of the next; None
            leaves points where they are.

    Returns:
        (n, 2) refined points, map space (x, y).
    """
    if refinement is None:
        return points
    pixels = points.floor().long()
    if isinstance(refinement, Tensor):
        return (
            pixels + refinement.unflatten(1, (-1, 2))[samples, nodes, :, pixels[:, 1], pixels[:, 0]]
        )
    k, half = refinement.patch_size, refinement.patch_size // 2
    padded = F.pad(maps, (half, half, half, half))
    steps = torch.arange(k, device=maps.device)
    rows = pixels[:, 1, None, None] + steps[None, :, None]
    columns = pixels[:, 0, None, None] + steps[None, None, :]
    patches = padded[samples[:, None, None], nodes[:, None, None], rows, columns]
    offsets = steps.to(maps.dtype) - (k - 1) / 2
    if refinement.bounded:
        patches = patches.clamp(min=0)
        # Where the pixels are; the offsets above are half a pixel off for an even k.
        offsets = steps.to(maps.dtype) - half
    mass = patches.sum(dim=(1, 2))
    dx = (patches.sum(dim=1) * offsets).sum(dim=1) / mass
    dy = (patches.sum(dim=2) * offsets).sum(dim=1) / mass
    moved = torch.stack((dx, dy), dim=-1)
    return pixels + (moved.where(mass[:, None] > 0, 0.0) if refinement.bounded else moved)
