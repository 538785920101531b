import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sleap_lab.poses.centroids import METHODS, geometric_median, instance_centroids

NAN = np.nan
POSES = np.array(
    [
        [[0, 0], [4, 0], [5, 9]],
        [[NAN, NAN], [2, 8], [4, 6]],  # the first node is missing
        [[NAN, NAN], [NAN, NAN], [NAN, NAN]],
        [[1, NAN], [3, 5], [NAN, 7]],  # half a coordinate
    ]
)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"method": "center_of_mass"},
            [
                [(0 + 4 + 5) / 3, 9 / 3],
                [(2 + 4) / 2, (8 + 6) / 2],
                [NAN, NAN],
                [(1 + 3) / 2, (5 + 7) / 2],
            ],
        ),
        ({"method": "bbox_center"}, [[(0 + 5) / 2, (0 + 9) / 2], [3, 7], [NAN, NAN], [2, 6]]),
        (
            {"method": "anchor", "anchor": 0},
            [[0, 0], [3, 7], [NAN, NAN], [2, 6]],
        ),  # the centre of mass where it is missing
        (
            {"method": "anchor", "anchor": 0, "fallback": "geometric_median"},
            [[0, 0], [3, 7], [NAN, NAN], [3, 5]],
        ),
        ({"method": "anchor", "anchor": 1}, [[4, 0], [2, 8], [NAN, NAN], [3, 5]]),
        ({"method": "anchor", "anchor": None}, [[3, 3], [3, 7], [NAN, NAN], [2, 6]]),
    ],
)
def test_centroids(options, expected):
    np.testing.assert_allclose(instance_centroids(POSES, **options), expected, atol=1e-9)


@pytest.mark.parametrize("options", [{"method": "median"}, {"method": "anchor", "fallback": "x"}])
def test_another_method_is_refused(options):
    with pytest.raises(ValueError, match="accepted: anchor, center_of_mass, "):
        instance_centroids(POSES, **options)


def test_the_centre_of_mass_is_the_default():
    np.testing.assert_array_equal(
        instance_centroids(POSES), instance_centroids(POSES, method="center_of_mass")
    )


@pytest.mark.parametrize("method", METHODS)
def test_no_instances(method):
    assert instance_centroids(np.zeros((0, 3, 2)), method=method, anchor=0).shape == (0, 2)


@pytest.mark.parametrize("method", METHODS)
def test_the_poses_are_left_as_they_are(method):
    poses = POSES.copy()
    instance_centroids(poses, method=method, anchor=0)
    np.testing.assert_array_equal(poses, POSES)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([], [NAN, NAN]),
        ([[3, 4]], [3, 4]),
        ([[3, 4], [3, 4], [3, 4]], [3, 4]),  # all in one place
        ([[0, 0], [0, 0], [0, 0], [9, 9]], [0, 0]),  # the majority wins
        (
            [[-1, 0], [1, 0], [0, -1], [0, 1]],
            [0, 0],
        ),  # the mean is on none of the points, and the median already
        ([[0, 0], [6, 0], [3, 3 * 3**0.5]], [3, 3**0.5]),  # equilateral: the centre
    ],
)
def test_geometric_median(points, expected):
    np.testing.assert_allclose(
        geometric_median(np.array(points, dtype=float).reshape(-1, 2)), expected, atol=1e-3
    )


@given(
    points=arrays(
        np.float64,
        st.tuples(st.integers(1, 6), st.just(2)),
        elements=st.floats(-50, 50).map(lambda x: round(x, 1)),
    ),
    data=st.data(),
)
def test_no_other_point_is_much_nearer_to_all(points, data):
    other = data.draw(arrays(np.float64, 2, elements=st.floats(-50, 50)))

    def total(point):
        return np.linalg.norm(points - point, axis=1).sum()

    # Weiszfeld's steps stop when they are short, which near a point of the set is a little early.
    assert total(geometric_median(points)) <= total(other) * 1.01 + 1e-3


@given(shift=arrays(np.float64, 2, elements=st.floats(-100, 100)), method=st.sampled_from(METHODS))
def test_centroids_move_with_the_pose(shift, method):
    moved = instance_centroids(POSES + shift, method=method, anchor=0)
    np.testing.assert_allclose(
        moved, instance_centroids(POSES, method=method, anchor=0) + shift, atol=1e-3
    )
