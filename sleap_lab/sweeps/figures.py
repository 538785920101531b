"""The figures of the page of a sweep: jobs as lines, and how much settings matter."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sleap_lab.report.drawing import (
    ACCENT,
    CONTRAST,
    NARROW,
    PALE,
    PAPER,
    WIDE,
    canvas,
    cut,
    name_rows,
    rows_height,
)
from sleap_lab.sweeps.importance import Importance, as_numbers, pairs_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    lower: Collection[str] = (),
    width: float = WIDE,
) -> "Figure":
    """Draw jobs as lines through their settings and metrics, as strong as a score, best on top.

    Args:
        axes_of: Values of all jobs by name of the axis: texts for settings, numbers for metrics.
        scores: (jobs,) what makes lines strong, larger is better.
        best: Index of the best job.
        tied: Indices of those that are as good.
        lower: Names of the axes on which lower is better, which is written below them.
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
    names = [
        _wrapped(cut(name, 40), letters) + ("\nlower is\nbetter" if name in lower else "")
        for name in axes_of
    ]
    axes.set_xticks(range(len(axes_of)), names)
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
    pairs = pairs_of(found)
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
