"""What a user sees while a run goes on: a progress bar with rate and ETA, a table at the end."""

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 10.0

messages = Console(stderr=True, highlight=False, soft_wrap=True)
results = Console(highlight=False, soft_wrap=True)


class _RateColumn(ProgressColumn):
    """Frames per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} frames/s" if task.speed else "", style="cyan")


def progress(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    """Yield the items and show how many are done; a bar on a terminal, plain lines elsewhere."""
    if messages.is_terminal:
        columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), _RateColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=messages) as bar:
            yield from bar.track(items, total=total)
        return
    start = last = time.monotonic()
    done = 0
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES and done < total:
            rate = done / (now - start)
            print(f"{label}: {done}/{total} frames, {rate:.1f} frames/s, {(total - done) / rate:.0f} s left", file=sys.stderr)
            last = now
    print(f"{label}: {done}/{total} frames in {time.monotonic() - start:.1f} s", file=sys.stderr)


def warn(text: str) -> None:
    """Show a warning that the user can do something about."""
    messages.print(Text.assemble(("warning:", "yellow"), " ", text))


def fail(text: str) -> None:
    """Show the one line that says why a command failed."""
    messages.print(Text.assemble(("error:", "red"), " ", text))


def table(rows: Iterable[tuple[str, str]]) -> None:
    """Show names and values, one line each."""
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        results.print(Text.assemble((f"{name:<{width}}", "bold"), "  ", value))


def shown(path: Path | str) -> str:
    """Return a path as it is shown: relative where it lies below the working directory."""
    path = Path(path).absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
