import numpy as np
import pytest

from sleap_lab.evaluation.breakdown import breakdown

NAN = np.nan
DISTANCES = np.array([[1, 3], [5, NAN], [20, 20]], dtype=float)


def rows():
    table = breakdown(DISTANCES, ["a.mp4", "a.mp4", "b.mp4"], ["b.mp4", "c.mp4"], ["head", "tail"])
    return {(row.video, row.node): row for row in table}


def test_every_video_and_node_has_a_row():
    videos, nodes = (None, "a.mp4", "b.mp4", "c.mp4"), (None, "head", "tail")
    assert list(rows()) == [(video, node) for video in videos for node in nodes]


@pytest.mark.parametrize(
    ("video", "node", "n_matched", "n_missed", "n_distances", "average", "pck"),
    [
        (None, None, 3, 2, 5, (1 + 3 + 5 + 20 + 20) / 5, (9 + 7 + 5) / 60),
        (None, "head", 3, 2, 3, (1 + 5 + 20) / 3, (9 + 5) / 30),
        ("a.mp4", None, 2, 0, 3, (1 + 3 + 5) / 3, (9 + 7 + 5) / 40),
        ("a.mp4", "tail", 2, 0, 1, 3, 7 / 20),
        ("b.mp4", "tail", 1, 1, 1, 20, 0),
        ("c.mp4", None, 0, 1, 0, NAN, NAN),  # missed altogether
    ],
)
def test_numbers_of_a_part(video, node, n_matched, n_missed, n_distances, average, pck):
    row = rows()[video, node]
    assert (row.n_matched, row.n_missed, row.n_distances) == (n_matched, n_missed, n_distances)
    assert (row.dist_avg, row.pck) == pytest.approx((average, pck), nan_ok=True)


def test_counts_of_the_videos_add_up():
    table = rows()
    for node in (None, "head", "tail"):
        parts = [row for (video, name), row in table.items() if name == node and video is not None]
        for count in ("n_matched", "n_missed", "n_distances"):
            assert sum(getattr(row, count) for row in parts) == getattr(table[None, node], count)
