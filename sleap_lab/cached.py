"""The stages that make poses, with the stage cache before them: what was computed before is read instead."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from sleap_lab.config import Config, TrackerConfig
from sleap_lab.inference import Inference, Stage, Track, detect
from sleap_lab.poses import Poses
from sleap_lab.runs.cache import DEFAULT_FOLDER, GB, Cache, Result, remember
from sleap_lab.runs.fingerprint import predict_fingerprint, track_fingerprint
from sleap_lab.sources import Frame, Source
from sleap_lab.tracking import track

HIT, MISS = "hit", "miss"

Outcomes = dict[str, str]
"""Stage -> whether its result was in the cache: `hit` or `miss`; stages that did not ask the cache are not in it."""


def open_cache(config: Config, warn: Callable[[str], None]) -> Cache:
    """Return the cache that a config asks for; `warn` is told what is wrong with it."""
    return Cache(Path(config.cache_dir or DEFAULT_FOLDER), config.cache, config.cache_max_gb * GB, warn)


def detect_cached(
    source: Source,
    config: Config,
    device: str,
    cache: Cache,
    outcomes: Outcomes,
    *,
    stage: Stage,
    watch: Callable[[Iterable[Frame], int], Iterable[Frame]],
) -> Inference:
    """Do what `detect` does, at most once; poses that are read from labels are not cached.

    Args:
        source: Opened videos and selected frames.
        config: The experiment.
        device: Where the network would run.
        cache: The stage cache.
        outcomes: Gets the outcome of the stage `predict`.
        stage: Context in which the stage of a name runs, for timing.
        watch: Wraps the frames on their way to the network, for a progress bar.
    """
    if config.model.kind == "none" or cache.mode == "off":
        return detect(source, config, stage=stage, watch=watch)
    bad_frames: tuple[Frame, ...] = ()

    def compute() -> Result:
        nonlocal bad_frames
        found = detect(source, config, stage=stage, watch=watch)
        bad_frames = found.bad_frames
        facts = {"kind": found.kind, "device": found.device, "notes": list(found.notes)}
        return Result(found.poses.to_arrays(), facts, complete=not bad_frames)

    models = ", ".join(Path(path).name for path in config.model.paths)
    about = f"{source.path.name}, {len(source.frames)} frames; {models}"
    result, recalled = remember(cache, predict_fingerprint(config, source, device), compute, stage="predict", about=about)
    outcomes["predict"] = HIT if recalled else MISS
    facts = result.facts
    return Inference(Poses.from_arrays(result.arrays), facts["kind"], facts["device"], bad_frames, tuple(facts["notes"]))


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

    def track_once(poses: Poses, tracker: TrackerConfig, read_image: Callable[[int, int], np.ndarray]) -> Poses:
        motion = [name for name, used in (("flow", tracker.use_flow), ("kalman", tracker.use_kalman)) if used]
        about = f"{source.path.name}, {len(poses.frames)} frames; {', '.join([tracker.candidates_method, *motion])}"
        key = track_fingerprint(config, source, poses)
        result, recalled = remember(cache, key, lambda: Result(track(poses, tracker, read_image).to_arrays()), stage="track", about=about)
        outcomes["track"] = HIT if recalled else MISS
        return Poses.from_arrays(result.arrays)

    return track_once
