"""The table of a sweep's results for the terminal, as CSV and as Markdown."""

import csv
import io
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from sleap_lab.runs.titles import short_name
from sleap_lab.sweeps.best import Best
from sleap_lab.sweeps.table import BEST, SECONDARY, Row, column, columns, telling, text

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
    cells = [column([row[name] for row in rows]) for name in shown]
    for name, texts in zip(shown, cells, strict=True):
        number = any(isinstance(row[name], float) for row in rows)
        # Titles and errors are wrapped, values are not.
        width = None if name == "error" else max(map(len, texts), default=0)
        title = escape(short_name(name, shown).replace("_", " "))
        table.add_column(
            title, overflow="fold", min_width=width, justify="right" if number else "left"
        )
    for row, *texts in zip(rows, *cells, strict=True):
        table.add_row(*map(escape, texts), style=STYLES[row["status"]])
    return table


def told_first(rows: Sequence[Row], most: int, best: Best | None = None) -> list[Row]:
    """Return the rows that a user must know of: all, or of very many some.

    These are jobs without a result, at most half of the rows if the others need them, and then
    jobs from the best on.

    Args:
        rows: The results, a row per job.
        most: The largest number of rows.
        best: The best job, if it is known.
    """
    if len(rows) <= most:
        return list(rows)

    def place(row: Row) -> tuple[bool, bool, float]:
        later = row.get("best") != BEST
        if best is None or (value := row.get(best.criterion)) is None:
            return later, True, 0.0
        return later, False, value if best.minimize else -value

    done = sorted((row for row in rows if row["status"] == "finished"), key=place)
    others = [row for row in rows if row["status"] != "finished"]
    return [*others[: max(most // 2, most - len(done))], *done][:most]


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
