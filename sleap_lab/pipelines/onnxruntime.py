"""Networks that ONNX Runtime computes, on a processor or an NVIDIA card; an optional package.

PyTorch exports the network by tracing it, in a second or less. The outputs differ from those of
PyTorch by rounding only.
"""

import io
import threading
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.pipelines.model import Network
from sleap_lab.pipelines.named_values import MAX_SHAPES, NamedValues, tracing
from sleap_lab.pipelines.profile import doing

PROVIDERS: dict[str, tuple[str, dict[str, str]]] = {
    "cpu": ("CPUExecutionProvider", {}),
    # Float32 without shortcuts, and algorithms that are not chosen by timing them.
    "cuda": (
        "CUDAExecutionProvider",
        {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"},
    ),
}
"""What computes on each kind of device, and its options."""

IMAGES = "images"
"""Name of the exported network's input."""

_exporting = threading.Lock()
"""PyTorch exports one network at a time."""


def run_network(network: nn.Module, device: torch.device, workers: int) -> Network:
    """Return a function with the same outputs as a network, computed in float32.

    It may be called from several threads at once, each of which gets its share of the cores. The
    network is exported for each image size at the first image of this size.

    Args:
        network: Maps (b, c, h, w) to maps by name, in evaluation mode, on the processor.
        device: Where the images are, and where to compute.
        workers: Number of threads that call the function at the same time.

    Raises:
        ConfigError: The installed ONNX Runtime does not compute on the device.

    The function raises a RunError where ONNX Runtime cannot use the device after all.
    """
    runtime = import_module("onnxruntime")
    provider = choose_provider(device, runtime.get_available_providers())
    runtime.disable_telemetry_events()  # its build for Windows reports its use to its makers
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads = max(torch.get_num_threads() // workers, 1)
    settings.log_severity_level = 3  # errors
    values, lock = NamedValues(network), threading.Lock()

    @lru_cache(MAX_SHAPES)
    def session(*shape: int) -> tuple[Any, dict[str, tuple[int, ...]]]:
        """Return what computes images of a shape, and the shapes of its maps by name."""
        with _exporting:
            exported = _exported(values, shape)
        opened = runtime.InferenceSession(exported, settings, providers=[provider])
        if opened.get_providers()[0] != provider[0]:  # it has fallen back to the processor
            raise RunError(
                f"runtime.backend: ONNX Runtime cannot load its {provider[0]} for "
                f"runtime.device={device}; does this machine have the CUDA and cuDNN it asks for?"
            )
        return opened, dict(values.shapes)

    def infer(images: Tensor) -> dict[str, Tensor]:
        images = images.contiguous()
        with doing("load"), lock:
            opened, shapes = session(*images.shape[1:])
        maps = {
            name: torch.empty(len(images), *shape, device=device) for name, shape in shapes.items()
        }
        place, binding = (device.type, device.index or 0, np.float32), opened.io_binding()
        binding.bind_input(IMAGES, *place, tuple(images.shape), images.data_ptr())
        for name, output in maps.items():
            binding.bind_output(name, *place, tuple(output.shape), output.data_ptr())
        if device.type == "cuda":  # it has a queue of its own, which does not wait for PyTorch's
            torch.cuda.current_stream(device).synchronize()
        opened.run_with_iobinding(binding)
        return maps

    return infer


def choose_provider(device: torch.device, available: list[str]) -> tuple[str, dict[str, str]]:
    """Return what computes on a device, with its options.

    Args:
        device: Requested device.
        available: What the installed ONNX Runtime has.

    Raises:
        ConfigError: It has nothing for this device.
    """
    if device.type not in PROVIDERS:
        raise ConfigError(
            "runtime.backend: onnxruntime is for processors and CUDA, "
            f"got runtime.device={device}; accepted there: torch"
        )
    name, options = PROVIDERS[device.type]
    if device.type != "cpu":
        options = options | {"device_id": str(device.index or 0)}
    if name not in available:
        raise ConfigError(
            f"runtime.backend: the installed ONNX Runtime has no {name} for "
            f"runtime.device={device}; pip install onnxruntime-gpu in place of onnxruntime, "
            "or take runtime.device=cpu"
        )
    return name, options


def _exported(values: NamedValues, shape: tuple[int, ...]) -> bytes:
    """Return the ONNX file of a network for any number of images of a shape (channels, h, w)."""
    file = io.BytesIO()
    with tracing(), torch.inference_mode(False):
        images = torch.zeros(2, *shape)
        values(images)  # names the maps
        names = list(values.shapes)
        # The exporter that follows the code instead (dynamo) takes ten times as long.
        torch.onnx.export(
            values,
            (images,),
            file,  # type: ignore[arg-type]  # this exporter takes open files, too
            input_names=[IMAGES],
            output_names=names,
            dynamic_axes={name: {0: "batch"} for name in (IMAGES, *names)},
            dynamo=False,
        )
    return file.getvalue()
