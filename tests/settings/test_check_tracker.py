import logging

import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.settings.check_tracker import check_tracker, known_animals
from sleap_lab.settings.config import TrackerConfig

WORKING = {
    ("keypoints", "oks"),
    ("keypoints", "euclidean_dist"),
    ("keypoints", "cosine_sim"),
    ("centroids", "euclidean_dist"),
    ("centroids", "cosine_sim"),
    ("bboxes", "iou"),
    ("bboxes", "euclidean_dist"),
    ("bboxes", "cosine_sim"),
}


@pytest.mark.parametrize("features", ["keypoints", "centroids", "bboxes"])
@pytest.mark.parametrize("scoring", ["oks", "iou", "euclidean_dist", "cosine_sim"])
def test_features_and_scorings_that_fit(features, scoring):
    config = TrackerConfig(features=features, scoring_method=scoring)
    if (features, scoring) in WORKING:
        assert check_tracker(config) == config
    else:
        with pytest.raises(
            ConfigError,
            match=f"tracker.scoring_method={scoring} cannot compare tracker.features={features}",
        ):
            check_tracker(config)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"use_flow": True, "use_kalman": True}, "tracker.use_flow and tracker.use_kalman"),
        (
            {"method": "bytetrack", "scoring_method": "euclidean_dist"},
            "tracker.scoring_method=euclidean_dist is no similarity between 0 and 1; "
            "tracker.method=bytetrack compares by oks or iou",
        ),
        (
            {"method": "ocsort", "use_kalman": True, "max_tracks": 2},
            "tracker.use_kalman=true does not go with tracker.method=ocsort",
        ),
        (
            {"method": "global", "use_flow": True},
            "tracker.use_flow is for trackers that decide frame by frame",
        ),
        (
            {"method": "auto", "link_tracklets": True},
            "tracker.link_tracklets=true joins what an online tracker found, "
            "but tracker.method is auto",
        ),
        (
            {"use_kalman": True},
            "tracker.use_kalman=true needs .*target_instance_count or tracker.max_tracks",
        ),
        (
            {"use_kalman": True, "max_tracks": 2, "kf_node_indices": []},
            "tracker.kf_node_indices: got \\[\\]",
        ),
        (
            {"use_kalman": True, "max_tracks": 2, "kf_node_indices": [0, -1]},
            "tracker.kf_node_indices: got \\[0, -1\\]",
        ),
        (
            {"use_flow": True, "features": "image"},
            "tracker.use_flow moves poses, but tracker.features=image",
        ),
        (
            {"use_kalman": True, "features": "image"},
            "tracker.use_kalman moves poses, but tracker.features=image",
        ),
        (
            {"features": "image", "scoring_method": "iou"},
            "tracker.scoring_method=iou cannot compare tracker.features=image",
        ),
        (
            {"window_by_frame_number": True, "candidates_method": "local_queues"},
            "window_by_frame_number=true needs .*fixed_window",
        ),
        (
            {"window_by_frame_number": True, "max_tracks": 2},
            "window_by_frame_number=true needs .*fixed_window",
        ),
        (
            {"tracking_pre_cull_to_target": 1},
            "tracking_pre_cull_to_target=1 needs .*tracking_target_instance_count",
        ),
        (
            {"tracking_pre_cull_to_target": 1, "tracking_target_instance_count": 0},
            "tracking_pre_cull_to_target=1 needs",
        ),
        (
            {"tracking_pre_cull_to_target": 1, "max_tracks": 2},
            "tracking_pre_cull_to_target=1 needs",
        ),
        (
            {"post_connect_single_breaks": True},
            "post_connect_single_breaks=true needs .*target_instance_count or tracker.max_tracks",
        ),
    ],
)
def test_refusals(settings, message):
    with pytest.raises(ConfigError, match=message):
        check_tracker(TrackerConfig(**settings))


@pytest.mark.parametrize(
    "settings",
    [
        {"post_connect_single_breaks": True, "tracking_target_instance_count": 2},
        {"post_connect_single_breaks": True, "max_tracks": 2, "candidates_method": "local_queues"},
        {"tracking_pre_cull_to_target": 1, "tracking_target_instance_count": 2},
        {"tracking_clean_instance_count": 2},
        {"use_flow": True},
        {"use_kalman": True, "tracking_target_instance_count": 2, "kf_node_indices": [0, 2]},
        {"use_kalman": True, "max_tracks": 2, "candidates_method": "local_queues"},
        {"features": "image", "scoring_method": "cosine_sim"},
        {"window_by_frame_number": True},
    ],
)
def test_accepted_unchanged(settings):
    assert check_tracker(TrackerConfig(**settings)) == TrackerConfig(**settings)


def test_a_track_limit_needs_local_queues(caplog):
    with caplog.at_level(logging.INFO):
        config = check_tracker(TrackerConfig(max_tracks=3))
        assert config == TrackerConfig(max_tracks=3, candidates_method="local_queues")
        assert check_tracker(config) == config
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "local_queues instead of fixed_window" in caplog.text


def test_appearance_is_compared_by_the_cosine(caplog):
    with caplog.at_level(logging.INFO):
        assert check_tracker(TrackerConfig(features="image")) == TrackerConfig(
            features="image", scoring_method="cosine_sim"
        )
    assert "cosine_sim instead of oks" in caplog.text


@pytest.mark.parametrize("method", ["bytetrack", "ocsort"])
@pytest.mark.parametrize(("scoring", "features"), [("oks", "keypoints"), ("iou", "bboxes")])
def test_similarities_of_absence_choose_their_features(method, scoring, features):
    given = TrackerConfig(method=method, scoring_method=scoring, undecided="reference")
    config = check_tracker(given)
    assert (config.features, config.undecided) == (features, "distance")


@pytest.mark.parametrize(
    ("target", "limit", "animals"), [(None, None, None), (0, None, None), (3, None, 3), (3, 2, 2)]
)
def test_the_known_animals(target, limit, animals):
    config = TrackerConfig(tracking_target_instance_count=target, max_tracks=limit)
    assert known_animals(config) == animals
