"""A comparison of runs as a single self-contained page."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sleap_lab.compare.paired import Change
from sleap_lab.compare.runs import Comparison, Line
from sleap_lab.compare.side_by_side import (
    FEW_RUNS,
    apart,
    brief,
    columns_apart,
    marked,
    mattered,
    short,
    shown,
    signed,
    standing,
    step,
    without_interval,
)
from sleap_lab.errors import listed
from sleap_lab.report.page import template, write_html
from sleap_lab.report.written import UNKNOWN, alike, kinds, number
from sleap_lab.settings.metrics import METRICS
from sleap_lab.sweeps.best import MOST_TIED


class Cell(NamedTuple):
    """One cell of a table of the page.

    Attributes:
        value: A value.
        change: The change beside it, with its interval.
        verdict: `better`, `worse` or empty.
        strip: Places of the change, its lower and its upper limit on a strip, in per cent from its
            left to its right end; a change of 0 lies in the middle.
    """

    value: str
    change: str = ""
    verdict: str = ""
    strip: tuple[float, float, float] | None = None


def write_page(comparison: Comparison, path: Path) -> None:
    """Write the comparison as one HTML page.

    Raises:
        RunError: The file cannot be written.
    """
    differ, same = columns_apart(comparison)
    page = template("compare.html").render(
        comparison=comparison,
        many=len(comparison.runs) > FEW_RUNS,
        differ=differ,
        same=[f"{line.name} ({number(line.values[0])})" for line in same],
        levels=[(factor, brief(factor.levels)) for factor in comparison.factors],
        unsure=[line.name for line in without_interval(comparison.metrics)],
        mattered=mattered(comparison),
        short=short,
        intervals=any(
            not np.isnan(change.low) for line in comparison.metrics for change in line.changes
        ),
        runs=_run_cells(comparison, differ),
        effects=[
            (effect, step(effect), row)
            for effect, row in zip(
                comparison.effects, _effect_cells(comparison, differ), strict=True
            )
        ],
        cells=cells,
        standings=[standing(comparison, i) for i in range(len(comparison.runs))],
        best=_best_said(comparison),
        has_marks=any(change.verdict for line in differ for change in line.changes),
        meanings=_meanings(differ),
        words=kinds(list(zip(*(factor.levels for factor in comparison.factors), strict=True))),
        moved=apart(comparison.metrics)[0],
        equal=[(line.name, number(line.values[0])) for line in apart(comparison.metrics)[1]],
    )
    write_html(path, page)


def _best_said(comparison: Comparison) -> str:
    """Say which run is best, and by how much others are as good; empty where none is."""
    if not comparison.best:
        return ""
    best, *tied = (comparison.runs[i].name for i in comparison.best)
    deciding = next(line for line in comparison.metrics if line.name == comparison.best_by)
    value = alike(deciding.values)[comparison.best[0]]
    said = f"{best[:1].upper()}{best[1:]} is best by {comparison.best_by}, {value}."
    if not tied:
        return said
    return f"{said} As good: {listed(tied, MOST_TIED)}; {comparison.decided_by} decides."


def _meanings(lines: Sequence[Line]) -> dict[str, str]:
    """Return what metrics are, by short name."""
    helps = {metric.name: metric.meaning for metric in METRICS}
    return {short(line.name): helps[line.name] for line in lines if line.name in helps}


def cells(line: Line) -> list[Cell]:
    """Return the cells of a row of the page: the values, and the changes of all but the first."""
    reach = _reach(line.changes)
    first, *others = alike(line.values)
    return [
        Cell(first),
        *(
            Cell(value, _known(shown(change)), change.verdict, _strip(change, reach))
            for value, change in zip(others, line.changes, strict=True)
        ),
    ]


def _run_cells(comparison: Comparison, lines: Sequence[Line]) -> list[list[Cell]]:
    """Return a row of cells per run for the table of many runs.

    The cells hold values, and changes without their intervals.
    """
    texts = [alike(line.values) for line in lines]
    return [
        [
            Cell(
                values[i],
                _known(marked(line.changes[i - 1])) if i else "",
                line.changes[i - 1].verdict if i else "",
            )
            for line, values in zip(lines, texts, strict=True)
        ]
        for i in range(len(comparison.runs))
    ]


def _known(change: str) -> str:
    """Return a change as text; nothing where the value already says that there is none."""
    return "" if change == UNKNOWN else change


def _effect_cells(comparison: Comparison, lines: Sequence[Line]) -> Iterator[list[Cell]]:
    """Yield a row of cells per effect.

    Each metric has one scale for all effects, so that they can be compared by eye.
    """
    reach = {
        line.name: _reach(effect.changes[line.name] for effect in comparison.effects)
        for line in lines
    }
    for effect in comparison.effects:
        row = []
        for line in lines:
            change, (low, high) = effect.changes[line.name], effect.spread[line.name]
            limits = (low, high) if np.isnan(change.low) else change[1:3]
            ends = [signed(limit) for limit in limits]
            below = (
                ""
                if len(set(ends)) == 1
                else " to ".join(ends)
                if np.isnan(change.low)
                else f"[{', '.join(ends)}]"
            )
            row.append(
                Cell(marked(change), below, change.verdict, _strip(change, reach[line.name]))
            )
        yield row


def _strip(change: Change, reach: float) -> tuple[float, float, float] | None:
    """Return the places of a change and its limits on a strip from -reach to reach.

    The places are in per cent from the left to the right end; None where there is nothing to draw.
    """
    if np.isnan(change.low) or not reach or change[:3] == (0, 0, 0):
        return None
    middle, low, high = (50 + 50 * value / reach for value in change[:3])
    return middle, low, high


def _reach(changes: Iterable[Change]) -> float:
    """Return the largest absolute value among changes and their limits; nan is ignored."""
    return max(
        (abs(value) for change in changes for value in change[:3] if not np.isnan(value)),
        default=0.0,
    )
