"""The table of a sweep with more jobs than a terminal should show."""

from sleap_lab.sweeps.rendering import told_first


def test_jobs_without_a_result_come_first_and_then_the_best():
    rows = [
        {"job": 0, "status": "finished", "best": None},
        {"job": 1, "status": "finished", "best": "best"},
        {"job": 2, "status": "failed", "best": None},
        {"job": 3, "status": "partial", "best": None},
    ]
    assert [row["job"] for row in told_first(rows)] == [2, 3, 1, 0]
    assert [row["job"] for row in told_first([{"job": 0, "status": "finished"}])] == [0]
