"""The table of what is read is that of the list; it needs no ffmpeg."""

from collections import Counter
from pathlib import Path

import pytest

from scripts.footage.recipes import RECORDINGS, named
from scripts.footage.recording import Expect
from scripts.footage.table import BEGIN, END, with_table

PAGE = Path(__file__).parents[2] / "docs" / "inputs.md"


def test_it_is_fresh() -> None:
    """A stale table: run `python -m scripts.recordings --table docs/inputs.md`."""
    page = PAGE.read_text(encoding="utf-8")
    assert page.count(BEGIN) == page.count(END) == 1
    assert page == with_table(page)


def test_the_list_is_long_and_sound() -> None:
    assert len(RECORDINGS) >= 120
    assert max(Counter(recording.name for recording in RECORDINGS).values()) == 1
    for recording in RECORDINGS:
        for other in (recording.source, recording.more):
            assert other is None or named(other).edit is None, recording.name


@pytest.mark.parametrize("expect", [Expect.NOTE, Expect.REFUSED, Expect.UNSEEN])
def test_what_is_not_simply_read_says_why(expect: Expect) -> None:
    assert all(recording.why for recording in RECORDINGS if recording.expect is expect)
