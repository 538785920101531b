"""Tables of the identity benchmark have medians over seeds and means over groups."""

from benchmarks.identity import Row, _by_group, _over_groups


def row(group, tracker, seed, switches, idf1, frames=100, seconds=1.0):
    return Row(group, tracker, seed, frames, 2, switches, 10, idf1, 0.5, 0.6, 1, seconds)


ROWS = [
    *(row("a", "x", seed, switches, 0.9) for seed, switches in enumerate((0, 1, 8))),
    row("b", "x", 0, 3, 0.7, frames=1000),
    row("a", "y", 0, 0, 1.0, seconds=float("nan")),
]


def test_of_each_group_the_median_over_seeds():
    assert _by_group(ROWS).splitlines()[2:] == [
        "| x | 10 · 0.900 | 3 · 0.700 |",  # 1 of 100 frames, 3 of 1,000
        "| y | 0 · 1.000 |  |",
    ]


def test_over_groups_the_mean_of_the_medians():
    x, y = _over_groups(ROWS).splitlines()[2:]
    # Switches (10 + 3) / 2, fragments (100 + 10) / 2, IDF1 (0.9 + 0.7) / 2, frames/s 1,100 / 2.
    assert x == "| x | 2 | 6.5 | 55 | 0.800 | 0.500 | 0.600 | 1.0 | 550 |"
    assert y == "| y | 1 | 0.0 | 100 | 1.000 | 0.500 | 0.600 | 1.0 |  |"
