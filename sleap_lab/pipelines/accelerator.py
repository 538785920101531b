"""A device that computes beside the processor, and what goes there and comes back.

Several workers share it. Each has a queue of its own, in which operations run one after the other,
and waits for that queue only. While one waits, the others prepare images or make poses, and the
device goes on with what they have submitted.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from sleap_lab.decode.peaks import on_processor

WORKERS = 3
"""Batches in flight: one is prepared, one is in the network, and one is decoded."""


class Accelerator:
    """A device that is not the processor; in tests it may be the processor."""

    def __init__(self, device: torch.device) -> None:
        """Take the device."""
        self.device = device
        self._own = threading.local()

    @property
    def workers(self) -> int:
        """Return how many threads may use it at the same time.

        Only CUDA has a queue for each thread; other devices are used as before.
        """
        return WORKERS if self.device.type in ("cuda", "cpu") else 1

    @contextmanager
    def queue(self) -> Iterator[None]:
        """Let this thread submit to a queue of its own, after all that was submitted before."""
        if self.device.type != "cuda":
            yield
            return
        if not hasattr(self._own, "stream"):  # memory is reused within a stream only
            self._own.stream = torch.cuda.Stream(self.device)
        stream = self._own.stream
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            yield

    def upload(self, *arrays: np.ndarray) -> Tensor:
        """Return arrays of one shape as one tensor (arrays, …) on the device.

        CUDA copies them while the processor goes on. Nothing may go there by another way: a copy
        from memory that is not pinned waits.
        """
        pinned = self.device.type == "cuda"
        dtype = torch.from_numpy(np.empty(0, arrays[0].dtype)).dtype
        buffer = torch.empty((len(arrays), *arrays[0].shape), dtype=dtype, pin_memory=pinned)
        np.stack(arrays, out=buffer.numpy())
        # Elsewhere than on CUDA the buffer could be gone before it is copied.
        return buffer.to(self.device, non_blocking=pinned)

    def wait(self) -> None:
        """Wait until all is done that this thread has submitted.

        The thread sleeps meanwhile. Operations that need a result at once would keep a core busy
        while they wait for it.
        """
        if self.device.type == "cuda":
            with torch.cuda.device(self.device):
                done = torch.cuda.Event(blocking=True)
                done.record()
                done.synchronize()
        elif self.device.type != "cpu":
            torch.accelerator.synchronize(self.device)


def uploaded(*arrays: np.ndarray, accelerator: Accelerator | None) -> Tensor:
    """Return what `upload` does; on the processor where there is no accelerator."""
    if accelerator is None:
        return torch.from_numpy(np.stack(arrays))
    return accelerator.upload(*arrays)


def on_host(*tensors: Tensor) -> list[Tensor]:
    """Return tensors (n, …) of the same n in the processor's memory, copied there in one piece.

    Whole numbers must be below 2**24.
    """
    return list(tensors) if on_processor(*tensors) else _in_one_piece(*tensors)


def _in_one_piece(*tensors: Tensor) -> list[Tensor]:
    rows = [tensor.reshape(len(tensor), tensor.shape[1:].numel()).float() for tensor in tensors]
    parts = torch.cat(rows, dim=1).cpu().split([part.shape[1] for part in rows], dim=1)
    return [
        part.reshape(tensor.shape).to(tensor.dtype)
        for part, tensor in zip(parts, tensors, strict=True)
    ]
