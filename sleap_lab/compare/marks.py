"""Which of many differences are called better or worse.

Of many intervals one in twenty leaves out 0 by chance, so that a table of equal runs would rarely
be without a mark. Here the share of false marks among the marks of a table is held to 5% (false
discovery rate: Benjamini & Hochberg 1995, J. R. Stat. Soc. B 57:289). Where no run differs in
anything every mark is false, and then one comparison in twenty has any.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from sleap_lab.compare.paired import Change
from sleap_lab.settings.objective import BETTER

FALSE_MARKS = 0.05
UNMARKED = -1.0  # less than every probability


def judgeable(changes: Iterable[tuple[str, Change]]) -> list[float]:
    """Return the probabilities of chance of the differences that can be marked at all.

    These have an interval, and a side that is better.

    Args:
        changes: Differences, with the name of their metric.
    """
    return [
        change.chance
        for name, change in changes
        if BETTER.get(name) and not np.isnan(change.chance)
    ]


def bars(tables: Sequence[Sequence[tuple[str, Change]]]) -> list[float]:
    """Return, for each table, the largest probability of chance that is still marked.

    Tables share the 5% evenly, so that it holds for all of them together, and many differences in
    one do not hide what another shows.

    Args:
        tables: For each table, every difference, with the name of its metric.
    """
    chances = [np.sort(judgeable(table)) for table in tables]
    level = FALSE_MARKS / max(1, sum(len(found) > 0 for found in chances))
    return [_bar(found, level) for found in chances]


def _bar(chances: np.ndarray, level: float) -> float:
    """Return the largest of sorted probabilities that passes; `UNMARKED` where none does."""
    passed = chances <= level * np.arange(1, len(chances) + 1) / max(1, len(chances))
    return float(chances[passed].max(initial=UNMARKED))


def marked(name: str, change: Change, highest: float) -> Change:
    """Return whether a difference is for the better or the worse, if it is to be marked.

    Args:
        name: The metric.
        change: The difference.
        highest: The largest probability of chance that is marked; see `bars`.
    """
    better = BETTER.get(name, "")
    if not better or not change.chance <= highest:
        return change._replace(verdict="")
    return change._replace(
        verdict="better" if (change.difference > 0) == (better == "higher") else "worse"
    )
