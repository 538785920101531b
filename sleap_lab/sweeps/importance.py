"""How much the settings of a sweep matter for a metric, by themselves and two together."""

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple, TypeVar

import numpy as np

MOST_PAIRS = 3
SMALLEST = 0.1
"""Share of the variance below which nothing is said to matter."""
FALSE_CLAIMS = 0.05
"""How often a sweep in which nothing matters is said to have a setting that does, or two."""
EXACT = 1e-9  # part of the squares that is rounding


_Key = TypeVar("_Key")


class Importance(NamedTuple):
    """How much a setting mattered for a metric.

    Attributes:
        setting: Its name.
        share: Share of the variance of the metric's ranks that the values explain, 0 to 1, adjusted
            for the number of values; nan where there are too few jobs.
        correlation: Rank correlation with the metric, -1 to 1; nan where the values are not
            numbers, or all are equal.
        together: What it explains together with each other setting, beyond what both explain by
            themselves, the largest first; those below `SMALLEST` are left out, and those that are
            no more than chance.
        beyond_chance: Whether the share is more than chance among all that are looked at.
        untold: Those of `together` that nothing tells from chance, as each pair of values comes
            once.
    """

    setting: str
    share: float
    correlation: float
    together: Mapping[str, float] = {}
    beyond_chance: bool = False
    untold: Collection[str] = ()

    @property
    def largest(self) -> float:
        """The largest share, by itself or together with another; 0 where none is known."""
        return max([float(np.nan_to_num(self.share)), *self.together.values()])


def importances(
    settings: Mapping[str, Sequence[str | None]], scores: np.ndarray
) -> list[Importance]:
    """Measure how much each setting matters, the one that matters most first.

    Args:
        settings: Value of each job, as typed, by setting.
        scores: (jobs,) a metric.
    """
    found = {key: importance(key, values, scores) for key, values in settings.items()}
    scales = _ranks(scores), scores  # what adds up on one of them does not on the other
    columns = {key: drawn for key in settings if (drawn := _columns(settings[key])) is not None}
    chances = {
        key: max(_chance([own], _others(columns, key), values) for values in scales)
        for key, own in columns.items()
    }
    clear = _clear(chances)
    shares: dict[str, dict[str, float]] = {key: {} for key in settings}
    known: dict[tuple[str, str], float] = {}
    for pair in combinations(settings, 2):
        both = min(_beyond(settings, *pair, values) for values in scales)
        if not np.isnan(both):
            known[pair] = both
    of_pairs = {
        pair: max(_chance_of_pair(settings, columns, pair, values) for values in scales)
        for pair in known
    }
    judged = _clear(of_pairs)
    untold: dict[str, set[str]] = {key: set() for key in settings}
    for (first, second), both in known.items():
        once = np.isnan(of_pairs[first, second])
        if both >= SMALLEST and (once or (first, second) in judged):
            shares[first][second] = shares[second][first] = min(both, 1.0)
            if once:
                untold[first].add(second)
                untold[second].add(first)
    ranked = [
        each._replace(
            together=dict(sorted(shares[key].items(), key=lambda share: -share[1])),
            beyond_chance=key in clear,
            untold=untold[key],
        )
        for key, each in found.items()
    ]
    return sorted(ranked, key=lambda each: (-each.largest, -np.nan_to_num(each.share)))


def importance(setting: str, values: Sequence[str | None], scores: np.ndarray) -> Importance:
    """Measure how much a setting matters by itself, regardless of the others.

    Args:
        setting: Its name.
        values: Its value in each job, as typed.
        scores: (jobs,) a metric.

    Returns:
        The share is the adjusted coefficient of determination (epsilon squared, Kelley 1935) of the
        values' means; of a straight line where every job has a different number. By chance alone it
        is about 0.
    """
    ranks = _ranks(scores)
    numbers = as_numbers(values)
    slope = float("nan") if numbers is None else _correlation(_ranks(numbers), ranks)
    if len(set(values)) < len(values):
        return Importance(setting, _explained(list(values), ranks), slope)
    total = _squares(ranks)
    if total == 0:
        return Importance(setting, 0.0, slope)
    return Importance(setting, _adjusted(total * (1 - slope**2), total, len(values), 2), slope)


def _beyond(
    settings: Mapping[str, Sequence[str | None]], first: str, second: str, values: np.ndarray
) -> float:
    """Return the share that two settings explain beyond what each explains by itself.

    The interaction of an analysis of variance, adjusted for chance as far as pairs of values come
    more than once. Where the two are all that varies, each pair comes once and nothing is left to
    judge chance by. Otherwise the share is nan where there are as many pairs as jobs.
    """
    pairs = list(zip(settings[first], settings[second], strict=True))
    numbers = [len(set(settings[key])) for key in (first, second)]
    cells, total = len(set(pairs)), _squares(values)
    grid = cells == numbers[0] * numbers[1] and min(numbers) > 1
    if total == 0 or (cells == len(pairs) and not grid):
        return float("nan")
    left = _left(pairs, values)
    together = sum(_left(settings[key], values) for key in (first, second)) - total - left
    free = (numbers[0] - 1) * (numbers[1] - 1)
    chance = free * left / (len(pairs) - cells) if len(pairs) > cells else 0.0
    return (together - chance) / total


def _clear(chances: Mapping[_Key, float]) -> set[_Key]:
    """Return what is more than chance; settings and pairs share the false claims evenly."""
    known = {key: chance for key, chance in chances.items() if not np.isnan(chance)}
    return {key for key, chance in known.items() if chance <= FALSE_CLAIMS / 2 / len(known)}


def _columns(values: Sequence[str | None]) -> np.ndarray | None:
    """Return (jobs, k) what a setting may do to a metric: a mean for each of its values.

    A line through their ranks where every job has a different number; None where every job has a
    different name.
    """
    if len(kinds := list(dict.fromkeys(values))) < len(values):
        return np.array([[value == kind for kind in kinds] for value in values], dtype=float)
    numbers = as_numbers(values)
    return None if numbers is None else _ranks(numbers)[:, None]


def _others(columns: Mapping[str, np.ndarray], *without: str) -> list[np.ndarray]:
    return [own for key, own in columns.items() if key not in without]


def _chance_of_pair(
    settings: Mapping[str, Sequence[str | None]],
    columns: Mapping[str, np.ndarray],
    pair: tuple[str, str],
    values: np.ndarray,
) -> float:
    """Return how often two settings explain as much together by chance; nan where nothing tells."""
    cells = _columns([str(each) for each in zip(*(settings[key] for key in pair), strict=True)])
    own = [columns[key] for key in pair if key in columns]
    if cells is None:
        return float("nan")
    return _chance([cells], _others(columns, *pair), values, given=own)


def _chance(
    added: Sequence[np.ndarray],
    others: Sequence[np.ndarray],
    values: np.ndarray,
    given: Sequence[np.ndarray] = (),
) -> float:
    """Return how often columns of no effect explain as much (F test of nested linear models).

    Args:
        added: Columns (jobs, k) that are judged.
        others: What else may explain the values; left out where nothing would be left to judge by.
        values: (jobs,) the values.
        given: What is always left in.

    Returns:
        The probability; nan where nothing is left to judge by.
    """
    from scipy.special import fdtrc  # slow to import

    total = _squares(values)
    for more in (others, []):
        before, free_before = _fitted([*given, *more], values)
        left, free = _fitted([*given, *more, *added], values)
        if free and free_before > free:
            gained = before - left
            if left <= EXACT * total:
                return 0.0 if gained > EXACT * total else 1.0
            used = free_before - free
            return float(fdtrc(used, free, max(gained, 0.0) / used / (left / free)))
    return float("nan")


def _fitted(columns: Sequence[np.ndarray], values: np.ndarray) -> tuple[float, int]:
    """Return the squares that a mean and columns leave, and how many numbers stay free."""
    design = np.column_stack([np.ones(len(values)), *columns])
    fit, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    return float(((values - design @ fit) ** 2).sum()), len(values) - int(rank)


def _explained(values: Sequence[object], ranks: np.ndarray) -> float:
    """Return the share of the variance that the means of values explain, adjusted for chance."""
    total = _squares(ranks)
    return _adjusted(_left(values, ranks), total, len(values), len(set(values))) if total else 0.0


def _left(values: Sequence[object], ranks: np.ndarray) -> float:
    """Return the sum of squared distances from the mean of the same value."""
    kinds = list(dict.fromkeys(values))
    same = np.array([kinds.index(value) for value in values])
    return sum(_squares(ranks[same == kind]) for kind in range(len(kinds)))


def _adjusted(left: float, total: float, jobs: int, parameters: int) -> float:
    if jobs <= parameters:
        return float("nan")
    return max(1 - (left / (jobs - parameters)) / (total / (jobs - 1)), 0.0)


def _squares(values: np.ndarray) -> float:
    """Return the sum of squared distances from the mean."""
    return float(((values - values.mean()) ** 2).sum())


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank of each value; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    if not (first.std() and second.std()):
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def as_numbers(values: Sequence[str | None]) -> np.ndarray | None:
    """Return values as numbers, if all are."""
    try:
        return (
            np.array([float(value) for value in values if value is not None])
            if None not in values
            else None
        )
    except ValueError:
        return None


def pairs_of(found: Sequence[Importance]) -> dict[tuple[str, str], float]:
    """Return what two settings explain together, each pair once."""
    pairs = {}
    for each in found:
        for other, share in each.together.items():
            first, second = sorted((each.setting, other))
            pairs[first, second] = share
    return pairs


def verdict(found: Sequence[Importance]) -> str:
    """Say in a sentence or two which settings matter, and which only together with another."""
    said = []
    alone = [each for each in found if each.beyond_chance and each.share >= SMALLEST]
    if alone:
        named = [f"{each.setting} ({100 * each.share:.0f}%)" for each in alone]
        said.append(
            f"{named[0]} matters by itself."
            if len(named) == 1
            else f"{', '.join(named[:-1])} and {named[-1]} matter by themselves."
        )
    untold = {frozenset((each.setting, other)) for each in found for other in each.untold}
    strongest = sorted(pairs_of(found).items(), key=lambda pair: -pair[1])[:MOST_PAIRS]
    for (first, second), share in strongest:
        more = " more" if alone else ""
        percent = f"{100 * share:.0f}%{more}"
        said.append(
            f"{first} may matter together with {second} ({percent}), or that is chance: each pair "
            "of their values was tried once."
            if {first, second} in untold
            else f"{first} matters together with {second} ({percent})."
        )
    if not said:
        said.append(
            "No setting explains what differs beyond chance, by itself or together with another."
        )
    return " ".join(said)
