"""How settings, numbers and columns are written."""

import numpy as np
import pytest

from sleap_lab.report import written


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (0.025, "0.025"),
        ([1, 2], "[1, 2]"),
        (["a b", None], "[a b, null]"),
        ("<b>", "<b>"),
    ],
)
def test_text_is_that_of_the_config_files(value, expected):
    assert written.text(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (12345.0, "12,345"),
        (0.98765, "0.9877"),
        (-1.5, "-1.5000"),
        (32.219, "32.22"),
        (np.nan, "n/a"),
        (np.int64(3), "3"),
    ],
)
def test_number(value, expected):
    assert written.number(value) == expected


def test_numbers_of_one_kind_have_the_same_decimals():
    assert written.alike([1.0, 0.9, np.nan]) == ["1.0000", "0.9000", "n/a"]
    assert written.alike([2.0, 0.0, 1140.0]) == ["2", "0", "1,140"]
    assert written.alike([58.06, 9.66]) == ["58.06", "9.66"]
    assert written.alike([np.nan]) == ["n/a"]


def test_words_stand_at_the_left_and_figures_at_the_right():
    rows = [
        ("a", "1,140", "0.35 px", "0.1 to 0.3", "-2.5e-07", "track_1", "–", "x" * 41),
        ("b", "n/a", "", "–", "12%", "2", "3", ""),
    ]
    assert written.kinds(rows) == ["words", "", "", "", "", "words", "", "words long"]
