"""Peaks of confidence maps: tensors in, points in map space out."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
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


def on_processor(*tensors: Tensor) -> bool:
    """Return whether tensors lie in the memory of the processor, where NumPy takes small steps."""
    return all(tensor.device.type == "cpu" for tensor in tensors)


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
    find = _highest_among_few if on_processor(maps) else _highest_of_all
    samples, nodes, rows, columns, values, after = find(maps, threshold)
    points = torch.stack((columns, rows), dim=-1).to(maps.dtype)
    tied = (after == values[:, None]).any(dim=1).nonzero().flatten()
    if len(tied):
        keep = torch.ones(len(values), dtype=torch.bool, device=maps.device)
        y = rows[tied, None] + torch.arange(-1, 3, device=maps.device)
        x = columns[tied, None] + torch.arange(-2, 3, device=maps.device)
        near = patches(maps, samples[tied], nodes[tied], y, x, outside=-torch.inf)
        points[tied], keep[tied] = _tied_means(near, points[tied], values[tied])
        kept = keep.nonzero().flatten()
        samples, nodes, points, values = (each[kept] for each in (samples, nodes, points, values))
    return samples, nodes, points, values


def _highest_among_few(maps: Tensor, threshold: float) -> tuple[Tensor, ...]:
    """Find the pixels that are above a threshold and not below a neighbour, as a processor should.

    It looks at pixels above the threshold only, which are few, and uses NumPy, which begins each
    step in less time than PyTorch.

    Returns:
        samples, nodes, rows, columns and values (n,), and the four neighbours after each (n, 4), in
        the order of `local_peaks`.
    """
    n_nodes, h, w = maps.shape[1:]
    pixels = maps.permute(0, 2, 3, 1).reshape(-1).numpy()
    peaks = np.flatnonzero(pixels > threshold)
    # Cheap, and leaves few pixels for the rest: a row by itself, then a column.
    peaks = _highest_in_line(pixels, peaks, n_nodes, w)
    peaks = _highest_in_line(pixels, peaks, n_nodes * w, h)
    places, nodes = np.divmod(peaks, n_nodes)
    places, columns = np.divmod(places, w)
    samples, rows = np.divmod(places, h)
    values, steps = pixels[peaks], np.arange(-1, 2)
    around = _patches_here(
        maps, samples, nodes, rows[:, None] + steps, columns[:, None] + steps, -np.inf
    ).reshape(-1, 9)
    before, after = around[:, :4], around[:, 5:]
    highest = (values[:, None] > before).all(axis=1) & (values[:, None] >= after).all(axis=1)
    found = samples, nodes, rows, columns, values, after
    return tuple(torch.from_numpy(each[highest]) for each in found)


def _highest_of_all(maps: Tensor, threshold: float) -> tuple[Tensor, ...]:
    """Find what `_highest_among_few` finds, as an accelerator should.

    It compares all pixels at once, because the number of pixels in every further step is a wait for
    the device.
    """
    h, w = maps.shape[-2:]
    bordered = F.pad(maps, (1, 1, 1, 1), value=-torch.inf)
    peaks = maps > threshold
    for place in range(9):
        top, left = divmod(place, 3)
        neighbours = bordered[..., top : top + h, left : left + w]
        if place != 4:
            peaks &= maps > neighbours if place < 4 else maps >= neighbours
    samples, rows, columns, nodes = peaks.permute(0, 2, 3, 1).nonzero().unbind(dim=1)
    around = _around(maps, samples, nodes, torch.stack((columns, rows), dim=-1), 3, -torch.inf)
    return samples, nodes, rows, columns, around[:, 1, 1], around.flatten(1)[:, 5:]


def _highest_in_line(pixels: np.ndarray, peaks: np.ndarray, step: int, length: int) -> np.ndarray:
    """Return the pixels that are above the one before them and at least as high as the one after.

    Args:
        pixels: All pixels, lines of `length` one after the other.
        peaks: Pixels to look at.
        step: Distance of neighbours in a line.
        length: Pixels of a line; the first has none before it and the last none after it.
    """
    place, values = peaks % (step * length), pixels[peaks]
    before = pixels.take(peaks - step, mode="clip")
    after = pixels.take(peaks + step, mode="clip")
    return peaks[
        ((place < step) | (values > before)) & ((place >= step * (length - 1)) | (values >= after))
    ]


def patches(
    maps: Tensor, samples: Tensor, nodes: Tensor, rows: Tensor, columns: Tensor, *, outside: float
) -> Tensor:
    """Return pixels (n, r, c) of maps.

    Args:
        maps: (b, nodes, h, w).
        samples: (n,) sample of each patch.
        nodes: (n,) map of each patch.
        rows: (n, r) rows of its pixels.
        columns: (n, c) columns of its pixels.
        outside: Value of pixels outside the map.
    """
    if on_processor(maps):
        sample, node, y, x = (each.numpy() for each in (samples, nodes, rows, columns))
        return torch.from_numpy(_patches_here(maps, sample, node, y, x, outside))
    h, w = maps.shape[-2:]
    inside = ((rows >= 0) & (rows < h))[:, :, None] & ((columns >= 0) & (columns < w))[:, None]
    rows, columns = rows.clamp(0, h - 1)[:, :, None], columns.clamp(0, w - 1)[:, None]
    found = maps[samples[:, None, None], nodes[:, None, None], rows, columns]
    return found.where(inside, outside)


def _patches_here(
    maps: Tensor,
    samples: np.ndarray,
    nodes: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    outside: float,
) -> np.ndarray:
    """Return what `patches` returns, of maps in the memory of the processor."""
    h, w = maps.shape[-2:]
    y, x = rows[:, :, None], columns[:, None]
    inside = ((y >= 0) & (y < h)) & ((x >= 0) & (x < w))
    y, x = np.minimum(np.maximum(y, 0), h - 1), np.minimum(np.maximum(x, 0), w - 1)
    found = maps.numpy()[samples[:, None, None], nodes[:, None, None], y, x]
    return np.where(inside, found, np.float32(outside))


def _tied_means(around: Tensor, points: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean of the pixels equal to each peak, and whether they fit into 2x2 pixels.

    Args:
        around: (n, 4, 5) pixels around each peak, which is in row 1 and column 2.
        points: (n, 2) peaks, map space (x, y), the first of the equal pixels.
        values: (n,) their values.

    Returns:
        means (n, 2) in map space (x, y), and (n,) bool.
    """
    equal = around == values[:, None, None]
    lower = around < values[:, None, None]
    means, fits = points.clone(), torch.zeros_like(values, dtype=torch.bool)
    for left in (2, 1):  # the blocks of 2x2 pixels that a peak can be in the first row of
        tied = torch.zeros_like(equal)
        tied[:, 1:3, left : left + 2] = equal[:, 1:3, left : left + 2]
        near = F.max_pool2d(tied.to(points.dtype)[:, None], 3, stride=1, padding=1)[:, 0] > 0
        alone = (lower | tied | ~near).flatten(1).all(dim=1)
        count = tied.sum(dim=(1, 2))
        x = (tied * torch.arange(-2, 3, device=points.device)).sum(dim=(1, 2))
        y = (tied * torch.arange(-1, 3, device=points.device)[:, None]).sum(dim=(1, 2))
        mean = (count[:, None] * points + torch.stack((x, y), dim=-1)) / count[:, None]
        means, fits = torch.where((alone & ~fits)[:, None], mean, means), fits | alone
    return means, fits


def refine(
    maps: Tensor,
    samples: Tensor,
    nodes: Tensor,
    points: Tensor,
    refinements: Sequence[Refinement | Tensor | None],
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
        refinements: Each is the size k of the patch, and whether values are bounded; or offsets
            (b, 2 * nodes, h, w), map pixels, x and y of the first node, then of the next; None
            leaves points where they are.

    Returns:
        (n, refinements, 2) points by each of the refinements, map space (x, y).
    """
    pixels = points.floor().long()
    sizes = {one.patch_size for one in refinements if isinstance(one, Refinement)}
    around = {k: _around(maps, samples, nodes, pixels, k, 0.0) for k in sizes}
    moved = []
    for refinement in refinements:
        if refinement is None:
            moved.append(points)
        elif isinstance(refinement, Tensor):
            offsets = refinement.unflatten(1, (-1, 2))
            moved.append(pixels + offsets[samples, nodes, :, pixels[:, 1], pixels[:, 0]])
        else:
            moved.append(pixels + _centre(around[refinement.patch_size], refinement))
    return torch.stack(moved, dim=1)


def _around(
    maps: Tensor, samples: Tensor, nodes: Tensor, pixels: Tensor, k: int, outside: float
) -> Tensor:
    """Return the patches (n, k, k) around pixels (n, 2) of maps."""
    steps = _steps(k, maps.device)
    y, x = pixels[:, 1, None] + steps, pixels[:, 0, None] + steps
    return patches(maps, samples, nodes, y, x, outside=outside)


@lru_cache
def _steps(k: int, device: torch.device) -> Tensor:
    """Return how far the pixels of a patch (k,) are from the one in its middle."""
    return torch.arange(k, device=device) - k // 2


def _centre(around: Tensor, refinement: Refinement) -> Tensor:
    """Return the centres of mass (n, 2) of patches, from the pixel in their middle."""
    offsets = _steps(refinement.patch_size, around.device).to(around.dtype)
    if refinement.bounded:
        around = around.clamp(min=0)
    elif not refinement.patch_size % 2:
        offsets = offsets + 0.5  # half a pixel off where the pixels are
    mass = around.sum(dim=(1, 2))
    dx = (around.sum(dim=1) * offsets).sum(dim=1) / mass
    dy = (around.sum(dim=2) * offsets).sum(dim=1) / mass
    moved = torch.stack((dx, dy), dim=-1)
    return moved.where(mass[:, None] > 0, 0.0) if refinement.bounded else moved
