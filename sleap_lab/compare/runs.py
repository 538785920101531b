"""Differences between runs: settings, provenance, metrics, and the effect of each setting."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import compress
from math import isnan
from pathlib import Path
from typing import NamedTuple

from sleap_lab.compare.effects import Effect, Factor, effects, factors
from sleap_lab.compare.marks import FALSE_MARKS, UNMARKED, bars, judgeable, marked
from sleap_lab.compare.paired import NAN, PARTS, Change, ComparedRun, Pairs, names_of, read_run
from sleap_lab.errors import ConfigError, RunError, listed
from sleap_lab.report.written import text
from sleap_lab.settings.objective import SPEED
from sleap_lab.sweeps.best import Job, Objective, best_job
from sleap_lab.sweeps.results import read_objective

COLUMNS = (
    "coco/ap",
    "eval/oks_map",
    "eval/pck",
    "eval/dist_avg",
    "eval/dist_p90",
    "eval/n_missed",
    "identity/idf1",
    "identity/hota",
    "identity/switches",
    SPEED,
)
"""Metrics that many runs are compared by, side by side."""

MOST_NAMED = 3  # runs in a note

# Settings that define the metrics.
MEANING = tuple(
    f"evaluator.{name}"
    for name in ("oks_stddev", "oks_scale", "match_method", "match_threshold", "user_labels_only")
)


class Line(NamedTuple):
    """One metric of all runs: its name, its values, and the changes of all but the first."""

    name: str
    values: list[float]
    changes: list[Change]


class Comparison(NamedTuple):
    """What differs between runs.

    Attributes:
        runs: The runs; the others are compared with the first.
        settings: Settings that differ: key, value of each run as text.
        made_with: Differences in what the runs were made with, in the same form: versions, code,
            machine, content of inputs.
        metrics: Headline metrics, those of `columns` first and signs of errors last.
        columns: Those that many runs are compared by, the one that decides first.
        parts: By `video` or `node`, then by its name, the metrics in `PARTS`.
        factors: What varies, as far as it can change a result.
        effects: The effect of each level of the factors on the columns, the largest first; empty
            for two runs, whose changes already are the effects.
        best_by: Metric that says which run is best; None where no run has one.
        best: Indices of the best runs: the one called best, then those that are as good by that
            metric; none where all are.
        order: Indices of all runs from the best on, as far as one metric tells.
        decided_by: What decides between these; None where there is one.
        warnings: Reasons why numbers cannot be compared, and runs that are left out.
        notes: What the differences are based on.
    """

    runs: list[ComparedRun]
    settings: list[tuple[str, list[str]]]
    made_with: list[tuple[str, list[str]]]
    metrics: list[Line]
    columns: list[Line]
    parts: dict[str, dict[str, list[Line]]]
    factors: list[Factor]
    effects: list[Effect]
    best_by: str | None
    best: list[int]
    order: list[int]
    decided_by: str | None
    warnings: list[str]
    notes: list[str]


def compare(folders: Sequence[Path], left_out: Sequence[str] = ()) -> Comparison:
    """Compare runs with the first of them.

    Args:
        folders: Run folders; one that comes again counts once.
        left_out: One sentence for each run that the user may miss.

    Raises:
        ConfigError: There are fewer than two, or one is no run folder.
        RunError: The metrics of one cannot be read.
    """
    unique: dict[Path, Path] = {}
    for folder in folders:
        unique.setdefault(folder.resolve(), folder)
    folders = list(unique.values())
    if len(folders) < 2:
        raise ConfigError(f"compare needs two runs or more, got {len(folders)}")
    runs = [read_run(folder, name) for folder, name in zip(folders, names_of(folders), strict=True)]
    pairs = Pairs(runs)
    settings = _differing(
        [{key: text(value) for key, value in run.settings.items()} for run in runs], absent="null"
    )
    best_by, best, order, decided_by = _best(runs)
    names, columns = _names(runs, best_by)
    changes = [pairs.changes(0, other) for other in range(1, len(runs))]
    lines = [
        Line(
            name,
            [run.metrics.get(name, NAN) for run in runs],
            [found.get(name, Change(NAN)) for found in changes],
        )
        for name in names
    ]
    varied = factors(runs)
    line_of = {line.name: line for line in lines}
    return _marked(
        Comparison(
            runs,
            settings,
            _differing([run.made_with for run in runs], absent="–"),
            lines,
            [line_of[name] for name in columns],
            _parts(runs, pairs),
            varied,
            effects(varied, pairs, columns) if len(runs) > 2 else [],
            best_by,
            best,
            order,
            decided_by,
            [*_warnings(runs), *left_out],
            _notes(runs, pairs),
        )
    )


def _notes(runs: Sequence[ComparedRun], pairs: Pairs) -> list[str]:
    """State the basis of the differences from the first run; of runs alike, once.

    Runs without any difference have none, unless no run has one.
    """
    said: dict[str, list[str]] = {}
    others = range(1, len(runs))
    for other in [other for other in others if pairs.differ(0, other)] or others:
        if note := pairs.note(0, other):
            said.setdefault(note, []).append(runs[other].name)
    everywhere = len(said) == 1
    return [
        note if everywhere else f"{listed(names, MOST_NAMED)}: {note}"
        for note, names in said.items()
    ]


def _names(runs: Sequence[ComparedRun], best_by: str | None) -> tuple[list[str], list[str]]:
    """Return the metrics that any run has, and the columns among them, which come first."""
    names = dict.fromkeys(name for run in runs for name in run.metrics)
    columns = [name for name in dict.fromkeys([best_by, *COLUMNS]) if name in names]
    rest = [name for name in names if name not in columns]
    return [*columns, *sorted(rest, key=lambda name: name.startswith("quality/"))], columns


def _marked(comparison: Comparison) -> Comparison:
    """Mark the differences that are more than chance among all of their table.

    Single videos and nodes are judged for those runs only that differ as a whole.
    """
    effects = comparison.effects
    of_metrics, of_effects = bars(
        [_of_lines(comparison.metrics), [c for e in effects for c in e.changes.items()]]
    )
    everywhere = [of_metrics] * (len(comparison.runs) - 1)
    metrics = _marked_lines(comparison.metrics, everywhere)
    differ = [any(line.changes[i].verdict for line in metrics) for i in range(len(everywhere))]
    parts = [line for kind in comparison.parts.values() for part in kind.values() for line in part]
    kept = [line._replace(changes=list(compress(line.changes, differ))) for line in parts]
    (of_parts,) = bars([_of_lines(kept)])
    of_differing = [of_parts if differs else UNMARKED for differs in differ]
    said = [
        f"of all marks in a table at most {FALSE_MARKS:.0%} should be chance; "
        "an interval by itself leaves out 0 by chance one time in twenty",
    ]
    return comparison._replace(
        metrics=metrics,
        columns=_marked_lines(comparison.columns, everywhere),
        parts={
            kind: {name: _marked_lines(part, of_differing) for name, part in found.items()}
            for kind, found in comparison.parts.items()
        },
        effects=[
            effect._replace(
                changes={n: marked(n, change, of_effects) for n, change in effect.changes.items()}
            )
            for effect in effects
        ],
        notes=[*comparison.notes, *(said if judgeable(_of_lines(metrics)) else [])],
    )


def _of_lines(lines: Sequence[Line]) -> list[tuple[str, Change]]:
    """Return all changes of lines, with their metric."""
    return [(line.name, change) for line in lines for change in line.changes]


def _marked_lines(lines: Sequence[Line], highest: Sequence[float]) -> list[Line]:
    """Mark the changes of lines.

    Args:
        lines: The lines.
        highest: For each run but the first, the largest probability of chance that is marked.
    """
    return [
        line._replace(
            changes=[marked(line.name, c, h) for c, h in zip(line.changes, highest, strict=True)]
        )
        for line in lines
    ]


def _differing(rows: Sequence[Mapping[str, str]], *, absent: str) -> list[tuple[str, list[str]]]:
    """Return the keys that do not have the same value in all rows, and their values."""
    values = {
        key: [row.get(key, absent) for row in rows]
        for key in dict.fromkeys(key for row in rows for key in row)
    }
    return [(key, shown) for key, shown in values.items() if len(set(shown)) > 1]


def _parts(runs: Sequence[ComparedRun], pairs: Pairs) -> dict[str, dict[str, list[Line]]]:
    """Compare single videos and nodes, where there are several."""
    found = dict.fromkeys(part for run in runs for part in run.parts)
    lines: dict[str, dict[str, list[Line]]] = {}
    for kind in PARTS:
        names = dict.fromkeys(part.name for part in found if part.kind == kind)
        for name in names if len(names) > 1 else ():
            changes = [pairs.changes(0, other, (kind, name)) for other in range(1, len(runs))]
            lines.setdefault(kind, {})[name] = [
                Line(
                    part.metric,
                    [run.parts.get(part, NAN) for run in runs],
                    [change.get(part.metric, Change(NAN)) for change in changes],
                )
                for part in found
                if part[:2] == (kind, name)
            ]
    return lines


def _best(runs: Sequence[ComparedRun]) -> tuple[str | None, list[int], list[int], str | None]:
    """Return the metric that decides, the runs that are best by it, all in its order, and more.

    Where all are equal by it, it is the next one that differs. The last value is what decides
    between the best.
    """
    jobs = [Job(number, run.folder, (), run.summary) for number, run in enumerate(runs)]
    best = best_job(jobs, _objective(runs))
    if best is not None and (second := best.second_of(len(runs))) is not None:
        best = best_job(jobs, Objective(second))
    order = list(range(len(runs)))
    if best is None:
        return None, [], order, None
    equal = [best.job.number, *best.tied]
    if len(equal) == len(runs):
        return best.criterion, [], order, None
    values = [job.numbers.get(best.criterion, NAN) for job in jobs]
    worse = [value if best.minimize else -value for value in values]
    rest = sorted({*order} - {*equal}, key=lambda i: (isnan(worse[i]), worse[i], i))
    return best.criterion, equal, [*equal, *rest], best.decided_by


def _objective(runs: Sequence[ComparedRun]) -> Objective:
    """Return the objective of the sweep that all runs belong to; the default one otherwise."""
    sweeps = {run.folder.absolute().parent for run in runs}
    with suppress(RunError):
        return read_objective(sweeps.pop()) if len(sweeps) == 1 else Objective()
    return Objective()


def _warnings(runs: Sequence[ComparedRun]) -> list[str]:
    """Name settings of evaluations that differ, and without which metrics do not mean the same."""
    judged = [run.settings for run in runs if run.settings.get("evaluator.evaluate", True)]
    named = [key for key in MEANING if len({text(each.get(key)) for each in judged}) > 1]
    return (
        [
            f"not the same measure: {', '.join(named)} differ, "
            "so metrics that depend on it cannot be compared"
        ]
        if named
        else []
    )
