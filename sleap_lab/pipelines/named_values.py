"""A network as other runtimes take it: its maps in a tuple, in an order that is known."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

MAX_SHAPES = 8
"""Image sizes that stay compiled: a compiled network takes any number of images, of one size."""


class NamedValues(nn.Module):
    """Network that returns its maps as a tuple; a call notes what they are.

    Attributes:
        shapes: By name, in the order of the tuple, the shape of a map of one image in the last
            call.
    """

    def __init__(self, network: nn.Module) -> None:
        """Take a network that maps (b, c, h, w) to maps by name."""
        super().__init__()
        self.network = network
        self.shapes: dict[str, tuple[int, ...]] = {}

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map images (b, c, h, w) to maps."""
        maps = self.network(x)
        self.shapes = {name: tuple(map(int, values.shape[1:])) for name, values in maps.items()}
        return tuple(maps.values())


@contextmanager
def tracing() -> Iterator[None]:
    """Follow a network in float32, without warnings of sizes that become constants."""
    with warnings.catch_warnings(), torch.autocast("cpu", enabled=False):
        warnings.simplefilter("ignore")
        yield
