from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import image as reader

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.report.drawing import house_style
from sleap_lab.report.still import Window, draw, window_around

DOT = Skeleton(("head",))


def pixels(figure) -> np.ndarray:
    """(h, w, 3) of the drawn figure, in [0, 1]."""
    file = BytesIO()
    with house_style():
        figure.savefig(file, format="png")
    file.seek(0)
    return reader.imread(file)[..., :3]


def centre(mask: np.ndarray) -> list[float]:
    """(x, y) of the middle of the marked pixels, as shares of width and height."""
    rows, columns = np.nonzero(mask)
    return [(columns.mean() + 0.5) / mask.shape[1], (rows.mean() + 0.5) / mask.shape[0]]


def is_colored(picture: np.ndarray) -> np.ndarray:
    return picture.max(axis=-1) - picture.min(axis=-1) > 0.3


def test_node_lies_on_its_pixel():
    picture = pixels(draw(np.zeros((40, 80, 1), np.uint8), make_poses(DOT, [[[19, 9]]])))
    assert picture.shape[1] == 2 * picture.shape[0]
    # Counted from the corner, the pixel (19, 9) reaches from 19 to 20 and from 9 to 10.
    assert centre(is_colored(picture)) == pytest.approx([19.5 / 80, 9.5 / 40], abs=2e-3)


def test_node_lies_on_its_pixel_in_a_window():
    picture = pixels(
        draw(
            np.zeros((40, 80, 1), np.uint8),
            make_poses(DOT, [[[19, 9]]]),
            window=Window(10, 5, 30, 25),
        )
    )
    assert picture.shape[0] == picture.shape[1]
    assert centre(is_colored(picture)) == pytest.approx([9.5 / 20, 4.5 / 20], abs=2e-3)


def test_ground_truth_is_white_and_leads_to_the_prediction():
    image = np.zeros((50, 50, 1), np.uint8)
    offsets = np.array([[[10.0, 25.0], [40.0, 25.0]], [[np.nan, 25.0], [40.0, 25.0]]])
    with house_style():
        ring = pixels(draw(image, make_poses(DOT, []), make_poses(DOT, [[[10, 25]]])))
        line = pixels(draw(image, make_poses(DOT, []), make_poses(DOT, [[[10, 25]]]), offsets))
    assert centre(ring.min(axis=-1) > 0.9) == pytest.approx([10.5 / 50, 25.5 / 50], abs=2e-3)
    on_the_way = line.shape[0] * 51 // 100, line.shape[1] * 60 // 100
    assert line[on_the_way].min() > 0.7
    assert ring[on_the_way].max() < 0.1


def test_image_keeps_its_brightness_and_colors():
    gray = pixels(draw(np.full((10, 10, 1), 102, np.uint8), make_poses(DOT, [])))
    np.testing.assert_allclose(gray, 102 / 255, atol=0.01)
    red = pixels(
        draw(np.broadcast_to(np.array([255, 0, 51], np.uint8), (10, 10, 3)), make_poses(DOT, []))
    )
    np.testing.assert_allclose(red, np.broadcast_to([1, 0, 0.2], red.shape), atol=0.01)


def test_missing_nodes_are_left_out():
    skeleton = Skeleton(("head", "tail"), edges=((0, 1),))
    picture = pixels(
        draw(np.zeros((40, 40, 1), np.uint8), make_poses(skeleton, [[[19, 9], [np.nan, np.nan]]]))
    )
    assert centre(is_colored(picture)) == pytest.approx([19.5 / 40, 9.5 / 40], abs=2e-3)


def test_window_has_room_around_the_points():
    # 100 px apart: a side of 140 px, in the middle of which they lie
    assert window_around(np.array([[300.0, 200.0], [400.0, 240.0]]), (1000, 1000, 1)) == Window(
        280, 150, 420, 290
    )


def test_window_is_the_image_where_there_is_nothing_to_see():
    assert window_around(np.full((2, 3, 2), np.nan), (40, 60, 3)) == Window(0, 0, 60, 40)


@given(
    st.lists(st.tuples(*[st.floats(-50, 250)] * 2), min_size=1, max_size=4),
    st.integers(1, 200),
    st.integers(1, 200),
)
def test_window_stays_in_the_image_and_holds_the_points_in_it(points, height, width):
    window = window_around(np.array(points), (height, width, 1))
    assert 0 <= window.left < window.right <= width
    assert 0 <= window.top < window.bottom <= height
    assert window.right - window.left >= min(96, width)
    assert window.bottom - window.top >= min(96, height)
    for x, y in points:
        if 0 <= x <= width - 1 and 0 <= y <= height - 1:
            assert window.left - 0.5 <= x <= window.right - 0.5
            assert window.top - 0.5 <= y <= window.bottom - 0.5
