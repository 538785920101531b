import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.settings.config import ModelConfig
from sleap_lab.settings.thresholds import peak_thresholds


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.2, (0.2, 0.2)),
        (0, (0, 0)),
        ([0.3, 0.1], (0.3, 0.1)),
        ((1, 0.5), (1, 0.5)),
        (-1, (-1, -1)),
    ],
)
def test_peak_thresholds(value, expected):
    assert peak_thresholds(ModelConfig(peak_threshold=value)) == expected


@pytest.mark.parametrize(
    "value",
    [None, "0.2", True, [], [0.2], [0.1, 0.2, 0.3], [0.1, "x"], [True, 0.1], {"centroid": 0.1}],
)
def test_other_peak_thresholds_are_refused(value):
    with pytest.raises(
        ConfigError,
        match=r"^model.peak_threshold: got .*; "
        r"accepted: a number, or for top-down \[centroid, keypoint\]$",
    ):
        peak_thresholds(ModelConfig(peak_threshold=value))
