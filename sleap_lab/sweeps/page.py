"""The page of a sweep: results side by side, the best configuration, and influential settings."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sleap_lab.files.atomic import replacing
from sleap_lab.report.drawing import (
    ACCENT,
    CONTRAST,
    NARROW,
    PALE,
    PAPER,
    WIDE,
    canvas,
    cut,
    data_uri,
    encoded,
    house_style,
    name_rows,
    rows_height,
)
from sleap_lab.report.page import template
from sleap_lab.report.written import kinds
from sleap_lab.runs.titles import short_name
from sleap_lab.sweeps.importance import Importance, as_numbers, importances, verdict
from sleap_lab.sweeps.meanings import meanings
from sleap_lab.sweeps.table import Best, Job, is_minimized

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURES = "figures"
FILES = ("parallel_coordinates", "importance")
MOST_TICKS = 12
MOST_LINES = 500
LETTERS_PER_INCH = 12  # of the names of axes
FAINTEST, STRONGEST = 0.25, 0.9  # opacity of lines
APART = 0.05  # of two values of an axis that are both named, as a share of its length


def parallel_coordinates(
    axes_of: Mapping[str, Sequence[str | float | None]],
    scores: np.ndarray,
    best: int,
    tied: Sequence[int] = (),
    *,
    width: float = WIDE,
) -> "Figure":
    """Draw jobs as lines through their settings and metrics, as strong as a score, best on top.

    Args:
        axes_of: Values of all jobs by name of the axis: texts for settings, numbers for metrics.
        scores: (jobs,) what makes lines strong, larger is better.
        best: Index of the best job.
        tied: Indices of those that are as good.
        width: Of the figure, inches.
    """
    figure, axes = canvas(width, 3.3)
    low, high = float(scores.min()), float(scores.max())
    strength = FAINTEST + (STRONGEST - FAINTEST) * (scores - low) / ((high - low) or 1.0)
    places = np.column_stack([_places(values) for values in axes_of.values()])
    drawn = _drawn(scores)
    for job in drawn:
        if job in tied:
            axes.plot(places[job], color=CONTRAST, linewidth=1.2, linestyle=(0, (4, 3)))
        else:
            axes.plot(places[job], color=ACCENT, alpha=strength[job], linewidth=1.3)
    axes.plot(places[best], color=CONTRAST, linewidth=2.4)
    for x, values in enumerate(axes_of.values()):
        axes.axvline(x, color=PALE, linewidth=1)
        _name_values(axes, x, values)
    letters = int(LETTERS_PER_INCH * width / len(axes_of)) - 1
    axes.set_xticks(range(len(axes_of)), [_wrapped(cut(name, 40), letters) for name in axes_of])
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.set_xlim(-0.2, len(axes_of) - 0.5)
    return figure


def _drawn(scores: np.ndarray) -> list[int]:
    """Return the jobs to draw, from the worst to the best; of very many, every so many."""
    order = np.argsort(scores)
    kept = np.linspace(0, len(order) - 1, min(len(order), MOST_LINES)).round().astype(int)
    return [int(job) for job in order[kept]]


def _name_values(axes: "Axes", x: int, values: Sequence[str | float | None]) -> None:
    """Write the values of one axis beside it; of many, only those at its ends.

    Of values that lie close together, one is written.
    """
    ticks = dict(zip(_places(values).tolist(), values, strict=True))
    shown = (
        ticks
        if len(ticks) <= MOST_TICKS
        else {place: ticks[place] for place in (min(ticks), max(ticks))}
    )
    box = {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.85, "pad": 0.5}
    named: list[float] = []
    for place in sorted(shown, key=lambda place: (-abs(place - 0.5), -place)):
        if any(abs(place - other) < APART for other in named):
            continue
        named.append(place)
        value = shown[place]
        axes.annotate(
            "–" if value is None else cut(_rounded(value)),
            (x, place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            bbox=box,
        )


def _rounded(value: str | float) -> str:
    """Return a value with at most four digits, if it is a number."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{float(value):.4g}" if re.fullmatch(r"-?\d+\.\d+", value) else value


def _wrapped(name: str, letters: int) -> str:
    """Return a name in lines of this many letters, broken behind `_`, `.` and `/`."""
    lines = [""]
    for part in re.findall(r"[^_./]*[_./]|[^_./]+", name):
        if lines[-1] and len(lines[-1] + part) > letters:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _places(values: Sequence[str | float | None]) -> np.ndarray:
    """Return the places of values on an axis from 0 to 1, (jobs,).

    Metrics are to scale; settings are evenly spaced and in order.
    """
    if all(isinstance(value, float) for value in values):
        numbers = np.array(values, dtype=float)
        span = np.ptp(numbers)
        return (numbers - numbers.min()) / span if span else np.full(len(numbers), 0.5)
    numeric = as_numbers([None if value is None else str(value) for value in values])
    kinds = list(dict.fromkeys(values))
    if numeric is not None:
        kinds.sort(key=lambda kind: float(kind or 0))
    return np.array([kinds.index(value) for value in values]) / max(len(kinds) - 1, 1)


def importance_bars(found: Sequence[Importance], metric: str) -> "Figure":
    """Draw how much settings matter, alone and in pairs, as shares of the variance of ranks."""
    pairs = {
        tuple(sorted((each.setting, other))): share
        for each in found
        for other, share in each.together.items()
    }
    names = [each.setting for each in found] + [" with ".join(pair) for pair in pairs]
    shares = [float(np.nan_to_num(each.share)) for each in found] + list(pairs.values())
    figure, axes = canvas(NARROW, rows_height(len(names)))
    axes.barh(
        range(len(names)),
        [100 * share for share in shares],
        height=0.62,
        color=[ACCENT] * len(found) + [CONTRAST] * len(pairs),
        alpha=0.75,
    )
    name_rows(axes, names)
    axes.set_xlim(0, 100)
    axes.set_xlabel(f"Variance of {cut(metric)} explained (%)")
    return figure


class BestShown(NamedTuple):
    """The best job.

    Attributes:
        number: Its number.
        row: Its place among the jobs that have a result.
        metric: The metric that decides.
        told_by: The metric that tells jobs apart: the next one where all are equal by the first.
        value: Its value.
        minimize: Whether smaller is better.
        lowest: The same of the metric that tells jobs apart.
        decided_by: What decides among those that are as good by the metric.
        tied: Numbers of those that are as good.
        tied_rows: Their places among the jobs that have a result.
        command: The command that runs it by itself.
    """

    number: int
    row: int
    metric: str
    told_by: str
    value: float
    minimize: bool
    lowest: bool
    decided_by: str | None
    tied: Sequence[int]
    tied_rows: Sequence[int]
    command: str


def best_shown(best: Best, jobs: Sequence[Job], command: str) -> BestShown:
    """Return what the page shows of the best of the jobs that have the metric that decides."""
    second = best.second_of(len(jobs))
    return BestShown(
        number=best.job.number,
        row=[job.number for job in jobs].index(best.job.number),
        metric=best.criterion,
        told_by=second or best.criterion,
        value=best.value,
        minimize=best.minimize,
        lowest=is_minimized(second) if second else best.minimize,
        decided_by=best.decided_by,
        tied=best.tied,
        tied_rows=[row for row, job in enumerate(jobs) if job.number in best.tied],
        command=command,
    )


def write_sweep_page(
    folder: Path,
    *,
    title: str,
    name: str,
    status: str,
    counts: Mapping[str, float],
    command: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    left_out: int = 0,
    same: Mapping[str, str],
    settings: Mapping[str, Sequence[str | None]],
    metrics: Mapping[str, Sequence[float]],
    best: BestShown | None,
) -> None:
    """Write `results.html` and the figures it shows.

    Args:
        folder: The sweep folder.
        title: What varies.
        name: Name of its folder.
        status: How it went.
        counts: Number of jobs, and of those with each outcome.
        command: The command line.
        columns: Names of the columns of the result table.
        rows: Its cells, the number of the job first.
        left_out: Number of jobs that have no row.
        same: What is the same in all jobs, by name.
        settings: Settings that vary between the jobs with a result: values as typed, by key.
        metrics: Metrics of the same jobs by name.
        best: The best job, if it is known.

    Raises:
        RunError: A file cannot be written.
    """
    columns, rows, errors = _without_errors(columns, rows)
    found = _found(best, settings, metrics)
    with house_style():
        figures = _figures(found, settings, metrics, best) if best is not None and found else {}
        _write_figures(folder / FIGURES, figures)
        page = template("sweep.html").render(
            title=title[:1].upper() + title[1:],
            name=name,
            status=status,
            failed=counts.get("jobs_failed", 0),
            errors=errors,
            kinds=kinds(rows) or [""] * len(columns),
            **_of_best(best, settings, metrics),
            meanings=meanings(columns),
            command=command,
            columns=[(short_name(name, columns).replace("_", " "), name) for name in columns],
            rows=rows,
            left_out=left_out,
            same=same,
            **_explained(found),
            figures={kind: data_uri(figure) for kind, figure in figures.items()},
        )
    with replacing(folder / "results.html") as temporary:
        temporary.write_bytes(page.encode(errors="backslashreplace"))


def _found(
    best: BestShown | None,
    settings: Mapping[str, Sequence[str | None]],
    metrics: Mapping[str, Sequence[float]],
) -> list[Importance]:
    """Return how much settings matter; nothing where no job is best, or where all are equal."""
    if best is None or not settings or np.ptp(metrics[best.told_by]) == 0:
        return []
    return importances(settings, np.array(metrics[best.told_by]))


def _explained(found: Sequence[Importance]) -> dict[str, Any]:
    """Return what the page says of the settings."""
    together = any(each.together for each in found)
    return {"importance": found, "verdict": verdict(found), "together": together}


def _write_figures(folder: Path, figures: Mapping[str, "Figure"]) -> None:
    for kind in FILES if figures else ():
        with replacing(folder / f"{kind}.png") as temporary:
            temporary.write_bytes(encoded(figures[kind], "png"))


def _of_best(
    best: BestShown | None,
    settings: Mapping[str, Sequence[str | None]],
    metrics: Mapping[str, Sequence[float]],
) -> dict[str, Any]:
    """Return what the page says of the best job; arguments as for `write_sweep_page`."""
    if best is None:
        return {"best": None, "said": "", "chosen": {}, "tied": [], "unseen": 0}
    return {
        "best": best,
        "said": _said(best, len(metrics[best.metric])),
        "chosen": {key: values[best.row] for key, values in settings.items()},
        "tied": [str(number) for number in best.tied],
        "unseen": max(0, len(metrics[best.told_by]) - MOST_LINES),
    }


def _without_errors(
    columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> tuple[list[str], list[list[str]], dict[str, list[str]]]:
    """Take the errors out of the result table: long texts, most of them the same.

    Returns:
        The other columns, their cells, and the jobs by error.
    """
    kept = [place for place, name in enumerate(columns) if name != "error"]
    errors: dict[str, list[str]] = {}
    for row in rows if len(kept) < len(columns) else ():
        errors.setdefault(row[columns.index("error")], []).append(row[0])
    errors.pop("–", None)
    return [columns[place] for place in kept], [[row[i] for i in kept] for row in rows], errors


def _said(best: BestShown, jobs: int) -> str:
    """Say in a sentence or two which job is best, of so many that have the metric that decides."""
    kind = "smallest" if best.minimize else "largest"
    value = f"{best.metric}, {best.value:.4g}"
    if not best.tied:
        return f"Job {best.number} has the {kind} {value}."
    several = len(best.tied) + 1
    equal = (
        f"All {several} jobs have the same {value}."
        if several == jobs
        else f"{several} jobs have the {kind} {value}."
    )
    return f"{equal} Of these, job {best.number} is called best: {best.decided_by} decides."


def _figures(
    found: Sequence[Importance],
    settings: Mapping[str, Sequence[str | None]],
    metrics: Mapping[str, Sequence[float]],
    best: BestShown,
) -> dict[str, "Figure"]:
    """Draw the metric that tells jobs apart, and those that differ, against the settings.

    A narrow screen gets the metric that decides only.
    """
    scores = np.array(metrics[best.told_by])
    if best.lowest:
        scores = -scores
    differing = {
        short_name(name, list(metrics)): values
        for name, values in metrics.items()
        if name == best.told_by or np.ptp(values) > 0
    }
    deciding = {short_name(best.told_by, list(metrics)): metrics[best.told_by]}
    lines = partial(
        parallel_coordinates,
        scores=scores,
        best=best.row,
        tied=best.tied_rows,
    )
    return {
        "parallel_coordinates": lines({**settings, **differing}),
        "narrow": lines({**settings, **deciding}, width=NARROW),
        "importance": importance_bars(found, best.told_by),
    }
