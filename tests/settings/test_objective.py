"""Which metrics a best job may be chosen by."""

import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.settings.metrics import METRICS
from sleap_lab.settings.objective import check_objective, natural_direction


@pytest.mark.parametrize(
    "name",
    [
        *(metric.name for metric in METRICS if metric.better),
        "speed/frames_per_second",
        "speed/track_seconds",
    ],
)
def test_metrics_with_a_better_side_need_no_direction(name):
    check_objective(name, None)


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("eval/oks_map", "maximize"),
        ("identity/switches", "minimize"),
        ("speed/frames_per_second", "maximize"),
        ("speed/network_seconds", "minimize"),
        ("eval/n_frame_pairs", None),
        ("counts/tracks", None),
    ],
)
def test_which_side_is_better(name, side):
    assert natural_direction(name) == side


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("idf1", "identity/idf1"),
        ("eval/idf1", "identity/idf1"),
        ("eval/oks_mapp", "eval/oks_map"),
        ("hotta", "identity/hota"),
    ],
)
def test_an_unknown_metric_is_refused_with_the_nearest(name, nearest):
    with pytest.raises(
        ConfigError,
        match=rf"^sweep\.objective: there is no metric {name!r}\. Did you mean {nearest!r}\?",
    ):
        check_objective(name, "maximize")
    with pytest.raises(ConfigError, match="Accepted: eval/n_frame_pairs, "):
        check_objective("zzzzzz", None)


@pytest.mark.parametrize("name", ["counts/tracks", "eval/n_frame_pairs"])
def test_without_a_better_side_the_direction_must_be_said(name):
    with pytest.raises(ConfigError, match=r"^sweep\.direction: .* accepted: maximize, minimize"):
        check_objective(name, None)
    check_objective(name, "minimize")
