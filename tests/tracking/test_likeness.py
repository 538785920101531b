import numpy as np
import pytest

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.tracking.bodies import describe_bodies
from sleap_lab.tracking.likeness import look_again
from sleap_lab.tracking.tracklets import joined

FRAMES = 90
FISH = np.array([[6, 0], [2, 1], [-6, 0], [0, -2]], dtype=float)


def exchanged(sizes):
    """Two fish that were exchanged between frames 29 and 59; rows by frame, first one, then two."""
    rng = np.random.default_rng(0)
    points = [
        size * FISH + [100 * animal, frame] + rng.normal(0, 0.2, FISH.shape)
        for frame in range(FRAMES)
        for animal, size in enumerate(sizes)
    ]
    poses = make_poses(Skeleton(tuple("abcd")), points, frame=np.repeat(np.arange(FRAMES), 2))
    follow = {
        2 * frame + animal: 2 * frame + 2 + animal for frame in range(89) for animal in (0, 1)
    }
    for frame in (29, 59):
        follow[2 * frame], follow[2 * frame + 1] = 2 * frame + 3, 2 * frame + 2
    runs = joined(2 * FRAMES, np.array(list(follow)), np.array(list(follow.values())))
    doubtful = np.isin(poses.frame, (30, 60))
    return describe_bodies(poses), runs, doubtful, np.ones(2 * FRAMES, dtype=bool)


def alike(rows, others):
    """Motion says nothing."""
    return np.zeros(len(rows))


def test_animals_of_different_size_are_exchanged_back():
    bodies, runs, doubtful, real = exchanged((1.0, 1.2))
    found, margin = look_again(bodies, runs, doubtful, alike, real)
    first = found.first()
    assert first.tolist() == [0, 1] * FRAMES
    assert (margin[doubtful] > 5).all()
    assert np.isnan(margin[~doubtful]).all()


def test_of_animals_that_look_alike_shape_says_nothing():
    bodies, runs, doubtful, real = exchanged((1.0, 1.0))
    found, margin = look_again(bodies, runs, doubtful, lambda i, j: 2.0 * ((i + j) % 2), real)
    # As joined, each link leads to the other row: exchanging back saves 4.
    assert found.first().tolist() == [0, 1] * FRAMES
    np.testing.assert_allclose(margin[doubtful], 4, atol=1)


@pytest.mark.parametrize("sizes", [(1.0, 1.2)])
def test_motion_that_is_sure_is_believed(sizes):
    bodies, runs, doubtful, real = exchanged(sizes)
    found, _ = look_again(bodies, runs, doubtful, lambda i, j: 40.0 * ((i + j) % 2 == 0), real)
    assert found.after.tolist() == runs.after.tolist()
