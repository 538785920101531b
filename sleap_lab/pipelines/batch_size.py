"""`runtime.batch_size=auto`: how many frames a device predicts at a time.

The size is worked out and not timed, so that the same run gets the same one: the last bits of
results depend on it.
"""

from collections.abc import Sequence

import torch

from sleap_lab.media.source import Frame
from sleap_lab.pipelines.accelerator import WORKERS
from sleap_lab.pipelines.engine import predict
from sleap_lab.pipelines.pipeline import Pipeline
from sleap_lab.settings.config import RuntimeConfig
from sleap_lab.settings.frames import LARGEST_BATCH

LEAST = 4
"""Size that is known to work wherever sleap-nn does, whose default it is."""

SAMPLE = 4
"""Frames of the pass whose memory is measured."""

ENOUGH_PIXELS = 2**24
"""Pixels of the network's images that keep a card busy: 16 frames of 1024x1024 px."""

SHARE_OF_MEMORY = 0.7
"""Part of a card's memory for batches; weights, other programs and gaps take some, too."""


def threads_of(runtime: RuntimeConfig) -> int:
    """Return how many threads of the processor predict."""
    return runtime.num_threads or torch.get_num_threads()


def size_on_processor(threads: int) -> int:
    """Return a power of two, so that each of some threads gets a frame of a batch."""
    return min(max(_power_of_two_from(threads), LEAST), LARGEST_BATCH)


def size_on_card(pixels: int, bytes_per_frame: float, memory: int) -> int:
    """Return the largest useful power of two for which a card has memory.

    Args:
        pixels: Pixels that the network sees of a frame.
        bytes_per_frame: Memory that a frame takes in a pass.
        memory: Memory of the card, bytes; as many batches share it as there are workers.
    """
    fit = SHARE_OF_MEMORY * memory / WORKERS / max(bytes_per_frame, 1)
    useful = min(fit, ENOUGH_PIXELS / pixels, LARGEST_BATCH)
    return 1 << max(int(useful).bit_length() - 1, 0)


def _power_of_two_from(number: int) -> int:
    return 1 << (number - 1).bit_length()


def measure(pipeline: Pipeline, frames: Sequence[Frame]) -> tuple[int, float]:
    """Return the pixels that the first network sees of a frame, and the memory that it takes.

    Args:
        pipeline: Loaded models, on a card.
        frames: Readable frames; those of the size of the first one are measured, in one pass.

    Returns:
        Pixels, and bytes of the card's memory.
    """
    assert frames[0].image is not None, "only readable frames are measured"
    shape = frames[0].image.shape
    frames = [one for one in frames if one.image is not None and one.image.shape == shape]
    height, width = pipeline.images.matched_size(*shape[:2])
    torch.cuda.synchronize(pipeline.device)
    before = torch.cuda.memory_allocated(pipeline.device)
    torch.cuda.reset_peak_memory_stats(pipeline.device)
    for _ in predict(frames, pipeline, batch_size=len(frames)):
        pass
    peak = torch.cuda.max_memory_allocated(pipeline.device)
    return int(height * width * pipeline.scale**2), (peak - before) / len(frames)


def memory_of(device: torch.device) -> int:
    """Return the memory of a card, bytes."""
    return int(torch.cuda.get_device_properties(device).total_memory)
