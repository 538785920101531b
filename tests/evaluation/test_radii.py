"""Radii that hold the true points as often as they say."""

import json

import numpy as np
import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.evaluation.radii import (
    Calibration,
    NodeRadii,
    check_calibration,
    held,
    learn,
    radii_by_score,
    radii_of,
    read_calibration,
    write_calibration,
)
from sleap_lab.poses.record import Skeleton, make_poses

PAIR = Skeleton(("nose", "tail"))


def poses_of(scores, video=0, frame=None, points=1.0, **columns):
    """Poses with (n, nodes) confidences, one per frame."""
    scores = np.asarray(scores, dtype=float)
    points = np.broadcast_to(points, (*scores.shape, 2))
    frame = np.arange(len(scores)) if frame is None else frame
    skeleton = PAIR if scores.shape[1] == 2 else Skeleton(("nose",))
    return make_poses(skeleton, points, video=video, frame=frame, point_scores=scores, **columns)


def wave(n):
    """Errors 0 to n - 1 in an order in which neighbours are not alike."""
    return (np.arange(n) * 37) % n


def test_the_radius_is_the_quantile_for_the_next_point():
    # 100 independent points with the errors 0 … 99 and one confidence: of the next point and these,
    # all 101 ranks are as likely. ceil(0.9 · 101) = 91 points lie within the 91st error, 90 px.
    errors = wave(101)[wave(101) < 100].astype(float)[:, None]
    (radii,) = learn(poses_of(np.ones((100, 1))), errors).values()
    assert radii.points == 100
    assert radii.independent == pytest.approx(100)
    assert (radii.lowest, radii.radius) == ([1.0], [90.0])


def test_alike_neighbours_count_as_fewer_points():
    # Every error comes ten times in a row. The radius is that of fewer points, hence larger.
    errors = np.repeat(wave(101)[wave(101) < 100], 10).astype(float)[:, None]
    (radii,) = learn(poses_of(np.ones((1000, 1))), errors).values()
    assert 50 < radii.independent < 200
    assert radii.radius[0] in (90.0, 91.0)


def test_a_surer_group_has_a_smaller_radius():
    # 300 points: those with confidence 0.9 are off by at most 1 px, the others by at most 10 px.
    rng = np.random.default_rng(0)
    scores = np.tile([0.2, 0.9], 150)
    errors = rng.uniform(size=300) * np.where(scores > 0.5, 1, 10)
    (radii,) = learn(poses_of(scores[:, None]), errors[:, None]).values()
    assert radii.lowest == [0.2, 0.9]
    unsure, sure = radii.radius
    assert 8 < unsure < 10
    assert 0.8 < sure < 1


def test_confidence_that_misleads_makes_one_group():
    # The surer half has the larger errors; groups that grow with confidence are joined.
    scores = np.tile([0.2, 0.9], 150)
    errors = np.where(scores > 0.5, 5.0, 1.0) + wave(300) / 1000
    (radii,) = learn(poses_of(scores[:, None]), errors[:, None]).values()
    assert radii.lowest == [0.2]
    assert 5 < radii.radius[0] < 5.3


def test_few_points_have_no_radius():
    assert learn(poses_of(np.ones((15, 1))), wave(15).astype(float)[:, None]) == {}
    assert learn(poses_of(np.ones((0, 2))), np.zeros((0, 2))) == {}


def test_nodes_that_are_not_compared_have_no_radius():
    errors = np.stack([wave(100), np.full(100, np.nan)], axis=1)
    assert list(learn(poses_of(np.ones((100, 2))), errors)) == ["nose"]


def test_four_videos_are_the_units():
    # The 20 largest of 200 errors are in one of four videos: its share of them is 0.4, that of the
    # others 0. The variance of their mean is 0.04 / 4; that of independent points is 0.1 · 0.9 / n,
    # which is as much for n = 9. The radius is then the largest error: 0.9 (1 + 1/9) = 1.
    errors = np.repeat([1.0, 2.0, 3.0, 30.0], 50)[:, None] + wave(200)[:, None] / 1000
    video, frame = np.repeat(np.arange(4), 50), np.tile(np.arange(50), 4)
    radii = learn(poses_of(np.ones((200, 1)), video, frame), errors)["nose"]
    assert radii.independent == pytest.approx(9)
    assert radii.radius == [errors.max()]


@pytest.mark.parametrize("order", [slice(None, None, -1), slice(None)])
def test_shares_of_true_points_inside(order):
    rng = np.random.default_rng(1)
    scores = rng.uniform(size=(4000, 1))[order]
    errors = rng.exponential(size=(4000, 1))[order] * (2 - scores)
    learned, rest = poses_of(scores[:2000]), poses_of(scores[2000:])
    inside = held(radii_of(Calibration(learn(learned, errors[:2000])), rest), errors[2000:])
    assert np.nanmean(inside) == pytest.approx(0.9, abs=0.02)


CALIBRATION = Calibration({"nose": NodeRadii([0.2, 0.8], [4.0, 1.0], 200, 90.0)}, ("a1",), "clip")


def test_what_has_no_radius():
    scores = [[0.1, 0.5], [0.79, 0.5], [0.8, 0.5], [np.nan, 0.5], [0.9, 0.5], [0.9, 0.5]]
    points = np.ones((6, 2, 2))
    points[4] = np.nan
    poses = poses_of(scores, points=points, user=[False] * 5 + [True])
    # Below the least confidence the first group holds; tail is not in the calibration, the fourth
    # has no confidence, the fifth was not found, and a person placed the sixth.
    expected = [[4.0], [4.0], [1.0], [np.nan], [np.nan], [np.nan]]
    np.testing.assert_equal(
        radii_of(CALIBRATION, poses), np.hstack([expected, np.full((6, 1), np.nan)])
    )
    np.testing.assert_equal(
        radii_by_score(CALIBRATION, ("nose",), np.array([[0.5], [1.0]])), [[4.0], [1.0]]
    )
    np.testing.assert_equal(held(np.array([1, 1, np.nan]), np.array([1, 2, 1])), [1, 0, np.nan])


def test_points_without_confidence_make_one_group():
    n = 300
    poses = poses_of(np.full((n, 1), np.nan))
    nodes = learn(poses, wave(n)[:, None].astype(float))
    # The quantile for the next of 300 points: rank ceil(0.9 * 301) = 271 of errors 0 to 299.
    assert nodes["nose"].radius == [270.0]
    np.testing.assert_equal(radii_of(Calibration(nodes), poses), np.full((n, 1), 270.0))


def test_what_is_written_is_read_back(tmp_path):
    write_calibration(tmp_path / "c.json", CALIBRATION)
    assert read_calibration(tmp_path / "c.json") == CALIBRATION
    check_calibration(tmp_path / "c.json", ("tail", "nose"))
    with pytest.raises(ConfigError, match=r"radii for other nodes \(nose\) .* predicted \(tail\)"):
        check_calibration(tmp_path / "c.json", ("tail",))


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"nodes": {"nose": {"lowest": [0.8, 0.2], "radius": [1, 2], "points": 1}}},
        {"nodes": {"nose": {"lowest": [], "radius": [], "points": 1, "independent": 1}}},
        {"nodes": {"nose": {"lowest": [1], "radius": [-1], "points": 1, "independent": 1}}},
        {"nodes": {"nose": {"lowest": [1], "radius": [1, 2], "points": 1, "independent": 1}}},
        {"nodes": []},
    ],
)
def test_what_is_no_calibration_is_refused(tmp_path, change):
    write_calibration(tmp_path / "c.json", CALIBRATION)
    content = json.loads((tmp_path / "c.json").read_text()) | change
    (tmp_path / "c.json").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"evaluator.calibration: .*c.json: not a calibration"):
        read_calibration(tmp_path / "c.json")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"gone.json: no such file; sleap-lab calibrate RUN"):
        read_calibration(tmp_path / "gone.json")
