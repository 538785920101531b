"""The page of a sweep: results side by side, the best configuration, and influential settings."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sleap_lab.errors import listed
from sleap_lab.files.atomic import replacing
from sleap_lab.report.drawing import NARROW, data_uri, encoded, house_style
from sleap_lab.report.page import template, write_html
from sleap_lab.report.written import kinds
from sleap_lab.runs.titles import short_name
from sleap_lab.settings.objective import MINIMIZE, natural_direction
from sleap_lab.sweeps.best import MOST_TIED, Best, Job, is_minimized
from sleap_lab.sweeps.figures import MOST_LINES, importance_bars, parallel_coordinates
from sleap_lab.sweeps.importance import Importance, importances, verdict
from sleap_lab.sweeps.meanings import meanings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES = "figures"
FILES = ("parallel_coordinates", "importance")


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
        as_good: Numbers of those of them that no metric tells from the best.
        as_good_rows: Their places among the jobs that have a result.
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
    as_good: Sequence[int]
    as_good_rows: Sequence[int]
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
        as_good=best.as_good,
        as_good_rows=[row for row, job in enumerate(jobs) if job.number in best.as_good],
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
    write_html(folder / "results.html", page)


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
    said = f"{equal} Of these, job {best.number} is called best: {best.decided_by} decides."
    if not best.as_good or len(best.as_good) == len(best.tied):
        return said
    jobs_as_good = listed(list(map(str, best.as_good)), MOST_TIED)
    return f"{said} As good: job{'s' * (len(best.as_good) > 1)} {jobs_as_good}."


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
        tied=best.as_good_rows,
        lower=[
            short_name(name, list(metrics))
            for name in metrics
            if natural_direction(name) == MINIMIZE
        ],
    )
    return {
        "parallel_coordinates": lines({**settings, **differing}),
        "narrow": lines({**settings, **deciding}, width=NARROW),
        "importance": importance_bars(found, best.told_by),
    }
