"""A stand-in for an accelerator: what it is given takes a set time, and costs the processor none.

Its networks answer with drawn maps, so that peaks, crops and grouping have their usual work.
"""

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sleap_lab.checkpoints import TrainingConfig
from sleap_lab.decode import peaks
from sleap_lab.pipelines import accelerator
from sleap_lab.pipelines.accelerator import Accelerator
from sleap_lab.pipelines.model import Network
from sleap_lab.poses.record import Skeleton

NODES = 13
STRIDE = 4
CROP = 96
SPREAD = 1.5
"""Standard deviation of the drawn peaks, map pixels."""
BODY = 4
"""Distance between the nodes of an animal, map pixels; an animal is a horizontal line."""


class Operators(TorchDispatchMode):
    """Measures what PyTorch's operators compute within this context.

    To start one is left out: that is the work of the processor wherever the operator runs.

    Attributes:
        seconds: Processor time.
    """

    start = 0.0
    """Seconds that every operator takes, however small its tensors are."""

    def __init__(self) -> None:
        """Start with nothing."""
        super().__init__()
        self.seconds = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator and add its time."""
        begun = time.thread_time()
        result = func(*args, **(kwargs or {}))
        self.seconds += time.thread_time() - begun - self.start
        return result

    @classmethod
    def calibrate(cls, times: int = 20_000) -> None:
        """Measure the start of an operator."""
        cls.start, number = 0.0, torch.zeros(1)
        with cls() as measured:
            for _ in range(times):
                torch.neg(number)
        cls.start = measured.seconds / times


class StandIn(Accelerator):
    """A device with one queue, which works through what is submitted in its order.

    Attributes:
        worked: Seconds that it has worked.
        copied: Processor time of what went up to it, s.
        computed: Processor time of the operators that it would compute, s, where they are watched.
    """

    def __init__(self, *, watched: bool = False) -> None:
        """Start with nothing to do; its tensors are those of the processor."""
        super().__init__(torch.device("cpu"))
        self.worked = self.copied = self.computed = 0.0
        self._watched = watched
        self._free_at = time.perf_counter()
        self._lock = threading.Lock()

    @contextmanager
    def queue(self) -> Iterator[None]:
        """Let this thread submit, and watch the operators that it calls."""
        if not self._watched:
            yield
            return
        with Operators() as called:
            yield
        with self._lock:
            self.computed += called.seconds

    def upload(self, *arrays: np.ndarray) -> Tensor:
        """Return arrays as a tensor, and note the time."""
        begun = time.thread_time()
        there = super().upload(*arrays)
        with self._lock:
            self.copied += time.thread_time() - begun
        return there

    def submit(self, seconds: float) -> None:
        """Give it work of some seconds, and go on at once."""
        with self._lock:
            self._free_at = max(self._free_at, time.perf_counter()) + seconds
            self.worked += seconds
            self._own.done_at = self._free_at

    def wait(self) -> None:
        """Wait until all is done that this thread has submitted."""
        time.sleep(max(self._own.done_at - time.perf_counter(), 0))


@contextmanager
def not_on_processor() -> Iterator[None]:
    """Let tensors count as those of a device in this context, so that its steps are taken."""
    with (
        patch.object(peaks, "on_processor", _nowhere_here),
        patch.object(accelerator, "on_processor", _nowhere_here),
    ):
        yield


def _nowhere_here(*tensors: Tensor) -> bool:
    return False


def network(device: StandIn, maps: dict[str, Tensor], seconds: float) -> Network:
    """Return a network that answers every image with the same maps.

    Args:
        device: Where it seems to run.
        maps: Maps (channels, h, w) by head.
        seconds: Time that it takes for an image.
    """

    def run(images: Tensor) -> dict[str, Tensor]:
        device.submit(seconds * len(images))
        return {name: one.expand(len(images), *one.shape) for name, one in maps.items()}

    return run


def training_config(kind: str, side: int) -> TrainingConfig:
    """Return the config of a model of some kind that sees square images of a side in px."""
    nodes = ("thorax",) if kind == "centroid" else tuple(f"n{i}" for i in range(NODES))
    heads: dict[str, dict[str, Any]] = {
        "confmaps": {"part_names": list(nodes), "output_stride": STRIDE}
    }
    if kind == "bottomup":
        edges = [[a, b] for a, b in itertools.pairwise(nodes)]
        heads["pafs"] = {"edges": edges, "output_stride": STRIDE}
    return TrainingConfig(
        folder=Path(kind),
        kind=kind,
        raw={},
        skeleton=Skeleton(nodes),
        heads=heads,
        max_stride=16,
        scale=1.0,
        max_height=side,
        max_width=side,
        ensure_rgb=False,
        ensure_grayscale=True,
        crop_size=CROP if kind == "centered_instance" else None,
    )


def drawn_maps(kind: str, side: int, animals: int) -> dict[str, Tensor]:
    """Draw what a model of a kind finds in an image of a side in px."""
    size = (CROP if kind == "centered_instance" else side) // STRIDE
    if kind in ("single_instance", "centered_instance"):
        rows = [size // 2]
    else:
        rows = [(2 * i + 1) * size // (2 * animals) for i in range(animals)]
    nodes = 1 if kind == "centroid" else NODES
    width = BODY * (nodes - 1)
    left = (size - width) // 2 if width < size else 1
    columns = [left + BODY * node if width < size else node + 1 for node in range(nodes)]
    maps = {"confmaps": torch.stack([_peaks(size, rows, column) for column in columns])}
    if kind == "bottomup":
        fields = torch.zeros(2 * (nodes - 1), size, size)
        for edge in range(nodes - 1):
            for row in rows:
                fields[2 * edge, max(row - 1, 0) : row + 2, columns[edge] : columns[edge + 1]] = 1
        maps["pafs"] = fields
    return maps


def _peaks(size: int, rows: Sequence[int], column: int) -> Tensor:
    """Draw a map (size, size) with a peak in each of some rows."""
    grid = torch.arange(size, dtype=torch.float32)
    across = torch.exp(-(((grid - column - 0.3) / SPREAD) ** 2) / 2)
    down = torch.stack([torch.exp(-(((grid - row - 0.2) / SPREAD) ** 2) / 2) for row in rows])
    return (down[:, :, None] * across).amax(dim=0)
