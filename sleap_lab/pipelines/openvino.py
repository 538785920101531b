"""Networks compiled by OpenVINO, which is faster on a processor than PyTorch; an optional package.

OpenVINO fuses a convolution with the operations that follow it, so that fewer bytes go through the
memory. The outputs differ from those of PyTorch by rounding only: about 1e-6 of a confidence in
float32.
"""

import sys
import threading
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from sleap_lab.errors import ConfigError
from sleap_lab.pipelines.model import Network
from sleap_lab.pipelines.named_values import MAX_SHAPES, NamedValues, tracing
from sleap_lab.pipelines.profile import doing

PRECISIONS = {"32": "f32", "bf16": "bf16", "16": "f16"}


def compile_network(
    network: nn.Module, device: torch.device, precision: str, workers: int
) -> Network:
    """Return a function with the same outputs as a network.

    It may be called from several threads at once, each of which gets its share of the cores. The
    network is compiled for each image size at the first image of this size, which takes a few
    seconds.

    Args:
        network: Maps (b, c, h, w) to maps by name, in evaluation mode.
        device: Requested device.
        precision: `32`, `bf16` or `16`; without instructions of the processor for it, OpenVINO
            computes in float32.
        workers: Number of threads that call the function at the same time.

    Raises:
        ConfigError: The device is not a processor.
    """
    if device.type != "cpu":
        raise ConfigError(
            "runtime.backend: openvino runs on the processor only, "
            f"got runtime.device={device}; accepted there: torch"
        )
    settings = {
        "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "NUM_STREAMS": min(workers, torch.get_num_threads()),
    }
    values = NamedValues(network)
    lock, own = threading.Lock(), threading.local()

    @lru_cache(MAX_SHAPES)
    def compiled(*shape: int) -> Any:
        return _core().compile_model(_converted(values, shape), "CPU", settings)

    def request(shape: tuple[int, ...]) -> Any:
        """Return this thread's own request to the network for images of a shape."""
        if not hasattr(own, "requests"):
            own.requests = lru_cache(MAX_SHAPES)(
                lambda *shape: compiled(*shape).create_infer_request()
            )
        with doing("load"), lock:
            return own.requests(*shape)

    def infer(images: Tensor) -> dict[str, Tensor]:
        outputs = request(tuple(images.shape[1:])).infer(
            [images.contiguous().numpy()], share_inputs=True
        )
        return {name: torch.from_numpy(outputs[i]) for i, name in enumerate(values.shapes)}

    return infer


def _converted(network: nn.Module, shape: tuple[int, ...]) -> Any:
    """Return the OpenVINO model of a network for images of a shape (channels, height, width)."""
    openvino = _import_openvino()
    with tracing():  # the precision is a setting of the compiled network
        return openvino.convert_model(
            network,
            example_input=torch.zeros(2, *shape),
            input=[openvino.PartialShape([-1, *shape])],
        )


@cache
def _core() -> Any:
    """Return the only OpenVINO core of this process.

    Each core installs a stack for signal handlers in the thread that makes it, and restores the
    former stack when it is destroyed. Two cores that are destroyed in the order of their creation
    leave a stack that no longer exists, and the next Ctrl-C ends the process.
    """
    return _import_openvino().Core()


def _import_openvino() -> Any:
    """Import OpenVINO without its telemetry, which reports its use to its makers."""
    # None tells Python that the module cannot be imported.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino
