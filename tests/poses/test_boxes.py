import numpy as np
import pytest

from sleap_lab.poses.boxes import areas, body_sizes, bounding_boxes, intersections

NAN = np.nan


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([[1, 2], [5, 3], [4, 9]], [1, 2, 5, 9]),
        ([[1, 2], [NAN, NAN], [4, 9]], [1, 2, 4, 9]),  # a missing node is left out
        ([[7, 8], [NAN, NAN], [NAN, NAN]], [7, 8, 7, 8]),  # one node spans no area
        ([[NAN, NAN]] * 3, [NAN] * 4),  # nothing found
    ],
)
def test_bounding_boxes(points, expected):
    np.testing.assert_array_equal(bounding_boxes(np.array(points, dtype=float)), expected)


def test_bounding_boxes_keeps_leading_axes():
    points = np.arange(2 * 3 * 4 * 2, dtype=float).reshape(2, 3, 4, 2)
    boxes = bounding_boxes(points)
    assert boxes.shape == (2, 3, 4)
    np.testing.assert_array_equal(boxes[1, 2], bounding_boxes(points[1, 2]))


@pytest.mark.parametrize(("border", "expected"), [(0, 4 * 7), (1, 5 * 8)])
def test_areas(border, expected):
    assert areas(np.array([1.0, 2.0, 5.0, 9.0]), border) == expected


@pytest.mark.parametrize(
    ("other", "border", "expected"),
    [
        ([1, 0, 11, 10], 0, 9 * 10),  # shifted by one
        ([1, 0, 11, 10], 1, 10 * 11),  # the same, pixels under the corners included
        ([10, 10, 20, 20], 0, 0),  # corners touch
        ([10, 10, 20, 20], 1, 1),  # and share one pixel
        ([12, 12, 20, 20], 1, 0),  # far on both axes: no product of two negative sides
        ([NAN] * 4, 0, NAN),
    ],
)
def test_intersections(other, border, expected):
    square = np.array([0.0, 0.0, 10.0, 10.0])
    np.testing.assert_array_equal(
        intersections(square, np.array(other, dtype=float), border), expected
    )
    np.testing.assert_array_equal(
        intersections(np.array(other, dtype=float), square, border), expected
    )


def test_the_size_of_a_body_is_the_longer_side_of_its_box():
    points = np.array([[[1, 2], [5, 9]], [[7, 8], [NAN, NAN]], [[NAN, NAN], [NAN, NAN]]])
    np.testing.assert_array_equal(body_sizes(points), [9 - 2, 0, NAN])
