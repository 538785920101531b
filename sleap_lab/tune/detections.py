"""The detections that a search scores: of the default setting, and of others that predict anew."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from sleap_lab import terminal
from sleap_lab.errors import RunError
from sleap_lab.inference.cache import Cache
from sleap_lab.inference.cached_stages import detect_cached, open_cache
from sleap_lab.inference.detect import Inference
from sleap_lab.inference.models import device_name
from sleap_lab.inference.shards import check_devices, predictor
from sleap_lab.media.labels import before_corrections
from sleap_lab.media.open_source import open_source
from sleap_lab.media.source import Source
from sleap_lab.poses.record import Poses
from sleap_lab.settings.check import check
from sleap_lab.settings.config import Config
from sleap_lab.tune.problem import Problem, with_detections
from sleap_lab.tune.space import Settings


def detect_all(config: Config, source: Source, cache: Cache) -> Inference:
    """Predict on a source, or read the poses that it holds; each at most once.

    Args:
        config: The experiment.
        source: Opened videos and selected frames.
        cache: The stage cache.

    Raises:
        RunError: The models know the animals' identities, so that there is nothing to tune.
    """
    device = device_name(config)
    check_devices(device, config.runtime.devices)
    detected = detect_cached(
        source,
        config,
        device,
        cache,
        {},
        predict=predictor(config, device, cache, {}),
        watch=lambda frames, total: terminal.progress(frames, total, "predicting"),
    )
    if (
        detected.kind != "none"
        and detected.poses.track_names
        and not config.tracker.override_class_tracks
    ):
        raise RunError(
            "model.paths: the models know the animals' identities, "
            "so that the tracker is not used and there is nothing to tune; "
            "tracker.override_class_tracks=true lets it replace them"
        )
    return detected


def uncorrected(source: Source, detected: Inference) -> Poses:
    """Return detections as they were before any corrections by the user."""
    return (
        detected.poses
        if source.project is None
        else before_corrections(source.project, detected.poses)
    )


def redetecting(problem: Problem, config: Config) -> Callable[[Settings], Problem]:
    """Return a function that gives the problem with the detections of other settings.

    The blocks, and which of them are held out, stay those of the default setting. The last few
    detections are kept; the networks' outputs are in the stage cache.

    Args:
        problem: The problem with the detections of the default setting.
        config: The experiment.
    """
    opened: list[Source] = []

    @lru_cache(maxsize=2)
    def detected(changes: tuple[tuple[str, object], ...]) -> Problem:
        changed = changed_config(config, dict(changes))
        if not opened:
            opened.append(open_source(config.data, predicting=config.model.kind != "none"))
        found = detect_all(changed, opened[0], open_cache(changed, terminal.warn))
        return with_detections(problem, uncorrected(opened[0], found))

    def problem_of(settings: Settings) -> Problem:
        changes = {key: settings[key] for key in problem.others if key in settings}
        if changes == problem.others or not changes:
            return problem
        return detected(tuple((key, _hashable(value)) for key, value in sorted(changes.items())))

    return problem_of


def _hashable(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def changed_config(config: Config, changes: Settings) -> Config:
    """Return a config with some keys changed.

    Raises:
        ConfigError: The values contradict the others.
    """
    groups: dict[str, Settings] = {}
    for key, value in changes.items():
        group, _, name = key.partition(".")
        groups.setdefault(group, {})[name] = list(value) if isinstance(value, tuple) else value
    changed = replace(
        config,
        **{group: replace(getattr(config, group), **found) for group, found in groups.items()},
    )
    check(changed)
    return changed
