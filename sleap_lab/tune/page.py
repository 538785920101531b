"""The report of a search: a single, self-contained HTML page."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sleap_lab.errors import counted
from sleap_lab.evaluation.intervals import Difference
from sleap_lab.report import drawing
from sleap_lab.report.numbers import Table
from sleap_lab.report.page import template, write_html
from sleap_lab.report.panels import Panel
from sleap_lab.report.written import number as long_number
from sleap_lab.report.written import text
from sleap_lab.tune.outcome import Outcome, number, pareto_front
from sleap_lab.tune.space import Settings, tracker_of, with_settings
from sleap_lab.tune.trials import Tried, ranked

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BEST_SHOWN = 10
DEFAULT = "default"
MOST_NAMED = 15
OTHER_METRICS = (
    *(
        "identity/idf1",
        "identity/hota",
        "identity/mota",
        "identity/switches",
        "identity/misses",
        "identity/false_positives",
    ),
    *("coco/ap", "eval/n_missed"),
)
"""Metrics in the table in addition to the one to improve."""


def write_page(
    path: Path,
    *,
    title: str,
    outcome: Outcome,
    trials: Sequence[Tried],
    importances: Mapping[str, float],
    blocks: str,
    options: Sequence[str],
    use: str,
    flags: str,
    command: str,
) -> None:
    """Write the report of a search; the whole page appears under `path` at once.

    Args:
        path: The HTML file to write.
        title: The data that the search used.
        outcome: The outcome of the search.
        trials: The settings that were tried.
        importances: Share of each searched dimension in what makes settings good; empty where it
            is unknown.
        blocks: How the labelled frames were divided.
        options: Files of the config options.
        use: The command line that runs an experiment with the recommended setting.
        flags: The setting in sleap-nn's flags.
        command: The command line that made the report.

    Raises:
        RunError: The file cannot be written.
    """
    with drawing.house_style():
        panels = list(_panels(outcome, trials, importances))
    chosen = outcome.recommended.trial
    complete = sum(not trial.why for trial in trials)
    page = template("tune.html").render(
        title=title,
        improved=outcome.recommended is outcome.best,
        recommended=DEFAULT if chosen is None else str(chosen),
        facts=[
            outcome.metric.name,
            f"{counted(len(trials), 'setting')} tried, {complete} of them to the end",
        ],
        verdict=outcome.verdict(),
        power=outcome.power(),
        held_out=_held_out_table(outcome),
        blocks=blocks,
        options=options,
        use=use,
        flags=flags,
        panels=panels,
        changed=_changed(outcome),
        tables=list(_trial_tables(outcome, trials)),
        command=command,
    )
    write_html(path, page)


def _held_out_table(outcome: Outcome) -> Table:
    default, best = outcome.default, outcome.best
    names = dict.fromkeys([outcome.metric.name, *OTHER_METRICS])
    values = [
        {} if setting is None else setting.held_out.evaluation.headline()
        for setting in (default, best)
    ]
    rows: list[tuple[str, ...]] = []
    for name in (name for name in names if name in values[0]):
        cells = [long_number(found[name]) if name in found else "" for found in values]
        rows.append((name, *cells, _shown(outcome.differences.get(name))))
    speeds = [
        "" if setting is None else f"{setting.searched.frames_per_second:,.0f}"
        for setting in (default, best)
    ]
    rows.append(("frames/s, filtered and tracked", *speeds, ""))
    header = ("Metric", "Default setting", "Best found", "Difference [95% interval]")
    known = len(header) if best is not None else 2  # columns that hold anything
    return Table("", header[:known], [row[:known] for row in rows])


def _shown(difference: Difference | None) -> str:
    if difference is None or np.isnan(difference.value):
        return ""
    interval = (
        ""
        if np.isnan(difference.low)
        else f" [{number(difference.low)}, {number(difference.high)}]"
    )
    return f"{'+' if difference.value > 0 else ''}{number(difference.value)}{interval}"


def _changed(outcome: Outcome) -> list[tuple[str, str, str]]:
    if outcome.best is None:
        return []
    default, best = (setting.flat() for setting in (outcome.default, outcome.best))
    return [
        (key, text(value), text(best[key])) for key, value in default.items() if best[key] != value
    ]


def _trial_tables(outcome: Outcome, trials: Sequence[Tried]) -> Iterator[Table]:
    """Yield the best settings and all of them."""
    metric, usual = outcome.metric, outcome.default.flat()
    front = _front(outcome, trials)

    def row(trial: Tried) -> tuple[str, ...]:
        said = trial.why or number(trial.value) + (" (front)" if trial in front else "")
        return (
            str(trial.number),
            said,
            f"{trial.frames_per_second:,.0f}",
            _settings(trial.settings, usual),
        )

    header = ("Trial", metric.name, "frames/s", "Settings")
    shown = [
        trial
        for place, trial in enumerate(ranked(trials, metric, usual))
        if place < BEST_SHOWN or trial in front
    ]
    rows = [(DEFAULT, *row(_default(outcome))[1:]), *map(row, shown)]
    yield Table("The best settings, and those on the Pareto front (front)", header, rows)
    yield Table(f"All {len(trials)} settings", header, [row(trial) for trial in trials])


def _default(outcome: Outcome) -> Tried:
    searched = outcome.default.searched
    return Tried(-1, searched.value, searched.frames_per_second, {})


def _front(outcome: Outcome, trials: Sequence[Tried]) -> list[Tried]:
    """Return the settings on the Pareto front, fastest first; the default setting takes part."""
    everything = [_default(outcome), *trials]
    front = pareto_front(
        outcome.metric,
        [trial.value for trial in everything],
        [trial.frames_per_second for trial in everything],
    )
    return [everything[i] for i in front]


def _settings(settings: Settings, usual: Settings) -> str:
    return " ".join(
        f"{key}={text(value)}" for key, value in settings.items() if usual[key] != value
    )


def _panels(
    outcome: Outcome, trials: Sequence[Tried], importances: Mapping[str, float]
) -> Iterator[Panel]:
    complete = [trial for trial in trials if not trial.why]
    yield _panel(
        "Quality and speed",
        "One dot per setting that was tried to the end, scored on the blocks that the search sees. "
        + (
            "No setting is both better and faster than one on the line, the Pareto front. "
            if len(_front(outcome, trials)) > 1
            else ""
        )
        + "Speeds are single measurements, made while other trials may have been under way.",
        f"{outcome.metric.name} against frames per second of {len(complete)} settings.",
        _quality_and_speed(outcome, complete),
    )
    if importances:
        first = next(iter(importances))
        yield _panel(
            "What matters",
            "How much each setting decides whether a trial is among the best (PED-ANOVA; the "
            "shares add up to 1). It rests on few trials, and does not say which value is good.",
            f"Importance of each searched setting; {first} matters most.",
            _importance(importances),
        )


def _panel(title: str, caption: str, alt: str, figure: "Figure") -> Panel:
    return Panel(title, caption, alt, drawing.data_uri(figure), figure)


def _quality_and_speed(outcome: Outcome, trials: Sequence[Tried]) -> "Figure":
    """Draw each setting's metric against its speed, coloured by tracker, with the Pareto front."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    figure, axes = drawing.canvas(drawing.NARROW, 3.8)
    default, best = outcome.default, outcome.best
    kinds = [
        tracker_of(with_settings(default.tracker, default.filters, trial.settings)[0])
        for trial in trials
    ]
    for i, kind in enumerate(dict.fromkeys(kinds)):
        own = [trial for trial, other in zip(trials, kinds, strict=True) if other == kind]
        axes.scatter(
            [trial.frames_per_second for trial in own],
            [trial.value for trial in own],
            s=14, alpha=0.7, linewidths=0, color=drawing.track_color(i), label=kind,
        )  # fmt: skip
    front = _front(outcome, trials)
    if len(front) > 1:  # one setting alone draws no line
        axes.plot(
            [t.frames_per_second for t in front],
            [t.value for t in front],
            color=drawing.MUTED,
            linewidth=1,
            label="Pareto front",
        )
    for setting, marker, label in ((default, "D", "default setting"), (best, "*", "best found")):
        if setting is not None:
            place = setting.searched.frames_per_second, setting.searched.value
            axes.plot(
                *place, marker, color=drawing.INK, markersize=9 if marker == "*" else 6, label=label
            )
    axes.set_xscale("log")
    slowest, fastest = axes.get_xlim()
    wide = fastest > 10 * slowest  # within a decade, powers leave too few places for ticks
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if wide else MaxNLocator(4))
    axes.xaxis.set_major_formatter(lambda speed, _: f"{speed:,g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    if outcome.metric.better == "lower":
        axes.invert_yaxis()
    drawing.legend_above(axes, *axes.get_legend_handles_labels())
    axes.set_xlabel("Frames filtered and tracked per second")
    axes.set_ylabel(outcome.metric.name)
    return figure


def _importance(importances: Mapping[str, float]) -> "Figure":
    """Draw the importance of each searched dimension."""
    names = list(importances)[:MOST_NAMED]
    figure, axes = drawing.canvas(drawing.NARROW, drawing.rows_height(len(names)))
    axes.barh(
        range(len(names)),
        [importances[name] for name in names],
        height=0.62,
        color=drawing.ACCENT,
        alpha=0.75,
    )
    drawing.name_rows(axes, [name.partition(".")[2] or name for name in names])
    axes.set_xlim(left=0)
    axes.set_xlabel("Importance")
    return figure
