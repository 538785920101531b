"""What runs a network: PyTorch as it is, PyTorch's compiler, OpenVINO or ONNX Runtime."""

from collections.abc import Callable
from math import ceil

import torch

from sleap_lab.checkpoints.training_config import Tiling
from sleap_lab.networks.placed import placed
from sleap_lab.networks.pose_network import PoseNetwork
from sleap_lab.pipelines.compiled import Compiled
from sleap_lab.pipelines.model import Network
from sleap_lab.pipelines.onnxruntime import run_network
from sleap_lab.pipelines.openvino import compile_network
from sleap_lab.pipelines.precision import hold_weights
from sleap_lab.pipelines.tiling import TILES_AT_ONCE, tiled
from sleap_lab.settings.config import RuntimeConfig


def runner(
    network: PoseNetwork,
    tiling: Tiling | None,
    runtime: RuntimeConfig,
    device: torch.device,
    tell: Callable[[str], None],
) -> Network:
    """Return a network as the backend runs it, on whole images or in tiles.

    Args:
        network: The network, in evaluation mode, on the processor.
        tiling: The tiles that it sees, if it sees tiles.
        runtime: Backend, precision and batch size.
        device: Where it runs.
        tell: Gets sentences that a reader of the results must know, while it runs.
    """
    batch_size = int(runtime.batch_size)
    run: Network
    if runtime.backend == "openvino":
        run = compile_network(network, device, runtime.precision, batch_size)
    elif runtime.backend == "onnxruntime":
        run = run_network(network, device, batch_size)
    else:
        run = network = placed(network, device)
        hold_weights(network, runtime.precision)
        if runtime.compile:
            run = Compiled(network, rows_of_a_pass(batch_size, device, tiling), tell)
    return run if tiling is None else tiled(run, tiling)


def rows_of_a_pass(batch_size: int, device: torch.device, tiling: Tiling | None) -> int:
    """Return how many images a compiled network sees: as few as workers have at a time.

    A worker of an accelerator takes a whole batch; cores share one.
    """
    if tiling is not None:
        return TILES_AT_ONCE
    if device.type != "cpu":
        return batch_size
    return ceil(batch_size / min(torch.get_num_threads(), batch_size))
