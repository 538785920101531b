"""The table of a sweep with more jobs than a terminal or a page should show."""

import pytest

from sleap_lab.sweeps.best import Best, Job
from sleap_lab.sweeps.rendering import told_first
from sleap_lab.sweeps.table import BEST


def row(job, status="finished", value=None, best=None):
    return {"job": job, "status": status, "best": best, "map": value}


ROWS = [
    row(0, value=0.5),
    row(1, value=0.75, best=BEST),
    row(2, "failed"),
    row(3, "partial", value=0.625),
    row(4, value=0.75, best="tied"),
    row(5, value=0.25),
    row(6),
    row(7, "failed"),
]


def best(minimize):
    return Best(Job(1, None, []), "map", 0.75, minimize)


@pytest.mark.parametrize(
    ("most", "minimize", "expected"),
    [
        (8, False, [0, 1, 2, 3, 4, 5, 6, 7]),
        # Three have no result; half of six rows is three.
        (6, False, [2, 3, 7, 1, 4, 0]),
        (4, False, [2, 3, 1, 4]),
        (4, True, [2, 3, 1, 5]),  # the one that is called best, then the smallest
    ],
)
def test_of_very_many_jobs_those_without_a_result_and_the_best_are_shown(most, minimize, expected):
    assert [row["job"] for row in told_first(ROWS, most, best(minimize))] == expected


def test_where_hardly_any_has_a_result_others_take_the_place():
    rows = [row(0, value=0.5), *(row(i, "failed") for i in range(1, 9))]
    assert [row["job"] for row in told_first(rows, 4, best(False))] == [1, 2, 3, 0]


def test_where_none_is_best_jobs_keep_their_order():
    rows = [row(i) for i in range(3)]
    assert [row["job"] for row in told_first(rows, 2)] == [0, 1]
