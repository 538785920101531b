"""A comparison of runs as a terminal shows it, and as a single self-contained page."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sleap_lab.compare.effects import Effect
from sleap_lab.compare.paired import Change
from sleap_lab.compare.runs import Comparison, Line
from sleap_lab.files.atomic import replacing
from sleap_lab.report.numbers import number
from sleap_lab.report.page import template
from sleap_lab.sweeps.importance import importances, verdict

FEW_RUNS = 3
MOST_METRICS = 6
MOST_FACTORS = 4
MOST_EFFECTS = 12
MOST_PARTS = 12
WIDEST = 24
MARKS = {"better": " ▲", "worse": " ▼", "": ""}


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


def as_text(comparison: Comparison) -> str:
    """Return the comparison as a terminal shows it.

    A few runs are shown with every metric; of many runs, each has a line with the columns that
    differ.
    """
    parts = _few(comparison) if len(comparison.runs) <= FEW_RUNS else _many(comparison)
    return "\n\n".join([*parts, "\n".join([*comparison.warnings, *comparison.notes])]).rstrip()


def _few(comparison: Comparison) -> Iterator[str]:
    names = [run.name for run in comparison.runs]
    settings = [(key, *brief(values)) for key, values in comparison.settings]
    yield _grid([("settings that differ", *names), *settings]) if settings else "no setting differs"
    if comparison.made_with:
        yield _grid(
            [
                ("made with", *names),
                *((name, *brief(values)) for name, values in comparison.made_with),
            ]
        )
    if comparison.metrics:
        header = (names[0], *(title for name in names[1:] for title in (name, "difference")))
        differ, same = _split(comparison.metrics)
        if differ:
            yield _grid([("metric", *header), *map(_row, differ)])
        if same:
            yield f"the same in all runs: {', '.join(map(_of_all, same))}"
        moved = [
            line._replace(name=f"{name}: {_short(line.name)}")
            for parts in comparison.parts.values()
            for name, lines in parts.items()
            for line in lines
            if any(change.verdict for change in line.changes)
        ]
        if moved:
            more = (
                f"\n{len(moved) - MOST_PARTS} more are on the page"
                if len(moved) > MOST_PARTS
                else ""
            )
            yield _grid([("video or node", *header), *map(_row, moved[:MOST_PARTS])]) + more
        elif comparison.parts:
            yield f"no single {' or '.join(comparison.parts)} changed by more than chance"


def _row(line: Line) -> tuple[str, ...]:
    others = zip(line.values[1:], line.changes, strict=True)
    return (
        line.name,
        number(line.values[0]),
        *(cell for value, change in others for cell in (number(value), shown(change))),
    )


def _many(comparison: Comparison) -> Iterator[str]:
    runs, factors = comparison.runs, comparison.factors[:MOST_FACTORS]
    differ, same = _columns(comparison)
    chosen, levels = differ[:MOST_METRICS], [brief(factor.levels) for factor in factors]
    header = [
        "run",
        *(_short(factor.name) for factor in factors),
        *(_short(line.name) for line in chosen),
    ]
    rows = []
    for i, run in enumerate(runs):
        values = [
            number(line.values[i]) + (MARKS[line.changes[i - 1].verdict] if i else "")
            for line in chosen
        ]
        rows.append(
            [
                run.name + (" *" if i in comparison.best else ""),
                *(level[i] for level in levels),
                *values,
            ]
        )
    yield _grid([header, *rows])
    marked = any(change.verdict for line in chosen for change in line.changes)
    said = [f"▲ ▼ better or worse than {runs[0].name} by more than chance"] if marked else []
    if unsure := without_interval(chosen):
        said.append(f"without an interval: {', '.join(_short(line.name) for line in unsure)}")
    if comparison.best:
        said.append(f"* best by {comparison.best_by}")
    if same:
        said.append(f"the same in all runs: {', '.join(map(_of_all, same))}")
    if hidden := [factor.name for factor in comparison.factors[MOST_FACTORS:]] + [
        line.name for line in differ[MOST_METRICS:]
    ]:
        said.append(f"on the page only: {', '.join(map(_short, hidden))}")
    if comparison.made_with:
        said.append(
            f"not made alike (see the page): {', '.join(name for name, _ in comparison.made_with)}"
        )
    yield "\n".join([*said, *filter(None, [mattered(comparison)])])
    if comparison.effects and chosen:
        header = ["effect of", "", "pairs", *(_short(line.name) for line in chosen)]
        rows = [
            [
                _short(effect.factor.name),
                step(effect),
                str(effect.n_pairs),
                *(_marked(effect.changes[line.name]) for line in chosen),
            ]
            for effect in comparison.effects[:MOST_EFFECTS]
        ]
        more = len(comparison.effects) - MOST_EFFECTS
        yield _grid([header, *rows]) + (
            f"\n{more} smaller effects are on the page" if more > 0 else ""
        )


def _split(lines: Sequence[Line]) -> tuple[list[Line], list[Line]]:
    """Return the metrics that differ between runs, and those that are the same in all.

    One that some runs lack differs.
    """
    same = [line for line in lines if len(set(map(number, line.values))) == 1]
    return [line for line in lines if line not in same], same


def _columns(comparison: Comparison) -> tuple[list[Line], list[Line]]:
    """Do the same for the columns; one that only differs by where it is lacking is left out."""
    differ, same = _split(comparison.columns)
    known = [{number(value) for value in line.values if not np.isnan(value)} for line in differ]
    return [line for line, values in zip(differ, known, strict=True) if len(values) > 1], same


def _of_all(line: Line) -> str:
    return f"{_short(line.name)} {number(line.values[0])}"


def without_interval(lines: Sequence[Line]) -> list[Line]:
    """Return the metrics of identity, as far as they have no interval."""
    return [
        line
        for line in lines
        if line.name.startswith("identity/") and all(np.isnan(c.low) for c in line.changes)
    ]


def mattered(comparison: Comparison) -> str:
    """Say which settings matter for the metric that decides, alone or together with another."""
    deciding = [line for line in comparison.metrics if line.name == comparison.best_by]
    if not deciding or len(comparison.runs) <= FEW_RUNS or not comparison.factors:
        return ""
    scores = np.array(deciding[0].values)
    known = np.flatnonzero(~np.isnan(scores))
    if np.ptp(scores[known]) == 0:
        return ""
    settings = {
        _short(factor.name): [factor.levels[run] for run in known] for factor in comparison.factors
    }
    return f"{_short(deciding[0].name)}: {verdict(importances(settings, scores[known]))}"


def step(effect: Effect) -> str:
    """Write the two levels of an effect: from, to."""
    levels = dict(zip(effect.factor.levels, brief(effect.factor.levels), strict=True))
    return f"{levels[effect.first]} → {levels[effect.level]}"


def shown(change: Change) -> str:
    """Write a change with its sign, its interval and its verdict."""
    if np.isnan(change.difference):
        return "n/a"
    interval = (
        ""
        if np.isnan(change.low) or change[:3] == (0, 0, 0)
        else f" [{number(change.low)}, {number(change.high)}]"
    )
    return f"{_signed(change.difference)}{interval}{' ' + change.verdict if change.verdict else ''}"


def _marked(change: Change) -> str:
    return (
        "n/a" if np.isnan(change.difference) else _signed(change.difference) + MARKS[change.verdict]
    )


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else ''}{number(value)}"


def _short(name: str) -> str:
    """Return the last part of a dotted or slashed name."""
    return (
        name.rpartition("/")[2]
        if "/" in name
        else ", ".join(part.rpartition(".")[2] for part in name.split(", "))
    )


def brief(values: Sequence[str]) -> list[str]:
    """Shorten long values: paths lose the folders that all share, other texts their beginning."""
    # Not all values are paths.
    shared = os.path.commonprefix(values).rfind("/") + 1 if len(set(values)) > 1 else 0  # noqa: RUF071
    shorter = [
        f"…{value[shared:]}" if shared and len(value) > WIDEST else value for value in values
    ]
    return [value if len(value) <= WIDEST else f"…{value[1 - WIDEST :]}" for value in shorter]


def _grid(table: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )


def write_page(comparison: Comparison, path: Path) -> None:
    """Write the comparison as one HTML page.

    Raises:
        RunError: The file cannot be written.
    """
    differ, same = _columns(comparison)
    page = template("compare.html").render(
        comparison=comparison,
        many=len(comparison.runs) > FEW_RUNS,
        differ=differ,
        same=[f"{line.name} ({number(line.values[0])})" for line in same],
        levels=[(factor, brief(factor.levels)) for factor in comparison.factors],
        unsure=[line.name for line in without_interval(comparison.metrics)],
        mattered=mattered(comparison),
        short=_short,
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
        moved=_split(comparison.metrics)[0],
        equal=[(line.name, number(line.values[0])) for line in _split(comparison.metrics)[1]],
    )
    with replacing(path) as temporary:
        temporary.write_bytes(page.encode(errors="backslashreplace"))


def cells(line: Line) -> list[Cell]:
    """Return the cells of a row of the page: the values, and the changes of all but the first."""
    reach = _reach(line.changes)
    others = zip(line.values[1:], line.changes, strict=True)
    return [
        Cell(number(line.values[0])),
        *(
            Cell(number(value), shown(change), change.verdict, _strip(change, reach))
            for value, change in others
        ),
    ]


def _run_cells(comparison: Comparison, lines: Sequence[Line]) -> list[list[Cell]]:
    """Return a row of cells per run for the table of many runs.

    The cells hold values, and changes without their intervals.
    """
    return [
        [
            Cell(
                number(line.values[i]),
                _marked(line.changes[i - 1]) if i else "",
                line.changes[i - 1].verdict if i else "",
            )
            for line in lines
        ]
        for i in range(len(comparison.runs))
    ]


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
            ends = [_signed(limit) for limit in limits]
            below = (
                ""
                if len(set(ends)) == 1
                else " to ".join(ends)
                if np.isnan(change.low)
                else f"[{', '.join(ends)}]"
            )
            row.append(
                Cell(_marked(change), below, change.verdict, _strip(change, reach[line.name]))
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
