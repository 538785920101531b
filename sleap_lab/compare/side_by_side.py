"""A comparison of runs as a terminal shows it."""

import os
from collections.abc import Iterator, Sequence

import numpy as np

from sleap_lab.compare.effects import Effect
from sleap_lab.compare.paired import Change
from sleap_lab.compare.runs import Comparison, Line
from sleap_lab.errors import counted
from sleap_lab.report.written import UNKNOWN, aligned, alike, number
from sleap_lab.settings.objective import SPEED
from sleap_lab.sweeps.importance import importances, verdict

FEW_RUNS = 3
MOST_RUNS = 50
MOST_METRICS = 6
MOST_FACTORS = 4
MOST_EFFECTS = 12
MOST_PARTS = 12
MOST_WARNINGS = 12
WIDEST = 24
UNLIMITED = 10_000  # columns of a file
MARKS = {"better": "\N{NO-BREAK SPACE}▲", "worse": "\N{NO-BREAK SPACE}▼", "": ""}
MARK_OF = {"best": " *", "tied": " =", "": ""}


def as_text(comparison: Comparison, width: int = UNLIMITED) -> str:
    """Return the comparison as a terminal shows it.

    A few runs are shown with every metric; of many runs, each has a line with the columns that
    differ, as many as there is room for.

    Args:
        comparison: What differs.
        width: Columns of the terminal.
    """
    parts = _few(comparison) if len(comparison.runs) <= FEW_RUNS else _many(comparison, width)
    warnings, more = comparison.warnings[:MOST_WARNINGS], len(comparison.warnings) - MOST_WARNINGS
    left = [f"{counted(more, 'more warning')} on the page"] if more > 0 else []
    return "\n\n".join([*parts, "\n".join([*warnings, *left, *comparison.notes])]).rstrip()


def _few(comparison: Comparison) -> Iterator[str]:
    names = [run.name for run in comparison.runs]
    settings = [(key, *brief(values)) for key, values in comparison.settings]
    titles = ("settings that differ", *names)
    yield aligned([titles, *settings]) if settings else "no setting differs"
    if comparison.made_with:
        yield aligned(
            [
                ("made with", *names),
                *((name, *brief(values)) for name, values in comparison.made_with),
            ]
        )
    if comparison.metrics:
        header = (names[0], *(title for name in names[1:] for title in (name, "difference")))
        differ, same = apart(comparison.metrics)
        if differ:
            yield aligned([("metric", *header), *map(_row, differ)])
        if same:
            yield f"the same in all runs: {', '.join(map(_of_all, same))}"
        moved = [
            line._replace(name=f"{name}: {short(line.name)}")
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
            yield aligned([("video or node", *header), *map(_row, moved[:MOST_PARTS])]) + more
        elif comparison.parts:
            yield f"no single {' or '.join(comparison.parts)} changed by more than chance"


def _row(line: Line) -> tuple[str, ...]:
    first, *others = alike(line.values)
    changes = zip(others, line.changes, strict=True)
    return (
        line.name,
        first,
        *(cell for value, change in changes for cell in (value, shown(change))),
    )


def _many(comparison: Comparison, width: int) -> Iterator[str]:
    differ, same = columns_apart(comparison)
    chosen = _fitting(comparison, differ[:MOST_METRICS], width)
    more = len(comparison.runs) - len(_shown_runs(comparison))
    yield _of_runs(comparison, chosen) + (f"\n{more} more runs are on the page" if more else "")
    has_marks = any(change.verdict for line in chosen for change in line.changes)
    first = comparison.runs[0].name
    said = [f"▲ ▼ better or worse than {first} by more than chance"] if has_marks else []
    if unsure := without_interval(chosen):
        names = ", ".join(short(line.name) for line in unsure)
        said.append(f"without an interval, which takes four videos: {names}")
    if comparison.best:
        said.append(f"* best by {comparison.best_by}")
    if comparison.decided_by:
        said.append(f"= as good by it; {comparison.decided_by} decides")
    if same:
        said.append(f"the same in all runs: {', '.join(map(_of_all, same))}")
    if hidden := [factor.name for factor in comparison.factors[MOST_FACTORS:]] + [
        line.name for line in differ[len(chosen) :]
    ]:
        said.append(f"on the page only: {', '.join(map(short, hidden))}")
    if comparison.made_with:
        said.append(
            f"not made alike (see the page): {', '.join(name for name, _ in comparison.made_with)}"
        )
    yield "\n".join([*said, *filter(None, [mattered(comparison)])])
    if comparison.effects and chosen:
        more = len(comparison.effects) - MOST_EFFECTS
        yield _of_effects(comparison, chosen) + (
            f"\n{more} smaller effects are on the page" if more > 0 else ""
        )


def _fitting(comparison: Comparison, lines: Sequence[Line], width: int) -> Sequence[Line]:
    """Return the first metrics, as many as a terminal has room for; one at least."""
    for most in range(len(lines), 1, -1):
        tables = [_of_runs(comparison, lines[:most]), _of_effects(comparison, lines[:most])]
        if max(len(row) for table in tables for row in table.splitlines()) <= width:
            return lines[:most]
    return lines[:1]


def _of_runs(comparison: Comparison, lines: Sequence[Line]) -> str:
    """Return a table with a line for each run that is shown: its settings, and its metrics."""
    factors = comparison.factors[:MOST_FACTORS]
    levels = [brief(factor.levels) for factor in factors]
    header = ["run", *(short(factor.name) for factor in factors)]
    rows = [[*header, *(short(line.name) for line in lines)]]
    texts = [alike(line.values) for line in lines]
    for i in _shown_runs(comparison):
        cells = [
            values[i] + (MARKS[line.changes[i - 1].verdict] if i else "")
            for line, values in zip(lines, texts, strict=True)
        ]
        name = comparison.runs[i].name + MARK_OF[standing(comparison, i)]
        rows.append([name, *(level[i] for level in levels), *cells])
    return aligned(rows)


def _shown_runs(comparison: Comparison) -> list[int]:
    """Return the runs that are shown: all, or of very many the first and then the best."""
    order = comparison.order
    if len(order) <= MOST_RUNS:
        return sorted(order)
    return [0, *(i for i in order if i != 0)][:MOST_RUNS]


def _of_effects(comparison: Comparison, lines: Sequence[Line]) -> str:
    """Return a table with a line for each of the largest effects."""
    header = ["effect of", "", "pairs", *(short(line.name) for line in lines)]
    rows = [
        [
            short(effect.factor.name),
            step(effect),
            str(effect.n_pairs),
            *(marked(effect.changes[line.name]) for line in lines),
        ]
        for effect in comparison.effects[:MOST_EFFECTS]
    ]
    return aligned([header, *rows])


def apart(lines: Sequence[Line]) -> tuple[list[Line], list[Line]]:
    """Return the metrics that differ between runs, and those that are the same in all.

    One that some runs lack differs.
    """
    same = [line for line in lines if len(set(map(number, line.values))) == 1]
    return [line for line in lines if line not in same], same


def columns_apart(comparison: Comparison) -> tuple[list[Line], list[Line]]:
    """Do the same for the columns; one that only differs by where it is lacking is left out.

    So is a speed that some runs lack, because others had predicted for them.
    """
    differ, same = apart(comparison.columns)
    known = [{number(value) for value in line.values if not np.isnan(value)} for line in differ]
    return [
        line
        for line, values in zip(differ, known, strict=True)
        if len(values) > 1 and not (line.name == SPEED and np.isnan(line.values).any())
    ], same


def standing(comparison: Comparison, run: int) -> str:
    """Return whether a run is the best, or tied with it; empty for the others."""
    if run not in comparison.best:
        return ""
    return "best" if run == comparison.best[0] else "tied"


def _of_all(line: Line) -> str:
    return f"{short(line.name)} {number(line.values[0])}"


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
        short(factor.name): [factor.levels[run] for run in known] for factor in comparison.factors
    }
    return f"{short(deciding[0].name)}: {verdict(importances(settings, scores[known]))}"


def step(effect: Effect) -> str:
    """Write the two levels of an effect: from, to."""
    levels = dict(zip(effect.factor.levels, brief(effect.factor.levels), strict=True))
    return f"{levels[effect.first]} → {levels[effect.level]}"


def shown(change: Change) -> str:
    """Write a change with its sign, its interval and its verdict."""
    if np.isnan(change.difference):
        return UNKNOWN
    interval = (
        ""
        if np.isnan(change.low) or change[:3] == (0, 0, 0)
        else f" [{number(change.low)}, {number(change.high)}]"
    )
    return f"{signed(change.difference)}{interval}{' ' + change.verdict if change.verdict else ''}"


def marked(change: Change) -> str:
    """Write a change with its sign, and a mark where it is more than chance."""
    return (
        UNKNOWN
        if np.isnan(change.difference)
        else signed(change.difference) + MARKS[change.verdict]
    )


def signed(value: float) -> str:
    """Write a number with its sign."""
    return f"{'+' if value > 0 else ''}{number(value)}"


def short(name: str) -> str:
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
