"""What is said of the blocks that are held out."""

from dataclasses import replace

import pytest

from sleap_lab.tune.files import _blocks


@pytest.mark.parametrize(
    ("gap", "told"),
    [
        (0, "The search sees the others, with no gap between them and these; every block"),
        (1, "sees the others, but nothing within 1 labelled frame of these; every block"),
        (20, "sees the others, but nothing within 20 labelled frames of these; every block"),
    ],
)
def test_a_gap_is_told_of_where_there_is_one(problem, gap, told):
    assert told in _blocks(replace(problem(60), gap=gap))
