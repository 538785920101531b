import optuna
import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.settings.config import FiltersConfig, TrackerConfig
from sleap_lab.tune.draws import first_draws, held_fixed, suggest
from sleap_lab.tune.settings import TRACKERS
from sleap_lab.tune.space import (
    Choice,
    Range,
    tracker_space,
    with_settings,
)


def test_what_the_user_typed_stays(draw, whole):
    typed = {
        "tracker.tracking_window_size": 9,
        "tracker.scoring_method": "oks",
        "tracker.candidates_method": "local_queues",
    }
    space = held_fixed(whole, typed)
    for seed in range(20):
        settings, drawn = draw(space, seed, typed)
        assert not settings.keys() & typed.keys()
        if settings["tracker.method"] in ("global", "auto"):
            assert drawn & {"tracker.oks_stddev", "tracker.max_tracks"} == set()
            continue
        assert settings["tracker.features"] == "keypoints"  # the only ones that oks compares
        assert "tracker.oks_stddev" in drawn
        assert (
            settings["tracker.use_flow"]
            or settings["tracker.use_kalman"]
            or "tracker.max_tracks" in drawn
        )
    (trackers,) = [dimension for dimension in space if dimension.name == "tracker"]
    assert list(trackers.options) == [
        "local_queues",
        "flow",
        "kalman",
        "bytetrack",
        "ocsort",
        "global",
        "auto",
    ]


def test_what_was_typed_may_leave_no_tracker():
    with pytest.raises(
        ConfigError, match=r"tune.trackers: none of fixed_window goes with tracker.max_tracks=3"
    ):
        held_fixed(tracker_space(["fixed_window"], 2, 3, 50), {"tracker.max_tracks": 3})


def test_the_first_trials_cross_trackers_and_comparisons_and_leave_the_rest_as_it_is(default):
    space = held_fixed(tracker_space(TRACKERS[:2], n_nodes=3, n_animals=None, n_frames=50), {})
    draws = first_draws(space, default, {})
    (comparison,) = [dimension for dimension in space if dimension.name == "comparison"]
    assert len(comparison.options) >= 5
    assert len(draws) == 2 * len(comparison.options)
    study = optuna.create_study()
    tried = []
    for drawn in draws:
        study.enqueue_trial(drawn)
        tracker, _ = with_settings(
            TrackerConfig(tracking=True), FiltersConfig(), suggest(study.ask(), space, {})
        )
        tried.append((tracker.candidates_method, tracker.features, tracker.scoring_method))
        assert (
            tracker.tracking_window_size,
            tracker.scoring_reduction,
            tracker.track_matching_method,
        ) == (5, "mean", "hungarian")
    assert len(set(tried)) == len(draws)
    assert ("fixed_window", "keypoints", "oks") in tried


def test_a_default_outside_the_range_is_tried_at_its_end(default):
    space = [Range("tracker.tracking_window_size", 1, 3), Choice("comparison", {"x": {}, "y": {}})]
    assert first_draws(space, default, {}) == [
        {"tracker.tracking_window_size": 3, "comparison": label} for label in "xy"
    ]
