"""Scenes of the identity benchmark are what they say, and the same every time."""

import numpy as np
import pytest

from benchmarks.contact_scenes import FEWEST_NODES, groups_of_contact
from benchmarks.identity import allowed
from benchmarks.scenes import (
    MISSING,
    NOISE,
    Scene,
    as_detections,
    body_length,
    by_name,
    degrade,
    every,
)
from sleap_lab.poses.record import Skeleton, make_poses

BODY = np.array([[0.0, 0.0], [10.0, 0.0], [30.0, 40.0]])  # its box has a diagonal of 50 px


def apart(frames, distance=1000.0):
    """Return two animals that stay where they are."""
    return [{"a": BODY, "b": BODY + np.array([distance, 0.0])} for _ in range(frames)]


def truth_of(frames):
    rows = [(number, name) for number, frame in enumerate(frames) for name in sorted(frame)]
    return make_poses(
        Skeleton(("nose", "neck", "tail")),
        [frames[number][name] for number, name in rows],
        frame=[number for number, _ in rows],
        tracks=["ab".index(name) for _, name in rows],
        track_names=("a", "b"),
    )


def test_the_body_is_as_long_as_the_diagonal_of_the_box():
    assert body_length(apart(3)) == 50


def test_a_scene_is_a_function_of_its_seed():
    once, again, other = (degrade(apart(50), 50.0, seed) for seed in (1, 1, 2))
    for found, same in zip(once, again, strict=True):
        assert [score for _, score in found] == [score for _, score in same]
        for (points, _), (others, _) in zip(found, same, strict=True):
            np.testing.assert_array_equal(points, others)
    assert [len(found) for found in once] != [len(found) for found in other]


def test_animals_apart_are_found_but_for_some_and_a_little_beside_where_they_are():
    found = degrade(apart(1000), 50.0, 0)
    points = np.array([each for frame in found for each, score in frame if score > 0.6])
    errors = np.concatenate(
        [(points - BODY).ravel(), (points - BODY - np.array([1000.0, 0.0])).ravel()]
    )
    errors = errors[np.abs(errors) < 10]
    assert len(points) / 2000 == pytest.approx(1 - MISSING, abs=0.01)
    assert errors.std() == pytest.approx(NOISE * 50, rel=0.05)
    assert np.isnan(points[..., 0]).mean() == pytest.approx(0.05, abs=0.01)


def test_in_contact_one_of_two_is_hidden_for_12_frames_at_most():
    frames = apart(5) + apart(40, distance=20.0) + apart(5)
    hidden = []
    for seed in range(40):
        found = degrade(frames, 50.0, seed)
        near = [len([s for _, s in frame if s > 0.6]) for frame in found[5:45]]
        hidden.append(sum(count < 2 for count in near[:12]) > 9)
        assert np.mean(np.array(near[12:]) >= 2) > 0.6
    assert 0.2 < np.mean(hidden) < 0.8


def test_frames_of_a_stride_are_renumbered():
    poses = every(truth_of(apart(31)), 15, None)
    assert poses.frame.tolist() == [0, 0, 1, 1, 2, 2]
    assert poses.frames.tolist() == [[0, 0], [0, 1], [0, 2]]


def test_what_the_detections_allow_are_the_tracks_of_the_truth():
    truth = truth_of(apart(20))
    found = as_detections(degrade(by_name(truth), 50.0, 3), truth)
    tracks = allowed(Scene("apart", 3, truth, found))
    left = np.nanmean(tracks.points[..., 0], axis=1) < 500
    assert [tracks.track_names[track] for track in tracks.tracks] == np.where(
        left, "a", "b"
    ).tolist()
    assert len(tracks) >= 0.9 * len(truth)


@pytest.mark.slow
def test_contact_hides_animals_for_two_seconds_at_most_and_shows_them_in_pictures():
    looks = [group.scene(0, 150) for group in groups_of_contact()]
    truth = looks[0].truth
    assert (truth.visible.sum(axis=1) >= FEWEST_NODES).all()
    for track in range(3):
        away = np.diff(np.unique(truth.frame[truth.tracks == track]))
        assert away.max() <= 31
    assert len(truth) < 3 * 150
    alike, distinct = (scene.images for scene in looks)
    assert alike.shape == (150, 320, 320, 1)
    assert (alike != distinct).any()
    np.testing.assert_array_equal(looks[0].detections.points, looks[1].detections.points)
