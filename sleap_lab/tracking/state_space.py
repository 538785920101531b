"""Kalman filters of points that move at a nearly constant velocity, many filters at once.

The state of one point is (x, vx, y, vy) in px and px per frame, of which the position is observed;
the state of a filter is that of its p points, one after the other. Formulas: Kalman filter,
Rauch-Tung-Striebel smoother, and the expectation-maximisation of linear Gaussian state-space models
(Shumway & Stoffer 1982).
"""

from functools import cache
from typing import NamedTuple, Self

import numpy as np

ITERATIONS = 20


class Rows:
    """A dataclass of arrays with a row per track."""

    def __getitem__(self, keep: np.ndarray) -> Self:
        return type(self)(*(column[keep] for column in vars(self).values()))

    def __add__(self, other: Self) -> Self:
        columns = zip(vars(self).values(), vars(other).values(), strict=True)
        return type(self)(*map(np.concatenate, columns))


class Noise(NamedTuple):
    """The learned noise of each of m filters.

    Attributes:
        process: (m, 4p, 4p) covariance of what a step adds to the state.
        observation: (m, 2p, 2p) covariance of the error of an observation.
        initial: (m, 4p, 4p) covariance of the first state.
    """

    process: np.ndarray
    observation: np.ndarray
    initial: np.ndarray


@cache
def _model(points: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrices of one step, (4p, 4p), and of the observation, (2p, 4p)."""
    step = np.kron(np.eye(2 * points), [[1.0, 1.0], [0.0, 1.0]])
    return step, np.kron(np.eye(2 * points), [[1.0, 0.0]])


def advance(
    mean: np.ndarray, covariance: np.ndarray, process: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Predict the state one frame later.

    Args:
        mean: (m, 4p) states.
        covariance: (m, 4p, 4p) of the states.
        process: (m, 4p, 4p) process noise.
    """
    step, _ = _model(mean.shape[-1] // 4)
    return mean @ step.T, _symmetric(step @ covariance @ step.T + process)


def correct(
    mean: np.ndarray, covariance: np.ndarray, observed: np.ndarray, observation: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Correct predicted states by observations.

    Args:
        mean: (m, 4p) predicted states.
        covariance: (m, 4p, 4p) of the states.
        observed: (m, 2p) positions px; a filter with any nan is left as predicted.
        observation: (m, 2p, 2p) observation noise.
    """
    _, look = _model(mean.shape[-1] // 4)
    across = covariance @ look.T
    gain = across @ _inverse(look @ across + observation)
    gain[np.isnan(observed).any(axis=-1)] = 0.0
    surprise = np.nan_to_num(observed) - mean @ look.T
    return mean + (gain @ surprise[..., None])[..., 0], _symmetric(
        covariance - gain @ look @ covariance
    )


def learn(observed: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray, Noise]:
    """Learn the noise of each filter from a run of frames, and filter the run with it.

    All covariances start as identities.

    Args:
        observed: (frames, m, 2p) positions px in consecutive frames; nan where not observed.
        start: (m, 4p) mean of the first state, which is not learned.

    Returns:
        Mean (m, 4p) and covariance (m, 4p, 4p) of the last state, and the noise.
    """
    filters, size = start.shape
    identity = np.broadcast_to(np.eye(size), (filters, size, size))
    noise = Noise(
        identity, np.broadcast_to(np.eye(size // 2), (filters, size // 2, size // 2)), identity
    )
    for _ in range(ITERATIONS):
        noise = _maximize(observed, start, noise)
    means, covariances, *_ = _filter(observed, start, noise)
    return means[-1], covariances[-1], noise


def _filter(observed: np.ndarray, start: np.ndarray, noise: Noise) -> tuple[list[np.ndarray], ...]:
    """Return the corrected means and covariances of every frame, and the predicted ones."""
    states: tuple[list[np.ndarray], ...] = ([], [], [], [])
    mean, covariance = start, noise.initial
    for t, positions in enumerate(observed):
        if t:
            mean, covariance = advance(mean, covariance, noise.process)
        predicted = mean, covariance
        mean, covariance = correct(mean, covariance, positions, noise.observation)
        for column, value in zip(states, (mean, covariance, *predicted), strict=True):
            column.append(value)
    return states


def _maximize(observed: np.ndarray, start: np.ndarray, noise: Noise) -> Noise:
    """Return the noise that makes the observations most likely, given states from the last noise.

    One step of the expectation-maximisation; the states are smoothed with `noise`.
    """
    size = start.shape[-1]
    step, look = _model(size // 4)
    means, covariances, predicted_means, predicted_covariances = map(
        np.stack, _filter(observed, start, noise)
    )
    gains = covariances[:-1] @ step.T @ _inverse(predicted_covariances[1:])
    # Smooth backwards; the entries after t are smoothed already.
    for t in range(len(observed) - 2, -1, -1):
        means[t] += (gains[t] @ (means[t + 1] - predicted_means[t + 1])[..., None])[..., 0]
        change = covariances[t + 1] - predicted_covariances[t + 1]
        covariances[t] = _symmetric(covariances[t] + gains[t] @ change @ _transposed(gains[t]))
    before, after = covariances[:-1], covariances[1:]
    paired = after @ _transposed(gains) @ step.T
    moved = _outer(means[1:] - means[:-1] @ step.T)
    process = moved + step @ before @ step.T + after - paired - _transposed(paired)
    seen = ~np.isnan(observed).any(axis=-1)
    residuals = _outer(np.nan_to_num(observed) - means @ look.T) + look @ covariances @ look.T
    observation = (residuals * seen[..., None, None]).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)[
        :, None, None
    ]
    return Noise(
        process[::-1].sum(axis=0) / (len(observed) - 1),
        observation,
        covariances[0] + _outer(means[0] - start),
    )


def _inverse(covariances: np.ndarray) -> np.ndarray:
    """Return pseudo-inverses.

    Learned covariances come close to singular where the motion is nearly perfect. Small matrices
    take half the time of `numpy.linalg.pinv`, which is meant for any; the result is the same.
    """
    values, vectors = np.linalg.eigh(covariances)
    values, vectors = values[..., ::-1], vectors[..., ::-1]  # the largest is added first
    sizes = np.abs(values)
    least = covariances.shape[-1] * np.finfo(np.float64).eps * sizes.max(axis=-1, keepdims=True)
    inverses = np.divide(1, values, out=np.zeros_like(values), where=sizes > least)
    return vectors @ (inverses[..., None] * _transposed(vectors))


def _symmetric(covariances: np.ndarray) -> np.ndarray:
    """Remove rounding errors before they grow over iterations."""
    return (covariances + _transposed(covariances)) / 2


def _transposed(matrices: np.ndarray) -> np.ndarray:
    return np.swapaxes(matrices, -1, -2)


def _outer(vectors: np.ndarray) -> np.ndarray:
    return vectors[..., :, None] * vectors[..., None, :]
