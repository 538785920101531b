"""`sleap-lab eval-tracking` equals `sleap-nn eval-tracking`; `make_eval_tracking_cases.py`."""

import gzip
import importlib.util
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.evaluation.tracked import TrackingSettings
from sleap_lab.evaluation.tracking_scores import as_text, score_tracking, write_scores
from sleap_lab.media.labels import to_poses

spec = importlib.util.spec_from_file_location(
    "make_eval_tracking_cases", Path(__file__).parent / "make_eval_tracking_cases.py"
)
cases = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cases)

ANSWERS = json.loads(gzip.decompress(cases.ANSWERS.read_bytes()))
PAIRS = cases.make_pairs()


def scores(pair, **changed):
    """Return our answer to a pair."""
    (truth, truth_options), (poses, options), flags = pair
    values = dict(itertools.pairwise(flags))
    settings = {
        name: float(values[f"--{name}"])
        for name in ("match_threshold", "mt_threshold", "ml_threshold", "oks_stddev")
        if f"--{name}" in values
    } | {name: f"--{name}" in flags for name in ("user_labels_only", "global_identity")}
    return score_tracking(
        to_poses(cases.to_labels(truth, **truth_options)),
        to_poses(cases.to_labels(poses, **options)),
        {video: video for video in range(min(len(truth), len(poses)))},
        TrackingSettings(**settings | changed),
    )


def assert_equal(found, expected):
    """Compare blocks to 1e-9; both have the same names."""
    assert set(found) - {"notes", "note", "error"} == set(expected) - {"error"}
    for name, value in expected.items():
        if isinstance(value, dict):
            assert_equal(found[name], value)
        elif name == "error":
            assert "one detection per frame" in found[name]
        elif value is None or isinstance(value, (bool, str)):
            assert found[name] == value, name
        else:
            np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("name", [name for name, answer in ANSWERS.items() if answer])
def test_equals_sleap_nn(name):
    assert_equal(scores(PAIRS[name]), ANSWERS[name])


@pytest.mark.parametrize("name", [name for name, answer in ANSWERS.items() if not answer])
def test_nothing_to_score_is_an_error_where_sleap_nn_has_one(name):
    with pytest.raises(RunError, match=r"^nothing to score: "):
        scores(PAIRS[name])


def test_enough_pairs_are_compared():
    assert sum(answer is not None for answer in ANSWERS.values()) >= 80
    assert list(ANSWERS) == list(PAIRS)
    assert sum("error" in answer["mot"] for answer in ANSWERS.values() if answer) >= 2


def test_notes_say_what_the_numbers_do_not():
    said = scores(PAIRS["truth without track"])["notes"]
    assert said == [
        "6 instances of the ground truth have no track and are not judged, "
        "neither are the 6 tracked predictions on them"
    ]
    assert "(A, B)" in scores(PAIRS["names by video"])["notes"][0]
    assert "no tracked prediction matches" in scores(PAIRS["nothing matches"])["notes"][-1]
    assert "replaces" in scores(PAIRS["a person's instance replaces"])["notes"][0]


def test_a_distance_must_be_above_0():
    with pytest.raises(ConfigError, match=r"--match_threshold: got 0; .* above 0"):
        scores(PAIRS["centroids"], match_threshold=0.0)


def test_text_and_file_hold_the_numbers(tmp_path):
    found = scores(PAIRS["switch"])
    assert "id_switches=2 fragmentations=0 idf1=0.5000" in as_text(found)
    assert "mota=0.8333 motp=1.0000 idsw=2" in as_text(found)
    assert "mean_track_purity=–" in as_text(scores(PAIRS["nothing matches"]))
    assert "holds one detection per frame" in as_text(scores(PAIRS["track twice in a frame"]))
    write_scores(found, tmp_path / "metrics.json")
    assert json.loads((tmp_path / "metrics.json").read_text()) == found
