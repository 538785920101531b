import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleap_lab.settings.check_tracker import check_tracker
from sleap_lab.settings.config import FiltersConfig, TrackerConfig
from sleap_lab.tune.settings import TRACKERS
from sleap_lab.tune.space import (
    filter_space,
    tracker_of,
    tracker_space,
    with_settings,
)

PARENTS = {
    "tracker.of_window_size": ("tracker.use_flow", True),
    "tracker.of_max_levels": ("tracker.use_flow", True),
    "tracker.of_img_scale": ("tracker.use_flow", True),
    "tracker.kf_track_features": ("tracker.use_kalman", True),
    "tracker.kf_init_frame_count": ("tracker.use_kalman", True),
    "tracker.kf_reset_gap_size": ("tracker.use_kalman", True),
    "tracker.track_low_threshold": ("tracker.method", "bytetrack"),
    "tracker.momentum": ("tracker.method", "ocsort"),
    "tracker.momentum_span": ("tracker.method", "ocsort"),
    "tracker.tracking_window_size": ("tracker.method", "online"),
    "tracker.scoring_reduction": ("tracker.method", "online"),
    "tracker.track_matching_method": ("tracker.method", "online"),
    "tracker.min_match_points": ("tracker.method", "online"),
    "comparison": ("tracker.method", "online"),
    "tracker.oks_stddev": ("tracker.scoring_method", "oks"),
    "tracker.robust_best_instance": ("tracker.scoring_reduction", "robust_quantile"),
    "filters.filter_overlapping_threshold": ("filters.filter_overlapping", True),
}
"""Dimensions that exist only where another key has a value."""


@given(seed=st.integers(0, 2**31))
def test_only_what_matters_is_drawn_and_all_of_it_is_accepted(seed, draw, whole):
    settings, drawn = draw(whole, seed)
    for name, (key, value) in PARENTS.items():
        assert (name in drawn) == (settings.get(key) == value)
    method = settings["tracker.method"]
    for name in ("track_buffer", "min_hits", "track_high_threshold", "new_track_threshold"):
        assert (f"tracker.{name}" in drawn) == (method in ("bytetrack", "ocsort"))
    for name in ("link_tracklets", "post_connect_single_breaks", "min_new_track_points"):
        assert (f"tracker.{name}" in drawn) == (method not in ("global", "auto"))
    assert ("tracker.max_tracks" in drawn) == (
        method in ("bytetrack", "ocsort")
        or settings.get("tracker.candidates_method") == "local_queues"
    )
    assert ("tracker.candidates_method" in drawn) == (
        settings["tracker.use_flow"] or settings["tracker.use_kalman"]
    )
    tracker, _ = with_settings(TrackerConfig(tracking=True), FiltersConfig(), settings)
    assert check_tracker(tracker) == tracker  # neither refused nor changed
    assert sum([settings["tracker.use_flow"], settings["tracker.use_kalman"]]) <= 1
    # At most one score filter is on.
    assert 0.0 in (
        settings["filters.filter_min_instance_score"],
        settings["filters.filter_min_mean_node_score"],
    )


@pytest.mark.parametrize("tracker", TRACKERS)
def test_every_tracker_is_drawn_as_itself(tracker, draw):
    settings, _ = draw(tracker_space([tracker], n_nodes=2, n_animals=2, n_frames=50), seed=0)
    assert tracker_of(with_settings(TrackerConfig(), FiltersConfig(), settings)[0]) == tracker


def test_settings_that_belong_to_one_tracker_are_no_settings_of_another(draw):
    one = names(tracker_space(["global"], n_nodes=2, n_animals=2, n_frames=50))
    settings, drawn = draw(tracker_space(["global"], 2, 2, 50), seed=0)
    assert "tracker.momentum" in one
    assert drawn == set()
    assert settings == {
        "tracker.method": "global",
        "tracker.use_flow": False,
        "tracker.use_kalman": False,
        "tracker.link_tracklets": False,
        "tracker.tracking_target_instance_count": 2,
    }


def names(space):
    return {dimension.name for dimension in space}


def test_what_cannot_matter_is_not_searched():
    known, unknown = (
        tracker_space(TRACKERS[:3], n_nodes=2, n_animals=n, n_frames=50) for n in (3, None)
    )
    assert names(known) - names(unknown) == {
        f"tracker.{n}"
        for n in ("max_tracks", "post_connect_single_breaks", "tracking_pre_cull_to_target")
    }
    one_node = tracker_space(TRACKERS, n_nodes=1, n_animals=None, n_frames=50)
    (comparison,) = [dimension for dimension in one_node if dimension.name == "comparison"]
    assert "centroids euclidean_dist" in comparison.options
    assert {each.partition(" ")[0] for each in comparison.options} == {"centroids"}  # no extent
    assert not names(one_node) & {"tracker.min_match_points", "tracker.min_new_track_points"}


def test_memory_is_not_longer_than_a_block():
    (window,) = [
        d
        for d in tracker_space(TRACKERS, 2, 2, n_frames=8)
        if d.name == "tracker.tracking_window_size"
    ]
    assert (window.low, window.high) == (1, 8)


def test_score_thresholds_are_quantiles_of_the_scores(scored):
    space = {
        dimension.name: dimension for dimension in filter_space(scored(np.linspace(0, 1, 101)))
    }
    assert list(space["filters.filter_min_instance_score"].options) == [
        "0.01",
        "0.05",
        "0.1",
        "0.25",
    ]
    assert "filters.filter_min_mean_node_score" not in space  # all are 0.5
    assert list(space["score filter"].options) == ["off", "filter_min_instance_score"]
    assert "score filter" not in names(filter_space(scored([0.7, 0.7])))


def test_what_a_person_labelled_is_not_filtered(scored):
    assert filter_space(scored([np.nan, np.nan], user=True)) == []
