"""The stages that make poses, with the stage cache in front of them.

Results that the cache holds are read and not computed again.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sleap_lab.inference.cache import DEFAULT_FOLDER, GB, Cache, Result, remember
from sleap_lab.inference.chunks import Chunks
from sleap_lab.inference.detect import Inference, Track, detect
from sleap_lab.inference.fingerprint import (
    index_fingerprint,
    network_fingerprint,
    predict_fingerprint,
    track_fingerprint,
)
from sleap_lab.inference.stopwatch import Stage, untimed
from sleap_lab.media.bad_frames import check_account
from sleap_lab.media.index import FrameIndex, read_index
from sleap_lab.media.source import Frame, Source
from sleap_lab.media.videos import Indexer
from sleap_lab.poses.record import Poses, concatenate
from sleap_lab.settings.config import Config, TrackerConfig
from sleap_lab.tracking import track

if TYPE_CHECKING:
    from sleap_lab.pipelines.model import Prediction

HIT, MISS, RESUMED = "hit", "miss", "resumed"

SPARE = 0.1
"""Crops that a run does not need but observes for later settings, as a share of its own crops."""

MOST_BYTES = 100_000_000
"""Largest size of stored observations, so that a long video does not fill the memory."""

PACKED_AT_ONCE = 512
"""Observations of this many batches are joined while the next are made."""

Predict = Callable[..., Inference]
"""Function that does what `detect` does with a source, on one device or on several."""

Outcomes = dict[str, str]
"""Stage -> whether its result was in the cache: `hit`, `miss`, or `resumed` for a part of it.

Only stages that use the cache are in it.
"""


def open_cache(config: Config, warn: Callable[[str], None]) -> Cache:
    """Return the cache that a config describes; `warn` gets a sentence for each fault of it."""
    return Cache(
        Path(config.cache_dir or DEFAULT_FOLDER), config.cache, config.cache_max_gb * GB, warn
    )


def index_cached(cache: Cache) -> Indexer:
    """Return a function that reads the index of a media file at most once, whatever its name."""

    def read(path: Path) -> FrameIndex:
        if cache.mode == "off":
            return read_index(path)
        result, _ = remember(
            cache,
            index_fingerprint(path),
            lambda: Result(read_index(path).to_arrays()),
            stage="index",
            about=path.name,
        )
        return FrameIndex.from_arrays(result.arrays)

    return read


def detect_cached(
    source: Source,
    config: Config,
    device: str,
    cache: Cache,
    outcomes: Outcomes,
    *,
    stage: Stage = untimed,
    watch: Callable[[Iterable[Frame], int], Iterable[Frame]],
    requested: int | None = None,
    predict: Predict = detect,
) -> Inference:
    """Do what `detect` does, at most once; poses that are read from labels are not cached.

    The observations of the networks are stored beside the poses, so that other thresholds and
    limits need no network.

    Args:
        source: Opened videos and selected frames.
        config: The experiment.
        device: Where the network would run.
        cache: The stage cache.
        outcomes: Gets the outcome of the stage `predict` and, if the poses are not in the cache, of
            `network`.
        stage: Context in which the stage of a name runs, for timing.
        watch: Wraps the finished frames, which have no images, for a progress bar.
        requested: Number of requested frames, where those of `source` are only a part of them.
        predict: Predicts what is not in the cache, on one device or on several.
    """
    if config.model.kind == "none":
        return detect(source, config)
    requested = len(source.frames) if requested is None else requested
    predict = partial(predict, config=config, stage=stage, watch=watch, requested=requested)
    if cache.mode == "off":
        return predict(source)
    with stage("cache"):
        return _remembered(source, config, device, cache, outcomes, stage, predict)


def _remembered(
    source: Source,
    config: Config,
    device: str,
    cache: Cache,
    outcomes: Outcomes,
    stage: Stage,
    predict: Predict,
) -> Inference:
    """Return predicted poses from the cache, or predict and store them."""
    models = ", ".join(Path(path).name for path in config.model.paths)
    about = f"{source.path.name}, {len(source.frames)} frames; {models}"
    key = predict_fingerprint(config, source, device)
    bad_frames: tuple[Frame, ...] = ()
    chunks: Chunks | None = None

    def compute() -> Result:
        nonlocal bad_frames, chunks
        chunks = Chunks(source, cache, key, about)
        found = _observe_or_decode(
            source, chunks, config, device, cache, outcomes, about, stage, predict
        )
        bad_frames = found.bad_frames
        return Result(
            found.poses.to_arrays(),
            {"kind": found.kind, "notes": list(found.notes)},
            complete=not bad_frames,
        )

    result, recalled = remember(
        cache,
        key,
        compute,
        stage="predict",
        about=about,
        fits=lambda stored: _holds(stored, source.frames),
    )
    outcomes.setdefault("predict", HIT if recalled else MISS)
    if chunks is not None:
        resumed = outcomes.pop("predict") == RESUMED  # popped: `predict` is listed last
        outcomes["predict"] = RESUMED if chunks.poses or resumed else MISS
        chunks.remove()
    poses = Poses.from_arrays(result.arrays)
    check_account(source.frames, poses, bad_frames)
    return Inference(poses, result.facts["kind"], device, bad_frames, tuple(result.facts["notes"]))


def _holds(stored: Result, frames: np.ndarray) -> bool:
    """Return whether a stored result is of these frames, and complete."""
    return (
        np.array_equal(Poses.from_arrays(stored.arrays).frames, frames)
        and {"kind", "notes"} <= stored.facts.keys()
    )


def _observe_or_decode(
    source: Source,
    chunks: Chunks,
    config: Config,
    device: str,
    cache: Cache,
    outcomes: Outcomes,
    about: str,
    stage: Stage,
    predict: Predict,
) -> Inference:
    """Decode stored observations of the networks, or run the networks."""
    # Imports torch, which a run that predicts nothing does not need.
    from sleap_lab.pipelines.observation import pack, unpack
    from sleap_lab.pipelines.pipeline import read_plan

    plan = read_plan(config.model, config.preprocessing, source.truth)
    fresh: Inference | None = None
    too_little = False

    def covers(result: Result) -> bool:
        nonlocal too_little
        too_little = not all(map(plan.covers, unpack(plan.content, result.arrays)))
        return not too_little

    def observe() -> Result:
        nonlocal fresh
        if cache.mode == "read":
            fresh = predict(source)
            return Result({}, complete=False)
        seen: list[Any] = []
        packed: list[dict[str, np.ndarray]] = []
        size, complete = 0, not chunks.poses and config.runtime.devices == 1

        def keep(prediction: "Prediction") -> None:
            nonlocal size, complete
            chunks.add(prediction.poses)
            size += sum(
                array.nbytes
                for part in prediction.observations or ()
                for array in vars(part).values()
            )
            complete = complete and prediction.observations is not None and size <= MOST_BYTES
            seen.extend(prediction.observations or ())
            # Thousands of small arrays take several times the memory.
            if len(seen) >= PACKED_AT_ONCE:
                packed.append(pack(seen))
                seen.clear()
            if not complete:
                packed.clear()
                seen.clear()

        if not len(chunks.rest.frames):
            fresh = Inference(
                concatenate(chunks.poses), plan.kind, device, tuple(chunks.lost), plan.notes
            )
            return Result({}, complete=False)
        try:
            if config.runtime.devices == 1:
                # Where settings need more than is stored, other settings will, too: this time all
                # crops are observed.
                fresh = predict(
                    chunks.rest,
                    lost=chunks.lost,
                    keep=keep,
                    spare=math.inf if too_little else SPARE,
                )
            else:  # each range stores its own chunks
                fresh = predict(chunks.rest, lost=chunks.lost)
        except BaseException:
            chunks.store()
            raise
        fresh = replace(fresh, poses=concatenate([*chunks.poses, fresh.poses]))
        if not complete:
            return Result({}, complete=False)
        packed += [pack(seen)] if seen else []
        return Result({name: np.concatenate([part[name] for part in packed]) for name in packed[0]})

    key = network_fingerprint(config, source, device, plan.depends)
    result, recalled = remember(cache, key, observe, stage="network", about=about, fits=covers)
    outcomes["network"] = HIT if recalled else MISS
    if fresh is not None:
        return fresh
    with stage("peaks"):
        poses = concatenate(
            [plan.decode(content) for content in unpack(plan.content, result.arrays)]
        )
    return Inference(poses, plan.kind, device, notes=plan.notes)


def track_cached(source: Source, config: Config, cache: Cache, outcomes: Outcomes) -> Track:
    """Return a function that does what `track` does, at most once.

    Args:
        source: Where the poses come from.
        config: The experiment.
        cache: The stage cache.
        outcomes: Gets the outcome of the stage `track`.
    """
    if cache.mode == "off":
        return track

    def track_once(
        poses: Poses, tracker: TrackerConfig, read_image: Callable[[int, int], np.ndarray]
    ) -> Poses:
        motion = [
            name
            for name, used in (("flow", tracker.use_flow), ("kalman", tracker.use_kalman))
            if used
        ]
        about = (
            f"{source.path.name}, {len(poses.frames)} frames; "
            f"{', '.join([tracker.candidates_method, *motion])}"
        )
        key = track_fingerprint(config, source, poses)

        def compute() -> Result:
            return Result(track(poses, tracker, read_image).to_arrays())

        def fits(stored: Result) -> bool:
            return np.array_equal(Poses.from_arrays(stored.arrays).frames, poses.frames)

        result, recalled = remember(cache, key, compute, stage="track", about=about, fits=fits)
        outcomes["track"] = HIT if recalled else MISS
        return Poses.from_arrays(result.arrays)

    return track_once
