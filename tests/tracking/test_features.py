import numpy as np
import pytest

from sleap_lab.tracking.features import FEATURES, centroids

NAN = np.nan


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([[0, 0], [1, 5], [9, 6]], [1, 5]),  # odd count: the middle value of each axis
        # Even count: mean of the two middle ones.
        ([[0, 0], [1, 5], [9, 6], [2, 2]], [(1 + 2) / 2, (2 + 5) / 2]),
        ([[0, 0], [1, 5], [NAN, NAN]], [0.5, 2.5]),
        ([[0, 0], [4, NAN], [2, 6]], [2, 3]),  # the axes are independent
        ([[NAN, NAN]] * 3, [NAN, NAN]),
        ([[3, 4]], [3, 4]),
    ],
)
def test_centroids(points, expected):
    np.testing.assert_array_equal(centroids(np.array(points, dtype=float)), expected)


@pytest.mark.parametrize(
    ("feature", "shape"), [("keypoints", (5, 2)), ("centroids", (2,)), ("bboxes", (4,))]
)
def test_features_keep_leading_axes(feature, shape):
    points = np.random.default_rng(0).normal(size=(2, 3, 5, 2))
    features = FEATURES[feature](points)
    assert features.shape == (2, 3, *shape)
    np.testing.assert_array_equal(features[1, 2], FEATURES[feature](points[1, 2]))
