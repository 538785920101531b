"""The training targets of the networks, for images whose animals are known.

Coordinates are (x, y) px of the network input. A map pixel (column, row) lies at (column, row)
times the stride, without half-pixel terms. Rows of nan stand for animals that are not there.
"""

import torch
from torch import Tensor


def grid(shape: tuple[int, int], stride: int) -> Tensor:
    """Return the input coordinates of the pixels of a map, (h, w, 2) px.

    Args:
        shape: (height, width) of the image, px.
        stride: Stride of the map.
    """
    y, x = torch.meshgrid(
        torch.arange(0, shape[0], stride), torch.arange(0, shape[1], stride), indexing="ij"
    )
    return torch.stack([x, y], dim=-1).float()


def confidence_maps(points: Tensor, shape: tuple[int, int], stride: int, sigma: float) -> Tensor:
    """Return one map per node, with a Gaussian of height 1 around the node of each animal.

    Where Gaussians overlap, the larger value counts.

    Args:
        points: (b, n, nodes, 2) px.
        shape: Height and width of the images, px.
        stride: Output stride.
        sigma: Standard deviation of the Gaussians, px.

    Returns:
        (b, nodes, h, w) in [0, 1].
    """
    squared = (grid(shape, stride) - points[:, :, :, None, None]).square().sum(dim=-1)
    return torch.exp(-squared / (2 * sigma**2)).nan_to_num(0.0).amax(dim=1)


def part_affinity_fields(
    points: Tensor, edges: Tensor, shape: tuple[int, int], stride: int, reach: float
) -> Tensor:
    """Return the direction of the nearest animal's edge wherever one is near, zero elsewhere.

    Args:
        points: (b, n, nodes, 2) px.
        edges: (edges, 2) node indices, source and destination.
        shape: Height and width of the images, px.
        stride: Output stride.
        reach: Distance up to which an edge is painted, px.

    Returns:
        (b, 2 * edges, h, w), unit vectors; channel 2e is x and 2e + 1 is y of edge e.
    """
    source, destination = points[:, :, edges[:, 0]], points[:, :, edges[:, 1]]
    along = destination - source
    length = along.norm(dim=-1, keepdim=True)
    unit = along / length
    offset = grid(shape, stride) - source[:, :, :, None, None]
    run = (offset * unit[:, :, :, None, None]).sum(dim=-1).clamp(min=0)
    run = torch.minimum(run, length[..., None])
    distance = (
        (offset - run[..., None] * unit[:, :, :, None, None]).norm(dim=-1).nan_to_num(torch.inf)
    )
    nearest, animal = distance.min(dim=1)
    index = animal[:, None, :, :, :, None].expand(-1, -1, -1, -1, -1, 2)
    fields = unit[:, :, :, None, None].expand(*distance.shape, 2).gather(1, index)[:, 0]
    fields = torch.where((nearest <= reach)[..., None], fields, 0.0)
    return fields.permute(0, 1, 4, 2, 3).flatten(1, 2)


def class_maps(
    points: Tensor, classes: Tensor, count: int, shape: tuple[int, int], stride: int, reach: float
) -> Tensor:
    """Return one map per class: 1 around the nodes of its animals, 0 elsewhere.

    The nearest node decides the class of a pixel.

    Args:
        points: (b, n, nodes, 2) px.
        classes: (b, n) class of each animal.
        count: Number of classes.
        shape: Height and width of the images, px.
        stride: Output stride.
        reach: Distance up to which a node is painted, px.

    Returns:
        (b, count, h, w), 0 or 1.
    """
    distance = (
        (grid(shape, stride) - points[:, :, :, None, None])
        .norm(dim=-1)
        .nan_to_num(torch.inf)
        .amin(dim=2)
    )
    nearest, animal = distance.min(dim=1)
    owner = classes.gather(1, animal.flatten(1)).view_as(animal)
    return (
        (owner[:, None] == torch.arange(count)[:, None, None]) & (nearest <= reach)[:, None]
    ).float()
