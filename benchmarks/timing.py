"""Shared by all benchmarks: commands timed in alternation, and tables and files of the timings."""

import csv
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sleap_lab.runs.snapshot import processor

REPOSITORY = Path(__file__).parents[1]
REFERENCE = Path(os.environ.get("SLEAP_LAB_REFERENCE", REPOSITORY.parent / "shared" / "reference"))
RESULTS = Path(__file__).parent / "results"
PAGE = REPOSITORY / "docs" / "performance.md"
WAITER = Path(__file__).with_name("waiter.py")
OURS = (sys.executable, "-m", "sleap_lab")


class Timing(NamedTuple):
    """One run of a command: seconds by the clock and of CPU time, and peak memory in MB."""

    seconds: float
    cpu_seconds: float
    megabytes: float


class Row(NamedTuple):
    """One timing, as it is written to the CSV file; start-up is excluded where the case says so."""

    case: str
    side: str
    round: int
    frames: int
    seconds: float
    cpu_seconds: float
    megabytes: float


def timed(command: Sequence[str | Path], folder: Path) -> Timing:
    """Run a command in a folder.

    Raises:
        RuntimeError: It fails; with its last words.
    """
    words = list(map(str, command))
    took, last_words = folder / "took.json", folder / "last-words.txt"
    with last_words.open("wb") as log:
        run = subprocess.run(
            [sys.executable, "-IS", WAITER, took, *words], cwd=folder, stdout=log, stderr=log
        )
    if run.returncode:
        said = last_words.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise RuntimeError(f"{' '.join(words)}\n{said}")
    return Timing(**json.loads(took.read_text()))


def peer_command(peer_python: Path) -> str:
    """Return sleap-nn's command in the environment of an interpreter."""
    return str(peer_python.with_name("sleap-nn"))


def peer_version(peer_python: Path) -> str:
    """Return the version of sleap-nn in an environment."""
    code = "from importlib.metadata import version; print(version('sleap-nn'))"
    return subprocess.check_output([peer_python, "-c", code], text=True).strip()


def summary(rows: Sequence[Row], sides: Sequence[str]) -> str:
    """Return a table of the median rates of each side, and the ratios of ours to each other side.

    Rates are frames per second. Ratios have their range over the rounds.
    """
    others = [side for side in sides if side != "ours"]
    heads = [
        "",
        "ours, frames/s",
        *(head for side in others for head in (f"{side}, frames/s", "ratio (range)")),
        "ours, MB",
    ]
    lines = []
    for case in dict.fromkeys(row.case for row in rows):
        rates = {
            side: {
                row.round: row.frames / row.seconds
                for row in rows
                if (row.case, row.side) == (case, side)
            }
            for side in sides
        }
        line = [case, f"{_median(rates['ours'].values()):.1f}"]
        for side in others:
            pairs = [rates["ours"][turn] / rate for turn, rate in rates[side].items()]
            shown = f"{_median(pairs):.1f} ({min(pairs):.1f}–{max(pairs):.1f})" if pairs else ""
            line += [f"{_median(rates[side].values()):.1f}" if pairs else "", shown]
        peak = max(row.megabytes for row in rows if (row.case, row.side) == (case, "ours"))
        lines.append([*line, f"{peak:.0f}"])
    return table(heads, lines)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, its numbers to the right."""
    lines = [heads, ["---", *(["---:"] * (len(heads) - 1))], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def publish(
    name: str, shown: str, rows: Sequence[Any], peer: str = "", *, page: Path = PAGE
) -> None:
    """Put the table of a benchmark on its page, and all of its rows into a CSV file.

    The name of the file has the processor and the versions.
    """
    write_between(page, name, shown)
    processor = "-".join(processor_name().split())
    RESULTS.mkdir(exist_ok=True)
    tail = f"-sleap_nn{peer}" if peer else ""
    path = (
        RESULTS
        / f"{name}-{processor}-numpy{np.__version__}-sleap_lab{version('sleap-lab')}{tail}.csv"
    )
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(rows[0]._fields)
        writer.writerows(rows)
    print(f"\n{path}")


def write_between(page: Path, name: str, shown: str) -> None:
    """Put a table on a page, between the mark of its benchmark and the end mark that follows."""
    mark, end = f"<!-- python -m benchmarks {name} -->\n", "<!-- end -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(mark)
    assert found, f"{page} has no place for {name}"
    page.write_text(before + mark + shown + "\n" + end + rest.partition(end)[2], encoding="utf-8")


def processor_name() -> str:
    """Return the name of the processor, letters and digits only."""
    return "".join(c if c.isalnum() else " " for c in processor())


def _median(values: Iterable[float]) -> float:
    values = list(values)
    return statistics.median(values) if values else float("nan")
