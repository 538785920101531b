"""Terminal output of a run: a progress bar with rate and ETA, a table at the end."""

import json
import sys
import threading
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Protocol, TypeVar

from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_JSON = 0.25
SECONDS_BETWEEN_BARS = 0.1
SECONDS_OF_SILENCE = 5.0
"""Time after which work is shown that may be done at once."""
LEAST_SECONDS_OF_SILENCE = 0.5
"""The same where nothing was shown for longer, as steps before each were done in time."""

MOST_CHARACTERS = 5000
WIDTH_OF_FILES = 160  # columns of tables outside a terminal
ROWS_OF_TERMINAL = 100

messages = Console(stderr=True, highlight=False, soft_wrap=True)
results = Console(
    highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDTH_OF_FILES
)

_as_json = False
_silent_since: float | None = None
"""Time at which a command began that has shown nothing yet; None otherwise."""


def begin() -> None:
    """Let the silence of a command in a terminal count from now on, until it shows something."""
    global _silent_since
    _silent_since = time.monotonic() if messages.is_terminal else None


def _show(text: Text) -> None:
    global _silent_since
    _silent_since = None
    messages.print(text)


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


class Watch(Protocol):
    """Function that is told how far some work is, and may show it."""

    def __call__(self, done: int, total: int, step: str = "") -> None:
        """Take note of how much is done of how much.

        Args:
            done: What is done; frames, unless a step is named.
            total: What there is to do, likewise.
            step: Name of the step that is under way. Nothing is known of the steps that follow, so
                neither a rate nor the time that is left is shown.
        """


def progress(
    items: Iterable[T], total: int, label: str, *, before: int = 0, bar: bool = True
) -> Iterator[T]:
    """Yield the items as they are done and show the progress.

    Args:
        items: The items, one after the other.
        total: Number of all items, including those of an earlier run.
        label: What is being done.
        before: Number of items of an earlier run; the rate leaves them out.
        bar: Whether a terminal may show a bar.
    """
    with watching(label, total=total, before=before, bar=bar) as watch:
        for done, item in enumerate(items, start=before + 1):
            yield item
            watch(done, total)


def watching(
    label: str, *, total: int | None = None, before: int = 0, bar: bool = True
) -> AbstractContextManager[Watch]:
    """Return a context of some work that yields a function to show how far it is.

    A terminal shows a bar; elsewhere, or where several run at once, plain lines appear. Work that
    is not interrupted ends with a line.

    Args:
        label: What is being done.
        total: Number of all frames; None where the work may be done at once, so that nothing is
            shown for some seconds.
        before: Number of frames of an earlier run; the rate leaves them out.
        bar: Whether a terminal may show a bar.
    """
    global _silent_since
    _silent_since = None
    if _as_json:
        return _json_lines(before)
    if bar and messages.is_terminal:
        return _bar(label, total, before)
    return _lines(label, total, before)


@contextmanager
def _bar(label: str, total: int | None, before: int) -> Iterator[Watch]:
    """Show a bar, with a rate and the time left or, of steps, with a share."""
    start = last = time.monotonic()
    ends = (MofNCompleteColumn(), _RateColumn(before))
    ends_of_steps = (TaskProgressColumn(), TimeElapsedColumn())
    with ExitStack() as stack:
        shown: Progress | None = None

        def show(total: int, step: str) -> Progress:
            columns = (TextColumn("{task.description}"), BarColumn())
            bar = Progress(
                *columns,
                *(ends_of_steps if step else ends),
                console=messages,
                get_time=time.monotonic,
            )
            bar.add_task(label, total=total, completed=before)
            bar.tasks[0].start_time = start
            return stack.enter_context(bar)

        def watch(done: int, total: int, step: str = "") -> None:
            nonlocal shown, last
            now = time.monotonic()
            if shown is None and now - start < SECONDS_OF_SILENCE:
                return
            if now - last < SECONDS_BETWEEN_BARS and done < total and not step:
                return
            shown, last = shown or show(total, step), now
            description = f"{label}, {step}" if step else label
            shown.update(TaskID(0), total=total, completed=done, description=description)

        if total is not None:
            shown = show(total, "")
        yield watch
        if shown is not None and total is None:  # the last step may not have said that it ended
            shown.update(TaskID(0), completed=shown.tasks[0].total, description=label)


@contextmanager
def _lines(label: str, total: int | None, before: int) -> Iterator[Watch]:
    """Show a line now and then, and one at the end."""
    start = last = time.monotonic()
    quick, counted = total is None, "done" if total is None else f"{before}/{total} frames"

    def watch(done: int, total: int, step: str = "") -> None:
        nonlocal last, counted
        counted = "done" if step else f"{done}/{total} frames"
        now = time.monotonic()
        if now - last < SECONDS_BETWEEN_LINES or (done >= total and not step):
            return
        last = now
        if step:
            print(f"{label}, {step}: {done / total:.0%}", file=sys.stderr)
            return
        rate = (done - before) / (now - start)
        left = f"{rate:.1f} frames/s, {(total - done) / rate:.0f} s left"
        print(f"{label}: {counted}, {left}", file=sys.stderr)

    yield watch
    passed = time.monotonic() - start
    if quick and passed < SECONDS_OF_SILENCE:
        return
    earlier = f", {before} of them before" if before else ""
    print(f"{label}: {counted} in {passed:.1f} s{earlier}", file=sys.stderr)


@contextmanager
def _json_lines(before: int) -> Iterator[Watch]:
    """Print a line at most every `SECONDS_BETWEEN_JSON` and after the last frame; none of steps."""
    start = last = time.monotonic()

    def watch(done: int, total: int, step: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if step or (now - last < SECONDS_BETWEEN_JSON and done < total):
            return
        rate = (done - before) / max(now - start, 1e-9)
        line = {
            "n_processed": done,
            "n_total": total,
            "rate": round(rate, 1),
            "eta": round((total - done) / rate, 1),
        }
        print(json.dumps(line), flush=True)
        last = now

    yield watch


def doing(what: str) -> None:
    """Show a step that takes long."""
    _show(Text(f"{what} …"))


@contextmanager
def unless_quick(what: str, say: Callable[[str], None] = doing) -> Iterator[None]:
    """Say what is being done if it takes more than a few seconds; `say` is called in a thread."""
    before = 0.0 if _silent_since is None else time.monotonic() - _silent_since
    left = max(SECONDS_OF_SILENCE - before, min(LEAST_SECONDS_OF_SILENCE, SECONDS_OF_SILENCE))
    silence = threading.Timer(left, say, [what])
    silence.daemon = True
    silence.start()
    try:
        yield
    finally:
        silence.cancel()


def note(text: str) -> None:
    """Show a note that needs no action of the user."""
    _show(Text.assemble(("note:", "cyan"), " ", text))


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
    _show(Text.assemble(("warning:", "yellow"), " ", printable(text)))


def fail(text: str) -> None:
    """Show the one line that says why a command failed."""
    _show(Text.assemble(("error:", "red"), " ", printable(text)))


def text(lines: str) -> None:
    """Show a text of several lines."""
    print("\n".join(map(printable, lines.split("\n"))))


def width() -> int:
    """Return the columns that results have room for."""
    return results.width


def most_rows() -> int | None:
    """Return how many rows of a long list a terminal shows; None where all are written."""
    return ROWS_OF_TERMINAL if results.is_terminal else None


def table(rows: Iterable[tuple[str, str]]) -> None:
    """Show names and values, one line each."""
    rows = [(printable(name), value) for name, value in rows]
    longest = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        results.print(Text.assemble((f"{name:<{longest}}", "bold"), "  ", printable(value)))


def grid(header: Sequence[str], rows: Iterable[Sequence[object]], *, whole: bool = False) -> None:
    """Show a table with a header; nothing is a dash, and columns of numbers end together.

    Args:
        header: Names of the columns.
        rows: Their cells.
        whole: Whether no cell of the first column is broken, as someone may copy it.
    """
    cells = [["–" if value is None else printable(str(value)) for value in row] for row in rows]
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold underline")
    for name, column in zip(header, zip(*cells, strict=True), strict=True):
        numbers = any(cell.isdecimal() for cell in column)
        width = max(map(cell_len, column)) if whole and not table.columns else None
        justify: JustifyMethod = "right" if numbers else "left"
        table.add_column(escape(name), overflow="fold", justify=justify, min_width=width)
    for row in cells:
        table.add_row(*map(escape, row))
    results.print(table)


def shown(path: Path | str) -> str:
    """Return a path as it is shown: relative where it lies below the working directory."""
    path = Path(path).absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
