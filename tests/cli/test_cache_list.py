import time

import pytest

from sleap_lab.cli.cache_list import as_text
from sleap_lab.inference.cache import Entry

KEY = "a" * 64


@pytest.mark.parametrize(
    ("seconds", "size", "shown"),
    [
        (-5, 0, "0 B 0 s ago"),  # by a clock that goes ahead
        (59, 999, "999 B 59 s ago"),
        (60, 1000, "1.0 kB 1 min ago"),
        (3599, 999_949, "999.9 kB 60 min ago"),
        (3600, 10**6, "1.0 MB 1 h ago"),
        (86_399, 10**9, "1.0 GB 24 h ago"),
        (86_400, 25 * 10**8, "2.5 GB 1 d ago"),
    ],
)
def test_sizes_and_times_are_shown_in_the_largest_unit(monkeypatch, seconds, size, shown):
    monkeypatch.setattr(time, "time", lambda: 1e9)
    _, row, total = as_text(
        [Entry(KEY, "predict", "clip.mp4", size, 1e9 - seconds, 1e9)]
    ).splitlines()
    assert row.split()[2:] == [*shown.split(), "0", "s", "ago", "clip.mp4"]
    assert total == f"1 entry, {' '.join(shown.split()[:2])}"


def test_an_empty_cache_is_shown_as_one():
    assert as_text([]) == "0 entries, 0 B"


def test_entries_are_shown_as_a_table_with_the_total():
    now = time.time()
    track = Entry("b" * 64, "track", "of it", 10, now, now)
    predict = Entry(KEY, "predict", "clip.mp4", 20, now, now - 3 * 86400)
    head, first, second, total = as_text([track, predict]).splitlines()
    assert head.split() == ["key", "stage", "size", "stored", "last", "used", "what"]
    assert first.split()[:2] == ["bbbbbbbb", "track"]
    assert second.split()[:2] == ["aaaaaaaa", "predict"]
    assert second.endswith("3 d ago    clip.mp4")
    assert total == "2 entries, 30 B"
