"""How much of an image a network sees when it computes one pixel of a map."""

import torch
from torch import Tensor, nn

NARROWEST, WIDEST = 512, 8192
"""Widths of the images that are tried, px."""


def receptive_field(network: nn.Module, channels: int, stride: int) -> int | None:
    """Return about how wide the image region is that a pixel of the first map depends on.

    It is found out on the network: nan spreads to everything that is computed from it, whatever the
    weights. As many map pixels depend on one image pixel as the region of a map pixel is wide, in
    pixels of the map.

    Args:
        network: Maps images (b, c, h, w) to maps by name, in evaluation mode.
        channels: Channels of its images.
        stride: Multiple that the sides of its images must be of.

    Returns:
        Width in px of the network's input, to a pixel of the map; None where it is more than half
        of `WIDEST`.
    """
    width = NARROWEST
    while width <= WIDEST:
        image = torch.zeros(1, channels, 2 * stride, width // stride * stride)
        image[..., image.shape[-1] // 2] = torch.nan
        with torch.inference_mode():
            first: Tensor = next(iter(network(image).values()))
        reached = first.isnan().flatten(0, -2).any(dim=0).nonzero()
        seen = int(reached.max() - reached.min() + 1) * image.shape[-1] // first.shape[-1]
        if seen <= width // 2:
            return seen
        width *= 2
    return None
