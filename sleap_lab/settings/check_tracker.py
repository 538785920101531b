"""Checks of combinations of tracker settings, and the settings that change others."""

import logging
from dataclasses import replace

from sleap_lab.errors import ConfigError
from sleap_lab.settings.config import TrackerConfig
from sleap_lab.settings.similarities import BOUNDED, SIMILARITIES

log = logging.getLogger(__name__)

ABSENCE = ("bytetrack", "ocsort")
"""The methods whose tracks outlive an absence."""


def known_animals(config: TrackerConfig) -> int | None:
    """Return the number of animals in a frame, where the settings say it."""
    given = (config.tracking_target_instance_count, config.max_tracks)
    return min((number for number in given if number), default=None)


def check_tracker(config: TrackerConfig) -> TrackerConfig:
    """Refuse tracker settings that contradict each other, and return the ones that are used.

    Two settings may differ from the given ones: a limit of tracks needs `local_queues`, which
    replaces `fixed_window`, and appearance needs `cosine_sim`, which replaces `oks`.

    Raises:
        ConfigError: Naming the first key that does not fit the others.
    """
    config = _resolve(config)
    accepted = SIMILARITIES[config.scoring_method].features
    if config.features not in accepted:
        raise ConfigError(
            f"tracker.scoring_method={config.scoring_method} cannot compare "
            f"tracker.features={config.features}; it compares {' or '.join(accepted)}"
        )
    _check_method(config)
    if config.use_flow and config.use_kalman:
        raise ConfigError("tracker.use_flow and tracker.use_kalman are both true; choose one")
    if config.features == "image" and (config.use_flow or config.use_kalman):
        raise ConfigError(
            f"tracker.{_motion(config)} moves poses, but tracker.features=image compares none; "
            "choose one"
        )
    if config.use_kalman and known_animals(config) is None:
        raise ConfigError(
            "tracker.use_kalman=true needs the number of animals "
            "in tracker.tracking_target_instance_count or tracker.max_tracks"
        )
    if config.kf_node_indices is not None and (
        not config.kf_node_indices or min(config.kf_node_indices) < 0
    ):
        raise ConfigError(
            f"tracker.kf_node_indices: got {config.kf_node_indices}; "
            "accepted: a list of node numbers from 0, or null for all"
        )
    if config.window_by_frame_number and config.candidates_method != "fixed_window":
        raise ConfigError(
            "tracker.window_by_frame_number=true needs tracker.candidates_method=fixed_window "
            "(and no tracker.max_tracks); local_queues never forget a track"
        )
    if config.tracking_pre_cull_to_target and not config.tracking_target_instance_count:
        raise ConfigError(
            f"tracker.tracking_pre_cull_to_target={config.tracking_pre_cull_to_target} "
            "needs the number of animals in tracker.tracking_target_instance_count"
        )
    if config.post_connect_single_breaks and known_animals(config) is None:
        raise ConfigError(
            "tracker.post_connect_single_breaks=true needs the number of animals in "
            "tracker.tracking_target_instance_count or tracker.max_tracks"
        )
    return config


def _motion(config: TrackerConfig) -> str:
    """Return the key that has poses moved, of a tracker that moves them."""
    return "use_flow" if config.use_flow else "use_kalman"


def _check_method(config: TrackerConfig) -> None:
    """Refuse settings of trackers that decide frame by frame where another method is chosen."""
    if config.method in ("global", "auto") and (config.use_flow or config.use_kalman):
        raise ConfigError(
            f"tracker.{_motion(config)} is for trackers that decide frame by frame, but "
            f"tracker.method is {config.method}; choose one"
        )
    if config.method in ("global", "auto") and config.link_tracklets:
        raise ConfigError(
            "tracker.link_tracklets=true joins what an online tracker found, but tracker.method is "
            f"{config.method}; choose one"
        )
    if config.method == "auto":
        for method in ABSENCE:
            check_tracker(replace(config, method=method))


def _check_absence(config: TrackerConfig) -> None:
    """Refuse settings that bytetrack and ocsort do not have."""
    if config.scoring_method not in BOUNDED:
        raise ConfigError(
            f"tracker.scoring_method={config.scoring_method} is no similarity between 0 and 1; "
            f"tracker.method={config.method} compares by {' or '.join(BOUNDED)}"
        )
    for name in ("use_flow", "use_kalman"):
        if getattr(config, name):
            raise ConfigError(
                f"tracker.{name}=true does not go with tracker.method={config.method}, "
                "which predicts motion by itself; leave it out"
            )


def _resolve(config: TrackerConfig) -> TrackerConfig:
    """Replace the settings that do not fit the others."""
    if config.method == "global":
        return config
    if config.method in ABSENCE:
        _check_absence(config)
        features = SIMILARITIES[config.scoring_method].features[0]
        return replace(config, features=features, undecided="distance")
    if config.max_tracks and config.candidates_method == "fixed_window":
        log.info(
            "tracker.candidates_method: local_queues instead of fixed_window, "
            "because of tracker.max_tracks=%d",
            config.max_tracks,
        )
        config = replace(config, candidates_method="local_queues")
    if config.features == "image" and config.scoring_method == "oks":
        log.info(
            "tracker.scoring_method: cosine_sim instead of oks, because of tracker.features=image"
        )
        config = replace(config, scoring_method="cosine_sim")
    return config
