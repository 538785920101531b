"""The effect of each varying setting on the metrics, all other settings being equal."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sleap_lab.compare.paired import NAN, Change, ComparedRun, Pairs
from sleap_lab.evaluation.intervals import judged, spread_of
from sleap_lab.evaluation.spread import less
from sleap_lab.report.written import text
from sleap_lab.runs.snapshot import decides

MOST_KEYS = 2
PRESETS = "experiment"


class Factor(NamedTuple):
    """Something that varies between runs: the option of a group, or settings that vary together.

    Attributes:
        names: The group or the setting, and every setting that changes with it.
        levels: The option, or the value of the setting, of each run.
    """

    names: tuple[str, ...]
    levels: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name in tables."""
        if "." not in self.names[0]:
            return self.names[0]
        more = len(self.names) - MOST_KEYS
        return ", ".join(self.names[:MOST_KEYS]) + (f" and {more} more" if more > 0 else "")


class Effect(NamedTuple):
    """The mean effect of another level of a factor on the metrics.

    The mean is over the pairs of runs that differ in nothing else.

    Attributes:
        factor: The factor.
        first: The level that is compared with, that of the first run.
        level: The other level.
        n_pairs: Pairs of runs. Runs that are alike in every factor are replicates, and each
            replicate forms pairs of its own.
        changes: Mean difference by name of the metric.
        spread: Smallest and largest difference of a pair.
    """

    factor: Factor
    first: str
    level: str
    n_pairs: int
    changes: dict[str, Change]
    spread: dict[str, tuple[float, float]]


def factors(runs: Sequence[ComparedRun]) -> list[Factor]:
    """Find what varies between runs, among the settings that can change a result.

    Where runs chose different options of a group, settings that follow from the option belong to
    it. Settings that always vary together are one factor, because their effects cannot be told
    apart.
    """
    keys = dict.fromkeys(key for run in runs for key in run.settings if decides(key))
    values = {key: tuple(text(run.settings.get(key)) for run in runs) for key in keys}
    varied = {key: levels for key, levels in values.items() if len(set(levels)) > 1}
    groups = sorted(
        {group for run in runs for group in run.summary.choices},
        key=lambda group: (group != PRESETS, group),
    )
    options = {
        group: tuple(_option(run.summary.choices.get(group)) for run in runs) for group in groups
    }
    options = {
        group: chosen
        for group, chosen in options.items()
        if any(_belongs(key, varied[key], group, chosen) for key in varied)
    }
    found: list[Factor] = []
    for name, levels in (options | varied).items():
        for i, factor in enumerate(found):
            if _partition(levels) == _partition(factor.levels) or any(
                _belongs(name, levels, host, factor.levels) for host in factor.names
            ):
                found[i] = factor._replace(names=(*factor.names, name))
                break
        else:
            found.append(Factor((name,), levels))
    return found


def _option(chosen: str | None) -> str:
    """Return the option of a group; a dash where none was chosen, which Hydra writes as `None`."""
    return "–" if chosen in (None, "None") else chosen


def _belongs(name: str, values: Sequence[str], group: str, options: Sequence[str]) -> bool:
    """Return whether a setting is one of a group, and the option that was chosen decides it."""
    return group in (PRESETS, name.partition(".")[0]) and len(
        set(zip(options, values, strict=True))
    ) == len(set(options))


def _partition(levels: Sequence[str]) -> tuple[int, ...]:
    """Return which runs have the same level: for each run, the first one that is like it."""
    first: dict[str, int] = {}
    return tuple(first.setdefault(level, i) for i, level in enumerate(levels))


def effects(found: Sequence[Factor], runs: Pairs, metrics: Sequence[str]) -> list[Effect]:
    """Return the effects of all levels of all factors, largest on the first metric first.

    No change has a verdict.

    Args:
        found: What varies between the runs.
        runs: The runs.
        metrics: Names of the metrics.
    """
    all_effects = [
        effect
        for place, factor in enumerate(found)
        for level in list(dict.fromkeys(factor.levels))[1:]
        if (effect := _effect(place, level, found, runs, metrics))
    ]
    return sorted(
        all_effects,
        key=lambda effect: [
            -abs(np.nan_to_num(effect.changes[name].difference)) for name in metrics
        ],
    )


def _effect(
    place: int, level: str, found: Sequence[Factor], runs: Pairs, metrics: Sequence[str]
) -> Effect | None:
    factor = found[place]
    cells = _cells(place, level, found)
    if not cells:
        return None
    values, spread = {}, {}
    for name in metrics:
        differences = [[runs.difference(a, b, name) for a, b in cell] for cell in cells]
        known = [value for cell in differences for value in cell if not np.isnan(value)]
        means = [float(np.nanmean(cell)) for cell in differences if not np.isnan(cell).all()]
        values[name] = float(np.mean(means)) if means else NAN
        spread[name] = (min(known), max(known)) if known else (NAN, NAN)
    changes = {name: Change(value) for name, value in values.items()}
    influence, video = _influence(cells, runs, values)
    of_means = {name: values[name] for name in influence}
    changes |= {
        name: Change(*judgement[:3], chance=judgement.chance)
        for name, judgement in judged(of_means, spread_of(influence, video)).items()
    }
    return Effect(factor, factor.levels[0], level, sum(map(len, cells)), changes, spread)


Cell = list[tuple[int, int]]


def _cells(place: int, level: str, found: Sequence[Factor]) -> list[Cell]:
    """Return the pairs of runs that differ only in a factor: from its first level to another one.

    Pairs of one cell are replicates of each other; every cell counts the same.
    """
    factor, others = found[place], [other for i, other in enumerate(found) if i != place]
    first = factor.levels[0]
    cells: dict[Any, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for run, own in enumerate(factor.levels):
        cells[tuple(other.levels[run] for other in others)][own].append(run)
    return [
        [(a, b) for a in cell[first] for b in cell[level]]
        for cell in cells.values()
        if {first, level} <= cell.keys()
    ]


def _influence(
    cells: Sequence[Cell], runs: Pairs, means: Mapping[str, float]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the part of each frame in the mean difference, and the video of each frame.

    Frames of a pair whose difference is larger than the mean add to it. No metric has a part where
    a pair of runs shares no frame.
    """
    weighted = []
    for cell in cells:
        for pair in cell:
            if (found := runs.pair(*pair)) is None:
                return {}, runs.video[:0]
            weighted.append((1 / (len(cell) * len(cells)), runs.shared(*pair), found))
    names = [
        name for name in means if all(name in p.influence for _, _, pair in weighted for p in pair)
    ]
    total, seen = np.zeros((len(names), len(runs.video))), np.zeros(len(runs.video), dtype=bool)
    for weight, places, (before, after) in weighted:
        for row, name in enumerate(names):
            more = less(after.values[name] - before.values[name], means[name])
            change = less(after.influence[name], before.influence[name])
            total[row, places] += weight * (change + more / len(places))
        seen[places] = True
    return dict(zip(names, total[:, seen], strict=True)), runs.video[seen]
