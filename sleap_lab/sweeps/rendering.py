"""The table of a sweep's results for the terminal, as CSV and as Markdown."""

import csv
import io
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from sleap_lab.runs.titles import short_name
from sleap_lab.sweeps.table import BEST, SECONDARY, Row, columns, telling, text

STYLES = {
    "finished": "green",
    "partial": "yellow",
    "failed": "red",
    "interrupted": "red",
    "running": "cyan",
    "not run": "dim",
}


def sweep_table(rows: Sequence[Row], criterion: str | None = None) -> Table:
    """Return the result table of a sweep for the terminal.

    It shows the last part of names, and only columns that distinguish the jobs.

    Args:
        rows: The results.
        criterion: The metric that decides which job is best; shown even if all jobs have the same
            value.
    """
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold underline")
    hidden = {*SECONDARY} - {criterion}
    if any(row.get("error") for row in rows):  # an error needs the room
        hidden |= {name for name in columns(rows) if name.startswith("counts/")} - {criterion}
    told = {"status", *telling(rows, criterion)} - hidden
    shown = [name for name in columns(rows) if name in told]
    for name in shown:
        texts = [text(row[name]) for row in rows]
        number = any(isinstance(row[name], float) for row in rows)
        # Titles and errors are wrapped, values are not.
        width = None if name == "error" else max(map(len, texts), default=0)
        title = escape(short_name(name, shown).replace("_", " "))
        table.add_column(
            title, overflow="fold", min_width=width, justify="right" if number else "left"
        )
    for row in rows:
        table.add_row(*(escape(text(row[name])) for name in shown), style=STYLES[row["status"]])
    return table


def told_first(rows: Sequence[Row]) -> list[Row]:
    """Return the rows, those first that a user must know of: without a result, then the best."""
    return sorted(rows, key=lambda row: (row["status"] == "finished", row.get("best") != BEST))


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
        return (
            "| "
            + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
            + " |\n"
        )

    names = columns(rows)
    return (
        line(names)
        + line(["---"] * len(names))
        + "".join(line([text(value) for value in row.values()]) for row in rows)
    )
