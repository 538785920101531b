import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleap_lab.decode.classes import assign_classes, group_by_class

NAN = np.nan
seeds = st.integers(0, 2**32 - 1)


def peaks_of(table, probabilities, n_nodes=2):
    """Group peaks given as [(node)]; return the peak of every class and node.

    Peak i has the point (i, 10 i) and the value i / 10.
    """
    n = len(table)
    points, values = (
        np.stack([np.arange(n), 10 * np.arange(n)], axis=1).astype(float),
        np.arange(n) / 10,
    )
    found, scores, chances = group_by_class(
        points, values, np.array(table, dtype=int), np.array(probabilities, dtype=float), n_nodes
    )
    peaks = np.where(np.isnan(scores), -1, np.round(scores * 10)).astype(int)
    for c, node in np.ndindex(*peaks.shape):
        i = peaks[c, node]
        np.testing.assert_array_equal(found[c, node], points[i] if i >= 0 else [NAN, NAN])
        np.testing.assert_equal(chances[c, node], probabilities[i][c] if i >= 0 else NAN)
    return peaks.tolist()


@pytest.mark.parametrize(
    ("nodes", "probabilities", "expected"),
    [
        ([0, 0], [[0.9, 0.1], [0.2, 0.8]], [[0, -1], [1, -1]]),
        ([0, 1], [[0.9, 0.1], [0.2, 0.8]], [[0, -1], [-1, 1]]),  # nodes are grouped one by one
        ([0, 0, 1, 1], [[0.1, 0.9], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]], [[1, 2], [0, 3]]),
        # Both are most probably the first animal; the pairing with the larger sum gives the other
        # animal to one of them, which is then discarded.
        ([0, 0], [[0.9, 0.1], [0.6, 0.4]], [[0, -1], [-1, -1]]),
        ([0, 0], [[0.6, 0.4], [0.9, 0.1]], [[1, -1], [-1, -1]]),
        # The largest sum, 0.8 + 0.7, is not with the largest probability.
        ([0, 0], [[0.9, 0.8], [0.7, 0.1]], [[1, -1], [-1, -1]]),
        (
            [0, 0, 0],
            [[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]],
            [[1, -1], [2, -1]],
        ),  # more peaks than animals
        ([1], [[0.3, 0.7]], [[-1, -1], [-1, 0]]),
        ([0], [[0.5, 0.5]], [[0, -1], [-1, -1]]),  # equal: the first
    ],
)
def test_peaks_go_to_classes(nodes, probabilities, expected):
    assert peaks_of(nodes, probabilities) == expected


def test_no_peaks():
    points, values, chances = group_by_class(
        np.zeros((0, 2)), np.zeros(0), np.zeros(0, dtype=int), np.zeros((0, 3)), 4
    )
    assert (points.shape, values.shape, chances.shape) == ((3, 4, 2), (3, 4), (3, 4))
    assert np.isnan(points).all()
    assert np.isnan(values).all()
    assert np.isnan(chances).all()


@given(seed=seeds, classes=st.integers(1, 4))
def test_the_slow_decoder_groups_the_same(slow, seed, classes):
    random = np.random.default_rng(seed)
    nodes = random.integers(0, 3, random.integers(0, 8))
    probabilities = random.uniform(0, 1, (len(nodes), classes))
    assert (
        peaks_of(nodes, probabilities, 3) == slow.group_by_class(nodes, probabilities, 3).tolist()
    )


def test_answers_of_old(fixtures):
    answers = []
    for frame in range(2):
        own = np.flatnonzero(fixtures["samples"] == frame)
        pixels = np.rint(fixtures["points"][own]).astype(int)
        probabilities = fixtures["classes"][frame][:, pixels[:, 1], pixels[:, 0]].T
        found, _, _ = group_by_class(
            fixtures["points"][own],
            fixtures["values"][own],
            fixtures["nodes"][own],
            probabilities,
            3,
        )
        for c, row in enumerate(found):
            peaks = [
                next((int(i) for i in own if (fixtures["points"][i] == point).all()), -1)
                for point in row
            ]
            answers.append([frame, c, *peaks])
    assert answers == fixtures["by_class"].tolist()


# ---- whole crops


@pytest.mark.parametrize(
    ("probabilities", "classes", "scores"),
    [
        ([[0.9, 0.1], [0.2, 0.8]], [0, 1], [0.9, 0.8]),
        (
            [[0.9, 0.1], [0.6, 0.4]],
            [0, 1],
            [0.9, 0.4],
        ),  # the loser takes the other, however improbable
        ([[1.0, 0.0], [1.0 - 3e-9, 3e-9]], [0, 1], [1.0, 3e-9]),
        ([[0.9, 0.8], [0.7, 0.1]], [1, 0], [0.8, 0.7]),  # the largest sum
        ([[0.1, 0.2, 0.7]], [2], [0.7]),
        ([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8]], [-1, 0, 1], [NAN, 0.9, 0.8]),  # one too many
        ([[0.3], [0.5]], [-1, 0], [NAN, 0.5]),
    ],
)
def test_crops_get_classes(probabilities, classes, scores):
    found, chances = assign_classes(np.array(probabilities))
    assert found.tolist() == classes
    np.testing.assert_allclose(chances, scores)


def test_no_crops():
    found, chances = assign_classes(np.zeros((0, 2)))
    assert (found.shape, chances.shape) == ((0,), (0,))


@given(seed=seeds, n=st.integers(0, 5), classes=st.integers(1, 4))
def test_every_class_is_given_once_and_the_sum_is_the_largest(slow, seed, n, classes):
    probabilities = (
        np.random.default_rng(seed).dirichlet([0.5] * classes, n) if n else np.zeros((0, classes))
    )
    found, chances = assign_classes(probabilities)
    given = found[found >= 0]
    assert len(given) == min(n, classes) == len(set(given.tolist()))
    best = sum(probabilities[i, j] for i, j in slow.best_pairs(probabilities)) if n else 0
    assert np.nansum(chances) == pytest.approx(best)


def test_no_classes():
    found, values, chances = group_by_class(
        np.ones((1, 2)), np.ones(1), np.zeros(1, dtype=int), np.zeros((1, 0)), 2
    )
    assert (found.shape, values.shape, chances.shape) == ((0, 2, 2), (0, 2), (0, 2))
