import numpy as np
import pytest

from sleap_lab.tracking.state_space import _inverse, advance, correct, learn

PYKALMAN = {
    "mean": [12.9154878431, 3.56452115742, 4.1066345227, 0.548676270764],
    "variance": [0.0485443199249, 0.335664761214, 0.0818244238214, 0.18492169128],
    "process": [0.0754932155232, 0.350069675848, 0.178248165018, 0.0642535818079],
    "observation": [0.0582629514328, 0.0990345106255],
    "initial": [0.00418100857145, 0.00924850644146, 0.0063776926691, 0.0112015731932],
}


def test_a_step_adds_the_velocity_and_the_noise():
    mean, covariance = advance(np.array([[10.0, 2, 20, -1]]), np.eye(4)[None], 3 * np.eye(4)[None])
    assert mean.tolist() == [[12, 2, 19, -1]]
    # position: variance of position + velocity + noise; with velocity: variance of velocity
    block = [[1 + 1 + 3, 1], [1, 1 + 3]]
    np.testing.assert_array_equal(covariance[0], np.kron(np.eye(2), block))


def test_an_observation_pulls_by_the_share_of_the_uncertainty():
    mean, covariance = correct(
        np.zeros((1, 4)), np.eye(4)[None], np.array([[8.0, 4]]), 3 * np.eye(2)[None]
    )
    np.testing.assert_allclose(mean, [[8 * 1 / (1 + 3), 0, 4 * 1 / (1 + 3), 0]])
    np.testing.assert_allclose(covariance[0], np.diag([1 - 1 / 4, 1, 1 - 1 / 4, 1]))


def test_a_missing_observation_changes_nothing():
    mean, covariance = correct(
        np.ones((1, 8)), np.eye(8)[None], np.array([[8.0, 4, np.nan, 2]]), np.eye(4)[None]
    )
    np.testing.assert_array_equal(mean, np.ones((1, 8)))
    np.testing.assert_array_equal(covariance[0], np.eye(8))


def test_learned_noise_is_that_of_pykalman():
    # Result of pykalman 0.11.2, the third observation masked: KalmanFilter(...).em(z, n_iter=20,
    # em_vars=[transition, observation and initial state covariance])
    observed = np.array([[0, 0], [2, 1], [np.nan, np.nan], [7, 2], [9, 4], [13, 4]], dtype=float)[
        :, None
    ]
    mean, covariance, noise = learn(observed, np.array([[0.0, 2, 0, 1]]))
    np.testing.assert_allclose(mean[0], PYKALMAN["mean"], atol=1e-9)
    np.testing.assert_allclose(np.diag(covariance[0]), PYKALMAN["variance"], atol=1e-9)
    np.testing.assert_allclose(np.diag(noise.process[0]), PYKALMAN["process"], atol=1e-9)
    np.testing.assert_allclose(np.diag(noise.observation[0]), PYKALMAN["observation"], atol=1e-9)
    np.testing.assert_allclose(np.diag(noise.initial[0]), PYKALMAN["initial"], atol=1e-9)


def test_perfect_motion_is_followed():
    frames = np.arange(10)[:, None, None]
    mean, covariance, _ = learn(
        np.array([3.0, -2.0]) * frames + [5, 50], np.array([[5.0, 3, 50, -2]])
    )
    np.testing.assert_allclose(mean, [[5 + 27, 3, 50 - 18, -2]], atol=1e-6)
    assert np.isfinite(covariance).all()


def test_filters_learn_side_by_side_what_each_learns_alone():
    rng = np.random.default_rng(0)
    observed = rng.normal(size=(8, 3, 4)).cumsum(axis=0)
    observed[2, 1] = np.nan
    start = np.zeros((3, 8))
    start[:, 0::2] = observed[0]
    together, *_ = learn(observed, start)
    for i in range(3):
        alone, *_ = learn(observed[:, i : i + 1], start[i : i + 1])
        np.testing.assert_allclose(together[i], alone[0], atol=1e-9)


@pytest.mark.parametrize("size", [2, 4, 8, 20])
@pytest.mark.parametrize("lost", [0, 1, 2])
def test_inverses_are_those_of_numpy_also_of_singular_matrices(size, lost):
    rng = np.random.default_rng(size)
    roots = rng.normal(size=(3, size, size - lost)) * 10 ** rng.uniform(-3, 2, (3, 1, size - lost))
    covariances = roots @ np.swapaxes(roots, -1, -2)
    covariances = (covariances + np.swapaxes(covariances, -1, -2)) / 2
    expected = np.linalg.pinv(covariances, rcond=size * np.finfo(float).eps, hermitian=True)
    np.testing.assert_allclose(_inverse(covariances), expected, atol=1e-12 * np.abs(expected).max())
