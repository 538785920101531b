"""Tables as CSV files."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sleap_lab.files.atomic import replacing


def write_table(path: str | Path, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a table; None and nan are empty cells.

    Raises:
        RunError: The file cannot be written.
    """
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        table = csv.writer(file)
        table.writerow(header)
        table.writerows(
            ["" if value is None or value != value else value for value in row] for row in rows
        )
