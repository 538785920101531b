"""The description of a sweep in MLflow: what is best, the command for it, a table, and links."""

import re
from collections.abc import Mapping, Sequence

from sleap_lab.runs.links import compare_page, run_page
from sleap_lab.runs.titles import short_name
from sleap_lab.sweeps.best import Best
from sleap_lab.sweeps.table import BEST, SECONDARY, Row, constant, telling, text

MOST_ROWS = 20
MOST_COMPARED = 12
SPACE = "\N{EM SPACE}\N{WORD JOINER}"  # a space at the end would be cut off
MOST_CHARACTERS = 4900  # a little less than the value of a tag may have


def description(
    rows: Sequence[Row],
    best: Best | None,
    *,
    error: str | None,
    command: str | None,
    experiment_id: str,
    run_id: str,
    run_ids: Mapping[int, str],
) -> str:
    """Return the description of a sweep in Markdown.

    Args:
        rows: Its results.
        best: The best job.
        error: Why it failed.
        command: The command that runs the best job by itself.
        experiment_id: Its experiment in MLflow.
        run_id: Its run.
        run_ids: The runs of its jobs, by number.
    """
    ranked = _ranked(rows, best)
    said = [plain(error)] if error else []
    if best is not None:
        said.append(f"**Best: {plain(str(best))}** (its value: {text(best.value)})")
        said.append(_code(" ".join((command or "").split())))
    compared = [run_ids[row["job"]] for row in ranked if row["job"] in run_ids][:MOST_COMPARED]
    links = [f"[the page of the sweep]({run_page(experiment_id, run_id, 'results.html')})"]
    if len(compared) > 1:
        page = compare_page(experiment_id, compared)
        links.insert(
            0, f"[these jobs side by side]({page}) (*Show diff only* hides what is the same)"
        )
    criterion = best.criterion if best else None
    same = ", ".join(f"{name} {value}" for name, value in constant(rows, criterion).items())
    last = [*([f"The same in all jobs: {plain(same)}."] if same else []), _sentence(links)]
    left = MOST_CHARACTERS - sum(map(len, said)) - sum(map(len, last))
    hidden = {"error", *SECONDARY} - {criterion}
    names = [name for name in telling(rows, criterion) if name not in hidden]
    table = _table(ranked, names, run_ids, experiment_id, left)
    return "\n\n".join([*said, *table, *last])[:MOST_CHARACTERS]


def plain(value: str) -> str:
    """Return a text that Markdown shows as it is: nothing in it is markup, or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>|~&#])", r"\\\1", " ".join(value.split()))


def _code(command: str) -> str:
    """Return a command as code, in a line that is wrapped where it holds no quote of Markdown."""
    return f"    {command}" if "`" in command else f"`{command}`"


def _sentence(links: Sequence[str]) -> str:
    return f"See {', '.join(links)}."


def _ranked(rows: Sequence[Row], best: Best | None) -> list[Row]:
    """Return the best row, those tied with it, and the others by the metric that decides."""
    if best is None:
        return list(rows)
    sign = 1 if best.minimize else -1

    def rank(row: Row) -> tuple[bool, float, bool]:
        value = row.get(best.criterion)
        return value is None, sign * (value or 0.0), row["best"] != BEST

    return sorted(rows, key=rank)


def _table(
    rows: Sequence[Row],
    names: Sequence[str],
    run_ids: Mapping[int, str],
    experiment_id: str,
    characters: int,
) -> list[str]:
    """Return the table of the first rows, as many as fit, and how many there are besides."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    def cell(row: Row, name: str) -> str:
        if name == "job" and row["job"] in run_ids:
            return f"[{row['job']}]({run_page(experiment_id, run_ids[row['job']])})"
        return plain(text(row[name])) + SPACE  # MLflow draws cells without any space between them

    lines = [
        line([plain(short_name(name, names)) + SPACE for name in names]),
        line(["---"] * len(names)),
    ]
    left = characters - sum(map(len, lines)) - 100
    for row in rows[:MOST_ROWS]:
        lines.append(line([cell(row, name) for name in names]))
        left -= len(lines[-1]) + 1
        if left < 0:
            lines.pop()
            break
    shown = len(lines) - 2
    more = [f"{len(rows) - shown} more jobs are on the page."] if shown < len(rows) else []
    return ["\n".join(lines), *more] if shown else more
