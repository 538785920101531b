"""Terminal output of a run: a progress bar with rate and ETA, a table at the end."""

import json
import sys
import time
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
)
from rich.table import Table
from rich.text import Text

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_JSON = 0.25
MOST_CHARACTERS = 5000
WIDTH_OF_FILES = 160  # columns of tables outside a terminal

messages = Console(stderr=True, highlight=False, soft_wrap=True)
results = Console(
    highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDTH_OF_FILES
)

_as_json = False


def show_progress_as_json() -> None:
    """Show progress as lines of JSON on stdout from now on, as `sleap-nn predict --gui` does."""
    global _as_json
    _as_json = True


class _RateColumn(ProgressColumn):
    """Frames per second since the start, and the time that is left or that it took."""

    def __init__(self, before: int) -> None:
        super().__init__()
        self._before = before

    def render(self, task: Task) -> Text:
        seconds, done = task.finished_time or task.elapsed, task.completed - self._before
        if not seconds or not done or task.total is None:
            return Text()
        rate = done / seconds
        time = (
            f"in {_clock(seconds)}"
            if task.finished
            else f"{_clock((task.total - task.completed) / rate)} left"
        )
        return Text(f"frames, {rate:.1f} frames/s, {time}", style="cyan")


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def progress(
    items: Iterable[T], total: int, label: str, *, before: int = 0, bar: bool = True
) -> Iterator[T]:
    """Yield the items as they are done and show the progress.

    A terminal shows a bar; elsewhere, or where several run at once, plain lines appear.

    Args:
        items: The items, one after the other.
        total: Number of all items, including those of an earlier run.
        label: What is being done.
        before: Number of items of an earlier run; the rate leaves them out.
        bar: Whether a terminal may show a bar.
    """
    if _as_json:
        yield from _json_lines(items, total, before)
        return
    if bar and messages.is_terminal:
        columns = (
            TextColumn(label),
            BarColumn(),
            MofNCompleteColumn(),
            _RateColumn(before),
        )
        with Progress(*columns, console=messages) as shown:
            task = shown.add_task(label, total=total, completed=before)
            for item in items:
                yield item
                shown.advance(task)
        return
    start = last = time.monotonic()
    done = before
    for done, item in enumerate(items, start=before + 1):
        yield item
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES and done < total:
            rate = (done - before) / (now - start)
            print(
                f"{label}: {done}/{total} frames, {rate:.1f} frames/s, "
                f"{(total - done) / rate:.0f} s left",
                file=sys.stderr,
            )
            last = now
    earlier = f", {before} of them before" if before else ""
    print(
        f"{label}: {done}/{total} frames in {time.monotonic() - start:.1f} s{earlier}",
        file=sys.stderr,
    )


def _json_lines(items: Iterable[T], total: int, before: int) -> Iterator[T]:
    """Yield the items, and print a line at most every `SECONDS_BETWEEN_JSON` and after the last."""
    start = last = time.monotonic()
    for done, item in enumerate(items, start=before + 1):
        yield item
        now = time.monotonic()
        if now - last < SECONDS_BETWEEN_JSON and done < total:
            continue
        rate = (done - before) / max(now - start, 1e-9)
        line = {
            "n_processed": done,
            "n_total": total,
            "rate": round(rate, 1),
            "eta": round((total - done) / rate, 1),
        }
        print(json.dumps(line), flush=True)
        last = now


def doing(what: str) -> None:
    """Show a step that takes long."""
    messages.print(Text(f"{what} …"))


def note(text: str) -> None:
    """Show a note that needs no action of the user."""
    messages.print(Text.assemble(("note:", "cyan"), " ", text))


def printable(text: str) -> str:
    """Return a text as one line of bounded length with control characters written out.

    Names in files may hold any character.
    """
    text = "".join(repr(c)[1:-1] if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)
    return (
        text
        if len(text) <= MOST_CHARACTERS
        else f"{text[:MOST_CHARACTERS]}… ({len(text)} characters)"
    )


def warn(text: str) -> None:
    """Show a warning that the user can do something about."""
    messages.print(Text.assemble(("warning:", "yellow"), " ", printable(text)))


def fail(text: str) -> None:
    """Show the one line that says why a command failed."""
    messages.print(Text.assemble(("error:", "red"), " ", printable(text)))


def text(lines: str) -> None:
    """Show a text of several lines."""
    print("\n".join(map(printable, lines.split("\n"))))


def table(rows: Iterable[tuple[str, str]]) -> None:
    """Show names and values, one line each."""
    rows = [(printable(name), value) for name, value in rows]
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        results.print(Text.assemble((f"{name:<{width}}", "bold"), "  ", printable(value)))


def grid(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Show a table with a header; nothing is a dash, and columns of numbers end together."""
    cells = [["–" if value is None else printable(str(value)) for value in row] for row in rows]
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold underline")
    for name, column in zip(header, zip(*cells, strict=True), strict=True):
        numbers = any(cell.isdecimal() for cell in column)
        table.add_column(escape(name), overflow="fold", justify="right" if numbers else "left")
    for row in cells:
        table.add_row(*map(escape, row))
    results.print(table)


def shown(path: Path | str) -> str:
    """Return a path as it is shown: relative where it lies below the working directory."""
    path = Path(path).absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
