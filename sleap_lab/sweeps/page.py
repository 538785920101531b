"""The page of a sweep: results side by side, the best configuration, and influential settings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sleap_lab.files.atomic import replacing
from sleap_lab.report.figures import (
    ACCENT,
    CONTRAST,
    NARROW,
    PALE,
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

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES = "figures"
MOST_TICKS = 12


class Importance(NamedTuple):
    """How much a setting mattered for a metric.

    Attributes:
        setting: Its name.
        share: Share of the variance of the metric's ranks that the values explain, 0 to 1, adjusted
            for the number of values; nan where there are too few jobs.
        correlation: Rank correlation with the metric, -1 to 1; nan where the values are not
            numbers, or all are equal.
    """

    setting: str
    share: float
    correlation: float


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
    numbers = _numbers(values)
    slope = float("nan") if numbers is None else _correlation(_ranks(numbers), ranks)
    kinds = {value: [other == value for other in values] for value in dict.fromkeys(values)}
    total = float(((ranks - ranks.mean()) ** 2).sum())
    if total == 0:
        return Importance(setting, 0.0, slope)
    if len(kinds) < len(values):
        parameters = len(kinds)
        left = sum(
            float(((ranks[same] - ranks[same].mean()) ** 2).sum())
            for same in map(np.array, kinds.values())
        )
    else:
        parameters = 2
        left = total * (1 - slope**2)
    if len(values) <= parameters:
        return Importance(setting, float("nan"), slope)
    share = 1 - (left / (len(values) - parameters)) / (total / (len(values) - 1))
    return Importance(setting, max(share, 0.0), slope)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank of each value; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    if not (first.std() and second.std()):
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def _numbers(values: Sequence[str | None]) -> np.ndarray | None:
    """Return values as numbers, if all are."""
    try:
        return (
            np.array([float(value) for value in values if value is not None])
            if None not in values
            else None
        )
    except ValueError:
        return None


def parallel_coordinates(
    axes_of: Mapping[str, Sequence[str | float | None]], scores: np.ndarray, best: int
) -> "Figure":
    """Draw each job as a line through its settings and metrics, coloured by a score, best on top.

    Args:
        axes_of: Values of all jobs by name of the axis: texts for settings, numbers for metrics.
        scores: (jobs,) what the lines are coloured by, larger is better.
        best: Index of the best job.
    """
    from matplotlib import colormaps

    figure, axes = canvas(WIDE, 3.6)
    low, high = float(scores.min()), float(scores.max())
    colors = colormaps["viridis"]((scores - low) / ((high - low) or 1.0))
    places = np.column_stack([_places(values) for values in axes_of.values()])
    order = np.argsort(scores)
    for job in order:
        axes.plot(places[job], color=colors[job], alpha=0.75, linewidth=1.2)
    axes.plot(places[best], color=CONTRAST, linewidth=2.4)
    for x, values in enumerate(axes_of.values()):
        axes.axvline(x, color=PALE, linewidth=1)
        ticks = dict(zip(_places(values).tolist(), values, strict=True))
        shown = (
            ticks
            if len(ticks) <= MOST_TICKS
            else {place: ticks[place] for place in (min(ticks), max(ticks))}
        )
        for place, value in shown.items():
            label = (
                "–" if value is None else cut(f"{value:.4g}" if isinstance(value, float) else value)
            )
            box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5}
            axes.annotate(
                label,
                (x, place),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                bbox=box,
            )
    axes.set_xticks(range(len(axes_of)), [cut(name) for name in axes_of])
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.set_xlim(-0.2, len(axes_of) - 0.5)
    return figure


def _places(values: Sequence[str | float | None]) -> np.ndarray:
    """Return the places of values on an axis from 0 to 1, (jobs,).

    Metrics are to scale; settings are evenly spaced and in order.
    """
    if all(isinstance(value, float) for value in values):
        numbers = np.array(values, dtype=float)
        span = np.ptp(numbers)
        return (numbers - numbers.min()) / span if span else np.full(len(numbers), 0.5)
    numeric = _numbers([None if value is None else str(value) for value in values])
    kinds = list(dict.fromkeys(values))
    if numeric is not None:
        kinds.sort(key=lambda kind: float(kind or 0))
    return np.array([kinds.index(value) for value in values]) / max(len(kinds) - 1, 1)


def importance_bars(found: Sequence[Importance], metric: str) -> "Figure":
    """Draw how much each setting mattered for a metric, as shares of the variance of its ranks."""
    figure, axes = canvas(NARROW, rows_height(len(found)))
    axes.barh(
        range(len(found)),
        [100 * np.nan_to_num(each.share) for each in found],
        height=0.62,
        color=ACCENT,
        alpha=0.75,
    )
    name_rows(axes, [each.setting for each in found])
    axes.set_xlim(0, 100)
    axes.set_xlabel(f"Variance of {metric} explained (%)")
    return figure


class BestShown(NamedTuple):
    """The best job.

    Attributes:
        number: Its number.
        row: Its place among the jobs that have a result.
        metric: The metric that decided.
        value: Its value.
        minimize: Whether smaller is better.
        said: A sentence on which job is best, by what metric, and which ones are as good.
        tied: Numbers of those that are as good.
        command: The command that runs it by itself.
    """

    number: int
    row: int
    metric: str
    value: float
    minimize: bool
    said: str
    tied: Sequence[int]
    command: str


def write_sweep_page(
    folder: Path,
    *,
    title: str,
    status: str,
    command: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    settings: Mapping[str, Sequence[str | None]],
    metrics: Mapping[str, Sequence[float]],
    best: BestShown | None,
) -> None:
    """Write `results.html` and the figures it shows.

    Args:
        folder: The sweep folder.
        title: Name of the sweep.
        status: How it went.
        command: The command line.
        columns: Names of the columns of the result table.
        rows: Its cells, the number of the job first.
        settings: Settings that vary between the jobs with a result: values as typed, by key.
        metrics: Metrics of the same jobs by name.
        best: The best job, if it is known.

    Raises:
        RunError: A file cannot be written.
    """
    figures: dict[str, Figure] = {}
    found: list[Importance] = []
    with house_style():
        if best is not None and len(metrics[best.metric]) > 1 and settings:
            scores = np.array(metrics[best.metric])
            found = [importance(key, values, scores) for key, values in settings.items()]
            found.sort(key=lambda each: -np.nan_to_num(each.share))
            figures["parallel_coordinates"] = parallel_coordinates(
                {**settings, **metrics}, -scores if best.minimize else scores, best.row
            )
            figures["importance"] = importance_bars(found, best.metric)
        for name, figure in figures.items():
            with replacing(folder / FIGURES / f"{name}.png") as temporary:
                temporary.write_bytes(encoded(figure, "png"))
        page = template("sweep.html").render(
            title=title,
            status=status,
            command=command,
            columns=columns,
            rows=rows,
            best=best,
            importance=found,
            figures={name: data_uri(figure) for name, figure in figures.items()},
        )
    with replacing(folder / "results.html") as temporary:
        temporary.write_bytes(page.encode(errors="backslashreplace"))
