"""Poses and timelines as numbers."""

import base64

import numpy as np
import pytest

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.quality.neighbours import in_order
from sleap_lab.report.review.packing import (
    MISSING,
    MOST_ROWS,
    Canvas,
    pack_poses,
    pack_timeline,
    rows_of,
)

PAIR = Skeleton(nodes=("a", "b"))


def numbers(text, kind):
    return np.frombuffer(base64.b64decode(text), kind)


@pytest.fixture
def poses():
    return make_poses(
        PAIR,
        [[[0, 0], [9, 19]], [[1, 2], [np.nan, np.nan]], [[5, 5], [1e9, 5]]],
        frame=[7, 3, 7],
        tracks=[1, 0, -1],
        track_names=["x", "y"],
        frames=[(0, 3), (0, 5), (0, 7)],
    )


def test_points_are_in_parts_of_a_pixel_of_the_film(poses):
    found = pack_poses(poses, np.array([[0, 3], [0, 5], [0, 7]]), Canvas((40, 20), (20, 10)))
    assert numbers(found["start"], "<i4").tolist() == [0, 1, 1, 3]
    assert numbers(found["track"], "<i4").tolist() == [0, 1, -1]
    xy = numbers(found["xy"], "<i2").reshape(3, 2, 2)
    # Half a pixel to the edge, half the size, 32 parts.
    assert xy[0].tolist() == [[1.5 / 2 * 32, 2.5 / 2 * 32], [MISSING, MISSING]]
    assert xy[1].tolist() == [[0.5 / 2 * 32, 0.5 / 2 * 32], [9.5 / 2 * 32, 19.5 / 2 * 32]]
    assert xy[2, 1].tolist() == [32767, 5.5 / 2 * 32]  # far outside


def test_rows_of_frames_in_any_order(poses):
    rows, start = rows_of(poses, np.array([[0, 7], [1, 3], [0, 3]]))
    assert rows.tolist() == [0, 2, 1]
    assert start.tolist() == [0, 2, 2, 3]


def test_a_row_per_track_with_its_gaps_and_its_confidence():
    poses = make_poses(
        PAIR,
        np.zeros((5, 2, 2)),
        frame=[0, 1, 3, 0, 1],
        tracks=[0, 0, 0, 1, 1],
        point_scores=[[1, 1], [0.5, 0.7], [1, np.nan], [np.nan, np.nan], [2, 2]],
        track_names=["x", "y"],
        frames=[(0, i) for i in range(4)],
    )
    found = pack_timeline(in_order(poses), 0, 2)
    assert (found["columns"], found["left_out"]) == (4, 0)
    first, second = found["rows"]
    assert numbers(first["found"], "u1").tolist() == [255, 255, 0, 255]
    assert numbers(first["sure"], "u1").tolist() == [255, 153, 255, 255]  # 0.6 * 255
    assert numbers(second["found"], "u1").tolist() == [255, 255, 0, 0]
    assert numbers(second["sure"], "u1").tolist() == [255] * 4  # set by a person; above 1


def test_without_tracks_one_row_for_all_animals():
    poses = make_poses(PAIR, np.zeros((3, 2, 2)), frame=[0, 0, 1], frames=[(0, 0), (0, 1), (0, 2)])
    (row,) = pack_timeline(in_order(poses), 0, 2)["rows"]
    assert row["track"] == -1
    assert numbers(row["found"], "u1").tolist() == [255, 128, 0]


def test_many_tracks_show_the_longest_and_long_videos_have_fewer_columns():
    n = 3000
    poses = make_poses(
        PAIR,
        np.zeros((n, 2, 2)),
        frame=range(n),
        tracks=np.minimum(np.arange(n) // 2, 999),
        track_names=list(map(str, range(1000))),
    )
    found = pack_timeline(in_order(poses), 0, 1)
    assert found["columns"] == 2000
    assert found["rows"][0]["track"] == -1  # all animals
    assert len(found["rows"]) == 1 + MOST_ROWS
    assert found["left_out"] == 1000 - MOST_ROWS
    assert found["rows"][-1]["track"] == 999  # 1002 frames
