"""Large images in overlapping square tiles, as sleap-nn predicts with models trained on tiles.

Every tile goes through the network by itself. Where tiles overlap, the maps are averaged; pixels in
the middle of a tile, which see more of their surroundings, weigh more. So the network never needs
memory for more than a few tiles, whatever the size of the image.
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from sleap_lab.checkpoints.training_config import Tiling
from sleap_lab.pipelines.model import Network

TILES_AT_ONCE = 4
LEAST_WEIGHT = 1e-3
"""Smallest weight of a pixel beside that of the middle of a tile, which is 1."""


def tiled(network: Network, tiling: Tiling) -> Network:
    """Return a network that sees images in tiles.

    Args:
        network: Maps images (b, c, h, w) to maps by name.
        tiling: Size and overlap of the tiles, and how they are joined.

    Returns:
        A function that maps images whose sides are multiples of the strides of the maps to maps of
        the whole images.
    """

    def run(images: Tensor) -> dict[str, Tensor]:
        h, w = images.shape[-2:]
        larger = F.pad(images, (0, max(tiling.size - w, 0), 0, max(tiling.size - h, 0)))
        each = [_joined(network, image, tiling) for image in larger]
        maps = {name: torch.stack([one[name] for one in each]) for name in each[0]}
        strides = {name: larger.shape[-1] // value.shape[-1] for name, value in maps.items()}
        return {
            name: value[..., : h // strides[name], : w // strides[name]]
            for name, value in maps.items()
        }

    return run


def starts(length: int, tiling: Tiling) -> list[int]:
    """Return where tiles begin along a side; the last one ends where the side ends.

    Args:
        length: Length of the side, at least that of a tile, px.
        tiling: Size and overlap of the tiles.
    """
    last = length - tiling.size
    return [*range(0, last, tiling.size - tiling.overlap), last]


@lru_cache
def window(side: int, tiling: Tiling, device: torch.device) -> Tensor:
    """Return the weights (side, side) of the pixels of a tile's map, on a device.

    They are 1, or a Gaussian around the middle whose sigma is a share of the side.
    """
    if tiling.blend == "constant":
        return torch.ones(side, side, device=device)
    from_middle = torch.arange(side) - (side - 1) / 2
    line = torch.exp(-(from_middle**2) / (2 * (tiling.sigma_scale * side) ** 2))
    weights = line[:, None] * line
    return weights.clamp_min(max(float(weights.min()), LEAST_WEIGHT)).to(device)


def _joined(network: Network, image: Tensor, tiling: Tiling) -> dict[str, Tensor]:
    """Return the maps (channels, h / stride, w / stride) of one image (c, h, w) by name."""
    size = tiling.size
    h, w = image.shape[-2:]
    places = [(y, x) for y in starts(h, tiling) for x in starts(w, tiling)]
    sums: dict[str, Tensor] = {}
    weights: dict[str, Tensor] = {}
    for first in range(0, len(places), TILES_AT_ONCE):
        part = places[first : first + TILES_AT_ONCE]
        maps = network(torch.stack([image[:, y : y + size, x : x + size] for y, x in part]))
        for name, tiles in maps.items():
            side = tiles.shape[-1]
            stride = size // side
            weight = window(side, tiling, tiles.device)
            if name not in sums:
                weights[name] = weight.new_zeros(h // stride, w // stride)
                sums[name] = weight.new_zeros(tiles.shape[1], h // stride, w // stride)
            for (y, x), tile in zip(part, tiles, strict=True):
                top, left = y // stride, x // stride
                rows, columns = slice(top, top + side), slice(left, left + side)
                sums[name][:, rows, columns] += tile.float() * weight
                weights[name][rows, columns] += weight
    return {name: total.div_(weights[name]) for name, total in sums.items()}
