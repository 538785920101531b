"""Settings of `runtime` that say `auto` become values before anything is looked up in the cache.

What they become follows from the first frames of the source, the number of its frames and the
machine, whatever part of the source is still to be predicted.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sleap_lab.errors import RunError
from sleap_lab.inference.self_check import First, choose_precision, load_plain
from sleap_lab.media.source import Frame, Source
from sleap_lab.poses.record import Poses
from sleap_lab.settings.config import Config

if TYPE_CHECKING:
    import torch

AUTO = "auto"

FRAMES_WORTH_COMPILING = 50_000
"""Frames from which on `runtime.compile=auto` compiles.

To compile two networks takes a minute. A card that predicts 200 frames per second needs four for
these frames, and wins that minute back if compiled networks are a third faster.
"""

log = logging.getLogger(__name__)


def settled(config: Config, source: Source) -> tuple[Config, list[str]]:
    """Return a config in which nothing of `runtime` is left to choose, and a remark on each choice.

    Args:
        config: The experiment.
        source: Opened videos and all selected frames.

    Raises:
        ConfigError: The models do not fit together.
        RunError: A model cannot be read.
    """
    return settled_for(
        config, source.truth, lambda count: _first_frames(source, count), len(source.frames)
    )


def settled_for(
    config: Config, truth: Poses | None, first: First, frames: int | None
) -> tuple[Config, list[str]]:
    """Return what `settled` does, for frames that are not those of a source.

    Args:
        config: The experiment.
        truth: Labelled instances of the frames, where there are any.
        first: Returns the readable ones of the first so many frames; called only if they decide.
        frames: Number of frames; None where nobody knows it.

    Raises:
        ConfigError: The models do not fit together.
        RunError: A model cannot be read.
    """
    choices: dict[str, Callable[[Config, torch.device], tuple[Any, str]]] = {
        "batch_size": lambda now, device: _choose_batch_size(now, truth, first, device),
        "precision": lambda now, device: choose_precision(now, truth, first, device),
        "compile": lambda now, device: _choose_compile(now, frames, device),
    }
    open_ = [name for name in choices if getattr(config.runtime, name) == AUTO]
    if not open_ or config.model.kind == "none":
        return config, []
    from sleap_lab.pipelines.memory import free_memory
    from sleap_lab.pipelines.pipeline import choose_device

    device, remarks = choose_device(config.runtime.device), list[str]()
    for name in open_:
        value, why = choices[name](config, device)
        config = replace(config, runtime=replace(config.runtime, **{name: value}))
        remarks.append(f"runtime.{name}=auto chose {str(value).lower()}: {why}.")
        log.info("%s", remarks[-1])
    free_memory()
    return config, remarks


def _choose_batch_size(
    config: Config, truth: Poses | None, first: First, device: "torch.device"
) -> tuple[int, str]:
    """Return the chosen batch size, and why it was chosen."""
    from sleap_lab.pipelines import batch_size

    if device.type == "cpu":
        threads = batch_size.threads_of(config.runtime)
        why = f"{batch_size.LEAST} at least, and one for each thread ({threads})"
        return batch_size.size_on_processor(threads), why
    if device.type != "cuda":
        return batch_size.LEAST, f"the memory that {device} needs cannot be measured"
    frames = first(batch_size.SAMPLE)
    if not frames:
        return batch_size.LEAST, "no frame of a first batch can be read"
    precision = config.runtime.precision
    pipeline = load_plain(config, truth, "32" if precision == AUTO else precision)
    (pixels, each), memory = batch_size.measure(pipeline, frames), batch_size.memory_of(device)
    return (
        batch_size.size_on_card(pixels, each, memory),
        f"a frame of {pixels:,} px takes {each / 1e6:,.0f} MB of the {memory / 1e9:,.0f} GB of "
        f"{device}",
    )


def _choose_compile(config: Config, frames: int | None, device: "torch.device") -> tuple[bool, str]:
    """Return whether networks are compiled, and why."""
    if config.runtime.backend != "torch":
        return False, f"{config.runtime.backend} compiles by itself"
    if device.type == "cpu":
        return False, "on a processor it gains nothing"
    if frames is None:
        return False, "nobody knows how many frames will come"
    few = frames < FRAMES_WORTH_COMPILING
    than = f"{'fewer' if few else 'no fewer'} than {FRAMES_WORTH_COMPILING:,}"
    return not few, f"{frames:,} frames are {than}"


def _first_frames(source: Source, count: int) -> list[Frame]:
    """Return the readable ones of the first frames of a source."""
    frames = []
    for video, index in source.frames[:count].tolist():
        try:
            frames.append(Frame(video, index, source.pixels(video, index)))
        except RunError:  # reading it again reports the problem
            continue
    return frames
