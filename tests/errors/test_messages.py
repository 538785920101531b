import pytest

from sleap_lab.errors import counted


@pytest.mark.parametrize(
    ("number", "words", "expected"),
    [
        (0, ("frame",), "0 frames"),
        (1, ("frame",), "1 frame"),
        (2, ("frame",), "2 frames"),
        (12345, ("frame",), "12,345 frames"),
        (1, ("entry", "entries"), "1 entry"),
        (0, ("entry", "entries"), "0 entries"),
        (1, ("link is", "links are"), "1 link is"),
        (3, ("link is", "links are"), "3 links are"),
    ],
)
def test_numbers_agree_with_what_they_count(number, words, expected):
    assert counted(number, *words) == expected
