"""The results of a sweep side by side: what varied between its jobs, and what came out."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from sleap_lab.runs.summary import RunSummary, finite, overridden

# What decides which job is best, the first that any job has; larger is better.
CRITERIA = ("identity/idf1", "eval/oks_map")

# Metrics that are columns of the table, where any job has them.
HEADLINES = (
    "eval/oks_map",
    "eval/pck",
    "eval/dist_p90",
    "identity/hota",
    "identity/idf1",
    "identity/mota",
    "identity/switches",
    "speed/frames_per_second",
)

SECONDARY = ("eval/pck", "identity/mota", "speed/frames_per_second")  # left out of the terminal's table, which is narrow
STYLES = {"finished": "green", "partial": "yellow", "failed": "red", "interrupted": "red", "running": "cyan", "not run": "dim"}

Row = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One job of a sweep: its number, its folder, what it overrides, and how it went; None if it never started."""

    number: int
    folder: Path
    overrides: Sequence[str]
    run: RunSummary | None = None

    @property
    def status(self) -> str:
        """How it went, in a word."""
        return "not run" if self.run is None else self.run.status

    @property
    def error(self) -> str | None:
        """What went wrong."""
        return None if self.run is None else self.run.error

    @property
    def ended_well(self) -> bool:
        """Whether the job has a result."""
        return self.status in ("finished", "partial")

    @property
    def metrics(self) -> dict[str, float]:
        """Its metrics that have a value."""
        return {} if self.run is None else finite(self.run.metrics)


def varied_keys(overrides: Sequence[Sequence[str]]) -> list[str]:
    """Return the overridden keys that do not have the same value in all jobs, given what each job overrides."""
    typed = [overridden(each) for each in overrides]
    return [key for key in dict.fromkeys(key for each in typed for key in each) if len({each.get(key) for each in typed}) > 1]


def varied_name(overrides: Sequence[str], varied: Sequence[str]) -> str:
    """Return what sets a job apart, as in `tracker=flow, tracking_window_size=5`."""
    values = overridden(overrides)
    return ", ".join(f"{short_name(key, varied)}={values[key]}" for key in varied if key in values)


def short_name(name: str, names: Sequence[str]) -> str:
    """Return the last part of a dotted or slashed name, or all of it where another name ends alike."""

    def last(text: str) -> str:
        return text.replace("/", ".").rpartition(".")[2]

    return last(name) if sum(last(other) == last(name) for other in names) == 1 else name


def sweep_rows(jobs: Sequence[Job]) -> list[Row]:
    """Return one row per job: number, status, what varied between the jobs, headline metrics, seconds and error.

    An override that all jobs share is left out, and a metric that no job has.
    """
    varied = varied_keys([job.overrides for job in jobs])
    headlines = [name for name in HEADLINES if any(job.run is not None and name in job.run.metrics for job in jobs)]
    return [
        {
            "job": job.number,
            "status": job.status,
            **{key: overridden(job.overrides).get(key) for key in varied},
            **{name: job.run.metrics.get(name) if job.run else None for name in headlines},
            "seconds": round(sum(job.run.stages.values()), 1) if job.run else None,
            "error": job.error,
        }
        for job in jobs
    ]


def best_job(jobs: Sequence[Job]) -> tuple[str | None, Job | None]:
    """Return the criterion and the best job by it; neither if no job that ended well has one of the `CRITERIA`."""
    for criterion in CRITERIA:
        scored = [job for job in jobs if job.ended_well and criterion in job.metrics]
        if scored:
            return criterion, max(scored, key=lambda job: job.metrics[criterion])
    return None, None


def sweep_table(rows: Sequence[Row]) -> Table:
    """Return the result table of a sweep for the terminal: names by their last part, and only what tells the jobs apart."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold underline")
    shown = [name for name in columns(rows) if _tells_apart(name, [row[name] for row in rows])]
    for name in shown:
        texts = [text(row[name]) for row in rows]
        number = any(isinstance(row[name], float) for row in rows)
        width = None if name == "error" else max(map(len, texts), default=0)  # titles and errors are broken, values are not
        title = escape(short_name(name, shown).replace("_", " "))
        table.add_column(title, overflow="fold", min_width=width, justify="right" if number else "left")
    for row in rows:
        table.add_row(*(escape(text(row[name])) for name in shown), style=STYLES[row["status"]])
    return table


def _tells_apart(name: str, values: Sequence[Any]) -> bool:
    """Whether a column belongs into the terminal's table: not one that is empty, secondary, or a metric that is the same in all jobs."""
    if name in SECONDARY or (values and set(values) == {None}):
        return False
    return name not in HEADLINES or len(values) < 2 or len({text(value) for value in values}) > 1


def columns(rows: Sequence[Row]) -> list[str]:
    """Return the names of the columns."""
    return list(rows[0]) if rows else ["job", "status"]


def text(value: Any) -> str:
    """Return a value as it is shown to people; nothing is a dash."""
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def as_csv(rows: Sequence[Row]) -> str:
    """Return the table as CSV."""
    written = io.StringIO()
    writer = csv.DictWriter(written, columns(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()


def as_markdown(rows: Sequence[Row]) -> str:
    """Return the table as Markdown."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |\n"

    names = columns(rows)
    return line(names) + line(["---"] * len(names)) + "".join(line([text(value) for value in row.values()]) for row in rows)
