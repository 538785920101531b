"""Which combinations of tracker settings make sense, and which one setting changes another."""

import logging
from dataclasses import replace

from sleap_lab.config import TrackerConfig
from sleap_lab.errors import ConfigError
from sleap_lab.tracking.similarity import COMPARABLE

log = logging.getLogger(__name__)


def check(config: TrackerConfig) -> TrackerConfig:
    """Refuse tracker settings that contradict each other, and return the ones that will be used.

    They are the given ones but for one: a limit of tracks needs `local_queues`, which replaces `fixed_window`.

    Raises:
        ConfigError: Naming the first key that does not fit the others.
    """
    accepted = COMPARABLE[config.scoring_method]
    if config.features not in accepted:
        raise ConfigError(
            f"tracker.scoring_method={config.scoring_method} cannot compare tracker.features={config.features}; "
            f"it compares {' or '.join(accepted)}"
        )
    if config.use_flow and config.use_kalman:
        raise ConfigError("tracker.use_flow and tracker.use_kalman are both true; choose one")
    if config.use_kalman:
        raise ConfigError("tracker.use_kalman=true is not available in this version; use tracker.use_flow=true or neither")
    if config.tracking_pre_cull_to_target and not config.tracking_target_instance_count:
        raise ConfigError(
            f"tracker.tracking_pre_cull_to_target={config.tracking_pre_cull_to_target} needs the number of animals in "
            "tracker.tracking_target_instance_count"
        )
    if config.post_connect_single_breaks and not (config.tracking_target_instance_count or config.max_tracks):
        raise ConfigError(
            "tracker.post_connect_single_breaks=true needs the number of animals in "
            "tracker.tracking_target_instance_count or tracker.max_tracks"
        )
    if config.max_tracks and config.candidates_method == "fixed_window":
        log.info("tracker.candidates_method: local_queues instead of fixed_window, because of tracker.max_tracks=%d", config.max_tracks)
        return replace(config, candidates_method="local_queues")
    return config
