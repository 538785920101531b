"""Networks compiled by PyTorch, for a fixed number of images of a size.

PyTorch compiles anew for each shape, which takes half a minute. So a compiled network sees the same
number of images in every pass: more are divided into passes, fewer are filled up with black images,
whose maps are dropped.
"""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from sleap_lab.errors import one_line
from sleap_lab.pipelines.memory import out_of_memory
from sleap_lab.pipelines.model import Network
from sleap_lab.pipelines.named_values import MAX_SHAPES
from sleap_lab.pipelines.profile import doing

Shape = tuple[int, ...]
"""Channels, height and width of an image."""

HINTS = " Set TORCHDYNAMO_VERBOSE"
"""Begins what PyTorch's messages say on top of the reason, for its developers."""

_compiling = threading.Lock()
"""PyTorch compiles one network at a time: a second one could load files that are half written."""


class Compiled:
    """A function with the same outputs as a network, which several threads may call.

    The network is compiled for each image size at the first image of this size. Where this fails,
    where there is no memory for a pass, and after `MAX_SHAPES` other sizes, all that follows of
    that size is computed without compilation.
    """

    def __init__(
        self, network: nn.Module, rows: int, tell: Callable[[str], None], backend: Any = "inductor"
    ) -> None:
        """Compile nothing yet.

        Args:
            network: Maps (b, c, h, w) to maps by name, in evaluation mode.
            rows: Images of a pass.
            tell: Gets a sentence where the network is not compiled.
            backend: Compiler: a name that PyTorch knows, or a function.
        """
        self._network, self._rows, self._tell, self._backend = network, rows, tell, backend
        self._ways: dict[Shape, Network] = {}

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Map images (b, c, h, w) to maps by name."""
        shape = tuple(images.shape[1:])
        try:
            way = self._way(shape, images)
            if way is self._network:
                return way(images)
            parts = [way(part) for part in _passes(images, self._rows)]
        except Exception as error:
            with _compiling:
                if out_of_memory(error) and self._ways.get(shape) is not self._network:
                    self._give_up(shape, f"there is not enough memory for {self._rows} at once")
            raise
        return {name: torch.cat([part[name] for part in parts])[: len(images)] for name in parts[0]}

    def _way(self, shape: Shape, images: Tensor) -> Network:
        """Return what computes images of a shape; compile it at the first of these images."""
        with doing("load"), _compiling:
            if shape in self._ways:
                return self._ways[shape]
            if len(self._ways) == MAX_SHAPES:
                return self._give_up(shape, f"{MAX_SHAPES} other sizes are")
            try:
                self._ways[shape] = torch.compile(
                    _of_its_own(self._network),
                    dynamic=False,
                    backend=self._backend,
                    options=_options(self._backend),
                )
                self._ways[shape](next(_passes(images, self._rows)))
            except Exception as error:
                if out_of_memory(error):
                    raise
                return self._give_up(shape, one_line(error).partition(HINTS)[0])
            return self._ways[shape]

    def _give_up(self, shape: Shape, why: str) -> Network:
        """Compute images of a shape without compilation from now on."""
        self._ways[shape] = self._network
        height, width = shape[1:]
        self._tell(f"A network is not compiled for images of {height}x{width} px: {why}.")
        return self._network


def _options(backend: Any) -> dict[str, Any] | None:
    """Return what keeps a compiler from choosing, by timing, what changes the last bits."""
    if backend != "inductor":
        return None
    from torch._inductor import list_options  # an import that other runs need not wait for

    return {"deterministic": True} if "deterministic" in list_options() else None


def _of_its_own(network: nn.Module) -> Network:
    """Return a function that calls a network, with code that no other function has.

    PyTorch counts how often the same code is compiled, whatever network it belongs to, and stops
    after eight times.
    """

    def call(images: Tensor) -> dict[str, Tensor]:
        return network(images)

    call.__code__ = call.__code__.replace()
    return call


def _passes(images: Tensor, rows: int) -> Iterator[Tensor]:
    """Yield images (b, c, h, w) in passes (rows, c, h, w), the last one filled up with zeros.

    All are laid out alike in memory, which is a part of what the network is compiled for.
    """
    for part in images.split(rows):
        whole = part.new_zeros((rows, *part.shape[1:])).to(memory_format=torch.channels_last)
        whole[: len(part)] = part
        yield whole
