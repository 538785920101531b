"""`runtime.precision=auto`: a faster number format, if the first frames come out the same."""

import logging
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from sleap_lab.errors import RunError
from sleap_lab.media.source import Frame, Source
from sleap_lab.poses.record import Poses, concatenate
from sleap_lab.settings.config import Config

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)


def with_precision(config: Config, source: Source) -> tuple[Config, list[str]]:
    """Return a config whose precision is a number format, and a note where `auto` chose it.

    The first batch of the source decides, whatever part of it is still to be predicted.

    Args:
        config: The experiment.
        source: Opened videos and all selected frames.

    Raises:
        ConfigError: The models do not fit together.
        RunError: A model cannot be read.
    """
    return with_precision_for(
        config, source.truth, lambda: _first_frames(source, config.runtime.batch_size)
    )


def with_precision_for(
    config: Config, truth: Poses | None, first: Callable[[], list[Frame]]
) -> tuple[Config, list[str]]:
    """Return what `with_precision` does, for frames that are not those of a source.

    Args:
        config: The experiment.
        truth: Labelled instances of the frames, where there are any.
        first: Returns the readable frames of the first batch; called only if they decide.

    Raises:
        ConfigError: The models do not fit together.
        RunError: A model cannot be read.
    """
    if config.runtime.precision != "auto" or config.model.kind == "none":
        return config, []
    from sleap_lab.pipelines.pipeline import choose_device

    chosen, why = _choice(config, truth, first, choose_device(config.runtime.device))
    note = f"runtime.precision=auto chose {chosen}: {why}."
    log.info("%s", note)
    return _at(config, chosen), [note]


def _choice(
    config: Config, truth: Poses | None, first: Callable[[], list[Frame]], device: "torch.device"
) -> tuple[str, str]:
    """Return the chosen precision, and why it was chosen."""
    from sleap_lab.pipelines.precision import MOST_SHIFT, fast_precision, largest_shift

    fast = fast_precision(device)
    if fast is None:
        return "32", f"{device} has no faster format"
    frames = first()
    if not frames:
        return "32", "no frame of the first batch can be read"
    exact, other = (_poses(_at(config, name), truth, frames) for name in ("32", fast))
    shift = largest_shift(exact, other)
    seen = f"on the first {len(frames)} frames"
    if shift <= MOST_SHIFT:
        return fast, f"{seen} no point moves by more than {shift:.3f} px"
    if shift == float("inf"):
        return "32", f"{seen} {fast} finds other nodes or instances"
    if shift > MOST_SHIFT:
        return "32", f"{seen} {fast} moves a point by {shift:.3f} px, more than {MOST_SHIFT} px"
    return "32", f"nothing is found {seen}, which could be compared with {fast}"


def _at(config: Config, precision: str) -> Config:
    return replace(config, runtime=replace(config.runtime, precision=precision))


def _first_frames(source: Source, count: int) -> list[Frame]:
    """Return the readable ones of the first frames of a source."""
    frames = []
    for video, index in source.frames[:count].tolist():
        try:
            frames.append(Frame(video, index, source.pixels(video, index)))
        except RunError:  # reading it again reports the problem
            continue
    return frames


def _poses(config: Config, truth: Poses | None, frames: list[Frame]) -> Poses:
    """Predict some frames."""
    from sleap_lab.inference.detect import load
    from sleap_lab.pipelines.engine import predict

    pipeline = load(truth, config)
    with closing(predict(frames, pipeline, batch_size=len(frames))) as predictions:
        return concatenate([prediction.poses for prediction in predictions])
