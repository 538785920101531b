"""Networks compiled by OpenVINO, which is faster on a processor than PyTorch; an optional package.

It fuses a convolution with what follows it, so that fewer bytes go through the memory. The answers differ from PyTorch's by
rounding only: about 1e-6 of a confidence in float32.
"""

import sys
import threading
import warnings
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from sleap_lab.errors import ConfigError
from sleap_lab.pipelines.model import Network
from sleap_lab.pipelines.profile import doing

PRECISIONS = {"32": "f32", "bf16": "bf16", "16": "f16"}
MOST_SHAPES = 8
"""Image sizes that stay compiled; a compiled network takes batches of any size, but images of one size only."""


def compile_network(
    network: nn.Module, device: torch.device, precision: str, workers: int
) -> Network:
    """Return a function that answers as a network does.

    It may be called from several threads at once, each of which gets its share of the cores. A network is compiled for each size of
    images when the first of them comes, which takes a few seconds.

    Args:
        network: Maps (b, c, h, w) to maps by name, in evaluation mode.
        device: Where it was to run.
        precision: `32`, `bf16` or `16`; numbers that the processor has no instructions for are computed in float32.
        workers: Threads that will call the function at the same time.

    Raises:
        ConfigError: OpenVINO is not installed, or the device is not a processor.
    """
    if device.type != "cpu":
        raise ConfigError(
            f"runtime.backend: openvino runs on the processor only, got runtime.device={device}; accepted there: torch"
        )
    openvino = _import_openvino()
    settings = {
        "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "NUM_STREAMS": min(workers, torch.get_num_threads()),
    }
    values = _Values(network)
    lock, own = threading.Lock(), threading.local()

    @lru_cache(MOST_SHAPES)
    def compiled(channels: int, height: int, width: int) -> Any:
        sizes = openvino.PartialShape([-1, channels, height, width])
        with (
            warnings.catch_warnings(),
            torch.autocast("cpu", enabled=False),
        ):  # the precision is a setting of what is compiled
            warnings.simplefilter(
                "ignore"
            )  # of sizes that become constants, which is why each has a network of its own
            model = openvino.convert_model(
                values, example_input=torch.zeros(2, channels, height, width), input=[sizes]
            )
        return _core().compile_model(model, "CPU", settings)

    def request(shape: tuple[int, ...]) -> Any:
        """Return this thread's own request to the network for images of a shape."""
        if not hasattr(own, "requests"):
            own.requests = lru_cache(MOST_SHAPES)(
                lambda *shape: compiled(*shape).create_infer_request()
            )
        with doing("load"), lock:
            return own.requests(*shape)

    def answer(images: Tensor) -> dict[str, Tensor]:
        outputs = request(tuple(images.shape[1:])).infer(
            [images.contiguous().numpy()], share_inputs=True
        )
        return {name: torch.from_numpy(outputs[i]) for i, name in enumerate(values.names)}

    return answer


class _Values(nn.Module):
    """A network that answers with a tuple, as OpenVINO's do; the names of its maps are known once it was called."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.names: list[str] = []

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = self.network(x)
        self.names = list(maps)
        return tuple(maps.values())


@cache
def _core() -> Any:
    """Return the one OpenVINO of this process.

    Each would give the thread that makes it a stack for signal handlers, and when it goes bring back the one it found. Two of them
    that go in the order in which they came leave a stack that is no longer there, and the next Ctrl-C ends the process.
    """
    return _import_openvino().Core()


def _import_openvino() -> Any:
    """Import OpenVINO without the part of it that reports what it is used for to its makers."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # how Python is told that a module cannot be imported
    try:
        import openvino
    except ImportError:
        raise ConfigError(
            "runtime.backend: openvino is not installed; pip install 'sleap-lab[openvino]', or take torch"
        ) from None
    return openvino
