import re

import numpy as np
import pytest

from sleap_lab.evaluation import evaluate
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import EvaluatorConfig
from sleap_lab.settings.metrics import METRICS, NOT_LOGGED

TRUTH = make_poses(
    Skeleton(("a", "b")),
    [[[0, 0], [100, 100]], [[0, 0], [100, 100]]],
    frame=[0, 1],
    user=True,
    tracks=0,
    track_names=("t",),
)
POSES = make_poses(
    TRUTH.skeleton, TRUTH.points + np.array([3, 4]), frame=[0, 1], tracks=0, track_names=("p",)
)


def evaluation(**settings):
    return evaluate(TRUTH, POSES, EvaluatorConfig(**settings), videos={0: 0})


def test_names_are_legal_and_unique():
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"(coco|eval|identity|quality)/[a-z0-9_]+", name) for name in names)
    assert all(metric.better in ("higher", "lower", "") for metric in METRICS)


def test_every_metric_appears_in_one_of_the_modes():
    poses, centroids = (
        evaluation(identity=True).headline(),
        evaluation(match_method="centroid").headline(),
    )
    assert set(poses) | set(centroids) == {
        metric.name for metric in METRICS if metric.group != "quality"
    }
    assert not {"eval/centroid_f1", "identity/idf1"} & set(evaluation().headline())


def test_headline_values():
    headline = evaluation(identity=True).headline()
    expected = {
        "eval/n_frame_pairs": 2,
        "eval/n_matched": 2,
        "eval/n_missed": 0,
        "eval/dist_p90": 5,
        "eval/pck_5": 0,
        "eval/pck_10": 1,
    }
    assert {name: headline[name] for name in expected} == expected
    assert headline["eval/moks"] == pytest.approx(np.exp(-25 / 50))
    assert headline["identity/idf1"] == 1
    assert all(type(value) is float for value in headline.values())


def test_text_shows_numbers_settings_and_notes():
    some = make_poses(TRUTH.skeleton, TRUTH.points[:1])
    text = str(evaluate(TRUTH, some, EvaluatorConfig(oks_stddev=0.07), videos={0: 0}))
    assert re.search(r"eval/oks_map +1\n", text)
    assert "oks_stddev=0.07" in text
    assert "note: 1 of 2 labelled frames are not in the predictions" in text


def test_few_enough_metrics_are_logged():
    assert {metric.name for metric in METRICS} > NOT_LOGGED
    for found in (evaluation(identity=True), evaluation(identity=True, match_method="centroid")):
        assert (
            len(found.headline().keys() - NOT_LOGGED) <= 25
        )  # with counts and times, at most 40 of a run
