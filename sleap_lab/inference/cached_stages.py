"""The stages that make poses, with the stage cache in front of them.

Results that the cache holds are read and not computed again.
"""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sleap_lab import terminal
from sleap_lab.errors import counted
from sleap_lab.inference.automatic import settled
from sleap_lab.inference.cache import DEFAULT_FOLDER, GB, Cache, StageResult, remember
from sleap_lab.inference.chunks import Chunks
from sleap_lab.inference.detect import Inference, ShowDone, Track, detect
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
from sleap_lab.terminal import Watch
from sleap_lab.tracking import track
from sleap_lab.tracking.tracker import ReadImage
from sleap_lab.tracking.watch import unwatched

if TYPE_CHECKING:
    from sleap_lab.pipelines.model import Prediction

HIT, MISS, RESUMED = "hit", "miss", "resumed"

SPARE = 0.1
"""Crops that a run does not need but observes for later settings, as a share of its own crops."""

Predict = Callable[..., Inference]
"""Function that does what `detect` does with a source, on one device or on several."""

Outcomes = dict[str, str]
"""Stage -> whether its result was in the cache: `hit`, `miss`, or `resumed` for a part of it.

Only stages that use the cache are in it.
"""


def open_cache(
    config: Config, warn: Callable[[str], None], note: Callable[[str], None] = terminal.note
) -> Cache:
    """Return the cache that a config describes.

    Args:
        config: The experiment.
        warn: Gets a sentence for each fault of the cache.
        note: Gets a sentence where another process is waited for.
    """
    seeds = tuple(map(Path, config.cache_seeds))
    for folder in seeds if config.cache != "off" else ():
        if not folder.is_dir():
            warn(f"cache_seeds: {folder} is not there; nothing is looked up in it")
    return Cache(
        Path(config.cache_dir or DEFAULT_FOLDER),
        config.cache,
        config.cache_max_gb * GB,
        seeds,
        warn,
        note,
    )


def index_cached(cache: Cache) -> Indexer:
    """Return a function that reads the index of a media file at most once, whatever its name."""

    def read(path: Path) -> FrameIndex:
        if cache.mode == "off":
            return read_index(path)
        result, _ = remember(
            cache,
            index_fingerprint(path),
            lambda: StageResult(read_index(path).to_arrays()),
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
    watch: ShowDone,
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
    with stage("load"):
        config, remarks = settled(config, source)
    predict = partial(predict, config=config, stage=stage, watch=watch, requested=requested)
    if cache.mode == "off":
        found = predict(source)
    else:
        with stage("cache"):
            found = _remembered(source, config, device, cache, outcomes, stage, predict)
    return replace(found, remarks=(*remarks, *found.remarks))


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
    about = about_prediction(source, config)
    key = predict_fingerprint(config, source, device)
    bad_frames: tuple[Frame, ...] = ()
    chunks: Chunks | None = None

    def compute() -> StageResult:
        nonlocal bad_frames, chunks
        chunks = Chunks(source, cache, key, about)
        predicted = _observe_or_decode(
            source, chunks, config, device, cache, outcomes, stage, predict
        )
        bad_frames = predicted.bad_frames
        facts = {"kind": predicted.kind, "notes": list(predicted.notes)}
        return StageResult(predicted.poses.to_arrays(), facts, complete=not bad_frames)

    result, recalled = remember(
        cache,
        key,
        compute,
        stage="predict",
        about=about,
        fits=lambda stored: holds(stored, source.frames),
    )
    outcomes.setdefault("predict", HIT if recalled else MISS)
    if chunks is not None:
        resumed = outcomes.pop("predict") == RESUMED  # popped: `predict` is listed last
        outcomes["predict"] = RESUMED if chunks.poses or resumed else MISS
        chunks.remove()
    poses = Poses.from_arrays(result.arrays)
    check_account(source.frames, poses, bad_frames)
    return Inference(poses, result.facts["kind"], device, bad_frames, tuple(result.facts["notes"]))


def about_prediction(source: Source, config: Config) -> str:
    """Return the description of a prediction in the cache, for people."""
    models = ", ".join(Path(path).name for path in config.model.paths)
    return f"{source.path.name}, {counted(len(source.frames), 'frame')}; {models}"


def holds(stored: StageResult, frames: np.ndarray) -> bool:
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
    stage: Stage,
    predict: Predict,
) -> Inference:
    """Decode stored observations of the networks, or run the networks."""
    # Imports torch, which a run that predicts nothing does not need.
    from sleap_lab.pipelines.observation import unpack
    from sleap_lab.pipelines.pipeline import read_plan

    plan = read_plan(config.model, config.preprocessing, source.truth)
    predicted: Inference | None = None
    spare = SPARE

    def covers(stored: StageResult) -> bool:
        nonlocal spare
        if all(map(plan.covers, unpack(plan.content, stored.arrays))):
            return True
        # Where settings need more than is stored, other settings will, too: this time all crops are
        # observed.
        spare = math.inf
        return False

    def observe() -> StageResult:
        nonlocal predicted
        if not len(chunks.remaining.frames):
            bad_frames = tuple(chunks.bad_frames)
            predicted = Inference(
                concatenate(chunks.poses), plan.kind, device, bad_frames, plan.notes
            )
            return StageResult({}, complete=False)
        one_device = config.runtime.devices == 1
        predicted, observations = _predict_remaining(chunks, predict, spare, one_device=one_device)
        return observations

    key = network_fingerprint(config, source, device, plan.depends)
    result, recalled = remember(
        cache, key, observe, stage="network", about=chunks.about, fits=covers
    )
    outcomes["network"] = HIT if recalled else MISS
    if predicted is not None:
        return predicted
    with stage("peaks"):
        poses = concatenate(
            [plan.decode(content) for content in unpack(plan.content, result.arrays)]
        )
    return Inference(poses, plan.kind, device, notes=plan.notes)


def _predict_remaining(
    chunks: Chunks, predict: Predict, spare: float, *, one_device: bool
) -> tuple[Inference, StageResult]:
    """Predict the frames that no stored chunk holds; what a stopped run has done is stored.

    Args:
        chunks: The chunks of the prediction.
        predict: Predicts on one device or on several.
        spare: Crops to observe beyond those that the run needs, as a share of these.
        one_device: Whether `predict` uses one device.

    Returns:
        The whole prediction, and its observations to be stored; these are not complete with
        several devices or with chunks of an earlier run.
    """
    from sleap_lab.inference.observations import Observations

    kept = chunks.cache.mode == "rw"
    spare = spare if kept else 0
    observations = Observations(complete=kept and one_device and not chunks.poses)

    def keep(prediction: "Prediction") -> None:
        chunks.add(prediction.poses)
        observations.add(prediction.observations)

    try:
        if one_device:
            predicted = predict(
                chunks.remaining,
                bad_frames=chunks.bad_frames,
                keep=keep,
                spare=spare,
            )
        else:  # each range stores its own chunks
            predicted = predict(chunks.remaining, bad_frames=chunks.bad_frames)
    except BaseException:
        chunks.store()
        raise
    poses = concatenate([*chunks.poses, predicted.poses])
    return replace(predicted, poses=poses), observations.whole()


def track_cached(
    source: Source,
    config: Config,
    cache: Cache,
    outcomes: Outcomes,
    watching: Callable[[], AbstractContextManager[Watch]] = lambda: nullcontext(unwatched),
) -> Track:
    """Return a function that does what `track` does, at most once.

    Args:
        source: Where the poses come from.
        config: The experiment.
        cache: The stage cache.
        outcomes: Gets the outcome of the stage `track`.
        watching: Returns the context of the tracking, which yields what shows how far it is.
    """

    def track_watched(
        poses: Poses, tracker: TrackerConfig, read_image: ReadImage, notes: list[str]
    ) -> Poses:
        with watching() as watch:
            return track(poses, tracker, read_image, notes, watch)

    if cache.mode == "off":
        return track_watched

    def track_once(
        poses: Poses, tracker: TrackerConfig, read_image: ReadImage, notes: list[str]
    ) -> Poses:
        motion = [
            name
            for name, used in (("flow", tracker.use_flow), ("kalman", tracker.use_kalman))
            if used
        ]
        by = tracker.candidates_method if tracker.method == "online" else tracker.method
        frames = counted(len(poses.frames), "frame")
        about = f"{source.path.name}, {frames}; {', '.join([by, *motion])}"
        key = track_fingerprint(config, source, poses)

        def compute() -> StageResult:
            told: list[str] = []
            tracked = track_watched(poses, tracker, read_image, told)
            return StageResult(tracked.to_arrays(), {"notes": told})

        def fits(stored: StageResult) -> bool:
            same_frames = np.array_equal(Poses.from_arrays(stored.arrays).frames, poses.frames)
            return same_frames and "notes" in stored.facts

        result, recalled = remember(cache, key, compute, stage="track", about=about, fits=fits)
        outcomes["track"] = HIT if recalled else MISS
        notes += result.facts["notes"]
        return Poses.from_arrays(result.arrays)

    return track_once
