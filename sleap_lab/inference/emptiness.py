"""What the networks see where nothing was found, and the likely reasons.

A recording that animals leave has empty frames, too. So the counts are always told, and only a
result that is mostly empty is looked at.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sleap_lab.inference.cache import Cache, StageResult, remember
from sleap_lab.inference.detect import Inference, detect
from sleap_lab.inference.fingerprint import fingerprint, predict_fingerprint
from sleap_lab.media.source import Source
from sleap_lab.poses.emptiness import Emptiness, EmptyFrame
from sleap_lab.poses.record import Poses
from sleap_lab.settings.config import Config
from sleap_lab.settings.thresholds import peak_thresholds

if TYPE_CHECKING:
    from sleap_lab.pipelines.model import Prediction

LOOKED_AT = 4
"""Frames that are looked at."""
MOST_EMPTY = 0.5
"""Share of empty frames above which a result is looked at."""
NEAR = 0.5
"""Share of the threshold from which on a peak counts as nearly found."""
DECIDING = ("centroid_confmaps", "confmaps")
"""Maps whose peaks decide whether there is an instance, the first that a pipeline has."""


def look_at_empty(
    detected: Inference, result: Inference, source: Source, config: Config, cache: Cache | None
) -> Emptiness:
    """Look at frames of a result that is mostly empty.

    Args:
        detected: The poses before filters and tracker.
        result: The poses after them.
        source: Their source.
        config: The experiment.
        cache: Where to keep what the networks see; None to keep nothing.

    Raises:
        RunError: A frame cannot be read any more.
    """
    if detected.kind == "none":
        return Emptiness()
    unread = {(frame.video, frame.index) for frame in result.bad_frames}
    frames = [tuple(where) for where in result.poses.frames.tolist() if tuple(where) not in unread]
    empty = _empty(frames, result.poses)
    if len(empty) <= MOST_EMPTY * len(frames):
        return Emptiness()
    found = set(_empty(frames, detected.poses))
    never = [where for where in empty if where in found]
    note = f"{len(empty)} of {len(frames)} frames have no instance"
    if len(never) <= len(empty) / 2:
        return Emptiness(
            f"{note}: in {len(empty) - len(never)} of them the filters dropped every instance; "
            "look at the settings of filters."
        )
    chosen = [never[i] for i in np.linspace(0, len(never) - 1, LOOKED_AT).round().astype(int)]
    threshold = peak_thresholds(config.model)[0]
    looks = _maps(replace(source, frames=np.unique(chosen, axis=0)), config, detected.device, cache)
    return Emptiness(f"{note}. {_reason(looks, threshold)}", looks, threshold)


def _empty(frames: Sequence[tuple[int, ...]], poses: Poses) -> list[tuple[int, ...]]:
    """Return those of some frames that hold no instance."""
    filled = set(zip(poses.video.tolist(), poses.frame.tolist(), strict=True))
    return [where for where in frames if where not in filled]


def _reason(frames: Sequence[EmptyFrame], threshold: float) -> str:
    """Return what the networks see in empty frames, and what to try if animals are there."""
    if not frames:
        return "If animals are in them, try a lower model.peak_threshold, and check the models."
    highest = sorted(frame.highest for frame in frames)
    seen = (
        f"In {len(frames)} that were looked at, the highest confidence is {highest[0]:.2f} to "
        f"{highest[-1]:.2f} (model.peak_threshold={threshold:g}). If animals are in them, "
    )
    if highest[0] >= threshold:
        return seen + (
            "peaks are found, but too few for an instance: try a lower model.peak_threshold (with "
            "top-down models its second number), model.min_line_scores or "
            "model.min_instance_peaks, and check that the animals are as large as in training "
            "(preprocessing.input_scale)."
        )
    if highest[-1] >= NEAR * threshold:
        return seen + f"the model nearly sees them: try model.peak_threshold={highest[0] / 2:.1g}."
    return seen + (
        "the model sees nothing like what it was trained on: check that it is the right model, "
        "that the animals are as large as in training (preprocessing.input_scale), "
        "and that colours and contrast are alike."
    )


def _maps(source: Source, config: Config, device: str, cache: Cache | None) -> list[EmptyFrame]:
    """Return the confidence maps of the frames of a source; none where no map shows them."""

    def compute() -> StageResult:
        maps: list[np.ndarray] = []
        pixels: list[float] = []

        def keep(prediction: "Prediction") -> None:
            name = next((name for name in DECIDING if name in prediction.maps), None)
            if name is not None:
                maps.extend(prediction.maps[name].amax(dim=1).cpu().numpy())
                pixels.extend((prediction.pixel_sizes[name] / prediction.eff).tolist())

        on_one_device = replace(config, runtime=replace(config.runtime, devices=1))
        detect(source, on_one_device, keep=keep, details=True)
        return StageResult({f"{i}": own for i, own in enumerate(maps)}, {"pixels": pixels})

    result = _remembered(compute, source, config, device, cache)
    return [
        EmptyFrame(video, frame, result.arrays[f"{i}"], result.facts["pixels"][i])
        for i, (video, frame) in enumerate(source.frames.tolist())
        if f"{i}" in result.arrays
    ]


def _remembered(
    compute: Callable[[], StageResult],
    source: Source,
    config: Config,
    device: str,
    cache: Cache | None,
) -> StageResult:
    if cache is None:
        return compute()
    key = fingerprint(
        {"stage": "empty", "of": predict_fingerprint(config, source, device), "form": 1}
    )
    about = f"{source.path.name}, {len(source.frames)} empty frames"
    return remember(cache, key, compute, stage="empty", about=about)[0]
