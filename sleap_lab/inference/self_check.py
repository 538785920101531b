"""`runtime.precision=auto`: a faster number format, if the first frames come out the same."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from sleap_lab.inference.models import load_models
from sleap_lab.media.source import Frame
from sleap_lab.poses.record import Poses, concatenate
from sleap_lab.settings.config import Config

if TYPE_CHECKING:
    import torch

    from sleap_lab.pipelines.pipeline import Pipeline

First = Callable[[int], list[Frame]]
"""Returns the readable ones of the first so many frames."""


def choose_precision(
    config: Config, truth: Poses | None, first: First, device: "torch.device"
) -> tuple[str, str]:
    """Return the chosen precision, and why it was chosen; the first batch decides.

    Args:
        config: The experiment; its batch size is settled.
        truth: Labelled instances of the frames, where there are any.
        first: Returns the first frames.
        device: Where the networks run.
    """
    from sleap_lab.pipelines.precision import MOST_SHIFT, fast_precision, largest_shift

    fast = fast_precision(device)
    if fast is None:
        return "32", f"{device} has no faster format"
    frames = first(int(config.runtime.batch_size))
    if not frames:
        return "32", "no frame of the first batch can be read"
    exact, other = (_poses(config, truth, frames, name) for name in ("32", fast))
    shift = largest_shift(exact, other)
    seen = f"on the first {len(frames)} frames"
    if shift <= MOST_SHIFT:
        return fast, f"{seen} no point moves by more than {shift:.3f} px"
    if shift == float("inf"):
        return "32", f"{seen} {fast} finds other nodes or instances"
    if shift > MOST_SHIFT:
        return "32", f"{seen} {fast} moves a point by {shift:.3f} px, more than {MOST_SHIFT} px"
    return "32", f"nothing is found {seen}, which could be compared with {fast}"


def load_plain(config: Config, truth: Poses | None, precision: str) -> "Pipeline":
    """Load models for a few first frames, in PyTorch and not compiled.

    Args:
        config: The experiment.
        truth: Labelled instances of the frames, where there are any.
        precision: `32`, `bf16` or `16`.
    """
    plain = replace(
        config.runtime, backend="torch", compile=False, precision=precision, batch_size=1
    )
    return load_models(truth, replace(config, runtime=plain))


def _poses(config: Config, truth: Poses | None, frames: list[Frame], precision: str) -> Poses:
    """Predict some frames."""
    from sleap_lab.pipelines.engine import predict

    pipeline = load_plain(config, truth, precision)
    with closing(predict(frames, pipeline, batch_size=len(frames))) as predictions:
        return concatenate([prediction.poses for prediction in predictions])
