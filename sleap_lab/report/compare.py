"""What differs between runs: settings, metrics, and whether a difference of metrics is more than chance."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sleap_lab.atomic import replacing
from sleap_lab.errors import ConfigError, RunError
from sleap_lab.evaluation import METRICS
from sleap_lab.evaluation.bootstrap import LEVEL, make_blocks, paired_differences
from sleap_lab.evaluation.coco import Detections
from sleap_lab.evaluation.frames import FrameTable
from sleap_lab.report.numbers import number, text
from sleap_lab.report.page import template
from sleap_lab.runs import summary
from sleap_lab.runs.snapshot import flatten, read_document

PART_METRICS = {"dist_avg": "lower", "dist_p90": "lower", "pck": "higher"}
"""Columns of the breakdown that are compared per video and node, and which direction is better."""


class Run(NamedTuple):
    """What a run folder says.

    Attributes:
        name: How tables call it.
        folder: The run folder.
        settings: Full config, dotted key to value.
        metrics: Headline metrics by name.
        parts: Rows of the breakdown per video or per node, as dictionaries.
        frames: (video, frame) of each labelled frame.
        columns: Sums of each labelled frame by name, in the order of `frames`.
        detections: What average precisions are formed from; None where there is nothing of the kind.
    """

    name: str
    folder: Path
    settings: dict[str, Any]
    metrics: dict[str, float]
    parts: list[dict[str, Any]]
    frames: list[tuple[str, int]]
    columns: dict[str, np.ndarray]
    detections: Detections | None = None


class Change(NamedTuple):
    """How much a metric differs from the first run.

    Attributes:
        difference: This run minus the first; on common frames where it is paired.
        low: Lower limit of its interval; nan where there is none.
        high: Upper limit.
        verdict: `better` or `worse` where the interval does not hold 0; else empty.
    """

    difference: float
    low: float = float("nan")
    high: float = float("nan")
    verdict: str = ""


class Line(NamedTuple):
    """One metric, or one number of a video or node, of all runs: its name, its values, and the changes of all but the first."""

    name: str
    values: list[float]
    changes: list[Change]


class Comparison(NamedTuple):
    """The runs, the settings that differ (key, values as text), metrics, parts, and what one must know to read them."""

    runs: list[Run]
    settings: list[tuple[str, list[str]]]
    metrics: list[Line]
    parts: list[Line]
    notes: list[str]


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises:
        ConfigError: There is no run in the folder.
        RunError: Its metrics cannot be read.
    """
    if not (folder / summary.RUN_FILE).is_file():
        raise ConfigError(f"compare: {folder} is not a run folder (it holds no {summary.RUN_FILE})")
    metrics = dict(summary.read(folder).metrics)
    parts: list[dict[str, Any]] = []
    frames: list[tuple[str, int]] = []
    columns: dict[str, np.ndarray] = {}
    if (file := folder / "metrics.json").is_file():
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RunError(f"{file}: not a metrics file ({error})") from error
        metrics |= {name: float("nan") if value is None else value for name, value in content["headline"].items()}
        whole = [row for row in content["breakdown"] if row.get("animal") is None and row.get("stratum") is None]
        parts = [row for row in whole if (row["video"] is None) != (row["node"] is None)]
    if (file := folder / "metrics.frames.csv").is_file():
        with open(file, newline="", encoding="utf-8") as opened:
            header, *rows = csv.reader(opened)
        frames = [(row[0], int(row[1])) for row in rows]
        columns = {name: np.array([float(row[i]) for row in rows]) for i, name in enumerate(header) if i > 1}
    detections = None
    if (file := folder / "metrics.flat.npz").is_file():
        with np.load(file, allow_pickle=False) as arrays:
            if "detections/frame" in arrays.files:
                detections = Detections(*(arrays[f"detections/{name}"] for name in Detections._fields))
    settings = flatten(read_document(folder, "config.yaml") or {})
    return Run("/".join(folder.absolute().parts[-2:]), folder, settings, metrics, parts, frames, columns, detections)


def compare(folders: Sequence[Path]) -> Comparison:
    """Compare runs with the first of them.

    Raises:
        ConfigError: There are fewer than two, or one is no run folder.
    """
    if len(folders) < 2:
        raise ConfigError(f"compare needs two run folders or more, got {len(folders)}")
    runs = [read_run(folder) for folder in folders]
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    values = {key: [text(run.settings.get(key)) for run in runs] for key in keys}
    paired, notes = [], []
    for run in runs[1:]:
        changes, note = _paired(runs[0], run)
        paired.append(changes)
        notes.append(note)
    better = {metric.name: metric.better for metric in METRICS}
    names = [name for name in dict.fromkeys(name for run in runs for name in run.metrics) if any(name in run.metrics for run in runs[1:])]
    return Comparison(
        runs,
        [(key, shown) for key, shown in values.items() if len(set(shown)) > 1],
        [_line(name, [run.metrics for run in runs], paired, better.get(name, "")) for name in names],
        list(_part_lines(runs)),
        notes,
    )


def _paired(first: Run, second: Run) -> tuple[dict[str, tuple[float, float, float]], str]:
    """Return differences on the frames that both runs have, and what they are based on."""
    places = {place: row for row, place in enumerate(second.frames)}
    common = [(row, places[place]) for row, place in enumerate(first.frames) if place in places]
    if not common:
        return {}, f"{second.name}: no labelled frame in common with {first.name}, so differences have no interval"
    videos = {name: index for index, name in enumerate(dict.fromkeys(video for video, _ in first.frames))}
    mine, other = np.array(common).T
    video, frame = np.array([(videos[first.frames[row][0]], first.frames[row][1]) for row in mine]).T

    def table(run: Run, rows: np.ndarray) -> FrameTable:
        return FrameTable(video, frame, np.zeros(0, dtype=np.intp), {name: column[rows] for name, column in run.columns.items()})

    detections = None
    if first.detections is not None and second.detections is not None:
        detections = _only(first.detections, mine, len(first.frames)), _only(second.detections, other, len(second.frames))
    blocks = make_blocks(video, frame)
    note = (
        f"{second.name}: paired over {len(common)} labelled frames in common with {first.name} (of {len(first.frames)} and "
        f"{len(second.frames)}); {LEVEL:.0%} intervals from {len(blocks.video)} blocks of {blocks.length} consecutive frames"
    )
    return paired_differences(table(first, mine), table(second, other), detections), note


def _only(detections: Detections, rows: np.ndarray, n_frames: int) -> Detections:
    """Keep the detections of some frames, which are then counted in the order of `rows`."""
    place = np.full(n_frames, -1)
    place[rows] = np.arange(len(rows))
    kept = place[detections.frame] >= 0
    frame = place[detections.frame[kept]]
    return Detections(frame, detections.scores[kept], detections.hits[:, kept], detections.n_truth[rows])


def _line(
    name: str, metrics: Sequence[Mapping[str, float]], paired: Sequence[Mapping[str, tuple[float, float, float]]], better: str
) -> Line:
    values = [run.get(name, float("nan")) for run in metrics]
    changes = []
    for value, found in zip(values[1:], paired, strict=True):
        change = Change(*found[name]) if name in found else Change(value - values[0])
        if better and (change.low > 0 or change.high < 0):
            change = change._replace(verdict="better" if (change.low > 0) == (better == "higher") else "worse")
        changes.append(change)
    return Line(name, values, changes)


def _part_lines(runs: Sequence[Run]) -> list[Line]:
    """Compare the numbers of single videos and nodes; single numbers have no interval."""
    tables = [{f"{row['video'] or row['node']} {key}": row[key] for row in run.parts for key in PART_METRICS} for run in runs]
    tables = [{name: float("nan") if value is None else value for name, value in table.items()} for table in tables]
    return [_line(name, tables, [{}] * (len(runs) - 1), "") for name in tables[0] if any(name in table for table in tables[1:])]


def shown(change: Change) -> str:
    """Write a change with its sign, its interval and what it means."""
    if np.isnan(change.difference):
        return "n/a"
    sign = "+" if change.difference > 0 else ""
    interval = "" if np.isnan(change.low) else f" [{number(change.low)}, {number(change.high)}]"
    return f"{sign}{number(change.difference)}{interval}{' ' + change.verdict if change.verdict else ''}"


def rows(lines: Sequence[Line]) -> list[tuple[str, ...]]:
    """Return one row of text per line: name, the first value, then value and change of every other run."""
    table = []
    for line in lines:
        cells = [line.name, number(line.values[0])]
        for value, change in zip(line.values[1:], line.changes, strict=True):
            cells += [number(value), shown(change)]
        table.append(tuple(cells))
    return table


def header(comparison: Comparison, first: str) -> tuple[str, ...]:
    """Return the titles of the columns of `rows`."""
    others = [title for run in comparison.runs[1:] for title in (run.name, "difference")]
    return (first, comparison.runs[0].name, *others)


def as_text(comparison: Comparison) -> str:
    """Return the comparison as a terminal shows it."""
    settings = [(key, *values) for key, values in comparison.settings]
    parts = [_grid([("settings that differ", *(run.name for run in comparison.runs)), *settings])] if settings else ["no setting differs"]
    if comparison.metrics:
        parts.append(_grid([header(comparison, "metric"), *rows(comparison.metrics)]))
    return "\n\n".join([*parts, *comparison.notes])


def _grid(table: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return "\n".join("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in table)


def write_page(comparison: Comparison, path: Path) -> None:
    """Write the comparison as one HTML page that needs nothing but itself.

    Raises:
        RunError: The file cannot be written.
    """
    page = template("compare.html").render(
        comparison=comparison,
        tables=[
            ("Metrics", header(comparison, "Metric"), rows(comparison.metrics)),
            ("Videos and nodes", header(comparison, "Video or node"), rows(comparison.parts)),
        ],
    )
    with replacing(path) as temporary:
        temporary.write_bytes(page.encode(errors="backslashreplace"))
